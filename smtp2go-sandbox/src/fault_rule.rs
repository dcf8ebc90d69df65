//! Faults as text: `email_send:nth=3:reset`. The documentation of [`Fault`] has the grammar.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use smtp2go_types::one_line;

use crate::account::glob;
use crate::api::Api;
use crate::faults::{Fault, FaultAnswer, MANNERS, Manner, When};

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const TEXT: &str = "text/plain";

/// The effects, as error messages list them.
const EFFECTS: &str = "refuse, close-before-reading, reset-before-reading, stall-before-reading, \
                       delay=, close, reset, stall, truncate-head, truncate, stall-halfway, \
                       close-when-idle, reset-when-idle, failed, status=";

/// Error of parsing a [`Fault`]. Its `Display` names the column and the part at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRuleError {
    column: usize,
    message: String,
}

impl FaultRuleError {
    /// Column where the invalid part starts, in characters from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for FaultRuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "column {}: {}",
            self.column,
            one_line(&self.message)
        )
    }
}

impl Error for FaultRuleError {}

/// The parts read so far. A `usize` is the byte offset of the part, for errors that are found later.
#[derive(Default)]
struct Draft {
    operation: Option<String>,
    when: Option<When>,
    seed: Option<(u64, usize)>,
    manner: Option<Manner>,
    answer: Option<(FaultAnswer, usize)>,
    carried_out: Option<(bool, usize)>,
    headers: Vec<(String, String)>,
    /// The content type (empty if there is none) and the bytes.
    body: Option<(String, Vec<u8>)>,
    /// The first part that needs `status=`.
    of_reply: Option<usize>,
    default_json: bool,
}

impl FromStr for Fault {
    type Err = FaultRuleError;

    fn from_str(text: &str) -> Result<Self, FaultRuleError> {
        let mut draft = Draft::default();
        let mut at = 0;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let (part, length) = RulePart::first(rest);
            draft.take(&part, at).map_err(|message| {
                let column = column(text, at);
                FaultRuleError { column, message }
            })?;
            at += length;
            if at >= text.len() {
                break;
            }
            at += 1; // the colon
        }
        draft.finish().map_err(|(at, message)| FaultRuleError {
            column: column(text, at.unwrap_or(text.len())),
            message,
        })
    }
}

fn column(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).chars().count() + 1
}

/// `name` or `name=value`.
struct RulePart<'a> {
    /// The whole part as written.
    text: &'a str,
    name: &'a str,
    value: Option<String>,
}

impl<'a> RulePart<'a> {
    /// Splits off the first part of a rule, and returns it with its length in bytes.
    fn first(rule: &'a str) -> (Self, usize) {
        let end = rule.find([':', '=']).unwrap_or(rule.len());
        let name = &rule[..end];
        let Some(after) = rule[end..].strip_prefix('=') else {
            let text = name;
            let value = None;
            return (Self { text, name, value }, end);
        };
        let length = match name {
            "failed" | "json" | "html" | "text" | "body" => after.len(),
            // The value ends at the first colon that is not escaped.
            _ => {
                let mut escaped = false;
                after
                    .find(|character| {
                        let colon = character == ':' && !escaped;
                        escaped = character == '\\' && !escaped;
                        colon
                    })
                    .unwrap_or(after.len())
            }
        };
        let value = Some(after[..length].to_owned());
        let text = &rule[..end + 1 + length];
        (Self { text, name, value }, text.len())
    }

    fn value(&self, what: &str) -> Result<&str, String> {
        match self.value.as_deref() {
            None | Some("") => Err(format!("{:?} needs a value: {what}", self.text)),
            Some(value) => Ok(value),
        }
    }

    fn parse<T: FromStr>(&self, what: &str, valid: impl Fn(&T) -> bool) -> Result<T, String> {
        let value = self.value(what)?.parse().ok().filter(valid);
        value.ok_or_else(|| self.wrong(what))
    }

    fn wrong(&self, what: &str) -> String {
        format!("{:?}: the value must be {what}", self.text)
    }

    fn no_value(&self) -> Result<(), String> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(format!("{:?}: `{}` takes no value", self.text, self.name)),
        }
    }
}

impl Draft {
    fn take(&mut self, part: &RulePart<'_>, at: usize) -> Result<(), String> {
        let mut words = MANNERS.iter();
        if let Some((_, manner)) = words.find(|(word, _)| *word == part.name) {
            part.no_value()?;
            return self.manner(part, *manner);
        }
        match part.name {
            "nth" => {
                const WHAT: &str = "a number from 1, or a range such as 3-7";
                let value = part.value(WHAT)?;
                let (first, last) = value.split_once('-').unwrap_or((value, value));
                match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) if 1 <= first && first <= last => {
                        self.when(part, When::Calls { first, last })
                    }
                    _ => Err(part.wrong(WHAT)),
                }
            }
            "first" => {
                let last = part.parse("a number from 1", |last| *last >= 1)?;
                self.when(part, When::Calls { first: 1, last })
            }
            "chance" => {
                let valid = |chance: &f64| (0.0..=1.0).contains(chance);
                let probability = part.parse("a number from 0 to 1", valid)?;
                let seed = None;
                self.when(part, When::Chance { probability, seed })
            }
            "seed" => {
                let seed = part.parse("a whole number", |_| true)?;
                once(part, &mut self.seed, (seed, at))
            }
            "carried-out" => {
                let carried_out = match part.value.as_deref() {
                    Some("yes") => true,
                    Some("no") => false,
                    _ => return Err(part.wrong("yes or no")),
                };
                once(part, &mut self.carried_out, (carried_out, at))
            }
            "delay" => {
                const WHAT: &str = "a time such as 250ms, 2s or 1m";
                let time = duration(part.value(WHAT)?, UNITS).ok_or_else(|| part.wrong(WHAT))?;
                self.manner(part, Manner::Late(time))
            }
            "failed" => {
                let reason = part.value.as_deref().unwrap_or("simulated failure");
                self.answer(part, FaultAnswer::Failed(reason.to_owned()), at)
            }
            "status" => {
                let valid = |status: &u16| (200..600).contains(status);
                let status = part.parse("an HTTP status from 200 to 599", valid)?;
                self.answer(part, FaultAnswer::status(status), at)
            }
            "retry-after" => {
                let seconds: u64 = part.parse("a number of seconds", |_| true)?;
                self.header("Retry-After", &seconds.to_string(), at);
                Ok(())
            }
            "header" => {
                const WHAT: &str = "NAME=VALUE with a valid HTTP header name and value";
                let (name, value) = part
                    .value(WHAT)?
                    .split_once('=')
                    .ok_or_else(|| part.wrong(WHAT))?;
                let (name, value) = (unescape(name), unescape(value));
                if HeaderName::try_from(&name).is_err() || HeaderValue::try_from(&value).is_err() {
                    return Err(part.wrong(WHAT));
                }
                self.header(&name, &value, at);
                Ok(())
            }
            "json" => {
                if let Some(text) = &part.value {
                    let json: Value = serde_json::from_str(text)
                        .map_err(|error| format!("{:?}: not valid JSON: {error}", part.text))?;
                    return self.body(part, JSON, &json.to_string(), at);
                }
                self.default_json = true;
                self.body(part, JSON, "", at)
            }
            "html" => {
                const PAGE: &str = "<!DOCTYPE html><html><head><title>Error</title></head>\
                                    <body><h1>Internal server error</h1></body></html>";
                self.body(part, HTML, part.value.as_deref().unwrap_or(PAGE), at)
            }
            "text" => self.body(part, TEXT, part.value("any text")?, at),
            "body" => {
                const WHAT: &str = "TYPE,TEXT with a media type such as application/xml";
                match part.value(WHAT)?.split_once(',') {
                    Some((kind, text)) if HeaderValue::try_from(kind).is_ok() => {
                        self.body(part, kind, text, at)
                    }
                    _ => Err(part.wrong(WHAT)),
                }
            }
            "" => Err("empty part: expected an effect or an operation".to_owned()),
            name if part.value.is_none() => {
                let api = Api::embedded()?;
                if !api.ids().any(|id| glob(name, id)) {
                    return Err(format!(
                        "{name:?} is neither an operation (such as email_send) nor an effect ({EFFECTS})"
                    ));
                }
                once(part, &mut self.operation, name.to_owned())
                    .map_err(|_| format!("{name:?}: a rule can have only one operation"))
            }
            name => Err(format!("{:?}: unknown part {name:?}", part.text)),
        }
    }

    fn when(&mut self, part: &RulePart<'_>, when: When) -> Result<(), String> {
        once(part, &mut self.when, when).map_err(|_| {
            format!(
                "{:?}: a rule can have only one of nth=, first= and chance=",
                part.text
            )
        })
    }

    fn manner(&mut self, part: &RulePart<'_>, manner: Manner) -> Result<(), String> {
        once(part, &mut self.manner, manner).map_err(|_| {
            format!(
                "{:?}: a rule can have only one effect on the connection",
                part.text
            )
        })
    }

    fn answer(
        &mut self,
        part: &RulePart<'_>,
        answer: FaultAnswer,
        at: usize,
    ) -> Result<(), String> {
        once(part, &mut self.answer, (answer, at)).map_err(|_| {
            format!(
                "{:?}: a rule can have only one of status= and failed",
                part.text
            )
        })
    }

    fn header(&mut self, name: &str, value: &str, at: usize) {
        self.of_reply.get_or_insert(at);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn body(
        &mut self,
        part: &RulePart<'_>,
        kind: &str,
        text: &str,
        at: usize,
    ) -> Result<(), String> {
        self.of_reply.get_or_insert(at);
        let body = (kind.to_owned(), text.as_bytes().to_vec());
        once(part, &mut self.body, body)
            .map_err(|_| format!("{:?}: a reply can have only one body", part.text))
    }

    /// Builds the fault. An error has the byte offset of the invalid part; `None` means the end of the
    /// rule.
    fn finish(self) -> Result<Fault, (Option<usize>, String)> {
        let manner = match self.manner {
            Some(manner) => manner,
            None if self.answer.is_some() => Manner::Answered,
            None => {
                return Err((
                    None,
                    format!("the rule has no effect: add one of {EFFECTS}"),
                ));
            }
        };
        let mut answer = match self.answer {
            Some((_, at)) if !manner.reads() => {
                let message = format!(
                    "`{}` sends no reply: remove status= or failed",
                    manner.word().unwrap_or_default()
                );
                return Err((Some(at), message));
            }
            Some((answer, _)) => answer,
            None => FaultAnswer::Own,
        };
        if let FaultAnswer::Reply {
            status,
            headers,
            content_type,
            body,
        } = &mut answer
        {
            *headers = self.headers;
            if let Some((kind, bytes)) = self.body {
                *content_type = Some(kind).filter(|kind| !kind.is_empty());
                *body = bytes;
            }
            if self.default_json {
                *body = default_json(*status).to_string().into_bytes();
            }
        } else if let Some(at) = self.of_reply {
            let message = "a header or a body needs the effect status=".to_owned();
            return Err((Some(at), message));
        }
        let mut fault = Fault::new(manner, answer);
        if let Some((carried_out, at)) = self.carried_out {
            if carried_out && !fault.manner.reads() {
                let message = format!(
                    "carried-out=yes contradicts `{}`, which does not read the request",
                    manner.word().unwrap_or_default()
                );
                return Err((Some(at), message));
            }
            fault.carried_out = carried_out;
        }
        if fault.of_connection() && self.operation.is_some() {
            let message =
                "refuse applies to connections, not to operations: remove the operation".to_owned();
            return Err((Some(0), message));
        }
        fault.operation = self.operation;
        fault.when = self.when.unwrap_or(When::Always);
        match (&mut fault.when, self.seed) {
            (_, None) => {}
            (When::Chance { seed, .. }, Some((given, _))) => *seed = Some(given),
            (_, Some((_, at))) => return Err((Some(at), "seed= needs chance=".to_owned())),
        }
        Ok(fault)
    }
}

fn once<T>(part: &RulePart<'_>, place: &mut Option<T>, value: T) -> Result<(), String> {
    match place {
        Some(_) => Err(format!("{:?}: `{}` is given twice", part.text, part.name)),
        None => {
            *place = Some(value);
            Ok(())
        }
    }
}

/// The units of a time in a rule, in seconds.
const UNITS: &[(&str, f64)] = &[("ms", 0.001), ("s", 1.0), ("m", 60.0)];

/// Reads a number with a unit, such as `250ms`.
pub(crate) fn duration(text: &str, units: &[(&str, f64)]) -> Option<Duration> {
    let unit = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let (_, seconds) = units.iter().find(|(name, _)| *name == unit)?;
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// Removes the backslashes that [`escape`] adds.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        });
    }
    plain
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

/// Returns an error in the API's envelope.
fn default_json(status: u16) -> Value {
    let code = match status {
        429 => "REQ_LIMIT_EXCEEDED",
        _ => "API_EXCEPTION",
    };
    json!({
        "request_id": "00000000-0000-4000-8000-000000000000",
        "data": {
            "error": "Simulated error of the sandbox.",
            "error_code": format!("E_ApiResponseCodes.{code}"),
        },
    })
}

/// Writes the rule. If the body is not UTF-8, which only Rust code can set, its invalid bytes are
/// replaced.
impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = &self.operation {
            write!(formatter, "{operation}:")?;
        }
        match self.when {
            When::Always => {}
            When::Calls { first: 1, last } if last != 1 => write!(formatter, "first={last}:")?,
            When::Calls { first, last } if first == last => write!(formatter, "nth={first}:")?,
            When::Calls { first, last } => write!(formatter, "nth={first}-{last}:")?,
            When::Chance { probability, seed } => {
                write!(formatter, "chance={probability}:")?;
                if let Some(seed) = seed {
                    write!(formatter, "seed={seed}:")?;
                }
            }
        }
        let usual = Self::new(self.manner, self.answer.clone()).carried_out;
        if self.manner.reads() && self.carried_out != usual {
            let carried_out = if self.carried_out { "yes" } else { "no" };
            write!(formatter, "carried-out={carried_out}:")?;
        }
        // Comes before the reply, whose body takes the rest of the rule.
        let word = self.manner.word().unwrap_or_default();
        match self.manner {
            Manner::Late(time) if time.subsec_nanos() % 1_000_000 == 0 => {
                write!(formatter, "{word}={}ms", time.as_millis())?;
            }
            Manner::Late(time) => write!(formatter, "{word}={}s", time.as_secs_f64())?,
            _ => formatter.write_str(word)?,
        }
        if self.answer == FaultAnswer::Own || !self.manner.reads() {
            return Ok(());
        }
        if !word.is_empty() {
            formatter.write_str(":")?;
        }
        match &self.answer {
            FaultAnswer::Own => Ok(()),
            FaultAnswer::Failed(reason) => write!(formatter, "failed={reason}"),
            FaultAnswer::Reply {
                status,
                headers,
                content_type,
                body,
            } => {
                write!(formatter, "status={status}")?;
                for (name, value) in headers {
                    write!(formatter, ":header={}={}", escape(name), escape(value))?;
                }
                let text = String::from_utf8_lossy(body);
                match content_type.as_deref() {
                    Some(JSON) => write!(formatter, ":json={text}"),
                    Some(HTML) => write!(formatter, ":html={text}"),
                    Some(TEXT) if !body.is_empty() => write!(formatter, ":text={text}"),
                    Some(kind) => write!(formatter, ":body={kind},{text}"),
                    None if body.is_empty() => Ok(()),
                    None => write!(formatter, ":body=,{text}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fault, String> {
        text.parse()
            .map_err(|error: FaultRuleError| error.to_string())
    }

    #[test]
    fn rule_is_parsed_and_written_back_to_the_same_fault() {
        let status = Fault::status;
        let table = [
            ("reset", Fault::reset()),
            (
                "email_send:nth=3:reset",
                Fault::reset().on("email_send").nth(3),
            ),
            (
                "reset:nth=3:email_send",
                Fault::reset().on("email_send").nth(3),
            ),
            ("nth=3-7:close", Fault::close().calls(3..=7)),
            ("refuse", Fault::refuse()),
            ("chance=0.25:seed=7:stall", Fault::stall().chance(0.25, 7)),
            ("close:carried-out=no", Fault::close().carried_out(false)),
            ("close-before-reading", Fault::close_before_reading()),
            ("reset-before-reading", Fault::reset_before_reading()),
            ("stall-before-reading", Fault::stall_before_reading()),
            ("truncate-head", Fault::truncated_head()),
            ("stall-halfway", Fault::stalled_halfway()),
            ("close-when-idle", Fault::close_when_idle()),
            ("reset-when-idle", Fault::reset_when_idle()),
            (
                "truncate:status=502:html=a:b",
                status(502).html("a:b").then(Fault::truncated()),
            ),
            (
                "delay=1s:carried-out=yes:failed=no",
                Fault::failed("no")
                    .then(Fault::delay(Duration::from_secs(1)))
                    .carried_out(true),
            ),
            ("template_*:truncate", Fault::truncated().on("template_*")),
            ("delay=1.5s", Fault::delay(Duration::from_millis(1500))),
            ("delay=2m", Fault::delay(Duration::from_secs(120))),
            ("failed=550 5.1.1: no", Fault::failed("550 5.1.1: no")),
            (
                "first=5:status=429:retry-after=7",
                status(429).header("Retry-After", "7").first(5),
            ),
            (
                "status=301:header=Location=http\\://a.test/",
                status(301).header("Location", "http://a.test/"),
            ),
            (
                "status=400:json={\"a\":[1]}",
                status(400).json(&json!({ "a": [1] })),
            ),
            ("status=502:html=<p>a:b</p>", status(502).html("<p>a:b</p>")),
            ("status=500:text=a:b", status(500).body("text/plain", "a:b")),
            (
                "status=500:body=application/xml,<a/>",
                status(500).body("application/xml", "<a/>"),
            ),
            ("status=429:json", status(429).json(&default_json(429))),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(parse(&expected.to_string()), Ok(expected), "{text}");
        }
        assert!(
            parse("status=502:html")
                .unwrap()
                .to_string()
                .contains("<h1>")
        );
    }

    #[test]
    fn invalid_rule_gives_an_error_with_the_column_and_the_part() {
        for (text, column, part) in [
            ("", 1, "an effect or an operation"),
            ("email_send:", 12, "empty part"),
            ("email_send::reset", 12, "empty part"),
            ("email_send", 11, "no effect: add one of"),
            ("email_sent:reset", 1, "\"email_sent\" is neither"),
            ("ä=1:reset", 1, "unknown part \"ä\""),
            ("email_send:nth=x:reset", 12, "\"nth=x\""),
            ("nth=7-3:reset", 1, "3-7"),
            ("nth=0:reset", 1, "from 1"),
            ("reset:first=", 7, "needs a value"),
            ("chance=1.5:reset", 1, "from 0 to 1"),
            ("chance=NaN:reset", 1, "from 0 to 1"),
            ("seed=1:reset", 1, "needs chance="),
            ("nth=1:first=2:reset", 7, "only one of nth="),
            ("reset:close", 7, "only one effect"),
            ("reset=1", 1, "takes no value"),
            ("email_send:sms_send:reset", 12, "only one operation"),
            ("delay=5", 1, "250ms"),
            ("delay=-5s", 1, "250ms"),
            ("status=199", 1, "200 to 599"),
            ("reset:json", 7, "needs the effect status="),
            ("status=500:json={", 12, "not valid JSON"),
            ("status=500:json:html", 17, "only one body"),
            ("status=500:header=a b=c", 12, "a valid HTTP header"),
            ("status=500:retry-after=soon", 12, "seconds"),
            ("status=500:failed", 12, "only one of status="),
            ("nth=1:status=500:refuse", 7, "`refuse` sends no reply"),
            ("email_send:refuse", 1, "refuse applies to connections"),
            ("refuse:carried-out=yes", 8, "contradicts `refuse`"),
            ("close:carried-out=perhaps", 7, "yes or no"),
        ] {
            let error = text.parse::<Fault>().unwrap_err();
            let line = error.to_string();
            assert_eq!(error.column(), column, "{text}: {line}");
            assert!(line.contains(part), "{text}: {line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn random_fault_written_as_a_rule_parses_to_the_same_fault() {
        let mut drawn = 0;
        let mut random = |below: u64| {
            drawn += 1;
            crate::ids::mix(7, drawn) % below
        };
        let texts = [
            "",
            "a",
            "a:b",
            "=",
            "\\",
            "\\:",
            "ä",
            "first=2",
            "{\"a\":1}",
            "\n",
        ];
        for _ in 0..2_000 {
            let text = |n: u64| texts[usize::try_from(n).unwrap()];
            let number = random(5) + 1;
            let mut fault = match random(9) {
                0 => Fault::close(),
                1 => Fault::reset(),
                2 => Fault::stall(),
                3 => Fault::truncated(),
                4 => Fault::delay(Duration::from_micros(random(3_000_000))),
                5 => Fault::failed(text(random(10))),
                6 => Fault::status(200 + u16::try_from(random(400)).unwrap()),
                7 => Fault::status(500).html(text(random(10))),
                _ => Fault::status(500).body("application/xml", text(random(10))),
            };
            for _ in 0..random(3) {
                fault = fault.header("x-a", text(random(9)).replace('ä', "a"));
            }
            fault = match random(4) {
                0 => fault.nth(number),
                1 => fault.first(number),
                2 => fault.calls(number..=number + random(3)),
                _ => fault.chance(0.125, number),
            };
            if random(2) == 0 {
                fault = fault.on("email_*");
            }
            if random(2) == 0 {
                fault = fault.then(Fault::truncated());
            }
            fault = fault.carried_out(random(2) == 0);
            assert_eq!(parse(&fault.to_string()), Ok(fault.clone()), "{fault}");
        }
    }
}
