//! Calls the made-up endpoint through its group and the raw client, with its types.

use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::{
    Date, Parcel, ParcelContent, ParcelEditRequest, ParcelSearchRequest, ParcelSendRequest,
    ParcelSize, ParcelState, ParcelTrackRequest, SubaccountAddRequest, Timestamp,
};
use smtp2go_sdk::{Client, Error};

#[tokio::test]
async fn the_new_endpoint_works() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    let request = ParcelTrackRequest::new("p-1");

    let parcel = client.parcel().track(request.clone()).await.unwrap();
    assert_eq!(parcel.state, Some(ParcelState::OnTheWay));
    assert_eq!(parcel.stops, ["Auckland", "Dunedin"]);

    let reply = client.raw().parcel_track(&request).await.unwrap();
    assert_eq!(reply.data.as_ref(), Some(&*parcel));

    // The limit of the spec holds before anything is sent.
    let calls = sandbox.calls().len();
    let error = client.parcel().track(ParcelTrackRequest::new("p")).await;
    assert!(error.unwrap_err().is_validation());
    let error = client
        .raw()
        .parcel_track(&ParcelTrackRequest::new("p"))
        .await;
    assert!(Error::from(error.unwrap_err()).is_validation());
    assert_eq!(sandbox.calls().len(), calls);
}

async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start().await.unwrap();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

#[tokio::test]
async fn every_kind_of_field_is_sent_by_both_entry_points() {
    let (sandbox, client) = start().await;
    let request = ParcelSendRequest::new(["p-1"], ParcelSize::Xl)
        .weight(1.5)
        .pieces(2)
        .send_on(Date::from("2026-03-02"))
        .not_before(Timestamp::new("2026-03-02T08:00:00Z"))
        .note("Careful")
        .door_code("4411")
        .report_to("https://example.com/report?key=secret")
        .labels([("a".to_owned(), "b".to_owned())])
        .contents([ParcelContent::new("glass").fragile(true)])
        .options(json!({"a": [1]}))
        .hidden_options(json!("secret"))
        .extra("drone", true);
    let shown = format!("{request:?}");
    assert!(
        !shown.contains("4411") && !shown.contains("secret"),
        "{shown}"
    );

    let sent = client.parcel().send(request.clone()).await.unwrap();
    assert_eq!(sent.email_id.as_deref(), Some("p-1"));
    client.raw().parcel_send(&request).await.unwrap();
    let add = SubaccountAddRequest::new("Shop");
    let shop = client.subaccount().add(add).await.unwrap();
    let shop = shop.id.clone().unwrap();
    let sub = client.for_subaccount(&shop);
    sub.parcel().send(request.clone()).await.unwrap();
    let bodies: Vec<Value> = sandbox
        .calls()
        .iter()
        .filter(|call| call.path() == "/v3/parcel/send")
        .map(|call| serde_json::from_slice(call.body()).unwrap())
        .collect();
    let expected = json!({
        "to": ["p-1"], "size": "xl", "weight": 1.5, "pieces": 2, "insured": false,
        "send_on": "2026-03-02", "not_before": "2026-03-02T08:00:00Z", "note": "Careful",
        "door_code": "4411", "report_to": "https://example.com/report?key=secret",
        "labels": {"a": "b"}, "contents": [{"name": "glass", "fragile": true}],
        "options": {"a": [1]}, "hidden_options": "secret", "drone": true,
    });
    assert_eq!(bodies[0], expected);
    assert_eq!(bodies[1], expected);
    assert_eq!(bodies[2]["subaccount_id"], *shop);

    for (request, field) in [
        (ParcelSendRequest::new([""; 0], ParcelSize::S), "to"),
        (ParcelSendRequest::new(["a"], "m"), "size"),
        (
            ParcelSendRequest::new(["a"], ParcelSize::S).pieces(0),
            "pieces",
        ),
        (
            ParcelSendRequest::new(["a"], ParcelSize::S).note("a\r\nB: c"),
            "note",
        ),
        (
            ParcelSendRequest::new(["a"], ParcelSize::S)
                .contents([ParcelContent::new("a"), ParcelContent::new("porcelain")]),
            "contents[1].name",
        ),
        (
            ParcelSendRequest::new(["a"], ParcelSize::S).send_on(Date::from("soon")),
            "send_on",
        ),
    ] {
        let error = client.parcel().send(request).await.unwrap_err();
        assert_eq!(error.field_errors()[0].field, field, "{error}");
    }
    sandbox
        .faults()
        .add(Fault::failed("550 no").on("parcel_send"));
    let error = client.parcel().send(request).await.unwrap_err();
    assert_eq!(error.failures(), ["550 no"]);
}

#[tokio::test]
async fn pages_are_followed_and_odd_replies_are_read() {
    let (sandbox, client) = start().await;
    let page = |body: Value| Fault::status(200).json(&body).on("parcel_search");
    let first = page(json!({"data": {
        "parcels": [{"weight": "1.5", "pieces": 2, "seen_at": null, "labels": {"a": "b"}}],
        "continue_token": "t",
    }}));
    let second = page(json!({"data": {"parcels": {"state": "lost"}, "continue_token": ""}}));
    sandbox.faults().add(first.nth(1)).add(second.nth(2));
    let mut items = client
        .parcel()
        .search_all(ParcelSearchRequest::new().limit(1));
    let mut parcels = Vec::new();
    while let Some(parcel) = items.try_next().await.unwrap() {
        parcels.push(parcel);
    }
    assert_eq!(parcels[0].weight, Some(1.5));
    assert_eq!(parcels[1].state, Some(ParcelState::from("lost")));
    assert_eq!(parcels.len(), 2);
    let calls = sandbox.calls();
    let second: Value = serde_json::from_slice(calls[1].body()).unwrap();
    assert_eq!(second, json!({"limit": 1, "continue_token": "t"}));
}

#[tokio::test]
async fn edit_is_based_on_the_present_state() {
    let (sandbox, client) = start().await;
    let shown = json!({"pieces": 3, "size_class": "xl", "door_code": "44**", "new": 1});
    let present: Parcel = serde_json::from_value(shown).unwrap();
    let edit = ParcelEditRequest::new("p-1").pieces(4).based_on(present);
    let parcels = client.parcel().edit(edit).await.unwrap();
    assert_eq!(parcels[0].state, Some(ParcelState::Delivered));
    let body: Value = serde_json::from_slice(sandbox.calls()[0].body()).unwrap();
    let expected = json!({
        "parcel_id": "p-1", "pieces": 4, "size": "xl", "door_code": "44**", "new": 1,
    });
    assert_eq!(body, expected);
}
