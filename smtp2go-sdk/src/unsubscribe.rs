//! Receives one-click unsubscribes (RFC 8058). Mail programs offer them for mails with
//! [`Email::one_click_unsubscribe`](crate::Email::one_click_unsubscribe).
//!
//! When a recipient clicks "unsubscribe" in a mail program, the mailbox provider posts
//! `List-Unsubscribe=One-Click` to the URL of the mail, without cookies or a login. Remove the
//! recipient from the list, then reply 200, not a redirect. Only the URL identifies the recipient,
//! so put a token into it that can't be guessed, and store the token with the subscription. A GET
//! of the URL must change nothing, because programs that scan mail follow all links. Show a page
//! there.
#![cfg_attr(
    feature = "axum",
    doc = r#"
```
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Router, routing::get};
use smtp2go_sdk::unsubscribe::OneClick;

#[derive(Clone)]
struct Subscriptions; // such as a pool of database connections

impl Subscriptions {
    /// Returns whether the token is known. The row stays, so a repeated POST gets 200 too.
    async fn end(&self, _token: &str) -> bool {
        true // UPDATE subscriptions SET ended = now() WHERE token = $1
    }
}

async fn page() -> &'static str {
    "Use the link in your mail program, or write to support@example.com."
}

async fn unsubscribe(
    Path(token): Path<String>,
    State(subscriptions): State<Subscriptions>,
    _: OneClick,
) -> StatusCode {
    match subscriptions.end(&token).await {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    }
}

let app: Router = Router::new()
    .route("/unsubscribe/{token}", get(page).post(unsubscribe))
    .with_state(Subscriptions);
```
"#
)]
//! In other frameworks, pass the header `Content-Type` and the body to [`is_one_click`].

use percent_encoding::percent_decode_str;

/// Name of the field that a one-click unsubscribe posts.
const FIELD: &str = "List-Unsubscribe";
/// Value of the field.
const VALUE: &str = "One-Click";

/// Returns whether the body of a POST is a one-click unsubscribe: the field `List-Unsubscribe` with the
/// value `One-Click`, as `application/x-www-form-urlencoded` or `multipart/form-data`.
///
/// ```
/// use smtp2go_sdk::unsubscribe::is_one_click;
///
/// let form = Some("application/x-www-form-urlencoded");
/// assert!(is_one_click(form, b"List-Unsubscribe=One-Click"));
/// assert!(!is_one_click(form, b"email=jane%40example.net"));
/// ```
#[must_use]
pub fn is_one_click(content_type: Option<&str>, body: &[u8]) -> bool {
    let Ok(body) = std::str::from_utf8(body) else {
        return false;
    };
    let content_type = content_type.unwrap_or_default();
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return body.trim().split('&').any(is_pair);
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_boundary = name.trim().eq_ignore_ascii_case("boundary");
        is_boundary.then(|| value.trim().trim_matches('"'))
    });
    boundary.is_some_and(|boundary| {
        let boundary = format!("--{boundary}");
        body.split(&boundary).any(is_part)
    })
}

/// Whether a pair of a form is `List-Unsubscribe=One-Click`.
fn is_pair(pair: &str) -> bool {
    let Some((name, value)) = pair.split_once('=') else {
        return false;
    };
    let is = |text: &str, expected: &str| percent_decode_str(text).eq(expected.bytes());
    is(name, FIELD) && is(value, VALUE)
}

/// Whether a part of a multipart body has the field and its value.
fn is_part(part: &str) -> bool {
    let Some((head, content)) = part.split_once("\r\n\r\n") else {
        return false;
    };
    let name = head.split([';', '\r', '\n']).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim().eq_ignore_ascii_case("name")).then(|| value.trim().trim_matches('"'))
    });
    name == Some(FIELD) && content.trim() == VALUE
}

#[cfg(all(feature = "axum", not(target_family = "wasm")))]
pub use self::extractor::OneClick;

#[cfg(all(feature = "axum", not(target_family = "wasm")))]
mod extractor {
    use ::axum::extract::{FromRequest, Request};
    use http::StatusCode;
    use http::header::CONTENT_TYPE;
    use http_body_util::{BodyExt, Collected, Limited};

    use super::is_one_click;

    /// Maximum size of a body in bytes.
    const LIMIT: usize = 16 * 1024;

    /// Extractor of a [one-click unsubscribe](super). Must be the last argument of a handler. Any other
    /// request, or one with a body of more than 16 KiB, gets status 400 and does not reach the handler.
    /// Not on wasm32: use [`is_one_click`] there.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OneClick;

    impl<S: Send + Sync> FromRequest<S> for OneClick {
        type Rejection = (StatusCode, &'static str);

        async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
            let (parts, body) = request.into_parts();
            let content_type = parts.headers.get(CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok());
            let body = Limited::new(body, LIMIT).collect().await;
            let body = body.map(Collected::to_bytes).unwrap_or_default();
            if is_one_click(content_type, &body) {
                return Ok(Self);
            }
            Err((
                StatusCode::BAD_REQUEST,
                "not a one-click unsubscribe: post List-Unsubscribe=One-Click as a form",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_with_the_one_click_value_is_recognized() {
        let multipart = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
        for (content_type, body, expected) in [
            (
                Some("application/x-www-form-urlencoded"),
                "List-Unsubscribe=One-Click",
                true,
            ),
            (None, "List-Unsubscribe=One-Click\r\n", true),
            (None, "a=b&List%2DUnsubscribe=One%2dClick", true),
            (None, "List-Unsubscribe=One-Clicks", false),
            (None, "list-unsubscribe=one-click", false),
            (None, "List-Unsubscribe", false),
            (None, "", false),
            (Some("multipart/form-data; boundary=x"), multipart, true),
            (
                Some("Multipart/Form-Data; charset=utf-8; Boundary=\"x\""),
                multipart,
                true,
            ),
            (Some("multipart/form-data; boundary=y"), multipart, false),
            (Some("multipart/form-data"), multipart, false),
            (
                Some("multipart/form-data; boundary=x"),
                "List-Unsubscribe=One-Click",
                false,
            ),
        ] {
            let found = is_one_click(content_type, body.as_bytes());
            assert_eq!(found, expected, "{content_type:?} {body}");
        }
        assert!(!is_one_click(None, b"\xff"));
    }

    #[test]
    fn other_part_of_a_multipart_body_is_not_a_one_click() {
        let body =
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nOne-Click\r\n--x--\r\n";
        assert!(!is_one_click(
            Some("multipart/form-data; boundary=x"),
            body.as_bytes()
        ));
    }
}
