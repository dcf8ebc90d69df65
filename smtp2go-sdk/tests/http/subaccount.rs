//! Calls for a subaccount.

use crate::support::{KEY, Tested, answer, answering, body, json, one_by_one};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::{
    EmailSendRequest, IpAllowListViewRequest, SuppressionViewRequest, WebhookViewRequest,
};
use smtp2go_sdk::{Certainty, Error, KeyLocation, operations};

const VIEWED: &str = r#"{"request_id":"r-1","data":[]}"#;

#[tokio::test]
async fn every_entry_point_names_the_subaccount() {
    let server = answering(VIEWED);
    let client = server.client();
    let theirs = client.for_subaccount("4c1f");
    let request = WebhookViewRequest::new();
    theirs.webhook().view(request.clone()).await.unwrap();
    theirs
        .execute(&operations::WEBHOOK_VIEW, "{}".into())
        .await
        .unwrap();
    let own = request.clone().subaccount_id("4c1f");
    theirs.webhook().view(own).await.unwrap();
    let count = 3 + usize::from(cfg!(feature = "raw"));
    #[cfg(feature = "raw")]
    theirs.raw().webhook_view(&request).await.unwrap();
    let bodies = |server: &Sandbox| -> Vec<String> {
        let calls = server.calls();
        calls.iter().map(|call| body(call).to_owned()).collect()
    };
    assert_eq!(bodies(&server), vec![r#"{"subaccount_id":"4c1f"}"#; count]);

    // The original client is unchanged, and `for_subaccount` replaces the id.
    client.webhook().view(request.clone()).await.unwrap();
    let others = theirs.for_subaccount("5d20");
    others.webhook().view(request).await.unwrap();
    let sent = bodies(&server).split_off(count);
    assert_eq!(sent, ["{}", r#"{"subaccount_id":"5d20"}"#]);
}

#[tokio::test]
async fn key_and_subaccount_are_in_the_same_body() {
    let server = answering(VIEWED);
    let client = server
        .builder()
        .key_location(KeyLocation::Body)
        .build()
        .unwrap();
    let request = WebhookViewRequest::new();
    client
        .for_subaccount("4c1f")
        .webhook()
        .view(request)
        .await
        .unwrap();
    assert_eq!(
        body(&server.call()),
        format!(r#"{{"api_key":"{KEY}","subaccount_id":"4c1f"}}"#)
    );
}

#[tokio::test]
async fn every_page_of_a_stream_names_the_subaccount() {
    let server = one_by_one(["t-2", ""].map(|next| {
        let page = format!(
            r#"{{"data":{{"results":[{{"email_address":"a@example.com"}}],"continue_token":"{next}"}}}}"#
        );
        answer(200, &page)
    }));
    let theirs = server.client().for_subaccount("4c1f");
    let mut suppressions = theirs.suppression().view_all(SuppressionViewRequest::new());
    let mut count = 0;
    while suppressions.try_next().await.unwrap().is_some() {
        count += 1;
    }
    let sent = server.calls();
    assert_eq!((count, sent.len()), (2, 2));
    for call in &sent {
        assert_eq!(json(call)["subaccount_id"], "4c1f");
    }
}

#[tokio::test]
async fn call_that_cannot_name_the_subaccount_is_not_sent() {
    fn assert_refused(error: &Error, operation: &str, says: &str) {
        assert_eq!(error.operation().unwrap().id, operation);
        assert!(error.is_config());
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::NotSent, 0)
        );
        assert!(error.to_string().contains(says), "{error}");
    }
    let server = answering(VIEWED);
    let theirs = server.client().for_subaccount("4c1f");

    let mail = EmailSendRequest::new("a@example.com", ["b@example.net"]).text_body("Hello");
    let error = theirs.email().send(mail.clone()).await.unwrap_err();
    assert_refused(&error, "email_send", "can't be called for one");

    let mut subaccounts = theirs.subaccount().search_all(Default::default());
    let error = subaccounts.try_next().await.unwrap_err();
    assert_refused(&error, "subaccount_search", "can't be called for one");
    assert!(subaccounts.try_next().await.unwrap().is_none());

    let other = WebhookViewRequest::new().subaccount_id("5d20");
    let error = theirs.webhook().view(other.clone()).await.unwrap_err();
    assert_refused(&error, "webhook_view", "names another");

    let request = IpAllowListViewRequest::new();
    let error = theirs.ip_allow_list().view(request).await.unwrap_err();
    assert_refused(&error, "ip_allow_list_view", "can't be called for one");

    let nobody = theirs.for_subaccount("");
    let error = nobody.webhook().view(Default::default()).await.unwrap_err();
    assert_refused(&error, "webhook_view", "is empty");

    #[cfg(feature = "raw")]
    {
        let error = theirs.raw().email_send(&mail).await.unwrap_err();
        assert_refused(&Error::of(&error), "email_send", "can't be called for one");
        let error = theirs.raw().webhook_view(&other).await.unwrap_err();
        assert_refused(&Error::of(&error), "webhook_view", "names another");
    }
    assert!(server.calls().is_empty());
}
