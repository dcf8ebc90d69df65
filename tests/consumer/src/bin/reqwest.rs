//! A program that uses reqwest without a TLS feature beside the SDK. The SDK's default feature
//! enables `rustls-no-provider` of reqwest for the whole build, so `reqwest::Client::new()` panics
//! until the program installs a TLS provider.

use std::panic::catch_unwind;

use smtp2go_sdk::Client;

const KEY: &str = "api-00000000000000000000000000000000";

/// The remedy, which the documentation must contain.
const REMEDY: &str = "rustls::crypto::ring::default_provider().install_default()";

const DOCUMENTATION: [(&str, &str); 3] = [
    (
        "the feature",
        include_str!("../../../../smtp2go-sdk/Cargo.toml"),
    ),
    (
        "the crate page",
        include_str!("../../../../smtp2go-sdk/README.md"),
    ),
    ("the FAQ", include_str!("../../../../docs/faq.md")),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (place, text) in DOCUMENTATION {
        assert!(text.contains(REMEDY), "{place} does not name the remedy");
    }

    let panic = catch_unwind(reqwest::Client::new).unwrap_err();
    let message = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("No rustls crypto provider"), "{message}");
    Client::builder(KEY).build()?;

    assert!(
        rustls::crypto::ring::default_provider()
            .install_default()
            .is_ok()
    );
    drop(reqwest::Client::new());
    Client::builder(KEY).build()?;
    println!("reqwest works beside the SDK");
    Ok(())
}
