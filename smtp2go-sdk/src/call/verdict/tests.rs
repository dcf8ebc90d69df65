//! Tests of the table, row by row.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, header};

use super::*;
use crate::ErrorCode;
use crate::operation::Kind as OperationKind;

const KEY: &str = "api-0123456789abcdefABCDEF0123456789";
const SECOND: Duration = Duration::from_secs(1);

pub(crate) static LOOKUP: Operation = Operation::post("/thing/view")
    .named("thing_view")
    .kind(OperationKind::Read)
    .repeat_safe(true);

static SEND: Operation = Operation::post("/thing/send")
    .named("thing_send")
    .kind(OperationKind::Send)
    .failure_in_200(FailureIn200::MAIL);

static RETRY: RetryPolicy = RetryPolicy::new();

/// All cases, with their text in the table of `docs/errors.md`. Cases with the same text share a row there.
const CASES: [(Case, &str); 24] = [
    (Case::Content, "an attachment could not be read to its end"),
    (
        Case::NothingSent,
        "the connection failed or timed out before the request was sent whole: refused, unknown host, TLS failure, lost while uploading",
    ),
    (
        Case::PartSent,
        "the connection failed or timed out before the request was sent whole: refused, unknown host, TLS failure, lost while uploading",
    ),
    (
        Case::StreamRefused,
        "the server refused the HTTP/2 stream before processing it",
    ),
    (
        Case::EarlyReply,
        "408 or 5xx before the request was sent whole",
    ),
    (
        Case::NoReply,
        "the connection failed or timed out after the request was sent whole",
    ),
    (Case::RateLimited, "429"),
    (
        Case::KnownRefusal,
        "the error for an unknown API key, with any status",
    ),
    (Case::ClientError, "4xx other than 408 and 429"),
    (
        Case::RefusedBesideSuccess,
        "4xx whose body reports an id or a success",
    ),
    (Case::ServerError, "5xx other than 501"),
    (
        Case::RequestTimeout,
        "408, 501, or a status below 200 or above 599",
    ),
    (
        Case::NotImplemented,
        "408, 501, or a status below 200 or above 599",
    ),
    (
        Case::OtherStatus,
        "408, 501, or a status below 200 or above 599",
    ),
    (
        Case::Redirect,
        "3xx, or your own HTTP client followed a redirect",
    ),
    (
        Case::RedirectFollowed,
        "3xx, or your own HTTP client followed a redirect",
    ),
    (Case::Truncated, "2xx, and the reply is incomplete"),
    (Case::ErrorIn200, "2xx that reports an error or a failure"),
    (Case::FailedIn200, "2xx that reports an error or a failure"),
    (
        Case::ErrorBesideSuccess,
        "2xx that reports an error or a failure beside an id or a success, or that is unreadable in part",
    ),
    (
        Case::FailedBesideSuccess,
        "2xx that reports an error or a failure beside an id or a success, or that is unreadable in part",
    ),
    (
        Case::Unconfirmed,
        "2xx to a send that reports neither an id nor a success",
    ),
    (
        Case::ReplyTooLarge,
        "2xx that exceeds a limit of the client or is not the expected reply",
    ),
    (
        Case::Undecodable,
        "2xx that exceeds a limit of the client or is not the expected reply",
    ),
];

fn policy(operation: &'static Operation) -> Policy<'static> {
    Policy {
        operation,
        retry: &RETRY,
        rewindable: true,
        failures_are_errors: true,
        per_item: false,
        versioned: true,
    }
}

fn first_attempt() -> Situation {
    Situation {
        attempt: 1,
        left: 120 * SECOND,
        has_budget: true,
        has_other_host: false,
        jitter: 0.0,
        now: SystemTime::now(),
    }
}

/// Judges with `failures_are_errors` off.
fn judge_leniently(evidence: Evidence) -> Success {
    let policy = Policy {
        failures_are_errors: false,
        ..policy(&SEND)
    };
    verdict(&policy, evidence, &first_attempt()).0.unwrap()
}

/// Judges with the default settings.
pub(crate) fn judge(operation: &'static Operation, evidence: Evidence) -> Result<RawReply, Error> {
    let (result, _) = verdict(&policy(operation), evidence, &first_attempt());
    result.map(|success| success.reply)
}

fn ended(status: u16, headers: &[(&str, &str)], body: &[u8], ending: Ending) -> Evidence {
    let headers = headers.iter().map(|(name, value)| {
        let name = header::HeaderName::try_from(*name).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    let answer = Received {
        status: StatusCode::from_u16(status).unwrap(),
        followed: false,
        headers: headers.collect(),
        body: body.to_vec(),
    };
    Evidence {
        answer: Some(answer),
        upload: Upload::Whole,
        ending,
    }
}

fn unanswered(upload: Upload) -> Evidence {
    Evidence {
        answer: None,
        upload,
        ending: Ending::Broken(None),
    }
}

pub(crate) fn answered(status: u16, body: impl AsRef<[u8]>) -> Evidence {
    ended(status, &[], body.as_ref(), Ending::Complete)
}

fn error(evidence: Evidence) -> Error {
    let error = judge(&SEND, evidence).unwrap_err().during(&SEND, 1);
    let shown = error.to_string();
    assert!(!shown.contains('\n'), "{shown}");
    assert!(shown.starts_with("POST /thing/send: "), "{shown}");
    error
}

fn next_of(evidence: Evidence, operation: &'static Operation) -> Next {
    verdict(&policy(operation), evidence, &first_attempt())
        .1
        .next
}

#[test]
fn documented_table_matches_the_code() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let page = std::fs::read_to_string(page).unwrap();
    let retried = |yes| if yes { "retried" } else { "-" };
    let mut expected = String::new();
    for (case, what) in CASES {
        let (certainty, retry) = row(case);
        let sends = !matches!(retry, Retry::Never | Retry::Idempotent);
        let (sends, idempotent) = (retried(sends), retried(retry != Retry::Never));
        let line = format!("| {what} | `{certainty:?}` | {sends} | {idempotent} |\n");
        if !expected.ends_with(&line) {
            expected += &line;
        }
    }
    assert!(
        page.contains(&expected),
        "docs/errors.md should have:\n{expected}"
    );
}

#[test]
fn observer_documents_every_reason() {
    let documented = include_str!("../observer.rs");
    let source = include_str!("../verdict.rs");
    let body = &source[source.find("fn next(").unwrap()..];
    let body = &body[..body.find("\nimpl Evidence").unwrap()];
    let reasons: Vec<_> = body.split('"').skip(1).step_by(2).collect();
    assert_eq!(reasons.len(), 12, "{reasons:?}");
    for reason in reasons {
        assert!(documented.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn next_step_follows_from_retry_and_situation() {
    let retry = |seconds: u32| Some(seconds * SECOND);
    let asked = |seconds: u32| Some(seconds * SECOND);
    // retry, seconds that the reply asks for, attempt, seconds left:
    // wait of an idempotent operation, wait of others, pause of all calls
    for (row, asks, attempt, left, idempotent, others, pause) in [
        (Retry::Never, None, 1, 120, None, None, None),
        (Retry::NotSent, None, 1, 120, retry(1), retry(1), None),
        (Retry::NotSent, None, 2, 120, retry(1), retry(1), None),
        (Retry::NotSent, None, 3, 120, None, None, None),
        (Retry::NotSent, None, 4, 120, None, None, None),
        (Retry::NotSent, None, 1, 1, None, None, None),
        (Retry::NotSent, None, 1, 0, None, None, None),
        (Retry::Aborted, None, 1, 120, retry(1), retry(1), None),
        (Retry::Aborted, asked(9), 1, 120, retry(9), retry(9), None),
        (Retry::Refused, None, 1, 120, retry(1), retry(1), None),
        (Retry::Refused, None, 3, 120, None, None, None),
        (Retry::Idempotent, None, 1, 120, retry(1), None, None),
        (Retry::Idempotent, None, 2, 120, retry(1), None, None),
        (Retry::Idempotent, None, 3, 120, None, None, None),
        (Retry::Idempotent, None, 1, 1, None, None, None),
        (Retry::Idempotent, asked(9), 1, 120, retry(9), None, None),
        (Retry::Idempotent, asked(0), 1, 120, retry(1), None, None),
        (Retry::Idempotent, asked(9), 1, 9, None, None, None),
        (
            Retry::RateLimited,
            None,
            1,
            120,
            retry(60),
            retry(60),
            retry(60),
        ),
        (Retry::RateLimited, None, 1, 60, None, None, retry(60)),
        (Retry::RateLimited, None, 3, 120, None, None, retry(60)),
        (
            Retry::RateLimited,
            asked(9),
            1,
            120,
            retry(9),
            retry(9),
            retry(9),
        ),
        (
            Retry::RateLimited,
            asked(0),
            1,
            120,
            retry(1),
            retry(1),
            retry(1),
        ),
        (Retry::RateLimited, asked(9), 1, 9, None, None, retry(9)),
        (Retry::RateLimited, asked(9), 3, 120, None, None, retry(9)),
        (
            Retry::RateLimited,
            asked(86_400),
            1,
            120,
            None,
            None,
            Some(LONGEST_PAUSE),
        ),
        (
            Retry::RateLimited,
            asked(u32::MAX),
            1,
            9_999,
            Some(LONGEST_PAUSE),
            Some(LONGEST_PAUSE),
            Some(LONGEST_PAUSE),
        ),
    ] {
        for (operation, wait) in [(&LOOKUP, idempotent), (&SEND, others)] {
            let situation = Situation {
                attempt,
                left: left * SECOND,
                ..first_attempt()
            };
            let step = next(&policy(operation), row, asks, &situation);
            let context = format!("{row:?} {asks:?} {situation:?} {}", operation.id);
            match (step.next, wait) {
                (Next::Retry { after, .. }, Some(wait)) => assert_eq!(after, wait, "{context}"),
                (Next::Stop { .. }, None) => {}
                other => panic!("{context}: {other:?}"),
            }
            assert_eq!(step.pause, pause, "{context}");
            assert_eq!(
                step.charged,
                wait.is_some() && row != Retry::RateLimited,
                "{context}"
            );
            assert_eq!(
                step.moves_on,
                wait.is_some() && row == Retry::NotSent,
                "{context}"
            );

            let once = Policy {
                retry: &RetryPolicy::none(),
                ..policy(operation)
            };
            let spent = Policy {
                rewindable: false,
                ..policy(operation)
            };
            for never in [once, spent] {
                assert!(
                    !next(&never, row, asks, &situation).next.is_retry(),
                    "{context}"
                );
            }
            let tired = Situation {
                has_budget: false,
                ..situation
            };
            let free = wait.is_some() && row == Retry::RateLimited;
            let tired = next(&policy(operation), row, asks, &tired).next;
            assert_eq!(tired.is_retry(), free, "{context}");

            let elsewhere = Situation {
                has_other_host: true,
                has_budget: false,
                ..situation
            };
            if row == Retry::NotSent {
                let step = next(&policy(operation), row, asks, &elsewhere);
                let at_once = attempt < 3 && left > 0;
                assert_eq!(step.next.is_retry(), at_once, "{context}");
                if let Next::Retry { after, .. } = step.next {
                    assert!(after.is_zero() && !step.charged, "{context}");
                }
            }
        }
    }
}

#[test]
fn stop_names_its_reason() {
    for (row, rewindable, attempt, left, expected) in [
        (Retry::Never, false, 3, 0, "final"),
        (Retry::Idempotent, false, 3, 0, "not_repeat_safe"),
        (Retry::NotSent, false, 3, 0, "not_rewindable"),
        (Retry::NotSent, true, 3, 0, "attempts"),
        (Retry::NotSent, true, 1, 0, "deadline"),
        (Retry::NotSent, true, 1, 60, "retry_budget"),
    ] {
        let policy = Policy {
            rewindable,
            ..policy(&SEND)
        };
        let situation = Situation {
            attempt,
            left: left * SECOND,
            has_budget: false,
            ..first_attempt()
        };
        let reason = expected;
        assert_eq!(
            next(&policy, row, None, &situation).next,
            Next::Stop { reason }
        );
    }
}

#[test]
fn status_and_ending_decide_on_the_retry() {
    let broken = |status| ended(status, &[], b"", Ending::Broken(None));
    let over = |status| ended(status, &[], b"", Ending::OverLimit(ReplyLimit::Bytes(1)));
    // status: idempotent operation after a whole reply, a broken one, one over the limit
    let no = (false, false, false);
    for (status, (whole, cut, long)) in [
        (200, (false, true, false)),
        (204, (false, true, false)),
        (301, no),
        (307, no),
        (400, no),
        (401, no),
        (402, no),
        (403, no),
        (404, no),
        (408, no),
        (429, (true, true, true)),
        (500, (true, true, true)),
        (501, no),
        (502, (true, true, true)),
        (503, (true, true, true)),
        (504, (true, true, true)),
        (599, (true, true, true)),
        (600, no),
    ] {
        let retried = |evidence| next_of(evidence, &LOOKUP).is_retry();
        assert_eq!(retried(answered(status, "")), whole, "{status}");
        assert_eq!(retried(broken(status)), cut, "{status}");
        assert_eq!(retried(over(status)), long, "{status}");
        let evidence = [answered(status, ""), broken(status), over(status)];
        for evidence in evidence {
            assert_eq!(
                next_of(evidence, &SEND).is_retry(),
                status == 429,
                "{status}"
            );
        }
    }
    for (upload, sends) in [
        (Upload::Nothing, true),
        (Upload::Part, true),
        (Upload::Whole, false),
    ] {
        assert!(next_of(unanswered(upload), &LOOKUP).is_retry());
        assert_eq!(next_of(unanswered(upload), &SEND).is_retry(), sends);
    }
}

#[test]
fn early_reply_is_judged_by_its_status() {
    let early = |status, upload| Evidence {
        upload,
        ..answered(status, "")
    };
    for (status, certainty, retried) in [
        (200, None, false),
        (307, Some(Certainty::Unknown), false),
        (400, Some(Certainty::Rejected), false),
        (408, Some(Certainty::NotSent), true),
        (429, Some(Certainty::Rejected), true),
        (500, Some(Certainty::NotSent), true),
        (501, Some(Certainty::Unknown), false),
        (503, Some(Certainty::NotSent), true),
    ] {
        for upload in [Upload::Nothing, Upload::Part] {
            let found = judge(&LOOKUP, early(status, upload)).err();
            assert_eq!(found.map(|error| error.certainty()), certainty, "{status}");
            assert_eq!(
                next_of(early(status, upload), &SEND).is_retry(),
                retried,
                "{status}"
            );
        }
    }
}

#[test]
fn call_refused_in_a_reply_that_reports_a_success_is_unknown() {
    for status in [400, 422, 429, 499] {
        for body in [
            r#"{"data":{"error":"no","email_id":"1a"}}"#,
            r#"{"data":{"succeeded":1}}"#,
            r#"{"error":"no","data":[{"email_id":"1a"}]}"#,
        ] {
            let error = error(answered(status, body));
            assert_eq!(error.certainty(), Certainty::Unknown, "{status} {body}");
            assert!(!next_of(answered(status, body), &SEND).is_retry());
        }
    }
}

#[test]
fn certainty_is_the_weakest_of_all_attempts() {
    let made = |certainty| {
        let evidence = match certainty {
            Certainty::NotSent => unanswered(Upload::Nothing),
            Certainty::Rejected => answered(429, ""),
            Certainty::Unknown => unanswered(Upload::Whole),
        };
        judge(&LOOKUP, evidence).unwrap_err()
    };
    let order = [Certainty::NotSent, Certainty::Rejected, Certainty::Unknown];
    for (first, earlier) in order.into_iter().enumerate() {
        for (second, last) in order.into_iter().enumerate() {
            let error = made(last).following(Some(&made(earlier)));
            assert_eq!(error.certainty(), order[first.max(second)]);
            assert_eq!(error.status(), made(last).status());
        }
        assert_eq!(made(earlier).following(None).certainty(), earlier);
    }
}

#[test]
fn error_body_of_any_shape_keeps_its_details() {
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
                let broken = !body.ends_with('}');
                let certainty = if status == 500 || status == 200 && broken {
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
fn error_keeps_status_and_body_of_a_reply_without_explanation() {
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
fn success_that_reports_failure_is_an_error() {
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
        // Not for other operations, and not with `failures_are_errors` off.
        judge(&LOOKUP, answered(200, body)).unwrap();
        assert_eq!(judge_leniently(answered(200, body)).reply.body(), body);
    }
    for body in [
        "",
        "<html>",
        r#"{"data":[]}"#,
        r#"{"error":"","data":{"failed":0}}"#,
    ] {
        let reply = judge(&LOOKUP, answered(200, body)).unwrap();
        assert_eq!(reply.body(), body);
    }
    let reply = judge(&LOOKUP, answered(201, r#"{"request_id":"r"}"#)).unwrap();
    assert_eq!(
        (reply.status().as_u16(), reply.request_id()),
        (201, Some("r"))
    );
    assert!(!format!("{reply:?}").contains("{\""));
}

#[test]
fn error_with_a_known_cause_has_a_hint_and_is_rejected() {
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
        assert_eq!(
            next_of(answered(status, body), &SEND),
            Next::Stop { reason: "final" }
        );
    }
    let plain = error(answered(400, r#"{"data":{"error":"no such template"}}"#));
    assert!(plain.to_string().ends_with("no such template"), "{plain}");
}

#[test]
fn unknown_code_is_kept() {
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
fn failed_mail_is_rejected_unless_the_reply_may_report_a_success() {
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
        // The missing rest may have reported a success.
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
    // A 408 does not prove that the request did not arrive.
    assert_eq!(error(answered(408, "")).certainty(), Certainty::Unknown);
}

#[test]
fn redirect_error_shows_only_the_host() {
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
fn reply_after_redirect_is_an_error() {
    for status in [200, 302, 400, 429, 503] {
        let mut outcome = answered(status, r#"{"request_id":"r","data":{"email_id":"1a"}}"#);
        if let Some(answer) = &mut outcome.answer {
            answer.followed = true;
        }
        let error = error(outcome);
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.kind(), "redirect");
        assert!(error.to_string().contains("followed a redirect"), "{error}");
    }
}

#[test]
fn truncated_reply_is_judged_by_its_status() {
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
fn certainty_without_a_reply_follows_from_the_gate() {
    for (upload, certainty, words) in [
        (Upload::Nothing, Certainty::NotSent, "nothing was sent"),
        (Upload::Part, Certainty::NotSent, "was not sent whole"),
        (Upload::Whole, Certainty::Unknown, "may have been processed"),
    ] {
        let error = error(unanswered(upload));
        assert_eq!(error.certainty(), certainty);
        assert!(error.is_timeout() && error.status().is_none() && error.body().is_none());
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let wait = |value: &str| {
        let evidence = ended(503, &[("retry-after", value)], b"", Ending::Complete);
        judge(&LOOKUP, evidence).unwrap_err().retry_after()
    };
    assert_eq!(wait("75"), Some(75 * SECOND));
    assert_eq!(wait(" 0 "), Some(Duration::ZERO));
    for past in [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wednesday, 21-Oct-15 07:28:00 GMT",
        "Wed Oct 21 07:28:00 2015",
    ] {
        assert_eq!(wait(past), Some(Duration::ZERO), "{past}");
    }
    for future in [
        "Fri, 31 Dec 2399 23:59:59 GMT",
        "Friday, 31-Dec-66 23:59:59 GMT",
        "Fri Dec 31 23:59:59 2399",
    ] {
        let far = wait(future).unwrap();
        assert!(
            far > Duration::from_secs(30 * 365 * 86_400),
            "{future}: {far:?}"
        );
        assert!(SystemTime::now().checked_add(far).is_some());
    }
    for odd in ["", "soon", "-1", "1.5"] {
        assert_eq!(wait(odd), None, "{odd}");
    }
    // Without it, the error says how long the client pauses.
    assert_eq!(error(answered(429, "")).retry_after(), Some(60 * SECOND));
    assert_eq!(error(answered(503, "")).retry_after(), None);
}

#[test]
fn display_hides_keys_and_debug_also_hides_the_api_s_text() {
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
            "the API's text is kept unchanged"
        );
    }
    // A key that the cut would split is masked too.
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
fn reply_over_the_limit_is_an_error_that_names_the_limit() {
    let over = |status, body: &str| {
        let limit = ReplyLimit::Bytes(40);
        let ending = Ending::OverLimit(limit);
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
    // With an error status, the error is about that status and keeps its details.
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
fn body_with_too_many_values_is_cut_before_it_is_read() {
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
    // Another failure keeps its kind.
    let broken = ended(200, &[], body.as_bytes(), Ending::Broken(None));
    let error = error(broken.with_values_limited(54));
    assert_eq!(error.kind(), "truncated");
    assert_eq!(error.body().unwrap(), kept);
}

#[test]
fn undecodable_success_keeps_its_body() {
    let reply = judge(
        &LOOKUP,
        answered(200, r#"{"request_id":"r","data":"ana@example.com"}"#),
    );
    let cause = serde_json::from_str::<Vec<u8>>("\n\"ana@example.com\"").unwrap_err();
    let error = undecodable(Some(&LOOKUP), reply.unwrap(), &cause);
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
