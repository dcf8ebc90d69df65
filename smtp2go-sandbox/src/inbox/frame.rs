//! Serves untrusted content of mails: HTML, files and source.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use smtp2go_types::one_line;

use super::content::{self, Content};
use super::page;
use super::request::{Fields, segment};
use super::thumbnail;
use crate::mail::Attachment;
use crate::world::Shared;

/// Policy of a mail's HTML without remote content: no scripts, no forms, no requests. Applies also if
/// the HTML is opened outside its frame. Links may open a window, to which the policy does not apply.
const CLOSED: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
     img-src data:; style-src 'unsafe-inline'; font-src data:; media-src data:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Policy of a mail's HTML with remote content: like [`CLOSED`], with images, styles, fonts and media
/// from any host.
const OPEN: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
     img-src data: http: https:; style-src 'unsafe-inline' http: https:; \
     font-src data: http: https:; media-src data: http: https:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Policy of the copy of a mail's HTML that the page measures and never shows: like [`CLOSED`], but
/// of the page's origin, so that the page can read its height. Without scripts, the HTML cannot use
/// the origin.
const MEASURED: &str = "sandbox allow-same-origin; default-src 'none'; img-src data:; \
     style-src 'unsafe-inline'; font-src data:; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'self'";

/// Content security policy of downloads, in case a browser displays one.
const NOTHING: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// Content security policy of images. An SVG runs no scripts inside `<img>`; the policy is for those
/// that are opened on their own.
const IMAGE: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// Serves the HTML of a mail for the frame on its page.
pub(super) async fn html(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(mail) = page::find_mail(&shared, &id) else {
        return missing(&shared, &id);
    };
    let fields = Fields::of_query(query.as_deref());
    let remote = fields.get("remote") == "1";
    let measured = fields.get("measured") == "1";
    // A link in the mail must not load remote content or get the page's origin. It does not know the
    // token.
    if (remote || measured) && !shared.is_page_token(fields.get("token")) {
        let text = "missing token: load remote content from the page of the mail";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let html = content::for_frame(&Content::of(&mail), remote);
    let policy = match (remote, measured) {
        (true, false) => OPEN,
        (false, true) => MEASURED,
        _ => CLOSED,
    };
    framed(html, policy)
}

/// Serves HTML without remote content for a frame, or to be measured.
pub(super) fn closed(content: &Content<'_>, measured: bool) -> Response {
    let policy = if measured { MEASURED } else { CLOSED };
    framed(content::for_frame(content, false), policy)
}

fn framed(html: String, policy: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, html).into_response()
}

/// Serves a file of a mail as a download.
pub(super) async fn file(
    State(shared): State<Arc<Shared>>,
    Path((id, number)): Path<(String, usize)>,
) -> Response {
    match find_file(&shared, &id, number) {
        Some(file) => save("application/octet-stream", &file.filename, file.content),
        None => missing(&shared, &id),
    }
}

/// Serves an image among a mail's files.
pub(super) async fn image(
    State(shared): State<Arc<Shared>>,
    Path((id, number)): Path<(String, usize)>,
) -> Response {
    let Some(file) = find_file(&shared, &id, number) else {
        return missing(&shared, &id);
    };
    match thumbnail::media_type(&file) {
        Some(kind) => {
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CONTENT_SECURITY_POLICY, IMAGE),
            ];
            (headers, file.content).into_response()
        }
        None => (StatusCode::NOT_FOUND, "the file is not shown as an image").into_response(),
    }
}

fn find_file(shared: &Shared, id: &str, number: usize) -> Option<Attachment> {
    let mail = page::find_mail(shared, id)?;
    let mut files = Content::of(&mail).files;
    (number < files.len()).then(|| files.swap_remove(number))
}

/// Serves the source of a mail as a download.
pub(super) async fn raw(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    match page::find_mail(&shared, &id) {
        Some(mail) => {
            let name = format!("{id}.eml");
            save("message/rfc822", &name, content::raw(&mail).into_owned())
        }
        None => missing(&shared, &id),
    }
}

/// Responds that a mail, or a file of it, does not exist, or was dropped or deleted.
fn missing(shared: &Shared, id: &str) -> Response {
    match shared.world().was_dropped(id) {
        true => (StatusCode::GONE, "the mail was dropped or deleted").into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

fn save(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition(name)),
        (header::CONTENT_SECURITY_POLICY, NOTHING.to_owned()),
    ];
    (headers, bytes).into_response()
}

/// Writes the header `Content-Disposition` for a download. The sender chose the name, which must not
/// escape from its parameter.
fn disposition(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|character| !character.is_control() && !"/\\".contains(*character))
        .take(200)
        .collect();
    // Characters that reorder text can hide a name's extension.
    let name = one_line(&name);
    let plain: String = name
        .chars()
        .map(|character| match character {
            ' '..='~' if !"\"%;".contains(character) => character,
            _ => '_',
        })
        .collect();
    let encoded = segment(&name);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_file_name_does_not_escape_from_its_parameter() {
        for (name, expected) in [
            (
                "a b.txt",
                "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt",
            ),
            (
                "../x\"\r\nA: b;é",
                "attachment; filename=\"..x_A: b__\"; filename*=UTF-8''..x%22A%3A%20b%3B%C3%A9",
            ),
            (
                "a\u{202e}fdp.exe",
                "attachment; filename=\"a_fdp.exe\"; filename*=UTF-8''a%EF%BF%BDfdp.exe",
            ),
        ] {
            assert_eq!(disposition(name), expected);
        }
    }
}
