//! The inbox: web pages that show what an application sent.
//!
//! The server renders the pages. A small script updates them and saves reloads. Mail is not trusted:
//! only [`frame`] shows its HTML, in a frame without scripts and with its own content security
//! policy. Every change is a POST with the token of a page, and [`gate`](crate::gate) checks every
//! request.

mod calls;
mod checks;
mod content;
mod digest;
mod faults;
mod frame;
mod index;
mod items;
mod live;
mod mails;
mod messages;
mod news;
mod page;
mod registered;
mod request;
mod reset;
mod suppressions;
mod templates;
mod thumbnail;
mod view;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::heavy;
use crate::world::Shared;

pub(crate) use checks::MailChecks;
pub(crate) use index::MailIndex;

/// Prefix of the paths, except of the list of mails, which is `/`.
const PREFIX: &str = "/_inbox";

/// Content security policy of the pages: allows their style and script, and the frame of a mail.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

const STYLE: &str = include_str!("../../assets/inbox.css");
const SCRIPT: &str = include_str!("../../assets/inbox.js");
const ICON: &str = include_str!("../../assets/icon.svg");

/// Whether a path belongs to the inbox.
pub(crate) fn is_own(path: &str) -> bool {
    path == "/"
        || path
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    // Rendering a long mail is expensive. Routes below the layer wait for changes or are cheap.
    let apart = middleware::from_fn_with_state(Arc::clone(shared), heavy::apart);
    let pages = Router::new()
        .route(
            "/delete",
            get(mails::ask_to_delete).post(mails::delete_found),
        )
        .route("/mails/{id}", get(mails::mail))
        .route("/mails/{id}/events", post(mails::happen))
        .route("/mails/{id}/delete", post(mails::delete))
        .route("/mails/{id}/html", get(frame::html))
        .route("/mails/{id}/raw", get(frame::raw))
        .route("/mails/{id}/files/{number}", get(frame::file))
        .route("/mails/{id}/files/{number}/image", get(frame::image))
        .route("/sms", get(messages::list))
        .route("/sms/{id}", get(messages::message))
        .route("/calls", get(calls::list))
        .route("/calls/{number}", get(calls::call))
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/{number}", get(webhooks::delivery))
        .route("/webhooks/{number}/again", post(webhooks::again))
        .route("/news", get(news::news))
        .route("/registered", get(registered::list))
        .route("/registered/{id}", get(registered::webhook))
        .route("/templates", get(templates::list))
        .route("/templates/{account}/{id}", get(templates::template))
        .route("/templates/{account}/{id}/html", get(templates::html))
        .route("/suppressions", get(suppressions::list))
        .route(
            "/suppressions/{account}/{number}",
            get(suppressions::suppression),
        )
        .route("/clock", post(faults::set_clock))
        .route("/faults", get(faults::list).post(faults::add))
        .route("/faults/clear", post(faults::clear))
        .route("/faults/{id}/remove", post(faults::remove))
        .route("/reset", get(reset::ask).post(reset::reset))
        .layer(apart.clone())
        .route("/live", get(live::changes))
        .route(
            "/inbox.css",
            get(|| asset("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/inbox.js",
            get(|| asset("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route("/icon.svg", get(|| asset("image/svg+xml", ICON)))
        .route(
            "/caniemail.txt",
            get(|| asset("text/plain; charset=utf-8", checks::LICENCE)),
        )
        .fallback(page::unknown)
        .method_not_allowed_fallback(page::wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(shared),
            check_form,
        ));
    Router::new()
        .route(
            "/",
            get(mails::list)
                .layer(apart)
                .fallback(crate::server::handle),
        )
        .nest(PREFIX, pages)
        .layer(middleware::map_response(protect))
}

/// Refuses a form without the token of this sandbox's pages. Neither other sites nor mails can read
/// the token.
async fn check_form(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    // `gate` has read the body and limited its size.
    let form = body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if !shared.is_page_token(request::Fields::of_form(&form).get("token")) {
        return page::stale(&shared);
    }
    next.run(Request::from_parts(head, Body::from(form))).await
}

async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        // Another version of the sandbox may run at the same address later.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}

/// Adds the default security headers that a response does not have.
async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Other sites get no referrer. Forms keep their Origin, which `no-referrer` would remove.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("x-dns-prefetch-control", "off"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
