//! Authenticates SMTP clients.

use std::net::IpAddr;

use super::USERNAME;
use super::reply::SmtpReply;
use crate::account::{Account, AccountId, KeyStatus};
use crate::operations::sending::SendingUser;
use crate::world::World;

/// A client and its login.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// The name that the client logged in with.
    pub(super) username: Option<String>,
}

impl Client {
    /// Logs the client in, or returns the refusal.
    pub(super) fn log_in(
        &mut self,
        world: &World,
        username: &str,
        password: &str,
    ) -> Result<(), SmtpReply> {
        let refuse = |text| SmtpReply::new(535, "5.7.8", text);
        let user = match find(world, username) {
            Some((user, right)) if right == password => user,
            Some(_) => {
                return Err(refuse(format!(
                    "wrong password for the SMTP user {username:?}"
                )));
            }
            None => return Err(refuse(format!("there is no SMTP user {username:?}"))),
        };
        self.admit(world, &user).map_err(refuse)?;
        self.username = Some(username.to_owned());
        Ok(())
    }

    /// Returns the user that the client sends for. The user may have changed since the login.
    pub(super) fn user(&self, world: &World) -> Result<SendingUser, SmtpReply> {
        let user = match &self.username {
            Some(username) => find(world, username).map(|(user, _)| user),
            None => {
                accounts(world).find_map(|(id, account)| account.ip_auth.user(id, self.address))
            }
        };
        let Some(user) = user else {
            let text = "log in first: AUTH PLAIN or LOGIN, as an SMTP user";
            return Err(SmtpReply::new(530, "5.7.0", text));
        };
        let admitted = self.admit(world, &user);
        admitted.map_err(|text| SmtpReply::new(550, "5.7.1", text))?;
        Ok(user)
    }

    /// Whether a user may send from the client's address.
    fn admit(&self, world: &World, user: &SendingUser) -> Result<(), String> {
        let account = world.account(user.account);
        let name = &user.name;
        if user.status == KeyStatus::Blocked {
            Err(format!("the SMTP user {name:?} is blocked"))
        } else if account.closed {
            Err(format!("the account of the SMTP user {name:?} is closed"))
        } else if !account.ip_allow_list.lets_send(self.address) {
            let address = self.address;
            Err(format!("{address} is not on the IP allow list for SMTP"))
        } else {
            Ok(())
        }
    }
}

fn accounts(world: &World) -> impl Iterator<Item = (AccountId, &Account)> {
    let accounts = world.accounts().enumerate();
    accounts.map(|(place, account)| (AccountId(place), account))
}

/// Returns the user with this name, and the user's password. [`USERNAME`] sends for the main key, unless
/// an account has a user with that name.
fn find<'a>(world: &'a World, username: &str) -> Option<(SendingUser, &'a str)> {
    let mut users =
        accounts(world).filter_map(|(id, account)| account.smtp_users.find(id, username));
    users.next().or_else(|| {
        let main = world.settings.keys.first()?;
        let key = world.key(&main.secret)?;
        let user = SendingUser {
            account: key.account,
            name: USERNAME.to_owned(),
            status: key.status,
            limit: key.settings.rate_limit.clone(),
        };
        (username == USERNAME).then_some((user, &key.secret))
    })
}
