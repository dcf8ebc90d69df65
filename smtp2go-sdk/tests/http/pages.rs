//! Searches as streams, with a server that has several pages.

use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use serde_json::{Value, json};

use crate::support::{Tested, answer, answering, called, json as sent, one_by_one};
use smtp2go_sandbox::{Call, Fault, Sandbox};
use smtp2go_sdk::types::{
    ActivityEvent, ActivityList, ActivityRecord, ActivitySearchRequest, EmailScheduledSearchRequest,
};
use smtp2go_sdk::{Certainty, Error, Items};

fn page_of(token: &Value, ids: &[&str]) -> Fault {
    let events: Vec<_> = ids.iter().map(|id| json!({ "email_id": id })).collect();
    let page = json!({
        "request_id": format!("r-{}", ids.first().unwrap_or(&"none")),
        "data": { "total_events": 5, "continue_token": token, "events": events },
    });
    answer(200, &page.to_string())
}

/// Three pages of activity, the middle one empty: no token → t-2 → t-3.
fn pages() -> [Fault; 3] {
    [
        page_of(&json!("t-2"), &["a", "b", "c"]),
        page_of(&json!("t-3"), &[]),
        page_of(&json!(null), &["d", "e"]),
    ]
}

fn three_pages() -> Sandbox {
    one_by_one(pages())
}

async fn ids(mut events: Items<ActivityRecord, ActivityList>) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    while let Some(event) = events.try_next().await? {
        ids.push(event.email_id.unwrap());
    }
    assert!(events.try_next().await?.is_none(), "the stream has ended");
    Ok(ids)
}

#[tokio::test]
async fn tokens_are_followed_with_the_same_filters() {
    let server = three_pages();
    let request = ActivitySearchRequest::new()
        .limit(3)
        .event_types([ActivityEvent::Opened]);
    let events = server.client().activity().search_all(request);
    assert_eq!(ids(events).await.unwrap(), ["a", "b", "c", "d", "e"]);
    let sent: Vec<_> = server.calls().iter().map(sent).collect();
    assert_eq!(
        sent,
        [
            json!({ "limit": 3, "event_types": ["opened"] }),
            json!({ "limit": 3, "event_types": ["opened"], "continue_token": "t-2" }),
            json!({ "limit": 3, "event_types": ["opened"], "continue_token": "t-3" }),
        ]
    );
}

#[tokio::test]
async fn search_starts_at_the_token_of_the_request() {
    let server = one_by_one(pages().into_iter().skip(2));
    let request = ActivitySearchRequest::new().continue_token("t-3");
    let events = server.client().activity().search_all(request);
    assert_eq!(ids(events).await.unwrap(), ["d", "e"]);
    assert_eq!(sent(&server.call()), json!({ "continue_token": "t-3" }));
}

#[tokio::test]
async fn page_without_a_new_token_is_the_last() {
    for end in [
        json!({ "events": [{ "email_id": "a" }] }),
        json!({ "events": [{ "email_id": "a" }], "continue_token": null }),
        json!({ "events": [{ "email_id": "a" }], "continue_token": "" }),
        // The token of the request.
        json!({ "events": [{ "email_id": "a" }], "continue_token": "t-1" }),
    ] {
        let server = answering(&json!({ "data": end }).to_string());
        let request = ActivitySearchRequest::new().continue_token("t-1");
        let events = server.client().activity().search_all(request);
        assert_eq!(ids(events).await.unwrap(), ["a"], "{end}");
        assert_eq!(server.calls().len(), 1, "{end}");
    }
}

#[tokio::test]
async fn repeated_token_is_an_error_after_its_page() {
    for (start, tokens, read) in [
        (None, ["A", "B", "A", "B", "A", "B"], "abc"),
        (None, ["A", "B", "C", "B", "C", "B"], "abcd"),
        // The token that the search started with.
        (Some("A"), ["B", "A", "B", "A", "B", "A"], "ab"),
    ] {
        let names = ["a", "b", "c", "d", "e", "f"];
        let pages = tokens.iter().zip(names);
        let server = one_by_one(pages.map(|(token, id)| page_of(&json!(token), &[id])));
        let mut request = ActivitySearchRequest::new();
        if let Some(start) = start {
            request = request.continue_token(start);
        }
        let client = server.client();
        let mut events = client.activity().search_all(request);
        let mut ids = String::new();
        let error = loop {
            match events.try_next().await {
                Ok(event) => ids += &event.unwrap().email_id.unwrap(),
                Err(error) => break error,
            }
            assert!(ids.len() < tokens.len(), "endless search: {ids}");
        };
        assert_eq!(ids, read);
        assert_eq!(server.calls().len(), read.len());
        assert_eq!(error.kind(), "repeated_token");
        assert_eq!(error.operation().unwrap().id, "activity_search");
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::NotSent, 0)
        );
        assert!(error.to_string().contains("token"), "{error}");
        assert!(
            events.try_next().await.unwrap().is_none(),
            "the stream has ended"
        );
    }
}

#[tokio::test]
async fn one_page_is_fetched_ahead_while_the_consumer_works() {
    let server = one_by_one((1..9).map(|n| page_of(&json!("t".repeat(n)), &["a", "b"])));
    let client = server.client();
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(
        server.calls().is_empty(),
        "nothing is fetched before the first read"
    );
    for page in 1..4 {
        // The next page is fetched although nothing polls the stream here.
        events.try_next().await.unwrap().unwrap();
        called(&server, page + 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(server.calls().len(), page + 1);
        events.try_next().await.unwrap().unwrap();
        assert_eq!(server.calls().len(), page + 1);
    }
}

#[tokio::test]
async fn error_follows_fetched_results_and_ends_the_stream() {
    let server = one_by_one([
        page_of(&json!("t-2"), &["a", "b"]),
        answer(400, r#"{"data":{"error":"The token has expired."}}"#),
    ]);
    let client = server.client();
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    for id in ["a", "b"] {
        called(&server, usize::from(id == "b") * 2).await;
        let event = events.try_next().await.unwrap().unwrap();
        assert_eq!(event.email_id.as_deref(), Some(id));
    }
    let error = events.try_next().await.unwrap_err();
    assert_eq!(error.operation().unwrap().id, "activity_search");
    assert_eq!(error.message(), Some("The token has expired."));
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::Rejected, 1)
    );
    assert!(events.try_next().await.unwrap().is_none());
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn invalid_search_is_not_sent() {
    let server = three_pages();
    let request = ActivitySearchRequest::new().limit(0);
    let mut events = server.client().activity().search_all(request);
    assert!(events.try_next().await.unwrap_err().is_validation());
    assert!(events.try_next().await.unwrap().is_none());
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn dropped_stream_ends_its_fetch() {
    // Closed, because an idle connection would be a task too.
    let first = page_of(&json!("t-2"), &["a", "b"]).header("Connection", "close");
    let server = one_by_one([first, Fault::stall()]);
    let client = server
        .builder()
        .timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    events.try_next().await.unwrap().unwrap();
    called(&server, 2).await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    // The client itself has one task on the runtime.
    assert!(tasks() > 1);
    drop(events);
    let ended = async {
        while tasks() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .unwrap();
}

/// Drops the read after each poll, as `select!` does with a branch that loses.
#[tokio::test]
async fn cancelled_read_loses_no_result() {
    let server = three_pages();
    let client = server.client();
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    let mut ids = Vec::new();
    loop {
        let once = std::future::poll_fn(|cx| {
            let mut waiting = std::pin::pin!(events.try_next());
            std::task::Poll::Ready(waiting.as_mut().poll(cx))
        });
        match once.await {
            std::task::Poll::Pending => tokio::time::sleep(Duration::from_millis(1)).await,
            std::task::Poll::Ready(Ok(Some(event))) => ids.push(event.email_id.unwrap()),
            std::task::Poll::Ready(end) => {
                assert!(end.unwrap().is_none());
                break;
            }
        }
    }
    assert_eq!(ids, ["a", "b", "c", "d", "e"]);
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn pages_have_totals_and_request_ids() {
    let server = one_by_one(pages().into_iter().chain(pages()));
    let client = server.client();
    let mut pages = client
        .activity()
        .search_all(ActivitySearchRequest::new())
        .pages();
    let mut seen = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        assert_eq!(page.total_events, Some(5));
        seen.push((page.request_id().unwrap().to_owned(), page.events.len()));
    }
    let expected = [("r-a", 3), ("r-none", 0), ("r-d", 2)];
    assert_eq!(seen, expected.map(|(id, count)| (id.to_owned(), count)));
    assert!(pages.try_next().await.unwrap().is_none());

    // `pages` continues with the first page of which no result was read.
    let mut events = client.activity().search_all(ActivitySearchRequest::new());
    events.try_next().await.unwrap().unwrap();
    let page = events.pages().try_next().await.unwrap().unwrap();
    assert_eq!(page.request_id(), Some("r-none"));
}

#[tokio::test]
async fn items_implement_stream_and_send() {
    fn sent<S: Stream<Item = Result<ActivityRecord, Error>> + Send + Unpin>(stream: S) -> S {
        stream
    }
    let server = three_pages();
    let client = server.client();
    let mut events = sent(client.activity().search_all(ActivitySearchRequest::new()));
    assert!(format!("{events:?}").contains("activity_search"));
    let task = tokio::spawn(async move {
        let mut count = 0;
        while let Some(event) = std::future::poll_fn(|cx| Pin::new(&mut events).poll_next(cx)).await
        {
            count += usize::from(event.is_ok());
        }
        count
    });
    assert_eq!(task.await.unwrap(), 5);
}

/// A server with `count` scheduled mails in pages of 2. `first` is the number of its first page. `asked`
/// are the pages that the search is expected to request.
fn scheduled(count: i64, first: i64, asked: &[Option<i64>]) -> Sandbox {
    one_by_one(asked.iter().map(|page| {
        let from = (page.unwrap_or(first) - first) * 2;
        let mails: Vec<_> = (from.max(0)..count.min(from + 2))
            .map(|n| json!({ "schedule_id": n.to_string() }))
            .collect();
        answer(200, &json!({ "data": mails }).to_string())
    }))
}

/// Returns the ids of the mails, and the pages that were requested.
async fn listed(
    server: &Sandbox,
    request: EmailScheduledSearchRequest,
) -> (Vec<i64>, Vec<Option<i64>>) {
    let mut mails = server.client().email().scheduled_search_all(request);
    let mut ids = Vec::new();
    while let Some(mail) = mails.try_next().await.unwrap() {
        ids.push(mail.schedule_id.unwrap().parse().unwrap());
    }
    assert!(mails.try_next().await.unwrap().is_none());
    let page = |call: &Call| sent(call)["page"].as_i64();
    (ids, server.calls().iter().map(page).collect())
}

#[tokio::test]
async fn page_numbers_may_start_at_zero_or_one() {
    let by_two = || EmailScheduledSearchRequest::new().limit(2);
    for (count, first, asked) in [
        // The search ends with a page that is short or empty.
        (0, 1, vec![None]),
        (1, 1, vec![None]),
        (2, 0, vec![None, Some(1)]),
        (3, 0, vec![None, Some(1)]),
        (5, 0, vec![None, Some(1), Some(2)]),
        // Page 1 is the first page, so it is fetched twice.
        (2, 1, vec![None, Some(1), Some(2)]),
        (5, 1, vec![None, Some(1), Some(2), Some(3)]),
    ] {
        let server = scheduled(count, first, &asked);
        let (ids, pages) = listed(&server, by_two()).await;
        assert_eq!(ids, (0..count).collect::<Vec<_>>(), "from {first}");
        assert_eq!(pages, asked, "{count} from {first}");
    }
}

#[tokio::test]
async fn numbered_search_starts_at_the_page_of_the_request() {
    let asked = [Some(2), Some(3), Some(4)];
    let server = scheduled(7, 1, &asked);
    let request = EmailScheduledSearchRequest::new().limit(2).page(2);
    let (ids, pages) = listed(&server, request).await;
    assert_eq!(ids, [2, 3, 4, 5, 6]);
    assert_eq!(pages, asked);

    let server = answering(r#"{"data":[{"schedule_id":"1"}]}"#);
    let last = EmailScheduledSearchRequest::new().limit(1).page(i64::MAX);
    assert_eq!(listed(&server, last).await.0, [1]);
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn documented_page_size_is_requested() {
    let server = scheduled(2, 1, &[None]);
    let request = EmailScheduledSearchRequest::new().search_subject("Invoice 7");
    assert_eq!(listed(&server, request).await.0, [0, 1]);
    assert_eq!(
        sent(&server.call()),
        json!({ "search_subject": "Invoice 7", "limit": 1000 })
    );
}

#[tokio::test]
async fn repeated_page_ends_the_search() {
    let full = r#"{"data":[{"schedule_id":"1"},{"schedule_id":"2"}]}"#;
    for (page, asked) in [(None, 3), (Some(1), 2)] {
        let server = answering(full);
        let mut request = EmailScheduledSearchRequest::new().limit(2);
        request.page = page;
        assert_eq!(listed(&server, request).await.0, [1, 2]);
        assert_eq!(server.calls().len(), asked);
    }
}
