//! The rules for base URLs.

use std::net::IpAddr;

use crate::platform::transport::Url;

use crate::Error;
use crate::call::failover::has_version;

/// Hosts besides this machine that may be called over plain http.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HttpHosts(Vec<String>);

impl HttpHosts {
    /// Adds a host, normalized as in a URL.
    pub(crate) fn allow(&mut self, name: &str) -> Result<(), Error> {
        let name = name.trim();
        let url = Url::parse(&format!("http://{name}/")).ok();
        // If `name` has a port, path or user name, the URL's host differs from it.
        match url.as_ref().and_then(Url::host_str) {
            Some(host) if host.eq_ignore_ascii_case(name) && !host.contains(['*', ',']) => {
                self.0.push(host.to_owned());
                Ok(())
            }
            _ => Err(Error::config(
                "not a host name: give the host alone, without scheme, port, path or wildcard",
            )),
        }
    }

    fn has(&self, host: &str) -> bool {
        self.0.iter().any(|allowed| allowed == host)
    }
}

/// Parses a base URL, and removes the slashes from its end. Errors don't quote the URL, which can contain
/// secrets.
pub(crate) fn parse_base_url(text: &str, http_hosts: &HttpHosts) -> Result<Url, Error> {
    let mut url = Url::parse(text.trim())
        .map_err(|source| Error::config("not a valid URL").with_source(source))?;
    let host = match url.host_str() {
        Some(host) if matches!(url.scheme(), "http" | "https") => host.to_owned(),
        _ => return Err(Error::config("not an http or https URL with a host")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::config("has a user name or password: remove them"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::config("has a query or fragment: remove it"));
    }
    if url.scheme() == "http" && !is_loopback(&host) && !http_hosts.has(&host) {
        return Err(Error::config(
            "must be https, except to this machine (localhost): to send the key to this host \
             unencrypted, name the host with allow_http or SMTP2GO_ALLOW_HTTP",
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    if is_vendor(&host) && !has_version(&url) {
        return Err(Error::config(
            "must end in /v3 on smtp2go.com, such as https://api.smtp2go.com/v3",
        ));
    }
    Ok(url)
}

/// Whether a URL's host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether a URL's host belongs to SMTP2GO.
fn is_vendor(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "smtp2go.com" || host.ends_with(".smtp2go.com")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    fn parse(url: &str) -> Result<Url, Error> {
        parse_base_url(url, &HttpHosts::default())
    }

    #[test]
    fn bad_url_is_an_error_without_the_url() {
        for (url, word) in [
            ("", "valid"),
            (" ", "valid"),
            ("hunter2", "valid"),
            ("//hunter2/v3", "valid"),
            ("ftp://hunter2/v3", "http or https"),
            ("data:hunter2", "http or https"),
            ("https://", "valid"),
            ("https://user:hunter2@example.com/v3", "password"),
            ("https://hunter2@example.com/v3", "password"),
            ("https://example.com/v3?hunter2", "query"),
            ("https://example.com/v3?", "query"),
            ("https://example.com/v3#hunter2", "fragment"),
            ("http://hunter2.example.com/v3", "allow_http"),
            ("http://192.0.2.1/v3", "allow_http"),
            ("http://localhost.example.com/v3", "allow_http"),
            ("http://[2001:db8::1]/v3", "allow_http"),
            ("https://hunter2.smtp2go.com", "/v3"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.is_config());
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains(word) && !shown.contains("hunter2"),
                "{url}: {shown}"
            );
        }
    }

    #[test]
    fn plain_http_is_allowed_to_this_machine() {
        for url in [
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.9.9.9/v3",
            "http://[::1]:8025/",
        ] {
            parse(url).unwrap();
        }
    }

    #[test]
    fn plain_http_is_allowed_to_exactly_the_named_hosts() {
        let mut hosts = HttpHosts::default();
        for name in ["Sandbox", " mail.internal ", "192.0.2.1", "[2001:DB8::1]"] {
            hosts.allow(name).unwrap();
        }
        for url in [
            "http://sandbox/v3",
            "http://SANDBOX:4020/v3",
            "http://mail.internal/v3",
            "http://192.0.2.1:4020/v3",
            "http://[2001:db8::1]/v3",
            "https://elsewhere.example.com/v3",
        ] {
            parse_base_url(url, &hosts).unwrap();
        }
        for url in [
            "http://sandbox.example.com/v3",
            "http://other.sandbox/v3",
            "http://sandbox./v3",
            "http://sandbox2/v3",
            "http://internal/v3",
            "http://192.0.2.2/v3",
        ] {
            let error = parse_base_url(url, &hosts).unwrap_err();
            assert!(error.to_string().contains("allow_http"), "{url}: {error}");
        }
    }

    #[test]
    fn allowed_host_with_more_than_a_host_is_refused() {
        for name in [
            "",
            " ",
            "*",
            "*.internal",
            "http://sandbox",
            "sandbox:4020",
            "sandbox:80",
            "sandbox/v3",
            "user@sandbox",
            "sandbox?a",
            "sandbox#a",
            "2001:db8::1",
            "a b",
            "a,b",
        ] {
            let error = HttpHosts::default().allow(name).unwrap_err();
            assert!(error.is_config(), "{name}");
        }
    }

    #[test]
    fn base_url_of_the_vendor_must_end_in_the_version() {
        for url in [
            "https://api.smtp2go.com",
            "https://API.smtp2go.com/",
            "https://eu-api.smtp2go.com:443/",
            "https://api.smtp2go.com./",
            "https://smtp2go.com/v2",
            "https://api.smtp2go.com/v3/email",
            "https://api.smtp2go.com/v33",
            "https://api.smtp2go.com/xv3",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains("https://api.smtp2go.com/v3"), "{error}");
        }
        for url in [
            "https://api.smtp2go.com/v3",
            "https://api.smtp2go.com/v3/",
            "https://example.com",
            "https://notsmtp2go.com/gateway",
            "https://smtp2go.com.example.com",
        ] {
            parse(url).unwrap();
        }
        for region in [Region::Global, Region::Us, Region::Eu, Region::Au] {
            parse(region.base_url()).unwrap();
        }
    }
}
