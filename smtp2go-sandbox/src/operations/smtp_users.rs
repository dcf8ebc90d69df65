//! SMTP users, with which clients of the sandbox's SMTP server log in.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fields::text;
use super::sender_settings::{SenderSettings, Spelling, put_default_limit, status};
use super::{Context, Reply, sending};
use crate::account::{Account, AccountId, KeyStatus, KeyStatusForm};
use crate::data::Kept;
use crate::refusal::Refusal;
use crate::weight::weigh;

/// The SMTP users of an account.
#[derive(Debug, Default)]
pub(crate) struct SmtpUsers {
    pub(crate) users: Kept<u64, User>,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct User {
    username: String,
    password: String,
    #[serde(with = "KeyStatusForm")]
    status: KeyStatus,
    settings: SenderSettings,
}

impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("User")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "smtp_users_add" => add(context, request),
        "smtp_users_edit" => {
            let user = edit(context, request, false)?;
            Ok(results(&user))
        }
        "smtp_users_patch" => {
            let user = edit(context, request, true)?;
            let mut members = user.settings.show(user.status, Spelling::RateLimit);
            members.insert("username".to_owned(), user.username.into());
            Ok(Reply::Data(json!([members])))
        }
        "smtp_users_remove" => {
            let place = find(context, request)?;
            let user = context.account().smtp_users.users[place].clone();
            context.account().smtp_users.users.remove(&place);
            Ok(results(&user))
        }
        "smtp_users_view" => {
            let wanted = text(request, "username");
            let users = context.account().smtp_users.users.iter();
            let users = users.filter(|user| wanted.is_none_or(|name| user.username == name));
            let mut data = Map::new();
            data.insert("results".to_owned(), users.map(User::show).collect());
            put_default_limit(&mut data);
            Ok(Reply::Data(data.into()))
        }
        _ => Ok(Reply::Example),
    }
}

fn add(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let username = text(request, "username").unwrap_or_default();
    // Usernames are unique across accounts, because users log in by them.
    let has = |account: &Account| account.smtp_users.place(username).is_some();
    if context.world.accounts().any(has) {
        return Err(Refusal::exception(format!(
            "The SMTP user {username:?} already exists."
        )));
    }
    let user = User {
        username: username.to_owned(),
        password: password(context, request)?,
        status: status(request)?.unwrap_or_default(),
        settings: SenderSettings::default().change(request, &context.account().dedicated_ips)?,
    };
    let reply = results(&user);
    context.account().smtp_users.users.push(user);
    Ok(reply)
}

/// Changes a user. Fields that are not given are kept if `keep` is set, and otherwise set to their
/// defaults.
fn edit(context: &mut Context<'_>, request: &Value, keep: bool) -> Result<User, Refusal> {
    let place = find(context, request)?;
    let present = context.account().smtp_users.users[place].clone();
    let (settings, before) = match keep {
        true => (present.settings, present.status),
        false => Default::default(),
    };
    let user = User {
        username: present.username,
        password: match keep && text(request, "email_password").is_none() {
            true => present.password,
            false => password(context, request)?,
        },
        status: status(request)?.unwrap_or(before),
        settings: settings.change(request, &context.account().dedicated_ips)?,
    };
    context
        .account()
        .smtp_users
        .users
        .insert(place, user.clone());
    Ok(user)
}

fn find(context: &mut Context<'_>, request: &Value) -> Result<u64, Refusal> {
    let username = text(request, "username").unwrap_or_default();
    let place = context.account().smtp_users.place(username);
    place.ok_or_else(|| Refusal::exception(format!("The SMTP user {username:?} does not exist.")))
}

/// Returns the request's password if it is strong enough, or generates one if it is missing.
fn password(context: &mut Context<'_>, request: &Value) -> Result<String, Refusal> {
    match text(request, "email_password").unwrap_or_default() {
        "" => Ok(context.world.ids.password()),
        weak if bits(weak) < 64.0 => Err(Refusal::field(
            "email_password",
            "The value must have at least 64 bits of entropy: use a longer password.",
        )),
        strong => Ok(strong.to_owned()),
    }
}

/// Estimates the entropy of a password from its length and its kinds of characters, in bits.
fn bits(password: &str) -> f64 {
    let has = |is: fn(char) -> bool, size: f64| {
        if password.contains(is) { size } else { 0.0 }
    };
    let size = has(|character| character.is_ascii_lowercase(), 26.0)
        + has(|character| character.is_ascii_uppercase(), 26.0)
        + has(|character| character.is_ascii_digit(), 10.0)
        + has(|character| !character.is_ascii_alphanumeric(), 33.0);
    password.chars().map(|_| size.log2()).sum()
}

fn results(user: &User) -> Reply {
    Reply::Data(json!({ "results": [user.show()] }))
}

weigh!(SmtpUsers { users });
weigh!(User {
    username,
    password,
    status,
    settings
});

impl SmtpUsers {
    fn place(&self, username: &str) -> Option<u64> {
        self.users.find(|user| user.username == username)
    }

    /// Returns the user with this name, and the user's password.
    pub(crate) fn find(
        &self,
        account: AccountId,
        username: &str,
    ) -> Option<(sending::SendingUser, &str)> {
        let user = &self.users[self.place(username)?];
        let sends = sending::SendingUser {
            account,
            name: user.username.clone(),
            status: user.status,
            limit: user.settings.rate_limit.clone(),
        };
        Some((sends, &user.password))
    }
}

impl User {
    fn show(&self) -> Value {
        let mut members = self.settings.show(self.status, Spelling::Ratelimit);
        members.insert("username".to_owned(), self.username.as_str().into());
        members.insert("email_password".to_owned(), self.password.as_str().into());
        members.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_password_is_weak() {
        for (password, strong) in [
            ("", false),
            ("12345678901234567890", true),
            ("1234567890123456789", false),
            ("abcdefghijklm", false),
            ("abcdefghijklmn", true),
            ("Fw7nQ2xLr9", false),
            ("Fw7nQ2xLr9Tz4KbV", true),
        ] {
            assert_eq!(bits(password) >= 64.0, strong, "{password}");
        }
    }
}
