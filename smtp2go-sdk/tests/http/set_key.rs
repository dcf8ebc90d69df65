//! A key that is replaced while calls are made.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answer, answering, json, one_by_one};
use smtp2go_sdk::types::{DomainViewRequest, TemplateViewRequest};
use smtp2go_sdk::{AttemptReport, Client, KeyLocation, Observer, RetryPolicy};

const NEW: &str = "api-fedcba9876543210FEDCBA9876543210";
const VIEWED: &str = r#"{"data":{"id":"welcome"}}"#;

async fn view(client: &Client) {
    let request = TemplateViewRequest::new("welcome");
    client.template().view(request).await.unwrap();
}

#[tokio::test]
async fn clones_and_derived_clients_use_the_new_key() {
    let server = answering(VIEWED);
    let client = server.client();
    let clone = client.clone();
    let subaccount = client.for_subaccount("7");
    view(&client).await;
    client.set_key(watched(NEW)).unwrap();
    view(&clone).await;
    let _ = subaccount.domain().view(DomainViewRequest::new()).await;
    let keys: Vec<_> = server
        .calls()
        .iter()
        .map(|call| call.header("x-smtp2go-api-key").unwrap().to_owned())
        .collect();
    assert_eq!(keys, [KEY, NEW, NEW]);
}

#[tokio::test]
async fn key_is_replaced_at_every_key_location() {
    for location in [KeyLocation::Bearer, KeyLocation::Body] {
        let server = answering(VIEWED);
        let client = server.builder().key_location(location).build().unwrap();
        client.set_key(watched(NEW)).unwrap();
        view(&client).await;
        let call = server.call();
        let found = match location {
            KeyLocation::Body => json(&call)["api_key"].as_str().unwrap().to_owned(),
            _ => call.header("authorization").unwrap().to_owned(),
        };
        assert!(found.ends_with(NEW), "{found}");
        assert!(!found.contains(KEY) && call.header("x-smtp2go-api-key").is_none());
    }
}

#[tokio::test]
async fn malformed_key_is_an_error_and_the_old_one_stays() {
    let server = answering(VIEWED);
    let client = server.client();
    let error = client.set_key("api-hunter2").unwrap_err();
    assert!(error.is_config());
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    view(&client).await;
    assert_eq!(server.call().header("x-smtp2go-api-key"), Some(KEY));
}

/// Replaces the key after an attempt.
#[derive(Default)]
struct Rotation(OnceLock<Client>);

impl Observer for Rotation {
    fn attempt_ended(&self, _: &AttemptReport<'_>) {
        self.0.get().unwrap().set_key(watched(NEW)).unwrap();
    }
}

#[tokio::test]
async fn call_under_way_finishes_with_the_old_key() {
    let server = one_by_one([answer(503, "{}"), answer(200, VIEWED), answer(200, VIEWED)]);
    let rotation = Arc::new(Rotation::default());
    let client = server
        .builder()
        .retry(RetryPolicy::new().min_backoff(Duration::ZERO))
        .observer(rotation.clone())
        .build()
        .unwrap();
    rotation.0.set(client.clone()).unwrap();
    view(&client).await;
    view(&client).await;
    let keys: Vec<_> = server
        .calls()
        .iter()
        .map(|call| call.header("x-smtp2go-api-key").unwrap().to_owned())
        .collect();
    assert_eq!(keys, [KEY, KEY, NEW]);
}
