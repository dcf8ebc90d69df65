//! Only `call::verdict` maps a status, a body or the end of an attempt to a kind of error or a
//! certainty.

use quote::ToTokens;

use crate::root;
use crate::sources::modules;

/// Code that names a certainty or builds an error after an attempt.
const CERTAINTY: [&str; 2] = ["Certainty ::", ":: judged ("];
/// Code that looks at the status of a reply.
const STATUS: [&str; 6] = [
    "StatusCode ::",
    "as_u16 (",
    "is_success (",
    "is_client_error (",
    "is_server_error (",
    "is_redirection (",
];

/// The other modules that may have such code, each with the reason.
const ALLOWED: [(&str, &[&str], &str); 14] = [
    (
        "error",
        &CERTAINTY,
        "defines it; errors before anything is sent",
    ),
    ("error", &STATUS, "methods such as is_auth"),
    ("error::display", &CERTAINTY, "texts for a certainty"),
    ("error::display", &STATUS, "hints for a status"),
    (
        "call::attempt",
        &STATUS,
        "reads a longer part of an error than of a success that is too long",
    ),
    ("call::cancel", &CERTAINTY, "the certainty of no attempts"),
    ("call::telemetry", &STATUS, "records the number of a status"),
    (
        "call::telemetry",
        &CERTAINTY,
        "texts for a certainty, and that of no attempts",
    ),
    (
        "mail::bulk::report",
        &CERTAINTY,
        "the state of a mail by its certainty",
    ),
    (
        "mail::send_once",
        &CERTAINTY,
        "looks up a mail of unknown outcome",
    ),
    (
        "raw",
        &CERTAINTY,
        "carries a certainty through progenitor's error",
    ),
    (
        "raw",
        &STATUS,
        "a status for progenitor's errors that have none",
    ),
    (
        "test_util",
        &STATUS,
        "makes replies for tests of users, and leaves their judgement to the verdict",
    ),
    ("webhook::ensure", &CERTAINTY, "advice after a refusal"),
];

#[test]
fn only_the_verdict_maps_replies_to_certainties() {
    let mut wrong = Vec::new();
    let mut used = vec![false; ALLOWED.len()];
    for module in modules(&root().join("smtp2go-sdk/src/lib.rs")) {
        let name = module.path.join("::");
        // Statuses that receivers return are not replies of the API.
        let receives = name.starts_with("webhook") || name.starts_with("unsubscribe");
        if name == "call::verdict" || name.starts_with("generated") {
            continue;
        }
        let code: String = module
            .items
            .iter()
            .map(|item| item.to_token_stream().to_string())
            .collect();
        for (signs, skipped) in [(&CERTAINTY[..], false), (&STATUS[..], receives)] {
            let Some(sign) = signs.iter().find(|sign| code.contains(**sign)) else {
                continue;
            };
            let allowed = |(of, found, _): &(&str, &[&str], &str)| *of == name && *found == signs;
            match ALLOWED.iter().position(allowed) {
                Some(index) => used[index] = true,
                None if skipped => {}
                None => wrong.push(format!("{name}: {sign}")),
            }
        }
    }
    let stale = ALLOWED.iter().zip(used).filter(|(_, used)| !used);
    wrong.extend(
        stale.map(|((name, ..), _)| format!("{name} no longer needs to be allowed: remove it")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
