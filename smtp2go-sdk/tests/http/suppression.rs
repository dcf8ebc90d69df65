//! Look-ups of suppressions.

use std::time::Duration;

use serde_json::json;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::Client;
use smtp2go_sdk::types::{Suppression, SuppressionAddRequest, SuppressionViewRequest};

use crate::support::{Tested, answer, json as sent, one_by_one};

const DAY: Duration = Duration::from_secs(86_400);

async fn add(client: &Client, address: &str) {
    let request = SuppressionAddRequest::new(address);
    client.suppression().add(request).await.unwrap();
}

fn addresses(entries: Vec<Suppression>) -> Vec<String> {
    let addresses = entries
        .into_iter()
        .map(|entry| entry.email_address.unwrap());
    addresses.collect()
}

#[tokio::test]
async fn entries_of_any_age_are_found() {
    let sandbox = Sandbox::builder().strict(true).start_blocking().unwrap();
    sandbox.freeze();
    let client = sandbox.client();
    add(&client, "Kim@example.net").await;
    add(&client, "lou@example.net").await;
    sandbox.advance(400 * DAY);
    add(&client, "example.net").await;
    // The default dates of the API exclude both entries.
    let window = SuppressionViewRequest::new().email_address("kim@example.net");
    let window = client.suppression().view(window).await.unwrap();
    assert_eq!(window.total_results, Some(0));
    for (address, expected) in [
        ("kim@EXAMPLE.net", &["Kim@example.net", "example.net"][..]),
        (" mia@example.net ", &["example.net"]),
        ("example.net", &["example.net"]),
        ("kim@example.org", &[]),
    ] {
        let found = client.suppression().lookup(address).await.unwrap();
        assert_eq!(addresses(found), expected, "{address}");
    }
    let before = sandbox.calls().len();
    let error = client.suppression().lookup(" ").await.unwrap_err();
    assert!(error.is_config(), "{error}");
    assert_eq!(sandbox.calls().len(), before);
}

#[tokio::test]
async fn all_pages_are_read_and_other_addresses_left_out() {
    let page = |token: Option<&str>, addresses: &[&str]| {
        let results: Vec<_> = addresses
            .iter()
            .map(|address| json!({ "email_address": address, "reason": "bounce" }))
            .collect();
        let page = json!({ "data": { "results": results, "continue_token": token } });
        answer(200, &page.to_string())
    };
    let sandbox = one_by_one([
        page(Some("t"), &["kim@example.net", "joe.kim@example.net"]),
        page(None, &["other.example.net", "KIM@example.net"]),
    ]);
    let found = sandbox
        .client()
        .suppression()
        .lookup("kim@example.net")
        .await
        .unwrap();
    assert_eq!(addresses(found), ["kim@example.net", "KIM@example.net"]);
    let calls = sandbox.calls();
    assert_eq!(
        sent(&calls[1]),
        json!({
            "email_address": "kim@example.net", "continue_token": "t",
            "start_date": "2000-01-01T00:00:00Z", "end_date": "2100-01-01T00:00:00Z",
        })
    );
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_look_up_finds_an_entry_of_today() {
    use crate::log_watch::watched;

    let sandbox = Sandbox::start_blocking().unwrap();
    let client = smtp2go_sdk::blocking::Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    let request = SuppressionAddRequest::new("kim@example.net");
    client.suppression().add(request).unwrap();
    let found = client.suppression().lookup("kim@example.net").unwrap();
    assert_eq!(addresses(found), ["kim@example.net"]);
}
