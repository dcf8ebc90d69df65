//! The mails that a page notifies its user of.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::request::Fields;
use crate::world::Shared;

/// Maximum number of mails in a reply. The others are counted.
const SHOWN: usize = 3;

/// Returns the number of mails so far, and the newest mails since that number was `after`. Without
/// `after`, returns no mails. If `after` exceeds the number, because of a reset, all mails are new.
pub(super) async fn news(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> impl IntoResponse {
    let fields = Fields::of_query(query.as_deref());
    let (total, mut mails) = {
        let world = shared.world();
        let total = world.mails.total();
        let after = fields.number("after").unwrap_or(total);
        let after = if after > total { 0 } else { after };
        let mails = world.mails.since(after).map(|(_, mail)| mail.clone());
        (total, mails.collect::<Vec<_>>())
    };
    let more = mails.len().saturating_sub(SHOWN);
    mails.drain(..more);
    let mails = mails.iter().map(|mail| {
        let entry = shared.entries.of(mail);
        json!({
            "href": format!("/_inbox/mails/{}", mail.email_id()),
            "subject": entry.subject,
            "from": entry.from,
            "to": entry.to,
        })
    });
    let mails: Value = mails.collect();
    let news = json!({ "total": total, "mails": mails, "more": more });
    (
        [(header::CONTENT_TYPE, "application/json")],
        news.to_string(),
    )
}
