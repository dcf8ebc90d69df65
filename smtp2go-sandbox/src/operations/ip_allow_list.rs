//! The IP allow lists for SMTP and for the API.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fields::{flag, needed, text, word};
use super::{Context, Reply};
use crate::data::Kept;
use crate::refusal::Refusal;
use crate::weight::weigh;

/// The IP allow lists of an account.
#[derive(Debug, Default)]
pub(crate) struct IpAllowLists {
    pub(crate) smtp: AllowList,
    pub(crate) api: AllowList,
}

#[derive(Debug, Default)]
pub(crate) struct AllowList {
    pub(crate) enabled: bool,
    pub(crate) entries: Kept<u64, AllowedIp>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct AllowedIp {
    address: IpAddr,
    description: String,
}

weigh!(IpAllowLists { smtp, api });
weigh!(AllowList { enabled, entries });
weigh!(AllowedIp {
    address,
    description
});

impl IpAllowLists {
    /// Whether an address may call the API.
    pub(crate) fn lets_call(&self, address: IpAddr) -> bool {
        self.api.lets_pass(address)
    }

    /// Whether an address may send over SMTP.
    pub(crate) fn lets_send(&self, address: IpAddr) -> bool {
        self.smtp.lets_pass(address)
    }
}

impl AllowList {
    fn lets_pass(&self, address: IpAddr) -> bool {
        !self.enabled || self.place(address).is_some()
    }

    fn place(&self, address: IpAddr) -> Option<u64> {
        self.entries
            .find(|entry| entry.address == address.to_canonical())
    }

    fn find(&self, address: IpAddr) -> Result<u64, Refusal> {
        self.place(address)
            .ok_or_else(|| Refusal::exception(format!("{address} is not on the list.")))
    }

    fn check_new(&self, address: IpAddr) -> Result<(), Refusal> {
        match self.place(address) {
            None => Ok(()),
            Some(_) => Err(Refusal::exception(format!(
                "{address} is already on the list."
            ))),
        }
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let kind = word(request, "type", &["smtp", "api"])?;
    let lists = &mut context.account().ip_allow_list;
    let list = match kind {
        Some("api") => &mut lists.api,
        _ => &mut lists.smtp,
    };
    match operation {
        "ip_allow_list_set" => {
            list.enabled = flag(request, "enabled").unwrap_or(list.enabled);
            Ok(Reply::Data(json!({ "enabled": list.enabled })))
        }
        "ip_allow_list_add" => {
            let address = address(request, "ip_address")?;
            list.check_new(address)?;
            let entry = AllowedIp {
                address,
                description: text(request, "description").unwrap_or_default().to_owned(),
            };
            let reply = entry.show();
            list.entries.push(entry);
            Ok(Reply::Data(reply))
        }
        "ip_allow_list_edit" => {
            let place = list.find(address(request, "ip_address")?)?;
            let mut entry = list.entries[place].clone();
            if request.get("new_ip_address").is_some() {
                let address = address(request, "new_ip_address")?;
                if address != entry.address {
                    list.check_new(address)?;
                }
                entry.address = address;
            }
            if let Some(description) = text(request, "description") {
                description.clone_into(&mut entry.description);
            }
            let reply = entry.show();
            list.entries.insert(place, entry);
            Ok(Reply::Data(reply))
        }
        "ip_allow_list_remove" => {
            let place = list.find(address(request, "ip_address")?)?;
            let reply = list.entries[place].show();
            list.entries.remove(&place);
            Ok(Reply::Data(reply))
        }
        "ip_allow_list_view" => {
            let entries: Value = list.entries.iter().map(AllowedIp::show).collect();
            let data = json!({ "enabled": list.enabled, "ip_addresses": entries });
            Ok(Reply::Data(data))
        }
        _ => Ok(Reply::Example),
    }
}

fn address(request: &Value, field: &str) -> Result<IpAddr, Refusal> {
    let address = needed(request, field)?.parse::<IpAddr>();
    let address = address.map_err(|_| Refusal::field(field, "The value must be an IP address."))?;
    Ok(address.to_canonical())
}

impl AllowedIp {
    fn show(&self) -> Value {
        json!({ "ip_address": self.address.to_string(), "description": self.description })
    }
}
