//! Random damage to the fixture: every spec is either refused or generated from.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use serde_json::{Value, json};
use xtask::load;

use crate::fixture;

/// Default number of documents; `XTASK_RANDOM=20000` sets another number.
const CASES: u64 = 1_000;

#[test]
fn damaged_spec_is_refused_or_generates_valid_code() {
    let cases = std::env::var("XTASK_RANDOM").map_or(CASES, |cases| cases.parse().unwrap());
    let pieces = pieces();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = pieces
            .iter()
            .zip(0..)
            .map(|(piece, first)| {
                let cases = (first..cases).step_by(pieces.len());
                scope.spawn(move || -> Vec<_> {
                    cases
                        .filter_map(|case| attempt(piece, case).err())
                        .collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        failures.is_empty(),
        "{} of {cases}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Damages a copy of `document`, once or twice, and generates from it if it is not refused.
fn attempt(document: &Value, case: u64) -> Result<(), String> {
    let mut random = Rng::with_seed(case);
    let mut damaged = document.clone();
    let mut done = Vec::new();
    for _ in 0..=random.usize(..2) {
        done.push(damage(&mut damaged, &mut random));
    }
    let text = damaged.to_string();
    let outcome = catch_unwind(AssertUnwindSafe(|| match load::parse("damaged", &text) {
        Ok(spec) => xtask::from_spec(&spec).map(drop),
        Err(problems) if problems.list().is_empty() => Err("refused without a problem".to_owned()),
        Err(_) => Ok(()),
    }));
    outcome
        .unwrap_or_else(|_| Err("it panics".to_owned()))
        .map_err(|error| format!("{case}: {}: {error}", done.join(", ")))
}

/// Splits the fixture into small specs, each with one path or webhook and short descriptions,
/// because parsing takes most of a case's time.
fn pieces() -> Vec<Value> {
    let mut whole = fixture::spec().document;
    shorten(&mut whole);
    let mut pieces = Vec::new();
    for part in ["paths", "x-webhooks"] {
        for (key, value) in whole[part].as_object().unwrap() {
            let mut piece = whole.clone();
            piece["paths"] = json!({});
            piece["x-webhooks"] = json!({});
            piece[part] = json!({ key: value });
            let unused = load::parse("piece", &piece.to_string()).unwrap_err();
            for problem in unused.list() {
                let name = problem
                    .pointer
                    .strip_prefix("/components/schemas/")
                    .unwrap();
                let schemas = piece["components"]["schemas"].as_object_mut().unwrap();
                schemas.shift_remove(name).unwrap();
            }
            pieces.push(piece);
        }
    }
    pieces
}

fn shorten(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text) if key == "description" => "D.".clone_into(text),
                    _ => shorten(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

/// Changes one node, and returns a description of the change.
fn damage(document: &mut Value, random: &mut Rng) -> String {
    let mut pointers = Vec::new();
    collect(document, "", &mut pointers);
    let other = any(random, &pointers);
    let other = document.pointer(other).cloned().unwrap_or_default();
    let pointer = any(random, &pointers).clone();
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return "nothing".to_owned();
    };
    let key = key.replace("~1", "/").replace("~0", "~");
    let Some(parent) = document.pointer_mut(parent) else {
        return "nothing".to_owned();
    };
    let new = match random.usize(..5) {
        0 => {
            match parent {
                Value::Object(members) => drop(members.shift_remove(&key)),
                Value::Array(items) => drop(items.remove(key.parse().unwrap())),
                _ => {}
            }
            return format!("{pointer} removed");
        }
        1 => {
            match parent {
                Value::Object(members) => {
                    let copy = members[&key].clone();
                    let name = any(random, &["2", "_b", "B", " b", "-"]);
                    members.insert(format!("{key}{name}"), copy);
                }
                Value::Array(items) => {
                    let copy = items[key.parse::<usize>().unwrap()].clone();
                    items.push(copy);
                }
                _ => {}
            }
            return format!("{pointer} duplicated");
        }
        2 => other,
        3 => Value::Null,
        _ => any(
            random,
            &[
                json!(true),
                json!(false),
                json!(0),
                json!(-7),
                json!(1.5),
                json!(u64::MAX),
                json!(""),
                json!("word"),
                json!("two words"),
                json!("/ä"),
                json!([]),
                json!({}),
                json!([other]),
                json!({ "word": other }),
            ],
        )
        .clone(),
    };
    let done = format!("{pointer} = {new:.60}");
    match parent {
        Value::Object(members) => drop(members.insert(key, new)),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = new,
        _ => {}
    }
    done
}

fn collect(value: &Value, pointer: &str, into: &mut Vec<String>) {
    into.push(pointer.to_owned());
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(member, &format!("{pointer}/{key}"), into);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{index}"), into);
            }
        }
        _ => {}
    }
}

/// Returns a random element.
pub(crate) fn any<'a, T>(random: &mut Rng, list: &'a [T]) -> &'a T {
    &list[random.usize(..list.len())]
}
