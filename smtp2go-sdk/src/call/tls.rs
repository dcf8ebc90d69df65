//! The TLS backend of a client, chosen by features: `rustls-ring`, else `rustls-aws-lc`, else
//! `native-tls`. The choice is made here and not left to reqwest, whose features other crates of
//! a build can switch on too.

use reqwest::ClientBuilder;

use crate::Error;

/// Sets the backend. `https` is false for a client that only talks to this machine, over http.
// Inlined into its one caller, or both would have the code that drops reqwest's builder.
#[cfg(feature = "rustls-ring")]
#[inline]
pub(crate) fn configure(builder: ClientBuilder, https: bool) -> Result<ClientBuilder, Error> {
    use std::sync::Arc;

    let unusable = |source: rustls::Error| {
        Error::config("the TLS backend can't be set up").with_source(source.to_string())
    };
    // Given to this client alone: a process-wide provider is for the program to install.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let mut config = if https {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(unusable)?;
        config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        // reqwest wants a backend all the same. This one trusts nobody, and does not depend on
        // what certificates the system has.
        config.with_root_certificates(rustls::RootCertStore::empty())
    }
    .with_no_client_auth();
    #[cfg(feature = "http2")]
    config.alpn_protocols.push(b"h2".to_vec());
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(builder.tls_backend_preconfigured(config))
}

/// Sets the backend.
#[cfg(all(feature = "rustls-aws-lc", not(feature = "rustls-ring")))]
pub(crate) fn configure(builder: ClientBuilder, _https: bool) -> Result<ClientBuilder, Error> {
    Ok(builder.tls_backend_rustls())
}

/// Sets the backend.
#[cfg(all(
    feature = "native-tls",
    not(any(feature = "rustls-ring", feature = "rustls-aws-lc"))
))]
pub(crate) fn configure(builder: ClientBuilder, _https: bool) -> Result<ClientBuilder, Error> {
    Ok(builder.tls_backend_native())
}

/// Refuses https: there is no backend.
#[cfg(not(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
)))]
pub(crate) fn configure(builder: ClientBuilder, https: bool) -> Result<ClientBuilder, Error> {
    if https {
        return Err(Error::config(
            "this build of smtp2go-sdk has no TLS backend: switch on its feature rustls-ring \
             (a default), rustls-aws-lc or native-tls",
        ));
    }
    Ok(builder)
}
