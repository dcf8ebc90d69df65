//! The page that lists, adds and removes faults, and sets the clock.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::index::cut;
use super::page::{self, Section, Shell, show};
use super::request::Fields;
use super::view::Time;
use crate::clock::TOO_LATE;
use crate::fault_rule::duration;
use crate::faults::{Fault, Faults};
use crate::world::Shared;

/// Path of the page.
const HERE: &str = "/_inbox/faults";

/// The effects that can be selected, with their descriptions.
const EFFECTS: &[(&str, &str)] = &[
    ("status=503", "503 Service Unavailable, not carried out"),
    ("status=429:retry-after=2:json", "429 with Retry-After: 2"),
    ("status=500:json", "500 with the API's error envelope"),
    ("status=502:html", "502 with a proxy's HTML page"),
    ("status=200", "200 with an empty body"),
    ("failed", "200 that reports the mail as failed"),
    ("delay=2s", "Reply after two seconds"),
    ("stall", "Carry out and never reply"),
    ("reset", "Carry out, then reset the connection"),
    ("close", "Carry out, then close the connection"),
    ("truncate", "Half of the reply, then close the connection"),
    ("stall-halfway", "Half of the reply, then nothing more"),
    ("reset-when-idle", "Reply, then reset the connection"),
    ("reset-before-reading", "Reset before the request is read"),
    ("stall-before-reading", "Never read the request"),
    ("refuse", "Close connections when they are accepted"),
];

/// The conditions that can be selected, with their descriptions.
const TIMES: &[(&str, &str)] = &[
    ("", "Every call"),
    ("nth=1", "The next call"),
    ("first=3", "The next three calls"),
    ("chance=0.1", "10% of calls, at random"),
    ("chance=0.5", "50% of calls, at random"),
];

/// The units of a duration by which the clock is advanced, in seconds.
const UNITS: &[(&str, f64)] = &[
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultPage {
    shell: Shell,
    faults: Vec<FaultView>,
    operations: Vec<String>,
    now: Time,
    frozen: bool,
    given: Given,
}

/// The values of a refused form, and the errors.
#[derive(Default)]
struct Given {
    rule: String,
    rule_error: String,
    by: String,
    clock_error: String,
}

struct FaultView {
    id: u64,
    rule: String,
    seen: u64,
    struck: u64,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    page_of(&shared, StatusCode::OK, Given::default())
}

fn page_of(shared: &Arc<Shared>, status: StatusCode, given: Given) -> Response {
    let faults = Faults::new(Arc::clone(shared)).list();
    let mut operations: Vec<String> = shared.api.ids().map(str::to_owned).collect();
    operations.sort();
    let world = shared.world();
    let page = FaultPage {
        shell: Shell::new(shared, &world, Section::Faults),
        now: Time::new(world.now()),
        frozen: world.clock.is_frozen(),
        faults: faults
            .iter()
            .map(|active| FaultView {
                id: active.id(),
                rule: active.fault().to_string(),
                seen: active.seen(),
                struck: active.struck(),
            })
            .collect(),
        operations,
        given,
    };
    drop(world);
    show(status, &page)
}

/// Adds the fault of the written rule, or of the selected values if there is no rule.
pub(super) async fn add(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let form = Fields::of_form(&body);
    let rule = match form.get("rule") {
        "" => picked(form.get("operation"), form.get("times"), form.get("effect")),
        rule => rule.to_owned(),
    };
    let fault = rule.parse::<Fault>().map_err(|error| error.to_string());
    let fault = fault.and_then(|fault| match fault.lockout() {
        None => Ok(fault),
        Some(reason) => Err(reason.to_owned()),
    });
    let fault = fault.and_then(|fault| match shared.rules.full() {
        None => Ok(fault),
        Some(reason) => Err(reason),
    });
    match fault {
        Ok(fault) => {
            Faults::new(Arc::clone(&shared)).add(fault);
            shared.world().changed();
            page::see(HERE)
        }
        Err(rule_error) => {
            let given = Given {
                rule,
                rule_error,
                ..Given::default()
            };
            page_of(&shared, StatusCode::UNPROCESSABLE_ENTITY, given)
        }
    }
}

/// Advances, freezes or resumes the clock.
pub(super) async fn set_clock(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let form = Fields::of_form(&body);
    let by = form.get("by");
    let done = match (form.get("do"), duration(by, UNITS)) {
        ("advance", Some(by)) => {
            let advanced = shared.world().try_advance(by);
            advanced.then_some(()).ok_or(format!("by: {TOO_LATE}"))
        }
        ("advance", None) => Err(format!(
            "by: expected a duration such as 90s, 5m, 2h or 3d, not {:?}",
            cut(by)
        )),
        ("freeze", _) => {
            shared.world().freeze();
            Ok(())
        }
        ("resume", _) => {
            shared.world().resume();
            Ok(())
        }
        (other, _) => Err(format!(
            "do: unknown value {:?}: use advance, freeze or resume",
            cut(other)
        )),
    };
    match done {
        Ok(()) => {
            shared.world().changed();
            page::see(HERE)
        }
        Err(clock_error) => {
            let given = Given {
                by: by.to_owned(),
                clock_error,
                ..Given::default()
            };
            page_of(&shared, StatusCode::UNPROCESSABLE_ENTITY, given)
        }
    }
}

/// Builds the rule of the selected values.
fn picked(operation: &str, times: &str, effect: &str) -> String {
    // `refuse` applies to connections, not to operations.
    let operation = if effect == "refuse" { "" } else { operation };
    let parts = [operation, times, effect].into_iter();
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(":")
}

pub(super) async fn remove(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Response {
    // A fault that is already gone is not an error.
    Faults::new(Arc::clone(&shared)).remove(id);
    shared.world().changed();
    page::see(HERE)
}

pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Response {
    Faults::new(Arc::clone(&shared)).clear();
    shared.world().changed();
    page::see(HERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selection_is_a_valid_rule() {
        for (effect, _) in EFFECTS {
            for (times, _) in TIMES {
                let rule = picked("email_send", times, effect);
                assert!(rule.parse::<Fault>().is_ok(), "{rule}");
            }
        }
    }
}
