//! Workers: several, killed, stopped, paused, and without tables.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use smtp2go_outbox::{Entry, Observer, Outbox, Priority, Requested, State, StateChange};
use smtp2go_sandbox::Fault;
use smtp2go_sdk::{Attachment, Client};
use tokio::time::{sleep, timeout};

use crate::log_watch::watched;
use crate::support::{Fixture, fixtures, idle, mail, postgres, record, sandbox, work, worker};

const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

#[tokio::test]
async fn several_workers_send_each_mail_once() {
    for Fixture { outbox, url, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        for number in 0..60 {
            outbox.put(mail(&format!("{number}"))).await.unwrap();
        }
        let other = Outbox::connect(url).await.unwrap();
        tokio::join!(
            work(worker(outbox, &client), outbox),
            work(worker(&other, &client), &other),
        );
        let mut keys: Vec<_> = sandbox
            .mails()
            .iter()
            .map(|mail| mail.header("X-Idempotency-Key").unwrap())
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), sandbox.mails().len()), (60, 60));
    }
}

#[tokio::test]
async fn mail_of_a_killed_worker_is_looked_up() {
    for (is_sent, attempts) in [(true, 1), (false, 2)] {
        for Fixture { outbox, .. } in &fixtures().await {
            let stall = Fault::stall().on("email_send").nth(1).carried_out(is_sent);
            let (sandbox, client) = sandbox(|builder| builder.fault(stall)).await;
            outbox.put(mail("k")).await.unwrap();
            let killed = worker(outbox, &client).build().unwrap();
            let run = killed.run_until(std::future::pending());
            let called = async {
                while sandbox.calls().is_empty() {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                ended = run => panic!("{ended:?}"),
                () = called => {}
            }
            assert_eq!(record(outbox, "k").await.state, State::Sending);
            work(worker(outbox, &client), outbox).await;
            let row = record(outbox, "k").await;
            assert_eq!(
                (row.state, row.attempts),
                (State::Sent, attempts),
                "{row:?}"
            );
            assert_eq!(sandbox.mails().len(), 1);
            assert_ne!(row.owner.as_deref() == Some(killed.name()), attempts == 2);
        }
    }
}

#[tokio::test]
async fn stopped_worker_finishes_sends_in_flight() {
    for (delay, drain, state) in [
        (
            Duration::from_millis(300),
            Duration::from_secs(5),
            State::Sent,
        ),
        (
            Duration::from_secs(5),
            Duration::from_millis(100),
            State::Unknown,
        ),
    ] {
        for Fixture { outbox, .. } in &fixtures().await {
            let slow = Fault::delay(delay).on("email_send");
            let (sandbox, client) = sandbox(|builder| builder.fault(slow)).await;
            for number in 0..10 {
                outbox.put(mail(&format!("{number}"))).await.unwrap();
            }
            let worker = worker(outbox, &client).concurrency(2).drain(drain);
            let called = async {
                while sandbox.calls().len() < 2 {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            worker.build().unwrap().run_until(called).await.unwrap();
            let counts = outbox.counts().await.unwrap();
            let expected = [(State::Queued, 8), (state, 2)];
            assert_eq!(counts, expected, "{delay:?} {drain:?}");
        }
    }
}

#[tokio::test]
async fn unreachable_api_loses_no_mail() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (first, client) = sandbox(|builder| builder.key(KEY)).await;
        let port: u16 = client_port(first.base_url());
        drop(first);
        for number in 0..5 {
            outbox.put(mail(&format!("{number}"))).await.unwrap();
        }
        let worker = worker(outbox, &client).build().unwrap();
        let later = async {
            sleep(Duration::from_millis(300)).await;
            let counts = outbox.counts().await.unwrap();
            assert!(
                counts.iter().all(|(state, _)| !state.is_final()),
                "{counts:?}"
            );
            let (sandbox, _) = sandbox(|builder| builder.key(KEY).port(port)).await;
            idle(outbox).await;
            assert_eq!(sandbox.mails().len(), 5);
        };
        worker.run_until(later).await.unwrap();
    }
}

fn client_port(url: &str) -> u16 {
    let port = url.trim_end_matches("/v3").rsplit(':').next().unwrap();
    port.parse().unwrap()
}

#[tokio::test]
async fn refused_key_keeps_mails_queued() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        let wrong = Client::builder(watched("api-ffffffffffffffffffffffffffffffff"))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        outbox.put(mail("k")).await.unwrap();
        let tried = async {
            while record(outbox, "k").await.reason.as_deref() != Some("auth") {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let worker_with_it = worker(outbox, &wrong).build().unwrap();
        worker_with_it.run_until(tried).await.unwrap();
        work(worker(outbox, &client), outbox).await;
        let row = record(outbox, "k").await;
        assert_eq!((row.state, row.reason), (State::Sent, None));
    }
}

#[tokio::test]
async fn higher_priority_goes_first() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        for (key, priority) in [
            ("low", Priority::Low),
            ("normal", Priority::Normal),
            ("high", Priority::High),
        ] {
            let entry = Entry::new(mail(key)).priority(priority);
            outbox.put(entry).await.unwrap();
        }
        work(worker(outbox, &client).concurrency(1), outbox).await;
        let mails = sandbox.mails();
        let keys: Vec<_> = mails
            .iter()
            .map(|mail| mail.header("X-Idempotency-Key").unwrap())
            .collect();
        assert_eq!(keys, ["high", "normal", "low"]);
    }
}

#[tokio::test]
async fn mail_past_its_not_after_is_cancelled() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        let now = std::time::SystemTime::now();
        let hour = Duration::from_secs(3600);
        for (key, not_after) in [("over", now - hour), ("valid", now + hour)] {
            let entry = Entry::new(mail(key)).not_after(not_after);
            outbox.put(entry).await.unwrap();
        }
        work(worker(outbox, &client), outbox).await;
        let row = record(outbox, "over").await;
        assert_eq!(
            (row.state, row.reason.as_deref()),
            (State::Cancelled, Some("expired"))
        );
        assert_eq!(record(outbox, "valid").await.state, State::Sent);
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[tokio::test]
async fn rate_spaces_the_mails_of_a_sender_or_tenant() {
    let rate = NonZeroU32::new(10).unwrap();
    for Fixture { outbox, .. } in &fixtures().await {
        for (case, count) in [("sender", 5), ("tenant", 5), ("none", 5)] {
            let (_sandbox, client) = sandbox(|builder| builder).await;
            for number in 0..count {
                let entry = Entry::new(mail(&format!("{case}-{number}"))).tenant("acme");
                outbox.put(entry).await.unwrap();
            }
            // Another tenant and sender: the earlier mails don't delay it.
            let other = smtp2go_sdk::Email::new("other@example.com", "Hi")
                .to("jane@example.net")
                .text("Hi")
                .idempotency_key(format!("{case}-other"));
            outbox.put(other).await.unwrap();
            let worker = worker(outbox, &client).concurrency(2);
            let second = Duration::from_secs(1);
            let worker = match case {
                "sender" => worker.sender_rate(rate, second),
                "tenant" => worker.tenant_rate(rate, second),
                _ => worker,
            };
            let start = SystemTime::now();
            work(worker, outbox).await;
            let mut sent = Vec::new();
            for number in 0..count {
                let row = record(outbox, &format!("{case}-{number}")).await;
                assert_eq!((row.state, row.attempts), (State::Sent, 1));
                sent.push(row.attempt_since.unwrap());
            }
            sent.sort();
            let other = record(outbox, &format!("{case}-other")).await;
            let last = *sent.last().unwrap();
            if case == "none" {
                continue;
            }
            assert!(other.attempt_since.unwrap() < last, "{case}");
            // A busy machine delays mails, so only the earliest time of each is certain. SQLite keeps
            // milliseconds.
            for (time, permits) in sent.iter().zip(0_u64..) {
                let earliest = start + Duration::from_millis(100 * permits);
                let early = earliest.duration_since(*time).unwrap_or_default();
                assert!(
                    early <= Duration::from_millis(1),
                    "{case} {permits}: {early:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn http_429_pauses_all_workers() {
    for Fixture { outbox, url, .. } in &fixtures().await {
        let limited = Fault::status(429)
            .header("retry-after", "1")
            .on("email_send")
            .nth(1);
        let (sandbox, client) = sandbox(|builder| builder.fault(limited)).await;
        for number in 0..10 {
            outbox.put(mail(&format!("{number}"))).await.unwrap();
        }
        let first = worker(outbox, &client).concurrency(1).build().unwrap();
        let refused = async {
            while sandbox.calls().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        first.run_until(refused).await.unwrap();
        let paused = outbox.health().await.unwrap().paused;
        assert!(
            !paused.is_zero() && paused <= Duration::from_secs(1),
            "{paused:?}"
        );
        // Another process, whose client did not get the 429.
        let other = Outbox::connect(url).await.unwrap();
        let fresh = Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let second = worker(&other, &fresh).build().unwrap();
        second.run_until(sleep(paused / 3)).await.unwrap();
        assert_eq!(sandbox.calls().len(), 1);
        work(worker(&other, &fresh), &other).await;
        assert_eq!(sandbox.mails().len(), 10);
    }
}

#[tokio::test]
async fn large_mail_extends_its_lease() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        // 15 seconds at 64 KiB a second, with a lease of 2 seconds.
        let large = mail("k").attach(Attachment::from_bytes("a.bin", vec![b'x'; 750_000]));
        outbox.put(large).await.unwrap();
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 1);
        let row = record(outbox, "k").await;
        let lease = row
            .lease_until
            .unwrap()
            .duration_since(row.attempt_since.unwrap());
        assert!(lease.unwrap() > Duration::from_secs(15), "{row:?}");
    }
}

#[tokio::test]
async fn missing_file_holds_the_mail_until_it_is_retried() {
    for Fixture { outbox, .. } in &fixtures().await {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.txt");
        std::fs::write(&file, "report").unwrap();
        let (sandbox, client) = sandbox(|builder| builder).await;
        outbox
            .put(mail("k").attach(Attachment::from_path(&file)))
            .await
            .unwrap();
        let away = folder.path().join("away.txt");
        std::fs::rename(&file, &away).unwrap();
        work(worker(outbox, &client), outbox).await;
        let row = record(outbox, "k").await;
        assert_eq!(
            (row.state, row.reason.as_deref()),
            (State::Held, Some("validation"))
        );
        std::fs::rename(&away, &file).unwrap();
        assert_eq!(outbox.retry("k").await.unwrap(), Requested::Done);
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[derive(Default)]
struct Changes(Mutex<Vec<(State, State)>>);

impl Observer for Changes {
    fn state_changed(&self, change: &StateChange<'_>) {
        self.0.lock().unwrap().push((change.from, change.to));
    }
}

#[tokio::test]
async fn observer_receives_each_state_change_in_order() {
    for fixture in fixtures().await {
        let changes = Arc::new(Changes::default());
        let outbox = fixture.outbox.clone().observer(changes.clone());
        let lost = Fault::reset().on("email_send").nth(1).carried_out(false);
        let (_sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
        outbox.put(mail("k")).await.unwrap();
        work(worker(&outbox, &client), &outbox).await;
        use State::{Queued, Sending, Sent, Unknown};
        assert_eq!(
            *changes.0.lock().unwrap(),
            [
                (Queued, Sending),
                (Sending, Unknown),
                (Unknown, Queued),
                (Queued, Sending),
                (Sending, Sent)
            ]
        );
    }
}

#[tokio::test]
async fn short_lease_is_refused() {
    let Fixture { outbox, .. } = crate::support::sqlite().await;
    let (_sandbox, client) = sandbox(|builder| builder).await;
    let second = Duration::from_secs(1);
    for (lease, expected) in [
        (
            second * 65,
            Some(
                "lease of 65s must be longer than send_deadline and lease_margin together (60s and 5s)",
            ),
        ),
        (second * 66, None),
    ] {
        let built = outbox.worker(client.clone()).lease(lease).build();
        let error = built.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected);
    }
    let built = outbox.worker(client).poll(Duration::ZERO).build();
    assert_eq!(built.unwrap_err().to_string(), "poll must not be zero");
}

#[tokio::test]
async fn error_for_missing_tables_names_the_command_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("empty.db").display());
    let outbox = Outbox::connect(&url).await.unwrap();
    let (_sandbox, client) = sandbox(|builder| builder).await;
    let worker = outbox.worker(client).build().unwrap();
    let error = worker.run_until(std::future::pending()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "table smtp2go_outbox_migrations is missing: run `smtp2go-outbox migrate`"
    );
    assert!(error.is_settings());
}

#[tokio::test]
async fn inserted_mail_wakes_a_worker_between_polls() {
    let Some(Fixture { outbox, url, .. }) = postgres().await else {
        return;
    };
    let (sandbox, client) = sandbox(|builder| builder).await;
    let worker = worker(&outbox, &client).poll(Duration::from_secs(600));
    let worker = worker.build().unwrap();
    // Another process.
    let other = Outbox::connect(&url).await.unwrap();
    let sent = async {
        // Long enough for the worker to be waiting and listening.
        sleep(Duration::from_secs(1)).await;
        other.put(mail("k")).await.unwrap();
        while sandbox.mails().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), worker.run_until(sent))
        .await
        .unwrap()
        .unwrap();
}

/// Counts the statements that sqlx reports.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicU64>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn idle_worker_makes_at_most_two_queries_a_second() {
    // SQLite's statements run and are reported on separate threads.
    if let Some(Fixture { outbox, .. }) = postgres().await {
        let (_sandbox, client) = sandbox(|builder| builder).await;
        let statements = Statements::default();
        // Covers only this thread, which runs all tasks of the test.
        let _counting = tracing::subscriber::set_default(statements.clone());
        let worker = outbox.worker(client).build().unwrap();
        let start = Instant::now();
        worker
            .run_until(sleep(Duration::from_secs(8)))
            .await
            .unwrap();
        let count = statements.0.load(Ordering::Relaxed);
        assert!(count >= 8, "no statement was counted: {count}");
        // The worker starts with these statements: the version, LISTEN, two claims, a sweep.
        let rate = (count - 6) as f64 / start.elapsed().as_secs_f64();
        assert!(rate <= 2.0, "{rate}");
    }
}
