//! Calls the made-up endpoint through both doors, with its types.

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::{ParcelState, ParcelTrackRequest};
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
    let error = client.raw().parcel_track(&ParcelTrackRequest::new("p")).await;
    assert!(Error::from(error.unwrap_err()).is_validation());
    assert_eq!(sandbox.calls().len(), calls);
}
