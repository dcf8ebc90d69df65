//! The TLS backend of an HTTP client. A feature selects it: `rustls-ring`, else `rustls-aws-lc`,
//! else `native-tls`. reqwest's own default is not used, because other crates of the build can
//! change it through reqwest's features.

use reqwest::ClientBuilder;

use crate::Error;

/// TLS settings, made once and shared by all HTTP clients of a client.
pub(crate) struct TlsSetup {
    #[cfg(feature = "rustls-ring")]
    config: rustls::ClientConfig,
}

#[cfg(feature = "rustls-ring")]
impl TlsSetup {
    /// `https` is false if the base URL is plain http.
    pub(crate) fn new(https: bool) -> Result<Self, Error> {
        use std::sync::Arc;

        let unusable = |source: rustls::Error| {
            Error::config("the TLS backend can't be set up").with_source(source.to_string())
        };
        // For this client only. The program chooses the process-wide provider.
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
            // reqwest requires a backend for plain http too. An empty root store works on systems
            // without certificates.
            config.with_root_certificates(rustls::RootCertStore::empty())
        }
        .with_no_client_auth();
        #[cfg(feature = "http2")]
        config.alpn_protocols.push(b"h2".to_vec());
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Self { config })
    }

    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        builder.tls_backend_preconfigured(self.config.clone())
    }
}

#[cfg(all(feature = "rustls-aws-lc", not(feature = "rustls-ring")))]
impl TlsSetup {
    pub(crate) fn new(_https: bool) -> Result<Self, Error> {
        Ok(Self {})
    }

    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        builder.tls_backend_rustls()
    }
}

#[cfg(all(
    feature = "native-tls",
    not(any(feature = "rustls-ring", feature = "rustls-aws-lc"))
))]
impl TlsSetup {
    pub(crate) fn new(_https: bool) -> Result<Self, Error> {
        Ok(Self {})
    }

    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        builder.tls_backend_native()
    }
}

#[cfg(not(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
)))]
impl TlsSetup {
    /// Fails for https, because the build has no TLS backend.
    pub(crate) fn new(https: bool) -> Result<Self, Error> {
        if https {
            return Err(Error::config(
                "this build of smtp2go-sdk has no TLS backend: enable its feature rustls-ring \
                 (a default), rustls-aws-lc or native-tls",
            ));
        }
        Ok(Self {})
    }

    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
    }
}
