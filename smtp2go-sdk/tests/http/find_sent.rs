//! Looks mails up by their keys, with the sandbox's clock.

// clippy.toml allows panics in test functions, but not in their helpers.
#![allow(clippy::panic)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::Timestamp;
use smtp2go_sdk::{Client, Email, FindSent, Found};

use crate::log_watch::watched;
use crate::support::{Tested, answer, answering, json as sent, one_by_one};

const LAG: Duration = Duration::from_secs(120);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A strict sandbox with the service's lag and a clock that is frozen at noon.
fn lagging() -> Sandbox {
    let builder = Sandbox::builder().strict(true).activity_lag(LAG);
    let sandbox = builder.start_blocking().unwrap();
    sandbox.freeze();
    let now = sandbox.now().duration_since(UNIX_EPOCH).unwrap();
    let days = u32::try_from(now.as_secs() / 86_400).unwrap();
    sandbox.advance(720 * MINUTE + (days + 1) * DAY - now);
    sandbox
}

fn mail(key: &str) -> Email {
    Email::new("Acme <a@example.com>", "Hello")
        .idempotency_key(key)
        .to("Jane <jane@example.net>")
        .text("Hello")
}

/// Sends a mail, and returns the `FindSent` for it. The attempt takes no time.
async fn send(client: &Client, sandbox: &Sandbox, mail: Email) -> FindSent {
    let now = sandbox.now();
    client.send(mail.clone()).await.unwrap();
    FindSent::of(&mail, now).unwrap().until(now)
}

async fn find(client: &Client, sandbox: &Sandbox, wanted: &FindSent) -> Found {
    let wanted = wanted.clone().now(sandbox.now());
    client.find_sent(&wanted).await.unwrap()
}

fn is_sent(found: &Found) -> bool {
    matches!(found, Found::Sent { .. })
}

fn again(found: &Found) -> SystemTime {
    match found {
        Found::NotYet { look_again_at, .. } => *look_again_at,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sent_mail_is_found_when_the_lag_is_over() {
    let sandbox = lagging();
    let client = sandbox.client();
    let wanted = send(&client, &sandbox, mail("k")).await;
    let sent_at = sandbox.now();
    let found = find(&client, &sandbox, &wanted).await;
    assert_eq!(again(&found), sent_at + LAG);
    sandbox.advance(LAG);
    let found = find(&client, &sandbox, &wanted).await;
    let Found::Sent {
        email_id, events, ..
    } = &found
    else {
        panic!("{found:?}");
    };
    assert_eq!(email_id.as_deref(), Some(sandbox.mails()[0].email_id()));
    // The mail was just processed, and is delivered a second later.
    assert_eq!(events.len(), 1);
    assert!(!format!("{found:?}{wanted:?}").contains("example.net"));
    sandbox.advance(MINUTE);
    let found = find(&client, &sandbox, &wanted).await;
    assert!(matches!(found, Found::Sent { events, .. } if events.len() == 2));
}

#[tokio::test]
async fn search_is_limited_by_time_range_recipient_and_header() {
    let sandbox = lagging();
    let client = sandbox.client();
    let now = sandbox.now();
    let day = Timestamp::from(now).to_string()[..10].to_owned();
    let wanted = FindSent::of(&mail("k"), now).unwrap().until(now);
    find(&client, &sandbox, &wanted).await;
    assert_eq!(
        sent(&sandbox.call()),
        json!({
            "start_date": format!("{day}T11:55:00Z"), "end_date": format!("{day}T12:05:00Z"),
            "search": "jane@example.net", "custom_headers": ["X-Idempotency-Key"], "limit": 1000,
        })
    );
    let wanted = wanted
        .sender("a@example.com")
        .header("X-Order")
        .margin(MINUTE)
        .to("jürgen@example.net");
    find(&client, &sandbox, &wanted).await;
    assert_eq!(
        sent(&sandbox.calls()[1]),
        json!({
            "start_date": format!("{day}T11:59:00Z"), "end_date": format!("{day}T12:01:00Z"),
            "search_sender": "a@example.com", "custom_headers": ["X-Order"], "limit": 1000,
        })
    );
}

#[tokio::test]
async fn mail_is_absent_once_the_activity_covers_its_attempt() {
    for with_recipient in [true, false] {
        let sandbox = lagging();
        let client = sandbox.client();
        let started = sandbox.now();
        let lost = match with_recipient {
            true => FindSent::of(&mail("lost"), started).unwrap(),
            false => FindSent::new("lost", started),
        };
        let lost = lost.until(started + MINUTE);
        // Another mail before the margin is over, and one after it.
        let other = Email::new("a@example.com", "Hi")
            .to("bo@example.org")
            .text("Hi");
        sandbox.advance(6 * MINUTE - Duration::from_secs(5));
        client.send(other.clone()).await.unwrap();
        sandbox.advance(LAG + Duration::from_secs(1));
        assert_eq!(
            again(&find(&client, &sandbox, &lost).await),
            sandbox.now() + LAG / 4
        );
        client.send(other).await.unwrap();
        sandbox.advance(LAG - Duration::from_secs(1));
        again(&find(&client, &sandbox, &lost).await);
        sandbox.advance(Duration::from_secs(1));
        assert_eq!(find(&client, &sandbox, &lost).await, Found::Absent);
    }
}

#[tokio::test]
async fn mail_not_found_by_the_give_up_time_is_absent() {
    let sandbox = lagging();
    let client = sandbox.client();
    let started = sandbox.now();
    // Without `until`, the attempt ends at the client's deadline: two minutes.
    let lost = FindSent::of(&mail("lost"), started).unwrap();
    let give_up_at = started + 17 * MINUTE;
    sandbox.advance(17 * MINUTE - Duration::from_secs(1));
    assert_eq!(again(&find(&client, &sandbox, &lost).await), give_up_at);
    sandbox.advance(Duration::from_secs(1));
    assert_eq!(find(&client, &sandbox, &lost).await, Found::Absent);
    let shorter = FindSent::of(&mail("lost"), sandbox.now())
        .unwrap()
        .until(sandbox.now())
        .give_up_after(Duration::ZERO);
    assert_eq!(find(&client, &sandbox, &shorter).await, Found::Absent);
    // After the activity's retention, absence proves nothing.
    sandbox.advance(5 * DAY);
    assert_eq!(find(&client, &sandbox, &lost).await, Found::TooOld);
    let kept = lost.retention(30 * DAY);
    assert_eq!(find(&client, &sandbox, &kept).await, Found::Absent);
}

#[tokio::test]
async fn mail_found_only_by_the_search_without_address_is_not_absent() {
    let sandbox = lagging();
    let client = sandbox.client();
    let wanted = send(&client, &sandbox, mail("one")).await;
    let elsewhere = wanted.to("jane@example.com").region("eu");
    sandbox.advance(20 * MINUTE);
    let before = sandbox.calls().len();
    assert!(is_sent(&find(&client, &sandbox, &elsewhere).await));
    let calls = sandbox.calls();
    let searches: Vec<_> = calls[before..]
        .iter()
        .map(|call| serde_json::from_slice::<serde_json::Value>(call.body()).unwrap())
        .collect();
    // The search for the newest mail, then those for the mail with and without its address.
    let addresses = searches.iter().map(|search| search["search"].as_str());
    assert!(
        addresses.eq([None, Some("jane@example.com"), None]),
        "{searches:?}"
    );
    assert!(searches.iter().all(|search| search["region"] == "eu"));
}

#[tokio::test]
async fn one_search_answers_for_several_mails_in_order() {
    let sandbox = lagging();
    let client = sandbox.client();
    let one = send(&client, &sandbox, mail("one")).await;
    sandbox.advance(20 * MINUTE);
    let two = send(&client, &sandbox, mail("two").to("bo@example.org")).await;
    let lost = FindSent::new("lost", sandbox.now()).until(sandbox.now());
    sandbox.advance(LAG);
    let old = FindSent::new("old", sandbox.now() - 21 * MINUTE).until(sandbox.now() - 20 * MINUTE);
    let before = sandbox.calls().len();
    let wanted = [two.clone(), lost, one, old, two].map(|mail| mail.now(sandbox.now()));
    let found = client.find_all_sent(&wanted).await.unwrap();
    assert_eq!(sandbox.calls().len(), before + 1);
    let ids: Vec<_> = sandbox
        .mails()
        .iter()
        .map(|mail| Some(mail.email_id().to_owned()))
        .collect();
    let id = |found: &Found| match found {
        Found::Sent { email_id, .. } => email_id.clone(),
        _ => None,
    };
    assert_eq!([id(&found[2]), id(&found[0])], ids[..]);
    assert_eq!(id(&found[4]), ids[1]);
    again(&found[1]);
    // The second mail proves that `old` is absent: it was sent more than the margin later.
    assert_eq!(found[3], Found::Absent);
    assert_eq!(client.find_all_sent(&[]).await.unwrap(), []);
    assert_eq!(sandbox.calls().len(), before + 1);
}

#[tokio::test]
async fn all_pages_are_read() {
    let sandbox = lagging();
    let client = sandbox.client();
    let started = sandbox.now();
    // Each has two events.
    for hundred in 0..5 {
        let mails = (0..250).map(|number| mail(&format!("{hundred}-{number}")));
        assert_eq!(
            client.send_batch(mails).await.unwrap().failures().count(),
            0
        );
    }
    sandbox.advance(LAG + MINUTE);
    let wanted = ["4-249", "0-0", "lost"].map(|key| FindSent::new(key, started).now(sandbox.now()));
    let before = sandbox.calls().len();
    let found = client.find_all_sent(&wanted).await.unwrap();
    assert_eq!(
        found.iter().map(is_sent).collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(sandbox.calls().len(), before + 3);
    assert!(is_sent(&find(&client, &sandbox, &wanted[0]).await));
}

#[tokio::test]
async fn mail_sent_before_midnight_is_found_after_midnight() {
    let sandbox = lagging();
    sandbox.set_activity_lag(Duration::ZERO);
    sandbox.advance(12 * 60 * MINUTE - MINUTE);
    let client = sandbox.client();
    let wanted = send(&client, &sandbox, mail("k")).await;
    sandbox.advance(2 * MINUTE);
    assert!(is_sent(&find(&client, &sandbox, &wanted).await));
}

#[tokio::test]
async fn case_of_recipient_and_header_does_not_matter() {
    let sandbox = lagging();
    let client = sandbox.client();
    let wanted = send(&client, &sandbox, mail("k")).await;
    sandbox.advance(LAG);
    for wanted in [
        wanted
            .clone()
            .to("JANE@Example.Net")
            .header("x-IDEMPOTENCY-key"),
        wanted.clone().sender("A@EXAMPLE.COM"),
    ] {
        assert!(is_sent(&find(&client, &sandbox, &wanted).await));
    }
    // The case of the key matters.
    let other = FindSent::new("K", sandbox.now() - LAG);
    assert!(!is_sent(&find(&client, &sandbox, &other).await));
    // By default, the header has the client's name for it.
    let builder = Client::builder(watched(sandbox.key())).base_url(sandbox.base_url());
    let named = builder.idempotency_header("X-Once").build().unwrap();
    assert!(!is_sent(&find(&named, &sandbox, &wanted).await));
    let wanted = send(&named, &sandbox, mail("k")).await;
    sandbox.advance(LAG);
    assert!(is_sent(&find(&named, &sandbox, &wanted).await));
}

#[tokio::test]
async fn rejected_or_bounced_mail_counts_as_sent() {
    let sandbox = lagging();
    let client = sandbox.client();
    for to in ["reject@example.net", "hard-bounce@example.net"] {
        let email = Email::new("a@example.com", "Hello")
            .idempotency_key(to)
            .to(to)
            .text("Hello");
        let wanted = send(&client, &sandbox, email).await;
        sandbox.advance(LAG + MINUTE);
        assert!(is_sent(&find(&client, &sandbox, &wanted).await), "{to}");
    }
    let wanted = send(&client, &sandbox, mail("fast").fastaccept(true)).await;
    sandbox.advance(LAG);
    assert!(is_sent(&find(&client, &sandbox, &wanted).await));
}

#[tokio::test]
async fn scheduled_mail_is_not_absent_before_its_time() {
    let sandbox = lagging();
    let client = sandbox.client();
    let at = sandbox.now() + 60 * MINUTE;
    let scheduled = mail("later").schedule(at);
    let wanted = send(&client, &sandbox, scheduled).await;
    let lost = FindSent::new("lost", sandbox.now())
        .until(sandbox.now())
        .scheduled(at);
    sandbox.advance(50 * MINUTE);
    for wanted in [&wanted, &lost] {
        assert_eq!(again(&find(&client, &sandbox, wanted).await), at + LAG);
    }
    sandbox.advance(25 * MINUTE);
    assert!(is_sent(&find(&client, &sandbox, &wanted).await));
    assert_eq!(find(&client, &sandbox, &lost).await, Found::Absent);
}

#[tokio::test]
async fn irregular_events_are_read() {
    let event = |headers: serde_json::Value| {
        json!({ "data": { "events": [
            { "email_id": "other", "date": "2026-03-02T08:15:00Z", "custom_headers": null },
            { "email_id": "e-1", "date": "soon", "recipients": "jane@example.net",
              "custom_headers": headers },
        ] } })
    };
    let started = Timestamp::new("2026-03-02T08:15:00Z")
        .to_system_time()
        .unwrap();
    let wanted = FindSent::new("k", started).until(started).now(started);
    for (headers, is_found) in [
        (json!({ "x-idempotency-key": " k " }), true),
        (json!({ "X-Idempotency-Key": ["a", "k"] }), true),
        (json!({ "X-Other": "k", "X-Idempotency-Key": ["k"] }), true),
        (json!({ "X-Other": "k" }), false),
        (json!({ "X-Idempotency-Key": ["K", 1, null] }), false),
        (json!("k"), false),
        (json!([]), false),
    ] {
        let sandbox = answering(&event(headers.clone()).to_string());
        let found = sandbox.client().find_sent(&wanted).await.unwrap();
        match &found {
            Found::Sent { email_id, .. } => assert_eq!(email_id.as_deref(), Some("e-1")),
            _ => drop(again(&found)),
        }
        assert_eq!(is_sent(&found), is_found, "{headers}");
    }
}

#[tokio::test]
async fn failed_search_is_an_error() {
    let page = json!({ "data": { "events": [], "continue_token": "t" } }).to_string();
    let sandbox = one_by_one([answer(200, &page), answer(503, "")]);
    let now = SystemTime::now();
    let wanted = FindSent::new("k", now).until(now);
    let error = sandbox.client().find_sent(&wanted).await.unwrap_err();
    assert_eq!(error.operation().unwrap().id, "activity_search");
    assert_eq!(sandbox.calls().len(), 2);
    // A key or header name that no mail can have.
    for wanted in [
        FindSent::new("", now),
        FindSent::new("schlüssel", now),
        wanted.clone().header(""),
        wanted.header("a b"),
    ] {
        let error = sandbox.client().find_sent(&wanted).await.unwrap_err();
        assert!(error.is_config(), "{error}");
    }
    let keyless = Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi");
    let error = FindSent::of(&keyless, now).unwrap_err();
    assert!(
        error.to_string().contains("Email::idempotency_key"),
        "{error}"
    );
    assert_eq!(sandbox.calls().len(), 2);
}
