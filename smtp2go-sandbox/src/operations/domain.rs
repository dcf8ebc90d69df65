//! Sender domains. The sandbox does not query DNS: the records of a domain count as published from
//! the start, unless its name has the label `unpublished`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::fields::{domain_of, flag, is_domain, text, texts};
use super::{Context, Reply};
use crate::account::AccountId;
use crate::address::is_label;
use crate::data::Kept;
use crate::due::{Job, JobKey};
use crate::refusal::Refusal;
use crate::weight::{self, weigh};
use crate::world::World;

/// Time until the simulated service looks the records up by itself.
const POLL: Duration = Duration::from_secs(7 * 60);

/// A domain with this label simulates missing records.
const UNPUBLISHED: &str = "unpublished";

const NOT_FOUND: &str = "No CNAME record was found.";

// Targets of the records of every domain.
const DKIM: &str = "dkim.smtp2go.net";
const RETURN_PATH: &str = "return.smtp2go.net";
const TRACKING: &str = "track.smtp2go.net";

/// The sender domains of an account.
#[derive(Debug, Default)]
pub(crate) struct SenderDomains {
    pub(crate) domains: Kept<u64, Domain>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Domain {
    /// The name in lower case.
    name: String,
    dkim: Record,
    return_path: Record,
    tracking: Record,
    /// Ids of the subaccounts that may use the domain.
    subaccounts: Vec<String>,
    future_subaccounts: bool,
    /// The look-up that was scheduled last. It may have run already.
    #[serde(skip)]
    job: Option<JobKey>,
}

/// A CNAME record under a label of the domain.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Record {
    label: String,
    /// Whether the record was looked up.
    looked_up: bool,
    /// When the record was found. `None` if it was not found.
    found: Option<SystemTime>,
}

/// The fields of a domain in a reply.
#[derive(Clone, Copy, PartialEq)]
enum DomainView {
    /// The domain alone.
    Entry,
    /// The domain with the link to set its records up.
    WithLink,
    /// An entry of a list of domains, with its owner. It has the link if it is the `only` entry.
    List { from_master: bool, only: bool },
}

weigh!(SenderDomains { domains });
weigh!(Domain {
    name,
    dkim,
    return_path,
    tracking,
    subaccounts,
    future_subaccounts,
    job
});
weigh!(Record {
    label,
    looked_up,
    found
});

impl SenderDomains {
    /// Adds a domain that is verified from the start, for all subaccounts.
    pub(crate) fn add_verified(&mut self, name: &str, now: SystemTime) {
        let record = |label: &str| Record {
            looked_up: true,
            found: Some(now),
            ..Record::new(label)
        };
        if self.find(name).is_err() {
            self.domains.push(Domain {
                name: name.to_lowercase(),
                dkim: record("s100000"),
                return_path: record("em100000"),
                tracking: record("link"),
                subaccounts: Vec::new(),
                future_subaccounts: true,
                job: None,
            });
        }
    }

    /// Shares with a new subaccount the domains that are meant for future subaccounts. Returns the
    /// added memory in bytes.
    pub(crate) fn lend_to_new(&mut self, subaccount: &str) -> usize {
        let mut bytes = 0;
        for domain in self.domains.each_mut(|domain| domain.future_subaccounts) {
            domain.subaccounts.push(subaccount.to_owned());
            bytes += 2 * size_of::<String>() + weight::text(subaccount);
        }
        bytes
    }

    fn find(&self, name: &str) -> Result<u64, Refusal> {
        let name = name.to_lowercase();
        self.domains
            .find(|domain| domain.name == name)
            .ok_or_else(|| {
                Refusal::exception(format!("The sender domain {name:?} does not exist."))
            })
    }

    fn find_mut(&mut self, name: &str) -> Result<&mut Domain, Refusal> {
        let place = self.find(name)?;
        let domain = self.domains.get_mut(&place);
        domain.ok_or_else(|| {
            Refusal::exception(format!("The sender domain {name:?} does not exist."))
        })
    }

    /// Records the job that will look up the records of a domain.
    pub(crate) fn note_look_up(&mut self, name: &str, job: JobKey) {
        if let Ok(domain) = self.find_mut(name) {
            domain.job = Some(job);
        }
    }
}

/// Whether the domain of an address is verified, and belongs to the account or is shared with it by
/// the master account.
pub(crate) fn lets_send(world: &World, account: AccountId, address: &str) -> bool {
    let name = domain_of(address);
    let mut domains = usable(world, account);
    domains.any(|(domain, _)| domain.name == name && domain.verified())
}

/// Returns the account's own domains and those shared with it. The flag is set for shared ones.
fn usable(world: &World, account: AccountId) -> impl Iterator<Item = (&Domain, bool)> {
    let own = world.account(account);
    let lent = match account.is_master() {
        true => None,
        false => Some(world.account(AccountId::MASTER).domain.domains.iter()),
    };
    let lent = lent
        .into_iter()
        .flatten()
        .filter(|domain| domain.subaccounts.contains(&own.id));
    let own = own.domain.domains.iter().map(|domain| (domain, false));
    own.chain(lent.map(|domain| (domain, true)))
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let name = text(request, "domain").unwrap_or_default();
    match operation {
        "domain_add" => add(context, request, name),
        "domain_remove" => {
            let domains = &mut context.account().domain;
            let place = domains.find(name)?;
            let removed = domains.domains.remove(&place);
            let left = domains.domains.iter();
            let left = entries(left.map(|domain| domain.show(DomainView::Entry)));
            if let Some(job) = removed.and_then(|removed| removed.job) {
                context.world.call_off(job);
            }
            Ok(left)
        }
        "domain_return_path" => relabel(context, request, |domain| &mut domain.return_path),
        "domain_tracking" => relabel(context, request, |domain| &mut domain.tracking),
        "domain_subaccount_access" => subaccount_access(context, request),
        "domain_verify" => {
            let now = context.now();
            let domain = context.account().domain.find_mut(name)?;
            domain.look_up(now);
            Ok(entries([domain.show(DomainView::WithLink)]))
        }
        "domain_view" => {
            let wanted = text(request, "domain").map(str::to_lowercase);
            let domains = usable(context.world, context.account);
            let domains: Vec<_> = domains
                .filter(|(domain, _)| wanted.as_ref().is_none_or(|name| domain.name == *name))
                .collect();
            let only = domains.len() == 1;
            Ok(entries(domains.into_iter().map(|(domain, from_master)| {
                domain.show(DomainView::List { from_master, only })
            })))
        }
        _ => Ok(Reply::Example),
    }
}

fn add(context: &mut Context<'_>, request: &Value, name: &str) -> Result<Reply, Refusal> {
    if !is_domain(name) {
        return Err(Refusal::exception("domain must be a domain name."));
    }
    if context.account().domain.find(name).is_ok() {
        return Err(Refusal::exception(format!(
            "The sender domain {name:?} already exists."
        )));
    }
    let access = request.get("subaccount_access");
    let (subaccounts, future) = match access {
        Some(access) => checked_access(context, access)?,
        None => Default::default(),
    };
    let number = 100_000 + context.world.ids.random() % 900_000;
    let record = |field: &str, default: String| {
        let label = text(request, field).map(|label| checked_label(label, field));
        Ok::<_, Refusal>(Record::new(label.transpose()?.unwrap_or(default)))
    };
    let mut domain = Domain {
        name: name.to_lowercase(),
        dkim: Record::new(format!("s{number}")),
        return_path: record("returnpath_subdomain", format!("em{number}"))?,
        tracking: record("tracking_subdomain", "link".to_owned())?,
        subaccounts,
        future_subaccounts: future,
        job: None,
    };
    // Immediate verification needs the labels of existing records.
    let labelled = ["returnpath_subdomain", "tracking_subdomain"]
        .iter()
        .all(|field| request.get(field).is_some());
    if labelled && flag(request, "auto_verify").unwrap_or(true) {
        domain.look_up(context.now());
    }
    let reply = entries([domain.show(DomainView::WithLink)]);
    context.account().domain.domains.push(domain);
    poll(context, name);
    Ok(reply)
}

/// Changes the label of a record, which must then be looked up again.
fn relabel(
    context: &mut Context<'_>,
    request: &Value,
    record: fn(&mut Domain) -> &mut Record,
) -> Result<Reply, Refusal> {
    let name = text(request, "domain").unwrap_or_default();
    let old = text(request, "old_subdomain").unwrap_or_default();
    let new = text(request, "new_subdomain").unwrap_or_default();
    let new = checked_label(new, "new_subdomain")?;
    let domain = context.account().domain.find_mut(name)?;
    let present = record(domain);
    if present.label != old.to_lowercase() {
        return Err(Refusal::exception(format!(
            "old_subdomain must be the current one, {:?}.",
            present.label
        )));
    }
    if present.label != new {
        *present = Record::new(new);
    }
    let reply = entries([domain.show(DomainView::Entry)]);
    poll(context, name);
    Ok(reply)
}

fn subaccount_access(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let name = text(request, "domain").unwrap_or_default();
    let (subaccounts, future) = checked_access(context, request)?;
    let domain = context.account().domain.find_mut(name)?;
    domain.subaccounts = subaccounts;
    domain.future_subaccounts = future;
    Ok(Reply::Data(json!({
        "domain": domain.name,
        "subaccounts": domain.subaccounts,
        "future_subaccounts": domain.future_subaccounts,
    })))
}

/// Reads the subaccounts with which a domain is shared. Refuses unknown ones.
fn checked_access(context: &Context<'_>, access: &Value) -> Result<(Vec<String>, bool), Refusal> {
    if !context.account.is_master() {
        return Err(Refusal::exception(
            "Only the master account can share its domains.",
        ));
    }
    let mut subaccounts: Vec<String> = Vec::new();
    for id in texts(access, "subaccounts") {
        if context.world.find_account(id).is_none() {
            return Err(Refusal::exception(format!(
                "The subaccount {id:?} does not exist."
            )));
        }
        if !subaccounts.iter().any(|present| present == id) {
            subaccounts.push(id.to_owned());
        }
    }
    let future = flag(access, "future_subaccounts").unwrap_or(false);
    Ok((subaccounts, future))
}

fn checked_label(label: &str, field: &str) -> Result<String, Refusal> {
    if is_label(label) {
        Ok(label.to_lowercase())
    } else {
        Err(Refusal::exception(format!(
            "{field} must be a single label of a domain."
        )))
    }
}

/// Schedules a look-up of the records, unless one is scheduled.
fn poll(context: &mut Context<'_>, name: &str) {
    let (account, now) = (context.account, context.now());
    let Ok(domain) = context.account().domain.find_mut(name) else {
        return;
    };
    if domain.job.is_some_and(|(time, _)| time > now) {
        return;
    }
    let look_up = Job::LookUpDomain {
        account,
        name: name.to_owned(),
    };
    let job = context.world.later(POLL, look_up);
    context.account().domain.note_look_up(name, job);
}

/// Looks up the DNS records of a domain without a request, as the service does.
pub(crate) fn look_up(world: &mut World, account: AccountId, name: &str) {
    let now = world.now();
    if let Ok(domain) = world.account_mut(account).domain.find_mut(name) {
        domain.look_up(now);
    }
}

fn entries(entries: impl IntoIterator<Item = Value>) -> Reply {
    let entries: Value = entries.into_iter().collect();
    Reply::Data(json!({ "domains": entries }))
}

impl Record {
    fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            looked_up: false,
            found: None,
        }
    }

    fn verified(&self) -> bool {
        self.found.is_some()
    }

    /// Describes the result of the last look-up. Empty before the first one.
    fn status(&self, target: &str) -> String {
        match (self.found, self.looked_up) {
            (Some(_), _) => format!("Target: {target}"),
            (None, true) => NOT_FOUND.to_owned(),
            (None, false) => String::new(),
        }
    }
}

impl Domain {
    fn verified(&self) -> bool {
        self.dkim.verified() && self.return_path.verified()
    }

    /// Simulates a look-up of the records.
    fn look_up(&mut self, now: SystemTime) {
        let published = self.name.split('.').all(|label| label != UNPUBLISHED);
        for record in [&mut self.dkim, &mut self.return_path, &mut self.tracking] {
            record.looked_up = true;
            record.found = record.found.or(published.then_some(now));
        }
    }

    fn show(&self, view: DomainView) -> Value {
        let (subdomain, domain, suffix) = parts(&self.name);
        let mut details = json!({
            "domain": domain,
            "suffix": suffix,
            "subdomain": subdomain,
            "fulldomain": self.name,
            "dkim_selector": self.dkim.label,
            "dkim_value": DKIM,
            "dkim_expected": DKIM,
            "dkim_verified": self.dkim.verified(),
            "dkim_status": self.dkim.status(DKIM),
            "rpath_selector": self.return_path.label,
            "rpath_value": RETURN_PATH,
            "rpath_expected": RETURN_PATH,
            "rpath_verified": self.return_path.verified(),
            "rpath_status": self.return_path.status(RETURN_PATH),
            "registrar": if self.dkim.looked_up { "Example Registry" } else { "" },
        });
        match view {
            DomainView::Entry => {}
            DomainView::List { only: false, .. } => details["setup_link"] = "unavailable".into(),
            DomainView::WithLink | DomainView::List { .. } => {
                details["setup_link"] = format!("https://setup.example.net/{}", self.name).into();
            }
        }
        let tracking = &self.tracking;
        // Finding its record switches a tracker on and issues its certificate.
        let issued = tracking.found.map_or_else(String::new, |time| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("issued: {}", since.as_secs())
        });
        let mut entry = Map::new();
        entry.insert("domain".to_owned(), details);
        entry.insert(
            "trackers".to_owned(),
            json!([{
                "domain": domain,
                "suffix": suffix,
                "subdomain": tracking.label,
                "fulldomain": format!("{}.{}", tracking.label, self.name),
                "cname_value": if tracking.verified() { TRACKING } else { "" },
                "cname_expected": TRACKING,
                "cname_verified": tracking.verified(),
                "cname_status": tracking.status(TRACKING),
                "enabled": tracking.verified(),
                "ssl_status": issued,
            }]),
        );
        entry.insert(
            "subaccount_access".to_owned(),
            json!({
                "subaccounts": self.subaccounts,
                "future_subaccounts": self.future_subaccounts,
            }),
        );
        if let DomainView::List { from_master, .. } = view {
            entry.insert("from_master".to_owned(), from_master.into());
        }
        entry.into()
    }
}

/// Splits a name into subdomain, domain and suffix: `mail`, `example`, `co.uk`. The suffix has two
/// labels if the last one is a country and the other a common second-level registration.
fn parts(name: &str) -> (&str, &str, &str) {
    const KINDS: [&str; 7] = ["ac", "co", "com", "edu", "gov", "net", "org"];
    let mut dots = name.rmatch_indices('.').map(|(place, _)| place);
    let Some(mut dot) = dots.next() else {
        return ("", name, "");
    };
    let country = name.len() - dot == 3;
    let mut before = dots.next();
    if let Some(place) = before
        && country
        && name
            .get(place + 1..dot)
            .is_some_and(|kind| KINDS.contains(&kind))
    {
        dot = place;
        before = dots.next();
    }
    let (front, suffix) = name.split_at(dot);
    let suffix = suffix.trim_start_matches('.');
    match before {
        Some(place) => {
            let (subdomain, domain) = front.split_at(place);
            (subdomain, domain.trim_start_matches('.'), suffix)
        }
        None => ("", front, suffix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_split_into_subdomain_domain_and_suffix() {
        for (name, expected) in [
            ("example.com", ("", "example", "com")),
            ("mail.example.com", ("mail", "example", "com")),
            ("a.b.example.com", ("a.b", "example", "com")),
            ("example.co.uk", ("", "example", "co.uk")),
            ("mail.example.co.uk", ("mail", "example", "co.uk")),
            ("mail.example.uk", ("mail", "example", "uk")),
            ("co.uk", ("", "co", "uk")),
            ("localhost", ("", "localhost", "")),
        ] {
            assert_eq!(parts(name), expected, "{name}");
        }
    }
}
