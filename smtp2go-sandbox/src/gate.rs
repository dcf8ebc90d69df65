//! Access control: one check in front of every route keeps pages of other sites out.
//!
//! A page in a browser can send requests to this machine, and can have its own host name resolve to
//! this machine (DNS rebinding). A page's requests differ from a program's by headers that browsers
//! add and that no page can suppress:
//!
//! - Browsers send `Origin` with every request except a GET or HEAD to the page's own site, and
//!   `Sec-Fetch-Site` with every request to loopback or over https. A request with one of the two
//!   headers passes only if `Host` names the sandbox. If present, `Origin` must name it too, and
//!   `Sec-Fetch-Site` must be `same-origin` or `none`.
//! - A request with neither header comes from a program, and its `Host` does not matter. The
//!   exception is a GET of the inbox or the admin endpoints: a page on a rebound plain-http name
//!   sends such a GET without either header. See [`check_reader`].
//!
//! The resolvers of the local network (its DNS server, mDNS) are trusted.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Frame, SizeHint};

use crate::admin::Problem;
use crate::call::Call;
use crate::connection::{Busy, Control, Out};
use crate::server::{self, keys_in_headers};
use crate::world::{Access, Shared};

/// `User-Agent` of webhooks. Sandboxes recognise each other's webhooks by it, so no setting of a
/// webhook changes it.
pub(crate) const WEBHOOK_AGENT: &str = concat!("smtp2go-sandbox/", env!("CARGO_PKG_VERSION"));

/// Prefix of [`WEBHOOK_AGENT`] in every version.
const ANY_WEBHOOK_AGENT: &[u8] = b"smtp2go-sandbox/";

/// Maximum body size in bytes of a request to the inbox or the admin endpoints.
const MAX_BODY: usize = 1024 * 1024;

/// Suffixes that are reserved for local use: by RFC 6761, RFC 6762, RFC 8375 and, for `internal`, by
/// ICANN in 2024. Other suffixes, such as `lan`, are missing because they may be delegated one day.
const RESERVED: &[&str] = &["localhost", "test", "local", "home.arpa", "internal"];

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Middleware that lets a request pass, or replies with 401, 403 or 413.
pub(crate) async fn gate(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(control): ConnectInfo<Control>,
    request: Request,
    next: Next,
) -> Response {
    let busy = control.busy();
    let own = server::is_own(request.uri().path());
    let access = &shared.settings.access;
    let checked =
        check(access, own, request.method(), request.headers()).and_then(|()| match own {
            true => check_key(&shared, request.headers()),
            false => Ok(()),
        });
    let refused = checked.is_err();
    let mut response = match checked {
        Ok(()) if own => run_own(&shared, &control, request, next).await,
        Ok(()) => next.run(request).await,
        Err(problem) => refuse(&shared, &control, own, request, problem).await,
    };
    let headers = response.headers_mut();
    if own || refused {
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let same_origin = HeaderValue::from_static("same-origin");
        headers.insert("cross-origin-resource-policy", same_origin);
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
    if own && response.status() == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static("Basic realm=\"smtp2go-sandbox\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, basic);
    }
    response.map(|body| Body::new(Answering { body, _busy: busy }))
}

/// Runs a request to the inbox or the admin endpoints after reading all of it.
async fn run_own(shared: &Shared, control: &Control, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let reading = shared.bodies.reading(false);
    let body = server::read(body, MAX_BODY, shared.settings.limits.idle, reading).await;
    control.end_request(Out::Pass);
    match body {
        Ok(body) if body.is_too_much => {
            Problem(StatusCode::SERVICE_UNAVAILABLE, reading.refusal()).into_response()
        }
        Ok(body) if body.bytes.len() <= MAX_BODY => {
            let _counted = body.counted;
            next.run(Request::from_parts(head, Body::from(body.bytes)))
                .await
        }
        Ok(_) => {
            let message = format!("the body exceeds the limit of {MAX_BODY} bytes");
            Problem(StatusCode::PAYLOAD_TOO_LARGE, message).into_response()
        }
        Err(unread) => unread.into_response(),
    }
}

/// Replies to a request that does not pass. If it was for the API, a call without its body is
/// recorded.
async fn refuse(
    shared: &Shared,
    control: &Control,
    own: bool,
    request: Request,
    problem: Problem,
) -> Response {
    let (head, body) = request.into_parts();
    // A client may read the reply only after it has sent the whole body.
    let reading = shared.bodies.reading(false);
    let read = server::read(body, 0, shared.settings.limits.idle, reading).await;
    control.take_request();
    control.end_request(Out::Pass);
    if let Err(unread) = read {
        return unread.into_response();
    }
    if !own {
        let time = shared.world().now();
        let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
        shared.note(Call {
            received: true,
            status: problem.0.as_u16(),
            refused: Some(problem.1.clone()),
            ..Call::new(time, method, path)
        });
    }
    problem.into_response()
}

fn forbidden(message: impl Into<String>) -> Problem {
    Problem(StatusCode::FORBIDDEN, message.into())
}

/// Accepts the requests of programs and of the sandbox's own pages. `own` is set for requests to the
/// inbox and the admin endpoints.
fn check(access: &Access, own: bool, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    if agent.is_some_and(|agent| agent.starts_with(ANY_WEBHOOK_AGENT)) {
        return Err(forbidden(
            "a sandbox does not accept webhooks of sandboxes: register another url",
        ));
    }
    if headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE) {
        return check_page(access, headers);
    }
    match own && matches!(*method, Method::GET | Method::HEAD) {
        true => check_reader(access, headers),
        false => Ok(()),
    }
}

/// Accepts the requests of the sandbox's own pages, and those for an address that a user typed in a
/// browser.
fn check_page(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
        (Some(Ok(host)), None) => host.to_ascii_lowercase(),
        _ => return Err(forbidden("the request needs exactly one Host header")),
    };
    if !is_allowed(access, host_name(&host)) {
        return Err(unknown_host(&host));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let same = origin.to_str().is_ok_and(|origin| {
            let origin = origin.to_ascii_lowercase();
            let bare = origin.strip_prefix("http://");
            bare.or_else(|| origin.strip_prefix("https://")) == Some(&host)
        });
        if !same {
            return Err(forbidden(format!(
                "the origin {origin:?} is another site: only programs and the sandbox's own pages \
                 may call the sandbox"
            )));
        }
    }
    for site in headers.get_all(SEC_FETCH_SITE) {
        if site != "same-origin" && site != "none" {
            return Err(forbidden(
                "the request comes from a page of another site: open the address in a new tab, or \
                 call it from a program",
            ));
        }
    }
    Ok(())
}

/// Checks the `Host` of a GET that comes from a program or from a page on a plain-http name: browsers
/// send neither `Origin` nor `Sec-Fetch-Site` from such a page. DNS rebinding needs a name that the
/// page's author owns, so IP addresses and names that nobody can own pass.
///
/// An exposed sandbox is protected by its key instead ([`check_key`]).
fn check_reader(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    if access.exposed {
        return Ok(());
    }
    for host in headers.get_all(header::HOST) {
        let host = String::from_utf8_lossy(host.as_bytes()).to_ascii_lowercase();
        let name = host_name(&host);
        let is_address = name.parse::<IpAddr>().is_ok();
        if !is_address && !is_local(name) && !is_allowed(access, name) {
            return Err(unknown_host(&host));
        }
    }
    Ok(())
}

/// Whether nobody can own this name on the internet: it has no dot, or ends with a reserved suffix.
fn is_local(name: &str) -> bool {
    let is_below = |suffix: &&str| {
        let rest = name.strip_suffix(suffix);
        rest.is_some_and(|rest| rest.ends_with('.'))
    };
    !name.contains('.') || RESERVED.iter().any(is_below)
}

fn unknown_host(host: &str) -> Problem {
    let name = host_name(host);
    forbidden(format!(
        "the host {name:?} is not allowed: allow it with --allowed-host (allowed_host in Rust)"
    ))
}

/// Returns the host without its port and its trailing dot.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(host, |(address, _)| address);
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name)
}

fn is_allowed(access: &Access, name: &str) -> bool {
    if let Ok(address) = name.parse::<IpAddr>() {
        // A page cannot own an address.
        return access.exposed || address.is_loopback();
    }
    name == "localhost"
        || name.ends_with(".localhost")
        || access.hosts.iter().any(|allowed| allowed == name)
}

/// Requires the main key if other machines can reach the sandbox. The key must be in one of the API's
/// headers, or be the password of basic authentication, for which a browser asks.
fn check_key(shared: &Shared, headers: &HeaderMap) -> Result<(), Problem> {
    if !shared.settings.access.exposed {
        return Ok(());
    }
    let mut keys: Vec<String> = keys_in_headers(headers)
        .into_iter()
        .map(|(_, key)| key)
        .collect();
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|pair| String::from_utf8(pair).ok());
    if let Some((_, password)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
        keys.push(password.to_owned());
    }
    let main = shared.settings.keys.first().map(|key| key.secret.as_str());
    if keys.iter().any(|key| Some(key.as_str()) == main) {
        return Ok(());
    }
    Err(Problem(
        StatusCode::UNAUTHORIZED,
        "the main key is missing: send it as X-Smtp2go-Api-Key, as a bearer token, or as the \
         password of basic authentication"
            .to_owned(),
    ))
}

/// The body of a reply. Marks the connection as busy until the body ends.
struct Answering {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(access: &Access, own: bool, method: &Method, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        check(access, own, method, &map).is_ok()
    }

    const HOSTS: &[(&str, bool, bool)] = &[
        ("localhost:4020", true, true),
        ("LOCALHOST", true, true),
        ("localhost.", true, true),
        ("localhost.:4020", true, true),
        ("mail.localhost:1", true, true),
        ("127.0.0.1:4020", true, true),
        ("127.9.9.9", true, true),
        ("[::1]:4020", true, true),
        ("[::1]", true, true),
        ("192.0.2.1:4020", false, true),
        ("[2001:db8::1]:4020", false, true),
        ("sandbox:4020", false, true),
        ("SANDBOX.:4020", false, true),
        ("sandbox.example.com", false, false),
        ("example.com", false, false),
        ("example.com.:4020", false, false),
        ("localhost.example.com", false, false),
        ("127.0.0.1.example.com", false, false),
        ("127.0.0.1.", true, true),
        ("notlocalhost", false, false),
        ("", false, false),
    ];

    #[test]
    fn page_on_a_host_that_is_not_allowed_is_refused() {
        let local = Access::default();
        let exposed = Access {
            exposed: true,
            hosts: vec!["sandbox".to_owned()],
        };
        for (host, by_default, if_exposed) in HOSTS {
            for (access, expected) in [(&local, by_default), (&exposed, if_exposed)] {
                for own in [false, true] {
                    for method in [Method::GET, Method::POST, Method::PATCH, Method::OPTIONS] {
                        let origin = format!("http://{host}");
                        let by_origin = [("host", *host), ("origin", origin.as_str())];
                        let by_site = [("host", *host), ("sec-fetch-site", "same-origin")];
                        for headers in [by_origin, by_site] {
                            assert_eq!(
                                passes(access, own, &method, &headers),
                                *expected,
                                "{method} {headers:?} {access:?}"
                            );
                        }
                    }
                }
            }
        }
        let origin = ("origin", "http://localhost");
        assert!(!passes(&local, false, &Method::POST, &[origin]));
        let twice = [("host", "localhost"), ("host", "localhost"), origin];
        assert!(!passes(&local, false, &Method::POST, &twice));
    }

    #[test]
    fn page_of_another_site_is_refused() {
        let access = Access::default();
        for (name, value, expected) in [
            ("origin", "http://localhost:4020", true),
            ("origin", "https://LOCALHOST:4020", true),
            ("origin", "http://localhost", false),
            ("origin", "http://localhost:9999", false),
            ("origin", "http://localhost.:4020", false),
            ("origin", "http://127.0.0.1:4020", false),
            ("origin", "http://evil.example", false),
            ("origin", "http://localhost:4020.evil.example", false),
            ("origin", "null", false),
            ("origin", "", false),
            ("origin", "localhost:4020", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "", false),
            ("x-other", "evil.example", true),
        ] {
            for own in [false, true] {
                for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
                    let headers = [("host", "localhost:4020"), (name, value)];
                    assert_eq!(
                        passes(&access, own, &method, &headers),
                        expected,
                        "{method} {name}: {value}"
                    );
                    // An own origin does not outweigh a bad header.
                    let both = [
                        &[
                            ("origin", "http://localhost:4020"),
                            ("sec-fetch-site", "same-origin"),
                        ],
                        &headers[..],
                    ]
                    .concat();
                    assert_eq!(passes(&access, own, &method, &both), expected, "{both:?}");
                }
            }
        }
    }

    #[test]
    fn get_without_browser_headers_passes_only_on_a_host_that_nobody_can_own() {
        let local = Access::default();
        let exposed = Access {
            exposed: true,
            hosts: Vec::new(),
        };
        let browser = [
            ("user-agent", "Mozilla/5.0 (X11)"),
            ("accept-language", "en"),
        ];
        for (host, expected) in [
            ("localhost:4020", true),
            ("[::1]:4020", true),
            ("192.0.2.1:4020", true),
            ("sandbox:4020", true),
            ("SANDBOX.:4020", true),
            ("host.docker.internal:4020", true),
            ("Host.Docker.Internal.", true),
            ("sandbox.default.svc.cluster.local:4020", true),
            ("printer.local", true),
            ("sandbox.test", true),
            ("app.localhost:1", true),
            ("nas.home.arpa:4020", true),
            ("evil.example.com", false),
            ("evil.example.com.:4020", false),
            ("EVIL.EXAMPLE.COM", false),
            ("internal.example.com", false),
            ("host.docker.internal.example.com", false),
            ("eviltest.example.com", false),
            ("evil.notinternal", false),
            ("evil.arpa", false),
            ("evilhome.arpa", false),
            ("sandbox.default.svc:4020", false),
            ("sandbox.lan", false),
            ("127.0.0.1.example.com", false),
        ] {
            for by in [&[][..], &browser] {
                let headers = [&[("host", host)], by].concat();
                for method in [Method::GET, Method::HEAD] {
                    let read = passes(&local, true, &method, &headers);
                    assert_eq!(read, expected, "{headers:?}");
                    // An exposed sandbox checks the key instead of the host.
                    assert!(passes(&exposed, true, &method, &headers), "{headers:?}");
                    assert!(passes(&local, false, &method, &headers), "{headers:?}");
                }
                for method in [Method::POST, Method::PATCH, Method::DELETE] {
                    for own in [true, false] {
                        assert!(passes(&local, own, &method, &headers), "{headers:?}");
                    }
                }
            }
        }
        // HTTP/1.0 has no Host.
        assert!(passes(&local, true, &Method::GET, &[]));
        let own_twice = [("host", "localhost"), ("host", "evil.example.com")];
        assert!(!passes(&local, true, &Method::GET, &own_twice));
    }

    #[test]
    fn webhook_of_any_sandbox_is_refused() {
        let access = Access::default();
        for agent in [WEBHOOK_AGENT, "smtp2go-sandbox/9.9.9"] {
            for own in [true, false] {
                let headers = [("host", "localhost"), ("user-agent", agent)];
                assert!(!passes(&access, own, &Method::POST, &headers));
            }
        }
        let other = [
            ("host", "localhost"),
            ("user-agent", "smtp2go-sandbox-tests"),
        ];
        assert!(passes(&access, false, &Method::POST, &other));
    }
}
