//! Calls every operation through both doors of the SDK, with the example of the spec, at the base
//! URL that is given; ends with an error if one of them does not get its answer.

// An example that fails, fails by a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../tests/support/mod.rs"]
mod support;

use smtp2go_sdk::Client;
use smtp2go_tests::doors::DOORS;

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("the base URL is missing");
    let client = Client::builder("api-EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0")
        .base_url(&url)
        .build()
        .unwrap();
    let mut failures = Vec::new();
    for (operation, door) in support::operations(&support::spec()).iter().zip(DOORS) {
        assert_eq!(operation.id, door.id);
        let request = operation.request.to_string();
        if let Err(error) = (door.call)(&client, &client.raw(), &request).await {
            failures.push(format!("{}: {error}", door.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{} operations through both doors", DOORS.len());
}
