//! Proxies of https calls, and their names in errors.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use crate::Error;

/// The proxies of a client.
pub(crate) enum Proxies {
    /// No proxy, such as for plain http, where a proxy would see the key.
    None,
    /// The proxy that was set in the builder, and its name.
    Given { proxy: reqwest::Proxy, name: String },
    /// The proxies of the environment, by the same rules as in reqwest.
    Environment(Matcher),
}

impl Proxies {
    pub(crate) fn of_environment() -> Self {
        Self::Environment(Matcher::from_system())
    }

    /// Reads the URL of a proxy. Errors don't quote it: it can contain a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::config(
                "not an http or https URL with a host, such as http://proxy.example.com:3128",
            )
        };
        let url = Url::parse(url.trim()).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::config("has a path, query or fragment: remove it"));
        }
        let name = name(url.host_str(), url.port_or_known_default()).ok_or_else(wrong)?;
        let proxy = reqwest::Proxy::all(url).map_err(|_| wrong())?;
        Ok(Self::Given { proxy, name })
    }

    /// Makes a client use the proxies.
    pub(crate) fn apply(&self, http: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self {
            Self::None => http.no_proxy(),
            Self::Given { proxy, .. } => http.proxy(proxy.clone()),
            // reqwest reads the environment by default.
            Self::Environment(_) => http,
        }
    }

    /// Returns the host and port of the proxy for calls to `url`. `None` without a proxy.
    pub(crate) fn name(&self, url: &Url) -> Option<String> {
        match self {
            Self::None => None,
            Self::Given { name, .. } => Some(name.clone()),
            Self::Environment(matcher) => {
                let found = matcher.intercept(&url.as_str().parse().ok()?)?;
                let uri = found.uri();
                let port = match (uri.port_u16(), uri.scheme_str()) {
                    (Some(port), _) => Some(port),
                    (None, Some("https")) => Some(443),
                    (None, Some("http")) => Some(80),
                    (None, _) => None,
                };
                name(uri.host(), port)
            }
        }
    }
}

fn name(host: Option<&str>, port: Option<u16>) -> Option<String> {
    match (host?, port) {
        ("", _) => None,
        (host, Some(port)) => Some(format!("{host}:{port}")),
        (host, None) => Some(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Url {
        Url::parse("https://api.smtp2go.com/v3").unwrap()
    }

    #[test]
    fn name_of_a_given_proxy_has_no_password() {
        for (url, expected) in [
            ("http://proxy.example.com:3128", "proxy.example.com:3128"),
            (" http://proxy.example.com ", "proxy.example.com:80"),
            (
                "https://user:hunter2@proxy.example.com/",
                "proxy.example.com:443",
            ),
            ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
        ] {
            let name = Proxies::parse(url).unwrap().name(&api());
            assert_eq!(name.as_deref(), Some(expected));
        }
    }

    #[test]
    fn bad_url_is_an_error_without_the_url() {
        for url in [
            "",
            "hunter2",
            "hunter2:3128",
            "socks5://user:hunter2@proxy.example.com",
            "http://user:hunter2@",
            "http://user:hunter2@proxy.example.com/hunter2",
            "http://user:hunter2@proxy.example.com?hunter2",
        ] {
            let Err(error) = Proxies::parse(url) else {
                panic!("{url} was accepted");
            };
            assert!(error.is_config());
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn name_of_a_proxy_from_the_environment_has_no_password() {
        for (proxy, expected) in [
            (
                "http://user:hunter2@proxy.example.com:3128",
                "proxy.example.com:3128",
            ),
            ("proxy.example.com:3128", "proxy.example.com:3128"),
            ("http://proxy.example.com", "proxy.example.com:80"),
        ] {
            let matcher = Matcher::builder().https(proxy).no("localhost").build();
            let proxies = Proxies::Environment(matcher);
            assert_eq!(proxies.name(&api()).as_deref(), Some(expected));
            let excepted = Url::parse("https://localhost/v3").unwrap();
            assert_eq!(proxies.name(&excepted), None);
        }
    }
}
