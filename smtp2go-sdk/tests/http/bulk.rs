//! `send_all`: concurrency, pauses, stops, drops and the report.

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answering, called, nowhere};
use futures_core::Stream;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{
    CallOptions, Certainty, Client, ClientBuilder, Email, RetryPolicy, SendAll, SendReport,
    SendState,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

fn builder(sandbox: &Sandbox) -> ClientBuilder {
    let policy = RetryPolicy::new()
        .min_backoff(Duration::ZERO)
        .rate_limit_wait(Duration::ZERO, Duration::ZERO);
    Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .retry(policy)
        .jitter_seed(7)
}

fn mail(subject: impl Into<String>) -> Email {
    Email::new("Acme <noreply@example.com>", subject)
        .to("jane@example.net")
        .text("Hello")
}

fn states_of<K>(report: &SendReport<K>) -> Vec<SendState> {
    report.states().map(|(_, state)| state).collect()
}

fn subjects(sandbox: &Sandbox) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    for mail in sandbox.mails() {
        *found.entry(mail.subject().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// Seeded random numbers.
struct Dice(fastrand::Rng);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }
}

#[tokio::test]
async fn each_outcome_has_its_key_and_its_mail() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = builder(&sandbox).build().unwrap();
    let mails: Vec<_> = (0..30)
        .map(|n| (format!("row {n}"), mail(n.to_string())))
        .collect();
    // Borrowed mails and keys are accepted.
    let borrowed = mails.iter().map(|(key, mail)| (key.as_str(), mail));
    let mut sending = client.send_all(borrowed, 4);
    assert_eq!(sending.report().not_taken(), Some(30));
    assert_eq!(sandbox.calls().len(), 0);
    let mut seen = [false; 30];
    while let Some(outcome) = sending.next().await {
        let sent = outcome.result.unwrap();
        assert_eq!(outcome.key, format!("row {}", outcome.index));
        assert!(!std::mem::replace(&mut seen[outcome.index], true));
        let kept = sandbox.mails();
        let found = kept
            .iter()
            .find(|mail| Some(mail.email_id()) == sent.email_id.as_deref());
        assert_eq!(
            found.unwrap().subject(),
            Some(outcome.index.to_string().as_str())
        );
        outcome.email.validate().unwrap();
    }
    assert_eq!(seen, [true; 30]);
    assert!(sending.next().await.is_none());
    assert_eq!(
        sending.report().to_string(),
        "30 taken: 30 sent, 0 rejected, 0 not sent, 0 unknown; 0 not taken"
    );
    assert_eq!(sandbox.mails().len(), 30);
}

#[tokio::test]
async fn failed_mail_does_not_stop_the_others() {
    let sandbox = Sandbox::builder()
        .fault(Fault::failed("550 no").nth(2))
        .start()
        .await
        .unwrap();
    let client = builder(&sandbox).build().unwrap();
    let mails = vec![mail("0"), mail("1").to("nobody"), mail("2"), mail("3")];
    let mut sending = client.send_all(mails, 1);
    let mut told = Vec::new();
    while let Some(outcome) = sending.next().await {
        let certainty = outcome.result.map(|_| ()).map_err(|e| e.certainty());
        told.push((outcome.index, certainty));
    }
    assert_eq!(
        told,
        [
            (0, Ok(())),
            (1, Err(Certainty::NotSent)),
            (2, Err(Certainty::Rejected)),
            (3, Ok(())),
        ]
    );
    let states = [
        SendState::Sent,
        SendState::NotSent,
        SendState::Rejected,
        SendState::Sent,
    ];
    assert_eq!(states_of(&sending.report()), states);
}

/// An endless stream that is pending on every other poll.
struct Endless(usize, Arc<AtomicUsize>);

impl Stream for Endless {
    type Item = Email;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Email>> {
        self.0 += 1;
        if self.0.is_multiple_of(2) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let taken = self.1.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(mail(taken.to_string())))
    }
}

#[tokio::test]
async fn endless_stream_is_never_read_ahead() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = builder(&sandbox).build().unwrap();
    for concurrency in [0, 1, 3, 16] {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut sending = client.send_all(Endless(0, taken.clone()), concurrency);
        for done in 1..=20 {
            sending.next().await.unwrap().result.unwrap();
            // Holds between the end of a call and the next read too.
            let under_way = taken.load(Ordering::SeqCst) - done;
            assert!(under_way < concurrency.max(1), "{concurrency}: {under_way}");
        }
        assert_eq!(sending.report().not_taken(), None);
        sending.stop();
        while sending.next().await.is_some() {}
        let report = sending.report();
        assert_eq!(report.sent(), taken.load(Ordering::SeqCst));
        assert_eq!((report.in_flight(), report.not_taken()), (0, None));
    }
}

#[tokio::test]
async fn concurrency_is_reached_and_not_exceeded() {
    const MANY: usize = 5;
    let server = crate::support::sandbox(Fault::stall());
    // A stalled call lasts until its timeout, so calls without an outcome are in flight.
    let patient = server.builder().timeout(Duration::from_secs(1));
    let client = patient.build().unwrap();
    let mails = (0..2 * MANY).map(|n| mail(n.to_string()));
    let mut sending = client.send_all(mails, MANY);
    for round in 0..2 {
        let arrived = async {
            called(&server, (round + 1) * MANY).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(server.calls().len(), (round + 1) * MANY);
        };
        let (outcome, ()) = tokio::join!(sending.next(), arrived);
        let mut done = vec![outcome.unwrap()];
        while done.len() < MANY {
            done.push(sending.next().await.unwrap());
            assert!(server.calls().len() <= (round + 1) * MANY + done.len());
        }
        for outcome in done {
            let error = outcome.result.unwrap_err();
            assert!(error.is_timeout(), "{error}");
        }
    }
    assert!(sending.next().await.is_none());
}

#[tokio::test]
async fn dropping_the_stream_at_an_error_starts_no_further_mail() {
    let sandbox = Sandbox::builder()
        .fault(Fault::status(500).nth(3))
        .start()
        .await
        .unwrap();
    let client = builder(&sandbox).build().unwrap();
    let mut sending = client.send_all((0..9).map(|n| mail(n.to_string())), 1);
    while let Some(outcome) = sending.next().await {
        if outcome.result.is_err() {
            break;
        }
    }
    let handle = sending.handle();
    drop(sending);
    assert_eq!(sandbox.calls().len(), 3);
    assert_eq!(
        handle.report().to_string(),
        "3 taken: 2 sent, 0 rejected, 0 not sent, 1 unknown; 6 not taken"
    );
}

#[tokio::test]
async fn stop_wakes_a_reader_that_waits_for_the_input() {
    struct Silent;
    impl Stream for Silent {
        type Item = Email;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Email>> {
            Poll::Pending
        }
    }
    let sandbox = Sandbox::start().await.unwrap();
    let client = builder(&sandbox).build().unwrap();
    let mut sending = client.send_all(Silent, 2);
    let handle = sending.handle();
    let reader = tokio::spawn(async move { sending.next().await.is_none() });
    tokio::task::yield_now().await;
    handle.stop();
    // Fails rather than hangs.
    let ended = tokio::time::timeout(Duration::from_secs(60), reader).await;
    assert!(ended.unwrap().unwrap());
    assert_eq!(handle.report().taken(), 0);
}

#[tokio::test]
async fn mails_are_not_taken_from_the_input_during_a_rate_limit() {
    let sandbox = Sandbox::builder()
        .fault(Fault::status(429).header("Retry-After", "1").nth(2))
        .start()
        .await
        .unwrap();
    // A mail taken during the pause would fail at once: its deadline is before the end of the pause.
    let hurried = CallOptions::new()
        .retry(RetryPolicy::none())
        .deadline(Duration::from_millis(700));
    let client = builder(&sandbox).build().unwrap().with_options(hurried);
    let mut sending = client.send_all((0..5).map(|n| mail(n.to_string())), 1);
    let mut refused = Vec::new();
    while let Some(outcome) = sending.next().await {
        if let Err(error) = outcome.result {
            assert!(error.is_rate_limited(), "{error}");
            refused.push(outcome.index);
        }
    }
    assert_eq!(refused, [1]);
    assert_eq!(sending.report().sent(), 4);
}

#[tokio::test]
async fn mail_taken_but_not_started_at_the_drop_is_never_sent() {
    let server = answering(r#"{"data":{"email_id":"1"}}"#);
    let client = server.client();
    // Four are taken. The first fails its check, before the others start.
    let mails = [
        mail("0").to("nobody"),
        mail("1"),
        mail("2"),
        mail("3"),
        mail("4"),
    ];
    let mut sending = client.send_all(mails, 4);
    let handle = sending.handle();
    let outcome = sending.next().await.unwrap();
    assert_eq!(outcome.index, 0);
    assert_eq!(
        (handle.report().taken(), handle.report().not_taken()),
        (4, Some(1))
    );
    drop(sending);
    let report = handle.report();
    assert_eq!((report.not_sent(), report.in_flight()), (4, 0));
    assert_eq!(states_of(&report), [SendState::NotSent; 4]);
    // Anything sent before would have arrived by the end of this call.
    client.send(mail("5")).await.unwrap();
    assert_eq!(server.calls().len(), 1);
}

/// Keeps the fields of the crate's WARN events.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target() == "smtp2go_sdk"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A sandbox that answers the first call with 429 and this `Retry-After`, and a client without
/// retries.
async fn rate_limited(retry_after: &str) -> (Sandbox, Client) {
    let sandbox = Sandbox::builder()
        .fault(Fault::status(429).header("Retry-After", retry_after).nth(1))
        .start()
        .await
        .unwrap();
    let client = builder(&sandbox).retry(RetryPolicy::none());
    let client = client.build().unwrap();
    (sandbox, client)
}

/// Awaits the future. Panics after 30 seconds, so that a test fails and does not hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(30), future).await;
    ended.unwrap()
}

#[tokio::test]
async fn absurd_retry_after_pauses_for_an_hour_and_is_reported() {
    for (retry_after, asked) in [
        // A Unix time in place of a number of seconds.
        ("1795939200", Some(1_795_939_200_000_u64)),
        ("86400", Some(86_400_000)),
        ("31536000", Some(31_536_000_000)),
        ("18446744073709551615", Some(u64::MAX)),
        ("Fri, 31 Dec 2100 23:59:59 GMT", None),
    ] {
        let (_sandbox, client) = rate_limited(retry_after).await;
        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let mut sending = client.send_all([mail("0"), mail("1")], 1);
        assert_eq!(sending.report().paused(), None);
        let error = sending.next().await.unwrap().result.unwrap_err();
        assert!(error.is_rate_limited(), "{error}");

        let warned = warnings.0.lock().unwrap().join(" ");
        assert_eq!(warned.matches("send_all is paused").count(), 1, "{warned}");
        assert!(warned.contains("wait_ms=3600000"), "{warned}");
        if let Some(asked) = asked {
            assert!(warned.contains(&format!("asked_ms={asked}")), "{warned}");
        }
        let report = sending.report();
        let left = report.paused().unwrap();
        assert!(left <= HOUR && left > HOUR - Duration::from_secs(30));
        let shown = report.to_string();
        assert!(shown.contains("; rate limited, paused for 3"), "{shown}");

        // Paused time advances to the next timer: the hour passes at once.
        tokio::time::pause();
        let early = tokio::time::timeout(left - Duration::from_secs(1), sending.next()).await;
        assert!(early.is_err(), "{retry_after}");
        tokio::time::advance(Duration::from_secs(2)).await;
        tokio::time::resume();
        assert_eq!(sending.report().paused(), None);
        let outcome = soon(sending.next()).await.unwrap();
        assert!(outcome.result.is_ok() && outcome.index == 1);
        assert!(soon(sending.next()).await.is_none());
    }
}

#[tokio::test]
async fn stop_ends_a_pause_at_once() {
    let (sandbox, client) = rate_limited("31536000").await;
    let mut sending = client.send_all((0..3).map(|n| (n, mail(n.to_string()))), 1);
    let handle = sending.handle();
    soon(sending.next()).await.unwrap().result.unwrap_err();
    assert!(handle.report().paused().is_some());
    let reader = async {
        let ended = sending.next().await.is_none();
        assert!(ended);
    };
    let stopper = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let handle = handle.clone();
        std::thread::spawn(move || handle.stop()).join().unwrap();
    };
    soon(async { tokio::join!(reader, stopper) }).await;
    assert_eq!(
        handle.report().to_string(),
        "1 taken: 0 sent, 1 rejected, 0 not sent, 0 unknown; 2 not taken"
    );
    assert_eq!(sandbox.calls().len(), 1);
}

#[tokio::test]
async fn pause_without_mails_left_ends_at_once() {
    let (_sandbox, client) = rate_limited("31536000").await;
    let mut sending = client.send_all([mail("only")], 4);
    soon(sending.next()).await.unwrap().result.unwrap_err();
    assert_eq!(sending.report().paused(), None);
    assert!(soon(sending.next()).await.is_none());
}

#[tokio::test]
async fn deadline_of_a_call_in_flight_holds_during_a_pause() {
    let sandbox = Sandbox::builder()
        .fault(Fault::status(429).header("Retry-After", "86400").nth(1))
        .fault(Fault::stall().calls(2..=9))
        .start()
        .await
        .unwrap();
    let client = builder(&sandbox)
        .retry(RetryPolicy::none())
        .deadline(Duration::from_millis(500));
    let client = client.build().unwrap();
    let mut sending = client.send_all((0..3).map(|n| mail(n.to_string())), 2);
    let first = soon(sending.next()).await.unwrap().result.unwrap_err();
    assert!(first.is_rate_limited(), "{first}");
    let second = soon(sending.next()).await.unwrap().result.unwrap_err();
    assert!(second.is_timeout(), "{second}");
    assert!(sending.report().paused().is_some());
    assert_eq!(sending.report().taken(), 2);
}

#[tokio::test]
async fn mails_cancelled_before_anything_was_sent_are_reported_as_not_sent() {
    const MANY: u64 = 64;
    // The first call that ends has no retry budget left. By then the others are connecting, or wait
    // for their next attempt.
    let patient = RetryPolicy::new()
        .min_backoff(Duration::from_secs(30))
        .max_backoff(Duration::from_secs(30));
    let client = Client::builder(watched(KEY))
        .base_url(nowhere())
        .retry(patient)
        .build()
        .unwrap();
    let mails = (1000..1000 + MANY).map(|id| (id, mail(id.to_string())));
    let mut sending = client.send_all(mails, 64);
    let handle = sending.handle();
    let first = soon(sending.next()).await.unwrap();
    assert!(first.result.unwrap_err().is_connect());
    assert!(handle.report().in_flight() > 10, "{handle:?}");
    drop(sending);
    let report = handle.report();
    let expected = (1000..1000 + MANY).map(|id| (id, SendState::NotSent));
    assert!(
        report.states().map(|(id, state)| (*id, state)).eq(expected),
        "{report}"
    );
}

#[tokio::test]
async fn state_of_a_cancelled_mail_is_that_of_its_call() {
    let sandbox = Sandbox::builder()
        .fault(Fault::status(429).header("Retry-After", "20").nth(1))
        .fault(Fault::stall().calls(2..=9))
        .start()
        .await
        .unwrap();
    for (key, state) in [
        // Answered with 429, waits for its next attempt.
        ("refused", SendState::Rejected),
        // Read by the server and not answered.
        ("stalled", SendState::Unknown),
    ] {
        let client = builder(&sandbox).build().unwrap();
        let mut sending = client.send_all([(key, mail(key))], 1);
        let handle = sending.handle();
        let arrived = called(&sandbox, if key == "refused" { 1 } else { 2 });
        let arrived = async {
            arrived.await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        tokio::select! {
            outcome = sending.next() => assert!(outcome.is_none(), "{key}: {outcome:?}"),
            () = arrived => {}
        }
        assert_eq!(handle.report().in_flight(), 1);
        drop(sending);
        let report = handle.report();
        assert!(report.states().eq([(&key, state)]), "{key}: {report}");
    }
}

/// Sends to a server with many kinds of fault, and stops or drops the stream at random points. The
/// report counts each mail once, and agrees with what the server accepted.
#[tokio::test]
async fn report_matches_the_server_despite_faults_stops_and_dropped_streams() {
    const MAILS: usize = 24;
    const SEED: u64 = 11;
    let mut dice = Dice(fastrand::Rng::with_seed(SEED));
    let sandbox = Sandbox::start_blocking().unwrap();
    let chances: [(Fault, f64); 10] = [
        (Fault::refuse(), 0.1),
        (Fault::close_before_reading(), 0.05),
        (Fault::reset_before_reading(), 0.05),
        (Fault::close(), 0.05),
        (Fault::reset().carried_out(false), 0.05),
        (Fault::truncated(), 0.05),
        (Fault::status(429).header("Retry-After", "0"), 0.05),
        (Fault::status(500), 0.05),
        (Fault::failed("550 no"), 0.05),
        (Fault::delay(Duration::from_millis(3)), 0.5),
    ];
    for (n, (fault, chance)) in (0..).zip(chances) {
        sandbox.faults().add(fault.chance(chance, SEED + n));
    }
    let mut told = HashMap::new();
    for round in 0..40 {
        // A client per round, so that the retry budget lasts.
        let client = builder(&sandbox).build().unwrap();
        let mails: Vec<_> = (0..MAILS)
            .map(|n| {
                let subject = format!("{round}-{n}");
                let mail = mail(&subject);
                if dice.below(10) == 0 {
                    return (subject, mail.to("nobody"));
                }
                (subject, mail)
            })
            .collect();
        let concurrency = 1 + dice.below(9);
        let mut sending = client.send_all(mails, concurrency);
        let handle = sending.handle();
        let (stop, end) = (dice.below(2 * MAILS), dice.below(2 * MAILS));
        let mut outcomes = HashMap::new();
        for n in 0..end {
            if n == stop {
                let taken = handle.report().taken();
                sending.stop();
                assert_eq!(handle.report().taken(), taken);
            }
            // Sometimes cancels the read after a few polls.
            if dice.below(4) == 0 {
                poll_a_few_times(&mut sending, dice.below(3), &mut outcomes).await;
                continue;
            }
            let Some(outcome) = sending.next().await else {
                let report = sending.report();
                assert_eq!((report.in_flight(), outcomes.len()), (0, report.taken()));
                break;
            };
            keep(outcome, &mut outcomes);
        }
        drop(sending);
        let report = handle.report();
        let sum = report.sent() + report.rejected() + report.not_sent() + report.unknown();
        assert_eq!((sum, report.in_flight()), (report.taken(), 0));
        assert_eq!(report.taken() + report.not_taken().unwrap(), MAILS);
        assert!(report.taken() - outcomes.len() <= concurrency);
        for (index, (subject, state)) in report.states().enumerate() {
            assert_eq!(*subject, format!("{round}-{index}"));
            if let Some(outcome) = outcomes.get(&index) {
                assert_eq!(*outcome, state, "{subject}");
            } else {
                // Cancelled by the drop.
                assert!(!matches!(state, SendState::Sent | SendState::InFlight));
            }
            told.insert(subject.clone(), state);
        }
    }
    // Cancelled requests had the time of all rounds since, and of this call, to arrive.
    sandbox.faults().clear();
    let client = builder(&sandbox).build().unwrap();
    client.send(mail("last")).await.unwrap();
    told.insert("last".to_owned(), SendState::Sent);

    let accepted = subjects(&sandbox);
    for (subject, state) in &told {
        let times = accepted.get(subject).copied().unwrap_or_default();
        match state {
            SendState::Sent => assert_eq!(times, 1, "{subject}"),
            SendState::NotSent | SendState::Rejected => assert_eq!(times, 0, "{subject}"),
            _ => assert!(times <= 1, "{subject}"),
        }
    }
    assert!(accepted.keys().all(|subject| told.contains_key(subject)));
    for state in [
        SendState::Sent,
        SendState::NotSent,
        SendState::Rejected,
        SendState::Unknown,
    ] {
        assert!(told.values().any(|found| *found == state), "{state:?}");
    }
}

fn keep(outcome: smtp2go_sdk::SendOutcome<String>, outcomes: &mut HashMap<usize, SendState>) {
    let state = match outcome.result.map_err(|error| error.certainty()) {
        Ok(_) => SendState::Sent,
        Err(Certainty::NotSent) => SendState::NotSent,
        Err(Certainty::Rejected) => SendState::Rejected,
        Err(Certainty::Unknown) => SendState::Unknown,
    };
    assert_eq!(outcomes.insert(outcome.index, state), None);
}

/// Polls `next` up to `times` times, dropping its future after each poll. Keeps the first outcome.
async fn poll_a_few_times(
    sending: &mut SendAll<'_, String>,
    times: usize,
    outcomes: &mut HashMap<usize, SendState>,
) {
    for _ in 0..times {
        let polled = {
            let next = pin!(sending.next());
            next.poll(&mut Context::from_waker(Waker::noop()))
        };
        if let Poll::Ready(Some(outcome)) = polled {
            return keep(outcome, outcomes);
        }
        tokio::task::yield_now().await;
    }
}

/// Compile test: the implementation of `Mails` is inferred.
#[allow(dead_code)]
mod inference {
    use super::{Client, Email, SendAll, Stream};

    struct Row(String);

    impl From<Row> for Email {
        fn from(row: Row) -> Self {
            Self::new("a@example.com", "x").to(row.0).text("x")
        }
    }

    fn rows(client: &Client, rows: Vec<Row>) -> SendAll<'static> {
        client.send_all(rows, 1)
    }

    fn borrowed<'a>(client: &Client, mails: &'a [Email]) -> SendAll<'a> {
        client.send_all(mails, 1)
    }

    fn any_iterator<I>(client: &Client, mails: I) -> SendAll<'static>
    where
        I: IntoIterator<Item = Email>,
        I::IntoIter: Send + 'static,
    {
        client.send_all(mails, 1)
    }

    fn any_stream<S>(client: &Client, mails: S) -> SendAll<'static, u8>
    where
        S: Stream<Item = (u8, Email)> + Send + 'static,
    {
        client.send_all(mails, 1)
    }

    fn boxed(client: &Client, mails: Box<dyn Iterator<Item = Email> + Send>) -> SendAll<'static> {
        client.send_all(mails, 1)
    }
}

#[test]
fn stream_is_send_and_its_type_can_be_named() {
    fn assert_send<T: Send + 'static>(_: &T) {}
    struct Job {
        sending: SendAll<'static, u64>,
    }
    let client = Client::builder(watched(KEY))
        .base_url("http://localhost")
        .build()
        .unwrap();
    let job = Job {
        sending: client.send_all([(1_u64, mail("x"))], 1),
    };
    assert_send(&job.sending);
    assert_send(&job.sending.handle());
    assert_eq!(job.sending.size_hint(), (0, Some(1)));
}

#[tokio::test]
async fn mime_messages_are_sent_like_mails() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = builder(&sandbox).build().unwrap();
    let message = |subject: &str| {
        let text =
            format!("From: a@example.com\r\nTo: b@example.net\r\nSubject: {subject}\r\n\r\nHi");
        smtp2go_sdk::Mime::from_bytes(text)
    };
    let empty = smtp2go_sdk::Mime::from_bytes("");
    let mut sending = client.send_all([(1, message("a")), (2, empty), (3, message("b"))], 2);
    while let Some(outcome) = sending.next().await {
        assert_eq!(outcome.result.is_ok(), outcome.key != 2, "{}", outcome.key);
        let operation = outcome.result.err().and_then(|error| error.operation());
        assert!(operation.is_none_or(|operation| operation.id == "email_mime"));
        // It can be sent again.
        let _: smtp2go_sdk::Mime = outcome.email;
    }
    assert_eq!(
        states_of(&sending.report()),
        [SendState::Sent, SendState::NotSent, SendState::Sent]
    );
    assert_eq!(
        subjects(&sandbox),
        HashMap::from([("a".into(), 1), ("b".into(), 1)])
    );
}

#[tokio::test]
async fn mime_message_in_flight_when_send_all_is_dropped_is_unknown() {
    let sandbox = crate::support::sandbox(Fault::stall());
    let client = sandbox.client();
    let text = "From: a@example.com\r\nTo: b@example.net\r\n\r\nHi";
    let mut sending = client.send_all([smtp2go_sdk::Mime::from_bytes(text)], 1);
    let handle = sending.handle();
    tokio::select! {
        _ = sending.next() => panic!("the sandbox does not reply"),
        () = called(&sandbox, 1) => {}
    }
    drop(sending);
    assert_eq!(states_of(&handle.report()), [SendState::Unknown]);
}
