//! The blocking client.
#![allow(clippy::panic)] // readers that panic on purpose

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::blocking::Client;
use smtp2go_sdk::types::{
    ActivitySearchRequest, DomainViewRequest, EmailScheduledSearchRequest, EmailSendRequest,
    TemplateSearchRequest,
};
use smtp2go_sdk::{
    Attachment, Body, CallOptions, Certainty, Email, Error, FindSent, Found, RetryPolicy,
    SendHandle, SendOnce, SendReport, SendState, operations,
};
use tokio::io::{AsyncRead, ReadBuf};

use crate::log_watch::watched;
use crate::mail::assert_line_break_refused;
use crate::support::{
    KEY, Tested, answer, answering, body, json as sent, nowhere, one_by_one, sandbox,
};

fn client(sandbox: &Sandbox) -> Client {
    Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap()
}

/// A client without retries.
fn client_of(server: &Sandbox) -> Client {
    Client::builder(watched(KEY))
        .base_url(server.base_url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap()
}

fn mail(subject: impl Into<String>) -> Email {
    Email::new("Acme <noreply@example.com>", subject)
        .to("jane@example.net")
        .text("Hello")
}

fn subjects(sandbox: &Sandbox) -> BTreeSet<String> {
    let mails = sandbox.mails();
    let subjects = mails.iter().map(|mail| mail.subject().unwrap().to_owned());
    let unique: BTreeSet<_> = subjects.collect();
    assert_eq!(unique.len(), mails.len());
    unique
}

#[test]
fn control_characters_in_headers_are_refused() {
    let server = answering("{}");
    let client = client_of(&server);
    let subject = "Hi\r\nBcc: c@example.org";
    let request = EmailSendRequest::new("a@example.com", ["b@example.net"]).subject(subject);
    for error in [
        client.email().send(request).map(drop).unwrap_err(),
        client.send(mail(subject)).map(drop).unwrap_err(),
    ] {
        assert_line_break_refused(&error, "subject");
    }
    assert!(server.calls().is_empty());
}

#[test]
fn plain_threads_call_concurrently() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    thread::scope(|scope| {
        for n in 0..8 {
            // Each thread drops its own clone.
            let client = client.clone();
            scope.spawn(move || {
                for m in 0..10 {
                    let sent = client.send(mail(format!("{n}.{m}"))).unwrap();
                    assert!(sent.email_id.is_some() && sent.request_id().is_some());
                    client
                        .template()
                        .search(TemplateSearchRequest::new())
                        .unwrap();
                }
            });
        }
    });
    let expected = (0..8).flat_map(|n| (0..10).map(move |m| format!("{n}.{m}")));
    assert_eq!(subjects(&sandbox), expected.collect());
}

#[test]
fn all_send_methods_work() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    client.send(mail("one")).unwrap();
    let message =
        "From: noreply@example.com\r\nTo: jane@example.net\r\nSubject: two\r\n\r\nHello\r\n";
    client.send_mime(message.as_bytes().to_vec()).unwrap();
    let batch = client.send_batch([mail("three"), mail("four")]).unwrap();
    assert_eq!(batch.into_sent().unwrap().len(), 2);
    let body = Body::json(&json!({
        "sender": "noreply@example.com",
        "to": ["jane@example.net"],
        "subject": "five",
        "text_body": "Hello",
    }))
    .unwrap();
    let reply = client.execute(&operations::EMAIL_SEND, body).unwrap();
    assert_eq!(reply.status(), 200);
    let allowance = client.call_empty::<()>(&operations::STATS_EMAIL_CYCLE);
    assert_eq!(allowance.unwrap().status(), 200);
    assert_eq!(sandbox.calls().len(), 5);
}

#[test]
fn settings_and_errors_are_those_of_the_async_client() {
    let server = answering(r#"{"request_id":"r-1","data":{"domains":[]}}"#);
    let client = client_of(&server);
    let theirs = client.for_subaccount("4c1f0e7a9b");
    let reply = theirs.domain().view(DomainViewRequest::new()).unwrap();
    assert_eq!(reply.request_id(), Some("r-1"));
    let sent = server.call();
    assert_eq!(body(&sent), r#"{"subaccount_id":"4c1f0e7a9b"}"#);

    let invalid = mail("Hello").to("jane@");
    let elsewhere = client.with_options(CallOptions::new().deadline(Duration::ZERO));
    for (error, config, validation) in [
        (theirs.stats().email_cycle().unwrap_err(), true, false),
        (client.send(invalid).unwrap_err(), false, true),
        (
            elsewhere
                .domain()
                .view(DomainViewRequest::new())
                .unwrap_err(),
            false,
            false,
        ),
    ] {
        assert_eq!(error.certainty(), Certainty::NotSent, "{error}");
        assert_eq!(error.is_config(), config, "{error}");
        assert_eq!(error.is_validation(), validation, "{error}");
        assert!(error.operation().is_some());
    }
    assert_eq!(server.calls().len(), 1);
    let shown = format!("{client:?} {:?}", client.domain());
    assert!(shown.contains("http://127.0.0.1") && !shown.contains(KEY));

    for (key, url) in [("api-short", ""), (KEY, "hunter2")] {
        let error = Client::builder(watched(key))
            .base_url(url)
            .build()
            .unwrap_err();
        assert!(error.is_config());
    }

    // An idempotent call is retried, mail is not.
    let server = sandbox(Fault::status(503));
    let client = Client::builder(watched(KEY)).base_url(server.base_url());
    let at_once = RetryPolicy::new()
        .min_backoff(Duration::ZERO)
        .max_backoff(Duration::ZERO);
    let client = client.retry(at_once).build();
    let client = client.unwrap();
    let error = client.send(mail("Hello")).unwrap_err();
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::Unknown, 1)
    );
    let error = client.domain().view(DomainViewRequest::new()).unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.attempts()),
        (503, 3)
    );
    assert_eq!(server.calls().len(), 4);
}

#[tokio::test]
async fn client_works_in_spawn_blocking() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let mut tasks = Vec::new();
    for n in 0..8 {
        let client = client.clone();
        tasks.push(tokio::task::spawn_blocking(move || {
            let sent = client.send(mail(n.to_string())).unwrap();
            // Built and dropped there too.
            drop(
                Client::builder(watched(KEY))
                    .base_url("http://localhost")
                    .build(),
            );
            sent
        }));
    }
    drop(client);
    for task in tasks {
        assert!(task.await.unwrap().email_id.is_some());
    }
    assert_eq!(subjects(&sandbox).len(), 8);
}

#[tokio::test]
async fn call_in_async_code_blocks_and_does_not_panic() {
    let server = three_pages();
    let client = client_of(&server);
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    assert_eq!(
        events.next().unwrap().unwrap().email_id.as_deref(),
        Some("a")
    );
    // In a task that has used up tokio's cooperative budget.
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..1000 {
        sender.send(()).unwrap();
    }
    let again = client.clone();
    std::future::poll_fn(|cx| {
        while receiver.poll_recv(cx).is_ready() {}
        again
            .execute(&operations::ACTIVITY_SEARCH, Body::empty())
            .unwrap();
        Poll::Ready(())
    })
    .await;
    drop((client, again));
    // Results of a fetched page need no client.
    assert_eq!(
        events.next().unwrap().unwrap().email_id.as_deref(),
        Some("b")
    );
    drop(events);
}

#[tokio::test]
async fn call_that_blocks_its_own_server_ends_by_its_deadline() {
    // The sandbox runs on this thread.
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let hurried = client.with_options(CallOptions::new().deadline(Duration::from_millis(100)));
    let error = hurried.send(mail("lost")).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let sent = tokio::task::spawn_blocking(move || client.send(mail("found")));
    sent.await.unwrap().unwrap();
    assert!(subjects(&sandbox).contains("found"));
}

/// A reader that makes a call with its own client when it is read, and drops the client.
struct Calls {
    client: Option<Client>,
    error: Arc<Mutex<Option<Error>>>,
}

impl AsyncRead for Calls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(client) = self.client.take() {
            *self.error.lock().unwrap() = client.send(mail("from the reader")).err();
            space.put_slice(b"x");
        }
        Poll::Ready(Ok(()))
    }
}

#[test]
fn call_from_the_client_s_own_thread_is_refused() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    let error = Arc::new(Mutex::new(None));
    let reader = Calls {
        client: Some(client.clone()),
        error: error.clone(),
    };
    let email = mail("with a reader").attach(Attachment::from_reader("a.txt", reader, 1));
    client.send(email).unwrap();
    let error = error.lock().unwrap().take().unwrap();
    assert!(error.is_config(), "{error}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_eq!(subjects(&sandbox), ["with a reader".to_owned()].into());
}

/// A reader that calls the client that reads it, on a thread where blocking is allowed.
struct Fetches(Option<Client>);

impl Read for Fetches {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(client) = self.0.take() else {
            return Ok(0);
        };
        client.send(mail("from the reader")).unwrap();
        space[0] = b'x';
        Ok(1)
    }
}

#[test]
fn blocking_reader_may_call_its_client() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    let reader = Fetches(Some(client.clone()));
    let email = mail("outer").attach(Attachment::from_blocking_reader("a.txt", reader, 1));
    client.send(email).unwrap();
    let expected = ["from the reader", "outer"].map(str::to_owned);
    assert_eq!(subjects(&sandbox), expected.into());
}

/// A reader that panics when it is read.
struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("on purpose");
    }
}

impl AsyncRead for Panics {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        panic!("on purpose");
    }
}

#[test]
fn panic_of_a_reader_fails_its_own_call_only() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    thread::scope(|scope| {
        for n in 0..4 {
            let client = &client;
            scope.spawn(move || {
                for m in 0..5 {
                    client.send(mail(format!("{n}.{m}"))).unwrap();
                }
            });
            scope.spawn(move || {
                let panics = match n % 2 {
                    0 => Attachment::from_reader("a.txt", Panics, 3),
                    _ => Attachment::from_blocking_reader("a.txt", Panics, 3),
                };
                let error = client.send(mail("panics").attach(panics)).unwrap_err();
                assert_ne!(error.certainty(), Certainty::Rejected, "{error}");
            });
        }
    });
    client.send(mail("last")).unwrap();
    let subjects = subjects(&sandbox);
    assert_eq!(subjects.len(), 21);
    assert!(!subjects.contains("panics"));
}

fn page_of(ids: &[&str], next: Option<&str>) -> Fault {
    let events: Vec<_> = ids.iter().map(|id| json!({ "email_id": id })).collect();
    let data = json!({ "events": events, "continue_token": next, "total_events": 5 });
    answer(200, &json!({ "data": data }).to_string())
}

/// A sandbox that answers two searches, each with five events on three pages.
fn three_pages() -> Sandbox {
    let pages = [
        page_of(&["a", "b"], Some("t-2")),
        page_of(&["c", "d"], Some("t-3")),
        page_of(&["e"], None),
    ];
    one_by_one(pages.iter().chain(&pages).cloned())
}

#[test]
fn search_iterates_over_all_pages() {
    let server = three_pages();
    let client = client_of(&server);
    let events = client.activity().search_all(ActivitySearchRequest::new());
    assert!(server.calls().is_empty(), "nobody asked");
    // The iterator outlives the client, and goes to another thread.
    drop(client);
    let ids = thread::spawn(move || {
        let ids = events.map(|event| event.map(|event| event.email_id.unwrap()));
        ids.collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(ids.join().unwrap().unwrap(), ["a", "b", "c", "d", "e"]);
    let calls = server.calls();
    let tokens = calls
        .iter()
        .map(|call| sent(call)["continue_token"].clone());
    let tokens: Vec<_> = tokens.collect();
    assert_eq!(tokens, [json!(null), json!("t-2"), json!("t-3")]);

    let client = client_of(&server);
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    events.next().unwrap().unwrap();
    let mut rest = events.pages();
    let sizes: Vec<_> = rest
        .by_ref()
        .map(|page| {
            let page = page.unwrap();
            assert_eq!((page.status().as_u16(), page.total_events), (200, Some(5)));
            page.events.len()
        })
        .collect();
    assert_eq!(sizes, [2, 1]);
    assert!(rest.next().is_none());
}

#[test]
fn numbered_pages_are_followed() {
    let server = one_by_one((0..3).map(|page| {
        let mails: Vec<_> = (page * 2..5.min(page * 2 + 2))
            .map(|n| json!({ "schedule_id": n.to_string() }))
            .collect();
        answer(200, &json!({ "data": mails }).to_string())
    }));
    let request = EmailScheduledSearchRequest::new().limit(2);
    let mails = client_of(&server).email().scheduled_search_all(request);
    let ids: Vec<_> = mails
        .map(|mail| mail.unwrap().schedule_id.unwrap())
        .collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    let calls = server.calls();
    let pages: Vec<_> = calls
        .iter()
        .map(|call| sent(call)["page"].clone())
        .collect();
    assert_eq!(pages, [json!(null), json!(1), json!(2)]);
}

#[test]
fn error_ends_the_iterator() {
    let server = one_by_one([
        page_of(&["a"], Some("t-2")),
        answer(400, r#"{"data":{"error":"The token has expired."}}"#),
    ]);
    let client = client_of(&server);
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    assert!(events.next().unwrap().is_ok());
    let error = events.next().unwrap().unwrap_err();
    assert_eq!(error.message(), Some("The token has expired."));
    assert!(events.next().is_none() && events.next().is_none());
    assert_eq!(server.calls().len(), 2);

    let invalid = ActivitySearchRequest::new().limit(0);
    let mut events = client.activity().search_all(invalid);
    assert!(events.next().unwrap().unwrap_err().is_validation());
    assert!(events.next().is_none());
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn drop_during_a_fetch_does_not_wait() {
    let server = one_by_one([page_of(&["a"], Some("t-2")), Fault::stall()]);
    let client = client_of(&server);
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    events.next().unwrap().unwrap();
    while server.calls().len() < 2 {
        thread::yield_now();
    }
    // The server never answers.
    drop(events);
    drop(client);
}

#[test]
fn send_all_iterates_over_the_outcomes() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.faults().add(Fault::failed("550 no").nth(4));
    let client = client(&sandbox);
    // The input and the keys stay on this thread, and may borrow.
    let rows: Vec<_> = (0..30).map(|n| Rc::new(format!("row {n}"))).collect();
    let mails = rows.iter().map(|row| {
        let to_nobody = row.as_str() == "row 7";
        let email = mail(row.as_str());
        (
            row.clone(),
            if to_nobody { email.to("nobody") } else { email },
        )
    });
    let mut sending = client.send_all(mails, 4);
    assert_eq!(sending.size_hint(), (0, Some(30)));
    assert_eq!(sandbox.calls().len(), 0);
    let mut states = [None; 30];
    for outcome in &mut sending {
        assert_eq!(outcome.key, rows[outcome.index]);
        let state = match outcome.result.map_err(|error| error.certainty()) {
            Ok(_) => SendState::Sent,
            Err(Certainty::NotSent) => SendState::NotSent,
            Err(Certainty::Rejected) => SendState::Rejected,
            Err(Certainty::Unknown) => SendState::Unknown,
        };
        assert_eq!(states[outcome.index].replace(state), None);
        assert!(outcome.email.validate().is_ok() || state == SendState::NotSent);
    }
    assert!(sending.next().is_none());
    let report = sending.report();
    assert!(
        report
            .states()
            .eq(rows.iter().zip(states.into_iter().flatten()))
    );
    assert_eq!(
        report.to_string(),
        "30 taken: 28 sent, 1 rejected, 1 not sent, 0 unknown; 0 not taken"
    );
    assert!(
        report
            .states()
            .any(|mail| mail == (&rows[7], SendState::NotSent))
    );
    assert_eq!(subjects(&sandbox).len(), 28);
}

/// Waits for a condition.
fn until(so: impl Fn() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn calls_in_flight_continue_between_reads_but_no_new_call_starts() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    let mut sending = client.send_all((0..9).map(|n| mail(n.to_string())), 3);
    let handle = sending.handle();
    sending.next().unwrap().result.unwrap();
    until(|| handle.report().in_flight() == 0);
    assert_eq!(handle.report().taken(), 3);
    assert_eq!(sandbox.mails().len(), 3);
    assert_eq!(sending.by_ref().count(), 8);
    assert_eq!(handle.report().sent(), 9);
}

#[test]
fn concurrency_is_not_exceeded() {
    for (concurrency, most) in [(0, 1), (1, 1), (3, 3), (usize::MAX, 12)] {
        let sandbox = Sandbox::start_blocking().unwrap();
        let client = client(&sandbox);
        let handle: Mutex<Option<SendHandle>> = Mutex::new(None);
        let mails = (0..12).map(|n| {
            // This mail has no call yet.
            let report = handle.lock().unwrap().as_ref().unwrap().report();
            assert!(report.in_flight() < most, "{report}");
            mail(n.to_string())
        });
        let mut sending = client.send_all(mails, concurrency);
        *handle.lock().unwrap() = Some(sending.handle());
        assert_eq!(sending.by_ref().count(), 12);
        assert_eq!(sending.report().sent(), 12);
    }
}

#[test]
fn stop_from_another_thread_ends_a_pause_at_once() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let limit = Fault::status(429).header("Retry-After", "31536000");
    sandbox.faults().add(limit.nth(2));
    let once = CallOptions::new().retry(RetryPolicy::none());
    let client = client(&sandbox).with_options(once);
    let mut sending = client.send_all((0..5).map(|n| mail(n.to_string())), 1);
    let handle = sending.handle();
    sending.next().unwrap().result.unwrap();
    let error = sending.next().unwrap().result.unwrap_err();
    assert!(error.is_rate_limited(), "{error}");
    let left = handle.report().paused().unwrap();
    let hour = Duration::from_secs(3600);
    assert!(left <= hour && left > hour - Duration::from_secs(30));
    thread::scope(|scope| {
        let reader = scope.spawn(|| sending.next().is_none());
        handle.stop();
        assert!(reader.join().unwrap());
    });
    assert_eq!(
        handle.report().to_string(),
        "2 taken: 1 sent, 1 rejected, 0 not sent, 0 unknown; 3 not taken"
    );
    assert_eq!(sandbox.calls().len(), 2);
}

#[test]
fn drop_cancels_calls_without_waiting() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox
        .faults()
        .add(Fault::stall().carried_out(false).calls(2..=9));
    let client = client(&sandbox);
    let mut sending = client.send_all((0..9).map(|n| mail(n.to_string())), 3);
    let handle = sending.handle();
    sending.next().unwrap().result.unwrap();
    until(|| sandbox.calls().len() == 3);
    assert_eq!(handle.report().in_flight(), 2);
    drop(sending);
    assert_eq!(
        handle.report().to_string(),
        "3 taken: 1 sent, 0 rejected, 0 not sent, 2 unknown; 6 not taken"
    );
}

#[test]
fn mails_cancelled_before_anything_was_sent_are_reported_as_not_sent() {
    let patient = RetryPolicy::new()
        .min_backoff(Duration::from_secs(30))
        .max_backoff(Duration::from_secs(30));
    let client = Client::builder(watched(KEY))
        .base_url(nowhere())
        .retry(patient)
        .build()
        .unwrap();
    let mails = (0..64).map(|id| (id, mail(id.to_string())));
    let mut sending = client.send_all(mails, 64);
    let handle = sending.handle();
    let error = sending.next().unwrap().result.unwrap_err();
    assert!(error.is_connect(), "{error}");
    // The calls in flight wait for their next attempt. The others had no retry budget left.
    thread::sleep(Duration::from_millis(200));
    assert!(handle.report().in_flight() > 5, "{handle:?}");
    drop(sending);
    // The report has the state at once, without waiting for the client's thread.
    let report = handle.report();
    let expected = (0..64).map(|id| (id, SendState::NotSent));
    assert!(
        report.states().map(|(id, state)| (*id, state)).eq(expected),
        "{report}"
    );
}

#[test]
fn report_after_a_drop_matches_what_was_sent() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mut states = Vec::new();
    for round in 0_u64..60 {
        let client = client(&sandbox);
        let mails = (0..4).map(|n| {
            let subject = format!("{round}-{n}");
            (subject.clone(), mail(subject))
        });
        let mut sending = client.send_all(mails, 4);
        let handle = sending.handle();
        sending.next().unwrap().result.unwrap();
        thread::sleep(Duration::from_micros(round * 20));
        drop(sending);
        states.push(handle.report());
        assert_eq!(handle.report().in_flight(), 0);
    }
    // Requests on their way have time to arrive.
    client(&sandbox).send(mail("last")).unwrap();
    thread::sleep(Duration::from_millis(200));
    let accepted = subjects(&sandbox);
    for (subject, state) in states.iter().flat_map(SendReport::states) {
        match state {
            SendState::Sent => assert!(accepted.contains(subject), "{subject}"),
            SendState::NotSent => assert!(!accepted.contains(subject), "{subject}"),
            other => assert_eq!(other, SendState::Unknown, "{subject}"),
        }
    }
}

/// A reader that runs a closure when it is read.
struct OnRead(Option<Box<dyn FnOnce() + Send>>);

impl AsyncRead for OnRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(it) = self.0.take() {
            it();
            space.put_slice(b"x");
        }
        Poll::Ready(Ok(()))
    }
}

#[test]
fn send_all_from_the_client_s_own_thread_is_refused() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    let errors = Arc::new(Mutex::new(Vec::new()));
    let (own, told) = (client.clone(), errors.clone());
    let reader = OnRead(Some(Box::new(move || {
        let sending = own.send_all([mail("a"), mail("b"), mail("c")], 2);
        let refused = sending.filter_map(|outcome| outcome.result.err());
        told.lock().unwrap().extend(refused);
    })));
    let email = mail("with a reader").attach(Attachment::from_reader("a.txt", reader, 1));
    client.send(email).unwrap();
    let errors = errors.lock().unwrap();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(Error::is_config));
    assert_eq!(subjects(&sandbox), ["with a reader".to_owned()].into());
}

#[test]
fn call_that_panics_has_an_outcome() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = client(&sandbox);
    let panics = Attachment::from_reader("a.txt", Panics, 3);
    let mails = [mail("0"), mail("1").attach(panics), mail("2")];
    let mut sending = client.send_all(mails, 1);
    let ended: Vec<_> = sending
        .by_ref()
        .map(|outcome| outcome.result.map_err(|error| error.certainty()).err())
        .collect();
    assert!(
        matches!(ended.as_slice(), [None, Some(certainty), None] if *certainty != Certainty::Rejected),
        "{ended:?}"
    );
    let report = sending.report();
    assert_eq!((report.sent(), report.in_flight()), (2, 0), "{report}");
    assert_eq!(subjects(&sandbox).len(), 2);
}

#[test]
fn mails_are_not_taken_from_the_input_during_a_rate_limit() {
    // With two calls, the limit is reached before the first outcome is read.
    for concurrency in [1, 2] {
        let sandbox = Sandbox::start_blocking().unwrap();
        let limit = Fault::status(429).header("Retry-After", "1");
        sandbox.faults().add(limit.nth(2));
        // A mail taken during the pause would fail at once: its deadline is before the end of it.
        let hurried = CallOptions::new()
            .retry(RetryPolicy::none())
            .deadline(Duration::from_millis(700));
        let client = client(&sandbox).with_options(hurried);
        let mut sending = client.send_all((0..6).map(|n| mail(n.to_string())), concurrency);
        let handle = sending.handle();
        let first = sending.next().unwrap();
        until(|| handle.report().in_flight() == 0);
        let outcomes = std::iter::once(first).chain(sending.by_ref());
        let refused = outcomes.filter(|outcome| outcome.result.is_err()).count();
        assert_eq!((refused, handle.report().sent()), (1, 5));
    }
}

#[test]
fn calls_in_flight_are_cancelled_on_the_client_s_own_thread() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.faults().add(Fault::stall().nth(2));
    let client = client(&sandbox);
    let mut sending = client.send_all([mail("a"), mail("b"), mail("c")], 2);
    sending.next().unwrap().result.unwrap();
    let handle = sending.handle();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let told = errors.clone();
    let reader = OnRead(Some(Box::new(move || {
        let outcomes = sending.map(|outcome| outcome.result.unwrap_err());
        told.lock().unwrap().extend(outcomes);
    })));
    let file = Attachment::from_reader("a.txt", reader, 1);
    client.send(mail("with a reader").attach(file)).unwrap();
    let errors = errors.lock().unwrap();
    let certain: Vec<_> = errors.iter().map(Error::certainty).collect();
    assert_eq!(certain, [Certainty::NotSent, Certainty::Unknown]);
    assert_eq!(handle.report().in_flight(), 0);
}

#[test]
fn lost_reply_is_looked_up() {
    let lost = Fault::reset().on("email_send").nth(1);
    let sandbox = Sandbox::builder().fault(lost).start_blocking().unwrap();
    let client = client(&sandbox);
    let started = sandbox.now();
    let mail = mail("Hi").idempotency_key("order-42");
    let settings = SendOnce::new().lag(Duration::ZERO);
    let sent = client.send_once_with(mail.clone(), settings).unwrap();
    assert!(sent.looked_up);
    assert_eq!(sandbox.mails().len(), 1);
    let wanted = FindSent::of(&mail, started).unwrap();
    let found = [client.find_sent(&wanted).unwrap()];
    assert!(matches!(found, [Found::Sent { .. }]));
    assert_eq!(client.find_all_sent(&[wanted]).unwrap(), found);
    assert!(!client.send_once(mail).unwrap().looked_up);
}
