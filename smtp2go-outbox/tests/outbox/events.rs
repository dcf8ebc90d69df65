//! Webhook events, and their deduplication.

use std::time::Duration;

use smtp2go_outbox::{Dedup, State};
use smtp2go_sandbox::Fault;
use smtp2go_sdk::types::webhook::parse;
use smtp2go_sdk::webhook::{Claim, Deduplicator, Event};
use tokio::time::sleep;

use crate::support::{Fixture, fixtures, mail, record, sandbox, work, worker};

fn event(json: &str) -> Event {
    parse(Some("application/json"), json.as_bytes()).unwrap()
}

#[tokio::test]
async fn event_with_the_key_settles_an_unknown_mail() {
    for Fixture { outbox, .. } in &fixtures().await {
        let lost = Fault::reset().on("email_send").carried_out(true);
        let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
        outbox.put(mail("k")).await.unwrap();
        let unknown = async {
            while record(outbox, "k").await.state != State::Unknown {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let slow = worker(outbox, &client).look_up_after(Duration::from_secs(60));
        slow.build().unwrap().run_until(unknown).await.unwrap();
        let json = r#"{"event": "processed", "email_id": "1a", "x-idempotency-key": "k",
                       "rcpt": "jane@example.net"}"#;
        for _ in 0..2 {
            let state = outbox.record(&event(json)).await.unwrap();
            assert_eq!(state, Some(State::Sent));
        }
        let row = record(outbox, "k").await;
        assert_eq!(row.email_id.as_deref(), Some("1a"));
        assert_eq!(row.event.as_deref(), Some("processed"));
        assert!(row.sent_at.is_some());
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[tokio::test]
async fn event_without_the_key_is_recorded_by_email_id() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (_sandbox, client) = sandbox(|builder| builder).await;
        for key in ["1", "2", "3"] {
            outbox.put(mail(key)).await.unwrap();
        }
        work(worker(outbox, &client), outbox).await;
        for (key, event_json, expected) in [
            ("1", r#""event": "delivered""#, State::Delivered),
            ("1", r#""event": "processed""#, State::Delivered),
            ("1", r#""event": "open""#, State::Delivered),
            ("2", r#""event": "bounce", "bounce": "soft""#, State::Sent),
            (
                "2",
                r#""event": "bounce", "bounce": "hard""#,
                State::Bounced,
            ),
            ("2", r#""event": "delivered""#, State::Bounced),
            ("2", r#""event": "spam""#, State::Complained),
            ("3", r#""event": "reject""#, State::Rejected),
            ("3", r#""event": "processed""#, State::Rejected),
        ] {
            let id = record(outbox, key).await.email_id.unwrap();
            let json = format!(r#"{{{event_json}, "email_id": "{id}"}}"#);
            let state = outbox.record(&event(&json)).await.unwrap();
            assert_eq!(state, Some(expected), "{json}");
            assert_eq!(record(outbox, key).await.state, expected, "{json}");
        }
        for other in [
            r#"{"event": "delivered", "email_id": "other"}"#,
            r#"{"event": "reject", "email_id": "Unavailable", "X-Idempotency-Key": "other"}"#,
            r#"{"event": "sms_delivered", "message_id": "m"}"#,
        ] {
            assert_eq!(outbox.record(&event(other)).await.unwrap(), None, "{other}");
        }
    }
}

#[tokio::test]
async fn event_delivered_twice_is_handled_once() {
    for Fixture { outbox, .. } in &fixtures().await {
        let dedup = Dedup::new(outbox);
        let Claim::Claimed(token) = dedup.claim("e").await.unwrap() else {
            panic!("not claimed");
        };
        assert_eq!(dedup.claim("e").await.unwrap(), Claim::Busy);
        dedup.release("e", token).await.unwrap();
        let Claim::Claimed(token) = dedup.claim("e").await.unwrap() else {
            panic!("not claimed after the release");
        };
        // The token of an earlier claim.
        let old = smtp2go_sdk::webhook::Token::from_value(token.value() ^ 1);
        dedup.commit("e", old).await.unwrap();
        assert_eq!(dedup.claim("e").await.unwrap(), Claim::Busy);
        dedup.commit("e", token).await.unwrap();
        dedup.release("e", token).await.unwrap();
        assert_eq!(dedup.claim("e").await.unwrap(), Claim::Done);
        assert_eq!(dedup.purge().await.unwrap(), 0);
        // The process of this claim ended.
        let short = dedup.clone().lease(Duration::ZERO);
        assert!(matches!(short.claim("f").await.unwrap(), Claim::Claimed(_)));
        assert!(matches!(dedup.claim("f").await.unwrap(), Claim::Claimed(_)));
        let token = match short.keep(Duration::ZERO).claim("g").await.unwrap() {
            Claim::Claimed(token) => token,
            other => panic!("{other:?}"),
        };
        let forgetful = Dedup::new(outbox).keep(Duration::ZERO);
        forgetful.commit("g", token).await.unwrap();
        assert_eq!(dedup.purge().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn only_one_of_the_concurrent_claims_of_an_event_succeeds() {
    for Fixture { outbox, .. } in &fixtures().await {
        let claims = (0..20).map(|_| {
            let dedup = Dedup::new(outbox);
            tokio::spawn(async move { dedup.claim("e").await.unwrap() })
        });
        let mut claimed = 0;
        for claim in claims.collect::<Vec<_>>() {
            claimed += u32::from(claim.await.unwrap() != Claim::Busy);
        }
        assert_eq!(claimed, 1);
    }
}
