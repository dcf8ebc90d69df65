//! The calls of a look-up.

use std::collections::HashMap;
use std::time::SystemTime;

use http::HeaderName;
use serde_json::Value;
use smtp2go_types::{ActivityEvent, ActivityList, ActivityRecord, ActivitySearchRequest, readable};

use super::decide::{after, time};
use super::{FindSent, Found};
use crate::mail::idempotency::key_fault;
use crate::{Client, Error, RawReply, Reply};

/// Largest page of the API.
const PAGE: i64 = 1000;

/// The results, in the order of the mails.
pub(in crate::mail) struct Look {
    pub(in crate::mail) found: Vec<Found>,
    /// The last page with a hit.
    pub(in crate::mail) hit: Option<RawReply>,
}

/// Searches the activity for the mails. The search for a single mail also filters by its addresses.
/// If that finds nothing, a second search goes without this filter, because the API does not document
/// how it compares addresses.
pub(in crate::mail) async fn look(client: &Client, wanted: &[FindSent]) -> Result<Look, Error> {
    let look = search(client, wanted, true).await?;
    match (wanted, &look.found[..]) {
        ([only], [Found::Absent]) if only.has_filter() => search(client, wanted, false).await,
        _ => Ok(look),
    }
}

async fn search(client: &Client, wanted: &[FindSent], filters: bool) -> Result<Look, Error> {
    let mut headers: Vec<&str> = Vec::new();
    // The mails by key, with their headers.
    let mut places: HashMap<&str, Vec<(&str, usize)>> = HashMap::new();
    for (place, mail) in wanted.iter().enumerate() {
        let header = mail.header.as_deref();
        let header = header.unwrap_or_else(|| client.idempotency_header());
        // With an invalid name nothing would be found, and the caller would send the mail again.
        if HeaderName::try_from(header).is_err() {
            return Err(Error::config(format!(
                "idempotency_header {header:?} is not a header name"
            )));
        }
        if let Some(fault) = key_fault(&mail.key) {
            return Err(Error::config(format!("idempotency_key: {fault}")));
        }
        if !headers
            .iter()
            .any(|known| known.eq_ignore_ascii_case(header))
        {
            headers.push(header);
        }
        places.entry(&mail.key).or_default().push((header, place));
    }
    // Read before the search, which therefore shows at least the state at these times.
    let nows: Vec<_> = wanted.iter().map(FindSent::present).collect();
    let attempts: Vec<_> = wanted.iter().map(|mail| mail.attempt(client)).collect();
    let earliest = attempts.iter().map(|attempt| {
        let start = attempt.started.checked_sub(attempt.timing.margin);
        start.unwrap_or(attempt.started)
    });
    let latest = nows.iter().zip(wanted);
    let latest = latest.map(|(now, mail)| after(*now, mail.timing.margin));
    let (Some(start), Some(end)) = (earliest.min(), latest.max()) else {
        return Ok(Look {
            found: Vec::new(),
            hit: None,
        });
    };
    // Both dates are always set, because the API's defaults cut the search at midnight.
    let request = ActivitySearchRequest::new()
        .start_date(start)
        .end_date(end)
        .custom_headers(headers.clone())
        .limit(PAGE);
    let request = in_region(request, wanted);
    let (request, is_filtered) = match wanted {
        [only] if filters => filtered(request, only),
        _ => (request, false),
    };
    let mut newest = None;
    if let ([attempt], [now], true) = (&attempts[..], &nows[..], is_filtered)
        && *now >= attempt.passed_at()
    {
        // Sent before the search, so that the search sees at least the mails that this one proves.
        let probe = ActivitySearchRequest::new()
            .start_date(attempt.passed_at())
            .end_date(end)
            .event_types([ActivityEvent::Processed])
            .limit(1);
        let probe = in_region(probe, wanted);
        let reply = client.activity().search(probe).await?;
        newest = last_processed(&reply.events);
    }
    let mut hits = vec![Vec::new(); wanted.len()];
    let mut hit = None;
    let mut pages = client.activity().search_all(request).pages();
    while let Some(page) = pages.try_next().await? {
        if !is_filtered {
            newest = newest.max(last_processed(&page.events));
        }
        let mut is_hit = false;
        for_each_value(&page, &headers, |event, name, value| {
            for (header, place) in places.get(value.trim()).into_iter().flatten() {
                let list = hits
                    .get_mut(*place)
                    .filter(|_| header.eq_ignore_ascii_case(name));
                if let Some(list) = list {
                    list.push(event.clone());
                    is_hit = true;
                }
            }
        });
        if is_hit {
            hit = Some(page.raw().clone());
        }
    }
    let decided = attempts.iter().zip(nows).zip(hits);
    let found = decided
        .map(|((attempt, now), hits)| attempt.decide(hits, newest, now))
        .collect();
    Ok(Look { found, hit })
}

/// Adds the filters of a mail. Returns whether it has any.
///
/// The field `search` covers the To and Bcc headers besides the event's recipient. It is used because
/// the API does not document what `search_recipient` compares for an event without a recipient, such as
/// `processed`.
fn filtered(mut request: ActivitySearchRequest, mail: &FindSent) -> (ActivitySearchRequest, bool) {
    request.search = usable(mail.recipient.as_ref());
    request.search_sender = usable(mail.sender.as_ref());
    (request, mail.has_filter())
}

/// Sets the region of a search. All `wanted` mails of a search have the same region.
fn in_region(request: ActivitySearchRequest, wanted: &[FindSent]) -> ActivitySearchRequest {
    match wanted.iter().find_map(|mail| mail.region.clone()) {
        Some(region) => request.region(region),
        None => request,
    }
}

/// The address, unless the API would read it as alternatives, which `|` separates, or may show it in
/// another form.
fn usable(address: Option<&String>) -> Option<String> {
    let address = address.filter(|text| text.is_ascii() && !text.contains('|') && !text.is_empty());
    address.cloned()
}

impl FindSent {
    fn has_filter(&self) -> bool {
        usable(self.recipient.as_ref()).is_some() || usable(self.sender.as_ref()).is_some()
    }
}

/// The time of the last mail of a page. Events such as `opened` may be indexed apart from mail.
fn last_processed(events: &[ActivityRecord]) -> Option<SystemTime> {
    let processed = |event: &&ActivityRecord| event.event == Some(ActivityEvent::Processed);
    let times = events.iter().filter(processed);
    times.filter_map(|event| time(event).1).max()
}

/// Calls `take` with the headers of each event of a page: with event, name and value. The API
/// documents a header's value as a text. Of a list of texts, each is passed as a value. `expected`
/// are the headers that were asked for.
fn for_each_value(
    page: &Reply<ActivityList>,
    expected: &[&str],
    mut take: impl FnMut(&ActivityRecord, &str, &str),
) {
    let mut json = None;
    for (index, event) in page.events.iter().enumerate() {
        for (name, value) in &event.custom_headers {
            take(event, name, value);
        }
        let has = |name: &&str| {
            let mut names = event.custom_headers.keys();
            names.any(|other| other.eq_ignore_ascii_case(name))
        };
        if expected.iter().all(has) {
            continue;
        }
        let json = json.get_or_insert_with(|| {
            serde_json::from_str::<Value>(&readable(page.body())).unwrap_or_default()
        });
        let headers = json.pointer("/data/events").and_then(|events| {
            let event = events.get(index)?;
            event.get("custom_headers")?.as_object()
        });
        for (name, values) in headers.into_iter().flatten() {
            let values = values.as_array().into_iter().flatten();
            for value in values.filter_map(Value::as_str) {
                take(event, name, value);
            }
        }
    }
}
