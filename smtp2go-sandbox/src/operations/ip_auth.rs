//! IP addresses that may send over SMTP without a password. The API has no call to add one; use
//! [`SandboxBuilder::ip_auth`](crate::SandboxBuilder::ip_auth).

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fields::text;
use super::sender_settings::{SenderSettings, Spelling, put_default_limit, status};
use super::sending::SendingUser;
use super::{Context, Reply};
use crate::account::{AccountId, KeyStatus, KeyStatusForm};
use crate::data::Kept;
use crate::refusal::Refusal;
use crate::weight::weigh;

/// The authenticated IP addresses of an account.
#[derive(Debug, Default)]
pub(crate) struct IpAuthentication {
    pub(crate) addresses: Kept<u64, Address>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Address {
    ip_address: String,
    #[serde(with = "KeyStatusForm")]
    status: KeyStatus,
    settings: SenderSettings,
}

weigh!(IpAuthentication { addresses });
weigh!(Address {
    ip_address,
    status,
    settings
});

impl IpAuthentication {
    /// Adds an address, unless it exists.
    pub(crate) fn add(&mut self, ip_address: &str) {
        if self.place(ip_address).is_none() {
            self.addresses.push(Address {
                ip_address: ip_address.to_owned(),
                status: KeyStatus::Allowed,
                settings: SenderSettings::default(),
            });
        }
    }

    /// Returns the user that sends from an address. `None` if the address is not authenticated.
    pub(crate) fn user(&self, account: AccountId, ip_address: IpAddr) -> Option<SendingUser> {
        let name = ip_address.to_canonical().to_string();
        let address = &self.addresses[self.place(&name)?];
        Some(SendingUser {
            account,
            name,
            status: address.status,
            limit: address.settings.rate_limit.clone(),
        })
    }

    fn place(&self, ip_address: &str) -> Option<u64> {
        self.addresses
            .find(|address| address.ip_address == ip_address)
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "ip_auth_patch" => patch(context, request),
        "ip_auth_remove" => {
            let place = find(context, request)?;
            context.account().ip_auth.addresses.remove(&place);
            Ok(Reply::Empty)
        }
        "ip_auth_view" => {
            let wanted = text(request, "ip_address");
            let addresses = context.account().ip_auth.addresses.iter();
            let addresses = addresses
                .filter(|address| wanted.is_none_or(|wanted| address.ip_address == wanted))
                .map(|address| address.show(Spelling::Ratelimit));
            let mut data = Map::new();
            data.insert("results".to_owned(), addresses.collect());
            put_default_limit(&mut data);
            Ok(Reply::Data(data.into()))
        }
        _ => Ok(Reply::Example),
    }
}

fn patch(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let place = find(context, request)?;
    let account = context.account();
    let present = &account.ip_auth.addresses[place];
    let settings = present.settings.clone();
    let address = Address {
        ip_address: present.ip_address.clone(),
        status: status(request)?.unwrap_or(present.status),
        settings: settings.change(request, &account.dedicated_ips)?,
    };
    let reply = json!([address.show(Spelling::RateLimit)]);
    account.ip_auth.addresses.insert(place, address);
    Ok(Reply::Data(reply))
}

fn find(context: &mut Context<'_>, request: &Value) -> Result<u64, Refusal> {
    let ip_address = text(request, "ip_address").unwrap_or_default();
    let place = context.account().ip_auth.place(ip_address);
    place.ok_or_else(|| {
        Refusal::exception(format!(
            "The authenticated address {ip_address:?} does not exist."
        ))
    })
}

impl Address {
    fn show(&self, spelling: Spelling) -> Value {
        let mut members = self.settings.show(self.status, spelling);
        members.insert("ip_address".to_owned(), self.ip_address.as_str().into());
        members.into()
    }
}
