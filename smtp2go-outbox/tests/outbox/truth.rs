//! Rows are correct under failures, and are never updated by news about another mail.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use smtp2go_outbox::{Bodies, Observer, Outbox, Requested, Seal, State, StateChange};
use smtp2go_sandbox::Fault;
use smtp2go_sdk::CallOptions;
use smtp2go_sdk::types::webhook::parse;
use tokio::time::{sleep, timeout};

use crate::support::{
    Fixture, fixtures, insert, mail, postgres, record, sandbox, sqlite, work, worker,
};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[tokio::test]
async fn longest_durations_neither_panic_nor_wrap_to_short_ones() {
    let Fixture { outbox, .. } = &sqlite().await;
    let lost = Fault::reset().on("email_send").nth(1).carried_out(true);
    let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
    sandbox.set_activity_lag(ms(2000));
    outbox.put(mail("k")).await.unwrap();
    let (long, short) = (Duration::MAX, ms(20));
    let worker = worker(outbox, &client)
        .give_up_after(long)
        .retention(long)
        .look_up_handover(long)
        .backoff(long, long)
        .outage_pause(short, long)
        .rate_limit_pause(long, long)
        .drain(long);
    // Only the activity index can prove the outcome, and it shows the mail late.
    work(worker, outbox).await;
    assert_eq!(sandbox.mails().len(), 1);
    // `run_until` panics if a helper task panics.
    let worker = crate::support::worker(outbox, &client)
        .sweep_every(long)
        .poll(long);
    worker
        .build()
        .unwrap()
        .run_until(sleep(ms(100)))
        .await
        .unwrap();
}

#[tokio::test]
async fn event_of_an_older_mail_does_not_settle_a_newer_one_with_the_same_key() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        outbox.put(mail("k")).await.unwrap();
        work(worker(outbox, &client), outbox).await;
        let id = record(outbox, "k").await.email_id.unwrap();
        assert_eq!(outbox.purge(Duration::ZERO).await.unwrap(), 1);
        outbox.put(mail("k")).await.unwrap();
        let open = json!({"event": "open", "email_id": id, "X-Idempotency-Key": "k",
            "rcpt": "jane@example.net"});
        let open = parse(Some("application/json"), open.to_string().as_bytes()).unwrap();
        assert_eq!(outbox.record(&open).await.unwrap(), Some(State::Queued));
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 2);
        // The event has another `email_id`.
        assert_eq!(outbox.record(&open).await.unwrap(), Some(State::Sent));
    }
}

#[tokio::test]
async fn look_up_searches_from_the_first_attempt_with_unknown_outcome() {
    for Fixture { outbox, .. } in &fixtures().await {
        // The first mail appears in the activity after it was given up. The second was not
        // accepted.
        let lost = |nth, accepted| {
            Fault::reset()
                .on("email_send")
                .nth(nth)
                .carried_out(accepted)
        };
        let (sandbox, client) =
            sandbox(|builder| builder.fault(lost(1, true)).fault(lost(2, false))).await;
        sandbox.set_activity_lag(ms(5000));
        outbox.put(mail("k")).await.unwrap();
        work(worker(outbox, &client).give_up_after(ms(1500)), outbox).await;
        let row = record(outbox, "k").await;
        assert_eq!((row.state, row.attempts), (State::Sent, 2));
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[tokio::test]
async fn late_acceptance_changes_a_cancelled_mail_to_sent() {
    let fixture = sqlite().await;
    let outbox = &fixture.outbox;
    // A worker that loses its database connection while it sends.
    let path = fixture.url.strip_prefix("sqlite:").unwrap();
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool = pool
        .connect_with(Outbox::sqlite_options(path))
        .await
        .unwrap();
    let cut_off = Outbox::sqlite(pool.clone());
    let slow = Fault::delay(ms(300)).on("email_send").nth(1);
    let (sandbox, client) = sandbox(|builder| builder.fault(slow)).await;
    outbox.put(mail("k")).await.unwrap();
    let first = worker(&cut_off, &client).sweep_every(Duration::from_secs(100));
    let other = worker(outbox, &client).look_up_after(Duration::from_secs(30));
    let other = other.build().unwrap();
    let script = async {
        while record(outbox, "k").await.state != State::Sending {
            sleep(ms(5)).await;
        }
        let connection = pool.acquire().await.unwrap();
        let is_unknown = async {
            while record(outbox, "k").await.state != State::Unknown {
                sleep(ms(10)).await;
            }
        };
        other.run_until(is_unknown).await.unwrap();
        assert_eq!(outbox.hold("k").await.unwrap(), Requested::Done);
        assert_eq!(outbox.cancel("k").await.unwrap(), Requested::Done);
        drop(connection);
        while record(outbox, "k").await.state != State::Sent {
            sleep(ms(10)).await;
        }
    };
    let ended = first.build().unwrap();
    timeout(Duration::from_secs(20), ended.run_until(script))
        .await
        .unwrap()
        .unwrap();
    assert!(record(outbox, "k").await.email_id.is_some());
    assert_eq!(
        outbox.retry("k").await.unwrap(),
        Requested::NotIn(State::Sent)
    );
    assert_eq!(sandbox.mails().len(), 1);
}

#[tokio::test]
async fn refusal_by_a_proxy_does_not_reject_the_mail() {
    let failed = |text: &str| {
        let data = json!({"succeeded": 0, "failed": 1, "failures": [text]});
        Fault::status(200).json(&json!({"request_id": "a", "data": data}))
    };
    let error = |status: u16, code: &str| {
        let data = json!({"error": "no", "error_code": format!("E_ApiResponseCodes.{code}")});
        Fault::status(status).json(&json!({"request_id": "a", "data": data}))
    };
    let html = |status: u16| Fault::status(status).html("<h1>Blocked</h1>");
    for (name, reply, state, reason) in [
        ("proxy", html(407), State::Queued, "407"),
        ("wrong host", html(404), State::Queued, "404"),
        ("filter", html(451), State::Queued, "451"),
        ("too large for a proxy", html(413), State::Rejected, "413"),
        (
            "api",
            error(400, "API_EXCEPTION"),
            State::Rejected,
            "API_EXCEPTION",
        ),
        (
            "failure",
            failed("unknown recipient"),
            State::Rejected,
            "failed_in_200",
        ),
        (
            "rate of the key",
            failed("Rate limit exceeded, try later"),
            State::Queued,
            "rate_limited",
        ),
    ] {
        let Fixture { outbox, .. } = &sqlite().await;
        let reply = reply.on("email_send").carried_out(false);
        let (_sandbox, client) = sandbox(|builder| builder.fault(reply)).await;
        outbox.put(mail("k")).await.unwrap();
        // A failure counts even if the client's options report failures as replies.
        let client = client.with_options(CallOptions::new().failures_are_errors(false));
        let worker = worker(outbox, &client)
            .backoff(ms(60_000), ms(60_000))
            .build()
            .unwrap();
        let tried = async {
            while record(outbox, "k").await.reason.is_none() {
                sleep(ms(5)).await;
            }
        };
        worker.run_until(tried).await.unwrap();
        let row = record(outbox, "k").await;
        assert_eq!(
            (row.state, row.reason.as_deref()),
            (state, Some(reason)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn mail_with_a_passed_schedule_is_sent_without_it() {
    for Fixture { outbox, .. } in &fixtures().await {
        let lost = Fault::reset().on("email_send").nth(1).carried_out(false);
        let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
        let soon = SystemTime::now() + Duration::from_secs(2);
        outbox.put(mail("k").schedule(soon)).await.unwrap();
        work(worker(outbox, &client), outbox).await;
        let row = record(outbox, "k").await;
        assert_eq!((row.state, row.attempts), (State::Sent, 2), "{row:?}");
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[tokio::test]
async fn rate_limit_holds_after_workers_were_stopped() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        for number in 0..20 {
            outbox.put(mail(&format!("{number:02}"))).await.unwrap();
        }
        let run = async |time| {
            let one = NonZeroU32::new(1).unwrap();
            let worker = worker(outbox, &client).sender_rate(one, ms(200));
            worker
                .build()
                .unwrap()
                .run_until(sleep(time))
                .await
                .unwrap();
        };
        // All mails take permits, and most of these expire during the stop.
        run(ms(300)).await;
        sleep(ms(3000)).await;
        let before = sandbox.mails().len();
        run(ms(500)).await;
        let sent = sandbox.mails().len() - before;
        assert!((1..=6).contains(&sent), "{sent}");
    }
}

#[tokio::test]
async fn mail_retried_after_a_429_keeps_its_sender_permit() {
    for Fixture { outbox, .. } in &fixtures().await {
        let refused = Fault::status(429)
            .header("retry-after", "0")
            .on("email_send")
            .nth(1);
        let (_sandbox, client) = sandbox(|builder| builder.fault(refused)).await;
        for number in 0..50 {
            outbox.put(mail(&format!("{number:02}"))).await.unwrap();
        }
        let one = NonZeroU32::new(1).unwrap();
        let worker = worker(outbox, &client)
            .sender_rate(one, ms(500))
            .build()
            .unwrap();
        let first = async {
            while record(outbox, "00").await.state != State::Sent {
                sleep(ms(10)).await;
            }
        };
        let ended = timeout(Duration::from_secs(10), worker.run_until(first)).await;
        ended.unwrap().unwrap();
    }
}

struct Panics;

#[allow(clippy::panic)]
impl Observer for Panics {
    fn state_changed(&self, _: &StateChange<'_>) {
        panic!("metrics are full");
    }
}

#[allow(clippy::panic)]
impl Seal for Panics {
    fn seal(&self, _: &str, _: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        panic!("no key");
    }

    fn open(&self, _: &str, _: &[u8]) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        panic!("no key");
    }
}

#[tokio::test]
async fn worker_survives_panics_in_callbacks() {
    for fixture in fixtures().await {
        let outbox = fixture.outbox.clone().observer(Arc::new(Panics));
        let outbox = outbox.bodies(Bodies::Seal(Arc::new(Panics)));
        let lost = Fault::reset().on("email_send").nth(1).carried_out(true);
        let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
        for number in 0..8 {
            outbox.put(mail(&number.to_string())).await.unwrap();
        }
        work(worker(&outbox, &client), &outbox).await;
        assert_eq!(outbox.counts().await.unwrap(), [(State::Sent, 8)]);
        assert_eq!(sandbox.mails().len(), 8);
        assert!(!record(&outbox, "3").await.has_mail);
    }
}

#[tokio::test]
async fn pool_with_only_one_connection_is_refused() {
    let Some(Fixture { url, .. }) = postgres().await else {
        return;
    };
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let outbox = Outbox::postgres(pool.connect(&url).await.unwrap());
    let (_sandbox, client) = sandbox(|builder| builder).await;
    let error = outbox.worker(client.clone()).build().unwrap_err();
    assert!(error.is_settings(), "{error}");
    assert!(outbox.worker(client).listen(false).build().is_ok());
}

#[tokio::test]
async fn failing_look_ups_are_unhealthy() {
    for Fixture { outbox, .. } in &fixtures().await {
        let lost = Fault::reset().on("email_send").nth(1).carried_out(true);
        let forbidden = Fault::status(403).on("activity_search");
        let (sandbox, client) = sandbox(|builder| builder.fault(lost).fault(forbidden)).await;
        outbox.put(mail("k")).await.unwrap();
        let hour = Duration::from_secs(3600);
        assert!(outbox.health().await.unwrap().is_ok(hour));
        let failed = async {
            while outbox.health().await.unwrap().failed_look_ups == 0 {
                sleep(ms(10)).await;
            }
        };
        worker(outbox, &client)
            .build()
            .unwrap()
            .run_until(failed)
            .await
            .unwrap();
        assert!(!outbox.health().await.unwrap().is_ok(hour));
        // A held mail can still be looked up, and is not sent again.
        assert_eq!(outbox.hold("k").await.unwrap(), Requested::Done);
        assert_eq!(outbox.retry("k").await.unwrap(), Requested::InDoubt);
        assert_eq!(outbox.retry_all(State::Held).await.unwrap(), 0);
        sandbox.faults().clear();
        assert_eq!(outbox.look_up("k").await.unwrap(), Requested::Done);
        work(worker(outbox, &client), outbox).await;
        assert_eq!(record(outbox, "k").await.state, State::Sent);
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[tokio::test]
async fn excessive_retry_after_is_capped() {
    let Fixture { outbox, .. } = &sqlite().await;
    let limited = Fault::status(429)
        .header("retry-after", "999999999")
        .on("email_send");
    let (_sandbox, client) = sandbox(|builder| builder.fault(limited)).await;
    outbox.put(mail("k")).await.unwrap();
    let tried = async {
        while record(outbox, "k").await.reason.is_none() {
            sleep(ms(5)).await;
        }
    };
    worker(outbox, &client)
        .build()
        .unwrap()
        .run_until(tried)
        .await
        .unwrap();
    let hour = Duration::from_secs(3600);
    let paused = outbox.health().await.unwrap().paused;
    assert!(paused > hour / 2 && paused <= hour + ms(10), "{paused:?}");
    let waits = record(outbox, "k")
        .await
        .not_before
        .duration_since(SystemTime::now());
    // SQLite rounds to milliseconds.
    assert!(waits.unwrap() <= hour + ms(10));
}

#[tokio::test]
async fn mail_that_keeps_failing_is_unhealthy() {
    for Fixture { outbox, .. } in &fixtures().await {
        let limited = Fault::status(429)
            .header("retry-after", "0")
            .on("email_send");
        let (sandbox, client) = sandbox(|builder| builder.fault(limited)).await;
        outbox.put(mail("k")).await.unwrap();
        let failing = async {
            while outbox.health().await.unwrap().oldest_failing < ms(300) {
                sleep(ms(10)).await;
            }
        };
        worker(outbox, &client)
            .build()
            .unwrap()
            .run_until(failing)
            .await
            .unwrap();
        assert!(!outbox.health().await.unwrap().is_ok(ms(300)));
        assert!(record(outbox, "k").await.attempts > 1);
        sandbox.faults().clear();
        work(worker(outbox, &client), outbox).await;
        assert_eq!(
            outbox.health().await.unwrap().oldest_failing,
            Duration::ZERO
        );
    }
}

#[tokio::test]
async fn mail_that_may_have_been_sent_is_sent_again_only_by_resend() {
    for Fixture { outbox, .. } in &fixtures().await {
        let lost = Fault::reset().on("email_send").nth(1).carried_out(true);
        let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
        outbox.put(mail("k")).await.unwrap();
        let unknown = async {
            while record(outbox, "k").await.state != State::Unknown {
                sleep(ms(5)).await;
            }
        };
        let slow = worker(outbox, &client).look_up_after(Duration::from_secs(60));
        slow.build().unwrap().run_until(unknown).await.unwrap();
        assert_eq!(outbox.hold("k").await.unwrap(), Requested::Done);
        assert_eq!(outbox.cancel("k").await.unwrap(), Requested::Done);
        assert_eq!(outbox.retry("k").await.unwrap(), Requested::InDoubt);
        assert_eq!(outbox.resend("k").await.unwrap(), Requested::Done);
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 2);
    }
}

#[tokio::test]
async fn held_mail_is_sent_after_it_is_corrected_and_retried() {
    for Fixture { outbox, url, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        insert(url, "k", r#"{"version": 1, "to": "nobody"}"#).await;
        work(worker(outbox, &client), outbox).await;
        let held = record(outbox, "k").await;
        assert_eq!(
            (held.state, held.reason.as_deref()),
            (State::Held, Some("unreadable"))
        );
        let json = serde_json::to_string(&mail("k")).unwrap();
        let sql =
            "UPDATE smtp2go_outbox SET mail = CAST($1 AS json) WHERE key = 'k' AND state = 'held'";
        if url.starts_with("postgres") {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            sqlx::query(sql).bind(json).execute(&pool).await.unwrap();
        } else {
            let pool = sqlx::SqlitePool::connect(url).await.unwrap();
            let sql = "UPDATE smtp2go_outbox SET mail = $1 WHERE key = 'k' AND state = 'held'";
            sqlx::query(sql).bind(json).execute(&pool).await.unwrap();
        }
        assert_eq!(outbox.retry("k").await.unwrap(), Requested::Done);
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 1);
    }
}
