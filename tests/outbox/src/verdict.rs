//! Compares the queued mails, the table and the sandbox's inbox, mail by mail.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the outbox's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) state: String,
    pub(crate) email_id: Option<String>,
}

/// The data to compare, by the keys of mails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// Queued mails whose commit was acknowledged.
    pub(crate) put: BTreeSet<String>,
    /// Orders, each written in one transaction with its mail.
    pub(crate) orders: BTreeSet<String>,
    pub(crate) rows: BTreeMap<String, Row>,
    /// The sandbox's ids of the mails with a key.
    pub(crate) inbox: BTreeMap<String, Vec<String>>,
}

/// The number of mails by outcome, and the problems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Number of mails accepted exactly once.
    pub(crate) once: usize,
    /// Number of mails accepted more than once.
    pub(crate) twice: usize,
    /// Number of mails neither accepted nor held.
    pub(crate) lost: usize,
    /// Number of mails without a final state in the table.
    pub(crate) unknown: usize,
    /// Number of mails held for an operator.
    pub(crate) held: usize,
    /// The problems, each as a line with the key of the mail.
    pub(crate) problems: Vec<String>,
}

/// Judges a finished run. `hold`: absent mails are held instead of sent again.
pub(crate) fn judge(evidence: &Evidence, hold: bool) -> Verdict {
    let mut verdict = Verdict::default();
    for key in &evidence.put {
        let ids = evidence.inbox.get(key).map_or(&[][..], Vec::as_slice);
        let Some(row) = evidence.rows.get(key) else {
            verdict.lost += 1;
            verdict.problem(key, "was queued, but is not in the table");
            continue;
        };
        let held = row.state == "held";
        match ids {
            [] if held => {}
            [] => verdict.lost += 1,
            [_] => verdict.once += 1,
            [..] => verdict.twice += 1,
        }
        verdict.held += usize::from(held);
        match (row.state.as_str(), ids) {
            ("held", []) if hold => {}
            ("sent" | "delivered", [id]) if row.email_id.as_ref() == Some(id) => {}
            ("queued" | "sending" | "unknown", _) => {
                verdict.unknown += 1;
                verdict.problem(key, &format!("is {} at the end", row.state));
            }
            (state, ids) => {
                let id = row.email_id.as_deref().unwrap_or("no id");
                let text = format!("is {state} with {id}, but the sandbox has {ids:?}");
                verdict.problem(key, &text);
            }
        }
    }
    let known: BTreeSet<&String> = evidence.rows.keys().chain(evidence.inbox.keys()).collect();
    for key in known {
        if !evidence.put.contains(key) {
            verdict.problem(key, "is in the table or the inbox, but was never committed");
        }
    }
    for key in evidence.orders.symmetric_difference(&evidence.put) {
        verdict.problem(
            key,
            "has an order without a mail, or a mail without an order",
        );
    }
    verdict
}

impl Verdict {
    fn problem(&mut self, key: &str, text: &str) {
        self.problems.push(format!("{key} {text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(rows: &[(&str, &str, Option<&str>)], inbox: &[(&str, &[&str])]) -> Evidence {
        let put: BTreeSet<String> = rows.iter().map(|row| row.0.to_owned()).collect();
        let row = |&(key, state, id): &(&str, &str, Option<&str>)| {
            let (state, email_id) = (state.to_owned(), id.map(str::to_owned));
            (key.to_owned(), Row { state, email_id })
        };
        let ids = |&(key, ids): &(&str, &[&str])| {
            let ids = ids.iter().map(|id| (*id).to_owned());
            (key.to_owned(), ids.collect())
        };
        Evidence {
            orders: put.clone(),
            put,
            rows: rows.iter().map(row).collect(),
            inbox: inbox.iter().map(ids).collect(),
        }
    }

    #[test]
    fn each_kind_of_problem_is_reported() {
        // Row and inbox of one mail; counts of once, twice, lost, unknown, held; number of
        // problems, without and with hold.
        type Case = (
            &'static str,
            Option<&'static str>,
            &'static [&'static str],
            [usize; 5],
            [usize; 2],
        );
        let cases: [Case; 12] = [
            ("sent", Some("1"), &["1"], [1, 0, 0, 0, 0], [0, 0]),
            ("delivered", Some("1"), &["1"], [1, 0, 0, 0, 0], [0, 0]),
            ("sent", Some("2"), &["1"], [1, 0, 0, 0, 0], [1, 1]),
            ("sent", None, &["1"], [1, 0, 0, 0, 0], [1, 1]),
            ("sent", Some("1"), &[], [0, 0, 1, 0, 0], [1, 1]),
            ("sent", Some("1"), &["1", "2"], [0, 1, 0, 0, 0], [1, 1]),
            ("unknown", None, &["1"], [1, 0, 0, 1, 0], [1, 1]),
            ("queued", None, &[], [0, 0, 1, 1, 0], [1, 1]),
            ("sending", None, &["1", "2"], [0, 1, 0, 1, 0], [1, 1]),
            ("rejected", None, &[], [0, 0, 1, 0, 0], [1, 1]),
            ("held", None, &[], [0, 0, 0, 0, 1], [1, 0]),
            ("held", None, &["1"], [1, 0, 0, 0, 1], [1, 1]),
        ];
        for (state, id, ids, counts, problems) in cases {
            for hold in [false, true] {
                let verdict = judge(&evidence(&[("a", state, id)], &[("a", ids)]), hold);
                let Verdict {
                    once,
                    twice,
                    lost,
                    unknown,
                    held,
                    ..
                } = verdict;
                let case = format!("{state} {id:?} {ids:?} {hold}");
                assert_eq!([once, twice, lost, unknown, held], counts, "{case}");
                assert_eq!(
                    verdict.problems.len(),
                    problems[usize::from(hold)],
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn mail_missing_in_one_place_is_reported() {
        let whole = evidence(&[("a", "sent", Some("1"))], &[("a", &["1"])]);
        assert_eq!(judge(&whole, false).problems, [""; 0]);
        let without_row = Evidence {
            rows: BTreeMap::new(),
            ..whole.clone()
        };
        assert_eq!(judge(&without_row, false).lost, 1);
        for broken in [
            without_row,
            Evidence {
                put: BTreeSet::new(),
                ..whole.clone()
            },
            Evidence {
                orders: BTreeSet::new(),
                ..whole.clone()
            },
            Evidence {
                inbox: BTreeMap::new(),
                ..whole
            },
        ] {
            assert!(!judge(&broken, false).problems.is_empty(), "{broken:?}");
        }
    }
}
