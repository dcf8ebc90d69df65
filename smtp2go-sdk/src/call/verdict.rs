//! What an attempt came to, and what that means for the call. No I/O here.

use http::{HeaderMap, StatusCode};
use serde_core::de::Error as _;
use smtp2go_types::{SendResult, readable, values_beyond};

use crate::body::content::Failure;
use crate::error::known;
use crate::error::said::{Members, inspect, inspect_mail};
use crate::error::{Certainty, Kind};
use crate::operation::Operation;
use crate::{Error, RawReply, operations};

/// What is known after an attempt.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// As much of the answer as arrived, if its status did.
    pub(crate) answer: Option<Answer>,
    /// Proven: nothing was sent, and nothing will be.
    pub(crate) unsent: bool,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// An answer on its way in.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Whether the HTTP client followed a redirect, so that another URL answers.
    pub(crate) followed: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Takes a piece of the body, as far as the limit allows. Whether it allows all of it.
    pub(crate) fn take(&mut self, chunk: &[u8], most: u64) -> bool {
        let room = most.saturating_sub(self.body.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.body
            .extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        chunk.len() <= room
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With all of an answer.
    Complete,
    /// Before that: by the HTTP layer's error, or else because its time was up.
    Broken(Option<reqwest::Error>),
    /// With an answer whose body exceeds a limit.
    OverLimit { limit: Limit },
    /// Because content of the request could not be read, so that the rest was never sent. Trying
    /// again does not mend it.
    Unreadable(Failure),
}

/// A limit on a reply's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `max_reply_bytes`.
    Bytes(u64),
    /// `max_reply_values`.
    Values(usize),
}

impl Outcome {
    /// Cuts the body where it exceeds this many values, so that whatever decodes it later takes a
    /// bounded amount of memory.
    pub(crate) fn with_values_limited(mut self, limit: usize) -> Self {
        if let Some(answer) = &mut self.answer
            && let Some(end) = values_beyond(&answer.body, limit)
        {
            answer.body.truncate(end);
            if matches!(self.ending, Ending::Complete) {
                let limit = Limit::Values(limit);
                self.ending = Ending::OverLimit { limit };
            }
        }
        self
    }
}

/// A call that came out well.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) reply: RawReply,
    /// What it says of the mail that was sent, if one was and the reply is a JSON object.
    pub(crate) mail: Option<SendResult>,
}

/// Turns an outcome into a success, or into an error that tells the truth about it.
pub(crate) fn judge(
    operation: &'static Operation,
    outcome: Outcome,
    failures_are_errors: bool,
) -> Result<Success, Error> {
    let Outcome {
        answer,
        unsent,
        ending,
    } = outcome;
    let mut over = None;
    let broken = match ending {
        Ending::Complete => None,
        Ending::Broken(source) => Some(source),
        Ending::OverLimit { limit } => {
            over = Some(limit);
            None
        }
        Ending::Unreadable(failure) => return Err(Error::unreadable(failure)),
    };
    let Some(Answer {
        status,
        followed,
        headers,
        body,
    }) = answer
    else {
        let source = broken.flatten();
        return Err(match source {
            Some(error) if !unsent && is_refused(&error) => Error::refused(error),
            source => Error::transport(unsent, source),
        });
    };
    let (found, mail, readable) = match operation.failure_in_200 {
        Some(places) => inspect_mail(&body, places),
        None => (inspect(&body), SendResult::default(), false),
    };
    let answer = (status, headers, body.into());

    if followed {
        // Whatever it says: it was not asked what we asked.
        let kind = Kind::Redirect { followed };
        return Err(Error::answered(kind, Certainty::Unknown, answer, found));
    }
    let known = || known::find(found.error_code.as_deref(), found.error.as_deref());
    let is_refusal = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
        || !status.is_success() && known().is_some_and(|known| known.rejected);
    // A refusal is one even if the rest of it is lost.
    if is_refusal {
        return Err(Error::answered(
            Kind::Status,
            Certainty::Rejected,
            answer,
            found,
        ));
    }
    if status.is_redirection() {
        return Err(Error::answered(
            Kind::Redirect { followed },
            Certainty::Unknown,
            answer,
            found,
        ));
    }
    if !status.is_success() {
        return Err(Error::answered(
            Kind::Status,
            Certainty::Unknown,
            answer,
            found,
        ));
    }
    if let Some(limit) = over {
        let kind = Kind::ReplyTooLarge { limit };
        return Err(Error::answered(kind, Certainty::Unknown, answer, found));
    }
    if let Some(source) = broken {
        let timeout = source.as_ref().is_none_or(reqwest::Error::is_timeout);
        let kind = Kind::Truncated { timeout };
        return Err(
            Error::answered(kind, Certainty::Unknown, answer, found).with_http_source(source)
        );
    }
    if found.is_error() {
        return Err(Error::answered(
            Kind::ErrorInSuccess,
            Certainty::Rejected,
            answer,
            found,
        ));
    }
    if failures_are_errors && has_failed(&mail) {
        let kind = Kind::FailureInSuccess;
        let certainty = if readable {
            certainty(&mail)
        } else {
            // What is lost of it may have told of a part that was accepted.
            Certainty::Unknown
        };
        return Err(Error::answered(kind, certainty, answer, found)
            .with_failures(mail.failures)
            .with_email_id(mail.email_id));
    }
    let (status, headers, body) = answer;
    Ok(Success {
        reply: RawReply::new(status, headers, body, found.request_id),
        mail: readable.then_some(mail),
    })
}

fn has_failed(mail: &SendResult) -> bool {
    mail.failed.is_some_and(|count| count > 0)
}

/// What is certain of a mail whose success counts failures: a part of it may have been accepted, and
/// would be sent again.
fn certainty(mail: &SendResult) -> Certainty {
    let has_id = mail.email_id.is_some() || mail.schedule_id.is_some();
    if has_id || mail.succeeded.is_some_and(|count| count > 0) {
        Certainty::Unknown
    } else {
        Certainty::Rejected
    }
}

/// What is certain of a mail whose reply was taken for a success whatever it counts; `None` if it
/// is one.
pub(crate) fn failed(reply: &RawReply) -> Option<Certainty> {
    let (_, mail, _) = inspect_mail(reply.body(), operations::EMAIL_SEND.failure_in_200?);
    has_failed(&mail).then(|| certainty(&mail))
}

/// Whether an HTTP/2 server promised that it has not processed the request and will not: it reset
/// the stream as refused, or went away naming an earlier stream as the last that it looks at.
///
/// Works only while h2 is the copy that reqwest uses, which a test holds.
#[cfg(feature = "http2")]
fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_remote()
                && (error.is_go_away()
                    || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        source = error.source();
    }
    false
}

/// Without HTTP/2 there are no such promises.
#[cfg(not(feature = "http2"))]
fn is_refused(_: &reqwest::Error) -> bool {
    false
}

/// The error for a success whose body is not the expected reply.
pub(crate) fn unreadable(reply: RawReply, error: &serde_json::Error) -> Error {
    let parts = reply.into_parts();
    let found = inspect(&parts.2);
    // Only the place: the text can quote the body.
    let place = match error.line() {
        0 => "the JSON is not of the reply's shape".to_owned(),
        line => format!(
            "{:?} error at line {line} column {}",
            error.classify(),
            error.column()
        ),
    };
    Error::answered(Kind::Decode, Certainty::Unknown, parts, found).with_source(place)
}

/// The error for a success whose body is no JSON object.
#[cold]
pub(crate) fn no_object(reply: RawReply) -> Error {
    let object = serde_json::from_str(&readable(reply.body())).map(|Members(_)| ());
    let error = object
        .err()
        .unwrap_or_else(|| serde_json::Error::custom("no object"));
    unreadable(reply, &error)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderValue, Method, header};

    use super::*;
    use crate::ErrorCode;
    use crate::call::retry::{Verdict, classify};
    use crate::operation::{FailureIn200, Kind as OperationKind};

    const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

    pub(crate) static LOOKUP: Operation = Operation {
        id: "thing_view",
        group: "thing",
        method: Method::POST,
        path: "/thing/view",
        kind: OperationKind::Read,
        repeat_safe: true,
        deprecated: false,
        rate_limit: None,
        max_body_bytes: None,
        pagination: None,
        subaccount: None,
        failure_in_200: None,
        key_in_body: None,
    };

    static SEND: Operation = Operation {
        id: "thing_send",
        group: "thing",
        method: Method::POST,
        path: "/thing/send",
        kind: OperationKind::Send,
        repeat_safe: false,
        deprecated: false,
        rate_limit: None,
        max_body_bytes: None,
        pagination: None,
        subaccount: None,
        failure_in_200: Some(FailureIn200 {
            count: "/data/failed",
            messages: "/data/failures",
            succeeded: "/data/succeeded",
            id: "/data/email_id",
        }),
        key_in_body: None,
    };

    /// As calls are judged by default.
    pub(crate) fn judge(
        operation: &'static Operation,
        outcome: Outcome,
    ) -> Result<RawReply, Error> {
        super::judge(operation, outcome, true).map(|success| success.reply)
    }

    fn ended(status: u16, headers: &[(&str, &str)], body: &[u8], ending: Ending) -> Outcome {
        let headers = headers.iter().map(|(name, value)| {
            let name = header::HeaderName::try_from(*name).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            followed: false,
            headers: headers.collect(),
            body: body.to_vec(),
        };
        Outcome {
            answer: Some(answer),
            unsent: false,
            ending,
        }
    }

    pub(crate) fn answered(status: u16, body: impl AsRef<[u8]>) -> Outcome {
        ended(status, &[], body.as_ref(), Ending::Complete)
    }

    fn error(outcome: Outcome) -> Error {
        let error = judge(&SEND, outcome).unwrap_err().during(&SEND, 1);
        let shown = error.to_string();
        assert!(!shown.contains('\n'), "{shown}");
        assert!(shown.starts_with("POST /thing/send: "), "{shown}");
        error
    }

    #[test]
    fn every_shape_of_error_body_keeps_what_it_says() {
        let invalid = "E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD";
        for fields in [
            r#"{"fieldname":"sender","message":"bad one"}"#,
            r#"[{"fieldname":"sender","message":"bad one"}]"#,
            r#"{"sender":"bad one"}"#,
        ] {
            let keys = format!(
                r#""error":"no such thing","error_code":"{invalid}","field_validation_errors":{fields}"#
            );
            for body in [
                format!(r#"{{"request_id":"r-1","data":{{{keys}}}}}"#),
                format!(r#"{{"request_id":"r-1",{keys}}}"#),
                format!(r#"{{"data":{{"request_id":"r-1",{keys}}}}}"#),
                format!(r#"{{"request_id":"r-1","data":{{{keys},"brok"#),
            ] {
                for status in [400, 402, 422, 500, 200] {
                    let error = error(answered(status, &body));
                    assert_eq!(error.status().unwrap().as_u16(), status);
                    assert_eq!(error.request_id(), Some("r-1"), "{body}");
                    assert_eq!(error.code(), Some(ErrorCode::NonValidatingInPayload));
                    assert_eq!(error.message(), Some("no such thing"));
                    assert_eq!(error.field_errors().len(), 1, "{body}");
                    assert_eq!(error.field_errors()[0].field, "sender");
                    assert_eq!(error.field_errors()[0].message, "bad one");
                    assert_eq!(error.body().unwrap(), body.as_bytes());
                    assert_eq!(error.operation().unwrap().id, "thing_send");
                    assert!(error.is_validation() && !error.is_auth() && !error.is_decode());
                    let certainty = if status == 500 {
                        Certainty::Unknown
                    } else {
                        Certainty::Rejected
                    };
                    assert_eq!(error.certainty(), certainty);
                    let shown = error.to_string();
                    for part in [
                        "no such thing",
                        "sender: bad one",
                        "r-1",
                        &status.to_string(),
                    ] {
                        assert!(shown.contains(part), "{part} in {shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn bodies_that_are_not_json_keep_status_and_body() {
        for (body, hint) in [
            (&b""[..], "empty body"),
            (b"  \r\n", "empty body"),
            (
                b"<html><body>Bad Gateway for ana@example.com</body></html>",
                "HTML",
            ),
            (b"upstream request timeout", "24 bytes that are not JSON"),
            (b"\xff\xfe\x00", "3 bytes that are not JSON"),
            (b"{\"request_", "without an explanation"),
            (b"{}", "without an explanation"),
            (b"[]", "without an explanation"),
            (b"{\"data\":null}", "without an explanation"),
        ] {
            for (status, certainty) in [
                (400, Certainty::Rejected),
                (404, Certainty::Rejected),
                (429, Certainty::Rejected),
                (500, Certainty::Unknown),
                (502, Certainty::Unknown),
                (504, Certainty::Unknown),
            ] {
                let error = error(answered(status, body));
                assert_eq!(error.status().unwrap().as_u16(), status);
                assert_eq!(error.body().unwrap(), body);
                assert_eq!(error.certainty(), certainty);
                assert_eq!(error.is_rate_limited(), status == 429);
                assert_eq!((error.code(), error.message()), (None, None));
                let shown = error.to_string();
                assert!(
                    shown.contains(hint) && !shown.contains("example"),
                    "{shown}"
                );
            }
        }
        let latin = b"{\"request_id\":\"r\",\"error\":\"caf\xe9\"}";
        assert_eq!(error(answered(400, latin)).message(), Some("caf\u{fffd}"));
    }

    #[test]
    fn a_success_can_report_failure() {
        for (body, failures) in [
            (
                r#"{"request_id":"r","data":{"failed":1,"failures":["a@example.com: no"]}}"#,
                vec!["a@example.com: no"],
            ),
            (
                r#"{"request_id":"r","data":{"failures":"no","failed":"2"}}"#,
                vec!["no"],
            ),
            (r#"{"request_id":"r","data":{"failed":1}}"#, vec![]),
            (
                r#"{"request_id":"r","data":{"failed":1,"failures":[{"why":1},null]}}"#,
                vec![r#"{"why":1}"#],
            ),
        ] {
            let error = error(answered(200, body));
            assert_eq!(error.failures(), failures);
            assert_eq!(error.certainty(), Certainty::Rejected);
            assert_eq!(error.request_id(), Some("r"));
            assert!(error.to_string().contains("not accepted"), "{error}");
            let debug = format!("{error:?}");
            assert!(!debug.contains("example.com"), "{debug}");
            // Only where the operation says so, and not for who wants to see for himself.
            judge(&LOOKUP, answered(200, body)).unwrap();
            let success = super::judge(&SEND, answered(200, body), false).unwrap();
            assert_eq!(success.reply.body(), body);
        }
        for body in [
            r#"{"data":{"failed":0,"failures":[]}}"#,
            r#"{"data":{"failed":"0","error":""}}"#,
            r#"{"data":{"email_id":"1"},"error":null}"#,
            r#"{"data":[]}"#,
            "",
            "<html>",
        ] {
            let reply = judge(&SEND, answered(200, body)).unwrap();
            assert_eq!(reply.body(), body);
        }
        let reply = judge(&SEND, answered(201, r#"{"request_id":"r"}"#)).unwrap();
        assert_eq!(
            (reply.status().as_u16(), reply.request_id()),
            (201, Some("r"))
        );
        assert!(!format!("{reply:?}").contains("{\""));
    }

    #[test]
    fn causes_that_are_known_come_with_advice() {
        let sender = "verify the sender";
        let permission = "not permitted";
        let key = "unknown or disabled: check the key, and the region";
        let unknown = r#"{"data":{"error":"An API User matching the passed 'api_key' was not found","error_code":"E_ApiResponseCodes.API_EXCEPTION"}}"#;
        for (status, body, hint) in [
            (401, unknown, key),
            (500, unknown, key),
            (200, unknown, key),
            (429, unknown, key),
            (408, unknown, key),
            (
                503,
                r#"{"error":"AN API USER MATCHING the passed 'api_key' was not found."}"#,
                key,
            ),
            (
                400,
                r#"{"data":{"error":"x","error_code":"E_ApiResponseCodes.ENDPOINT_PERMISSION_DENIED"}}"#,
                permission,
            ),
            (403, "", permission),
            (401, "<html>", key),
            (
                400,
                r#"{"data":{"error":"x","error_code":"E_ApiResponseCodes.API_KEY_INVALID"}}"#,
                key,
            ),
            (
                400,
                r#"{"data":{"field_validation_errors":{"fieldname":"api_key","message":"x"}}}"#,
                key,
            ),
            (
                400,
                r#"{"data":{"error":"The sender domain is not verified"}}"#,
                sender,
            ),
            (
                400,
                r#"{"data":{"error":"x","error_code":"E_ApiResponseCodes.SENDER_NOT_VERIFIED"}}"#,
                sender,
            ),
            (
                200,
                r#"{"data":{"failed":1,"failures":["Unverified sender"]}}"#,
                sender,
            ),
        ] {
            let error = error(answered(status, body));
            assert!(error.to_string().contains(hint), "{error}");
            assert_eq!(error.is_auth(), hint != sender, "{error}");
            assert_eq!(error.certainty(), Certainty::Rejected, "{error}");
            assert_eq!(classify(&error), Verdict::Final, "{error}");
        }
        let plain = error(answered(400, r#"{"data":{"error":"no such template"}}"#));
        assert!(plain.to_string().ends_with("no such template"), "{plain}");
    }

    #[test]
    fn codes_are_open() {
        let code = |text: &str| {
            error(answered(
                400,
                format!(r#"{{"data":{{"error_code":"{text}"}}}}"#),
            ))
            .code()
        };
        assert_eq!(
            code("E_ApiResponseCodes.API_EXCEPTION"),
            Some(ErrorCode::ApiException)
        );
        assert_eq!(
            code("REQ_LIMIT_EXCEEDED"),
            Some(ErrorCode::ReqLimitExceeded)
        );
        let odd = code("E_ApiResponseCodes.NEW").unwrap();
        assert_eq!(odd, ErrorCode::Unknown("E_ApiResponseCodes.NEW".to_owned()));
        assert_eq!(odd.to_string(), "E_ApiResponseCodes.NEW");
        assert_eq!(code(""), None);
    }

    #[test]
    fn a_part_that_was_accepted_is_not_a_rejection() {
        for (body, certainty) in [
            (
                r#"{"data":{"failed":1,"succeeded":0,"email_id":""}}"#,
                Certainty::Rejected,
            ),
            (r#"{"data":{"failed":"1"}}"#, Certainty::Rejected),
            (
                r#"{"data":{"failed":1,"succeeded":"1"}}"#,
                Certainty::Unknown,
            ),
            (
                r#"{"data":{"failed":1,"succeeded":0,"email_id":"1a"}}"#,
                Certainty::Unknown,
            ),
            (
                r#"{"data":{"failed":1,"email_id":"","schedule_id":"1b"}}"#,
                Certainty::Unknown,
            ),
            // The rest may have told of a part that was accepted.
            (
                r#"{"data":{"failed":1,"succeeded":0,"failures":["no such"#,
                Certainty::Unknown,
            ),
        ] {
            let error = judge(&SEND, answered(200, body)).unwrap_err();
            assert_eq!(error.certainty(), certainty, "{body}");
            let id = body.contains("1a").then_some("1a");
            assert_eq!(error.email_id(), id, "{body}");
            assert!(!format!("{error:?}").contains("1a"));
        }
        // Nor is it known what became of a request that the server says it waited for in vain.
        assert_eq!(error(answered(408, "")).certainty(), Certainty::Unknown);
    }

    #[test]
    fn a_redirect_shows_its_host_alone() {
        for (location, shown) in [
            (
                "https://user:hunter2@elsewhere.example.com/hunter2?hunter2",
                "elsewhere.example.com",
            ),
            ("/hunter2", "a redirect,"),
        ] {
            for status in [301, 307, 308] {
                let outcome = ended(status, &[("location", location)], b"", Ending::Complete);
                let error = error(outcome);
                assert_eq!(error.certainty(), Certainty::Unknown);
                assert_eq!(error.headers().unwrap()["location"], location);
                let text = format!("{error} {error:?}");
                assert!(text.contains(shown) && !text.contains("hunter2"), "{text}");
            }
        }
    }

    #[test]
    fn an_answer_from_elsewhere_is_none() {
        for status in [200, 302, 400, 429, 503] {
            let mut outcome = answered(status, r#"{"request_id":"r","data":{"email_id":"1a"}}"#);
            if let Some(answer) = &mut outcome.answer {
                answer.followed = true;
            }
            let error = error(outcome);
            assert_eq!(error.certainty(), Certainty::Unknown);
            assert_eq!(error.kind(), "redirect");
            assert!(error.to_string().contains("was followed"), "{error}");
        }
    }

    #[test]
    fn broken_answers_are_judged_by_their_status() {
        let broken = |status| ended(status, &[], b"{\"request_id\":\"r\",", Ending::Broken(None));
        for (status, certainty) in [
            (200, Certainty::Unknown),
            (400, Certainty::Rejected),
            (500, Certainty::Unknown),
        ] {
            let error = error(broken(status));
            assert_eq!(error.certainty(), certainty);
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert_eq!(error.request_id(), Some("r"));
            assert_eq!(error.is_timeout(), status == 200);
        }
    }

    #[test]
    fn without_an_answer_the_seal_decides() {
        for (unsent, certainty, words) in [
            (true, Certainty::NotSent, "nothing was sent"),
            (false, Certainty::Unknown, "may have been processed"),
        ] {
            let outcome = Outcome {
                answer: None,
                unsent,
                ending: Ending::Broken(None),
            };
            let error = error(outcome);
            assert_eq!(error.certainty(), certainty);
            assert!(error.is_timeout() && error.status().is_none() && error.body().is_none());
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |value: &str| {
            error(ended(429, &[("retry-after", value)], b"", Ending::Complete)).retry_after()
        };
        assert_eq!(wait("75"), Some(Duration::from_secs(75)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let far = wait("Fri, 31 Dec 2399 23:59:59 GMT").unwrap();
        assert!(far > Duration::from_secs(300 * 365 * 86_400), "{far:?}");
        assert!(SystemTime::now().checked_add(far).is_some());
        for odd in ["", "soon", "-1", "1.5"] {
            assert_eq!(wait(odd), None, "{odd}");
        }
        assert_eq!(error(answered(429, "")).retry_after(), None);
    }

    #[test]
    fn nothing_shows_keys_and_debug_shows_no_words_of_the_api() {
        let words = "ana@example.com is\r\nunknown";
        let body = format!(
            r#"{{"request_id":"{KEY}","data":{{"error":"{} {KEY}","error_code":"{KEY}",
               "field_validation_errors":{{"{KEY}":"{KEY}"}}}}}}"#,
            words.escape_default()
        );
        for status in [200, 400, 503] {
            let error = error(answered(status, &body));
            let (display, debug) = (error.to_string(), format!("{error:?} {error:#?}"));
            assert!(
                !format!("{display}{debug}").contains("0123456789"),
                "{display} {debug}"
            );
            assert!(!debug.contains("ana@"), "{debug}");
            assert!(display.contains("ana@example.com is  unknown"), "{display}");
            assert!(
                error.message().unwrap().ends_with(KEY),
                "the API's text stays as it came"
            );
        }
        // A key that lies across the cut is no less of a key.
        for before in 0..310 {
            let body = format!(r#"{{"error":"{} {KEY}"}}"#, "x".repeat(before));
            let shown = error(answered(400, body)).to_string();
            assert!(!shown.contains("0123"), "{shown}");
        }
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(10_000));
        let shown = error(answered(400, long)).to_string();
        assert!(shown.len() < 400 && shown.contains('…'), "{shown}");
    }

    #[test]
    fn a_reply_over_the_limit_is_an_error_that_names_it() {
        let over = |status, body: &str| {
            let limit = Limit::Bytes(40);
            let ending = Ending::OverLimit { limit };
            error(ended(status, &[], body.as_bytes(), ending))
        };
        for body in ["", r#"{"request_id":"r","data":{"email_id":"1aB"#] {
            let error = over(200, body);
            assert_eq!(error.kind(), "reply_too_large");
            assert_eq!(error.certainty(), Certainty::Unknown);
            assert_eq!(error.body().unwrap(), body);
            assert_eq!(error.request_id(), (!body.is_empty()).then_some("r"));
            assert!(!error.is_timeout() && !error.is_decode());
            let shown = error.to_string();
            assert!(
                shown.contains("40 bytes") && shown.contains("may have been"),
                "{shown}"
            );
        }
        // What is no success says what it says all the same.
        let said = r#"{"request_id":"r","data":{"error":"no such thing","more":"#;
        for (status, certainty) in [
            (400, Certainty::Rejected),
            (429, Certainty::Rejected),
            (503, Certainty::Unknown),
        ] {
            let error = over(status, said);
            assert_eq!((error.kind(), error.certainty()), ("status", certainty));
            assert_eq!(error.message(), Some("no such thing"));
            assert_eq!(error.request_id(), Some("r"));
        }
    }

    #[test]
    fn a_body_with_too_many_values_is_cut_before_it_is_read() {
        let body = r#"{"request_id":"r","data":{"error":"no such thing","x":[1,2,3]}}"#;
        let kept = &body[..body.find(",3").unwrap()];
        let cut = |status, limit| answered(status, body).with_values_limited(limit);
        for (status, kind, certainty) in [
            (200, "reply_too_large", Certainty::Unknown),
            (400, "status", Certainty::Rejected),
            (503, "status", Certainty::Unknown),
        ] {
            let error = error(cut(status, 54));
            assert_eq!((error.kind(), error.certainty()), (kind, certainty));
            assert_eq!(error.body().unwrap(), kept);
            assert_eq!(error.request_id(), Some("r"));
            if status == 200 {
                let shown = error.to_string();
                let words = "exceeds the limit of 54 values (`max_reply_values`";
                assert!(shown.contains(words), "{shown}");
            }
        }
        assert_eq!(error(cut(200, 55)).kind(), "error_in_200");
        // What else went wrong stays what went wrong.
        let broken = ended(200, &[], body.as_bytes(), Ending::Broken(None));
        let error = error(broken.with_values_limited(54));
        assert_eq!(error.kind(), "truncated");
        assert_eq!(error.body().unwrap(), kept);
    }

    #[test]
    fn an_unreadable_success_keeps_its_body() {
        let reply = judge(
            &LOOKUP,
            answered(200, r#"{"request_id":"r","data":"ana@example.com"}"#),
        );
        let cause = serde_json::from_str::<Vec<u8>>("\n\"ana@example.com\"").unwrap_err();
        let error = unreadable(reply.unwrap(), &cause).during(&LOOKUP, 1);
        assert!(error.is_decode());
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.request_id(), Some("r"));
        assert!(error.body().unwrap().ends_with(b"\"}"));
        let chain = format!(
            "{error} {error:?} {}",
            std::error::Error::source(&error).unwrap()
        );
        assert!(
            chain.contains("line 2") && !chain.contains("ana@"),
            "{chain}"
        );
    }
}
