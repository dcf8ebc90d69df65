//! Parses the commands of SMTP clients (RFC 5321, RFC 4954, RFC 6531).

use super::MOST_BYTES;
use super::reply::SmtpReply;
use crate::address;

/// Maximum number of bytes in a line, including its CRLF.
pub(super) const LONGEST_LINE: usize = 4096;

#[derive(Debug, PartialEq)]
pub(super) enum Command<'a> {
    Ehlo,
    Helo,
    /// `response` is the initial response, if the command has one.
    Auth {
        mechanism: &'a str,
        response: Option<&'a str>,
    },
    /// `address` is empty for `<>`.
    Mail {
        address: &'a str,
        utf8: bool,
    },
    Rcpt {
        address: &'a str,
    },
    Data,
    Rset,
    Noop,
    Vrfy,
    Quit,
}

/// The error for a line that is not a valid command.
#[derive(Debug, PartialEq)]
pub(super) struct Bad {
    pub(super) reply: SmtpReply,
    /// Whether to close the connection, because the start of the next line is unknown.
    pub(super) is_fatal: bool,
}

impl From<SmtpReply> for Bad {
    fn from(reply: SmtpReply) -> Self {
        Self {
            reply,
            is_fatal: false,
        }
    }
}

/// Returns the text of a line that was read up to LF or up to [`LONGEST_LINE`] bytes.
pub(super) fn text(line: &[u8]) -> Result<&str, Bad> {
    let fatal = |text: String| Bad {
        reply: SmtpReply::new(500, "5.5.2", text),
        is_fatal: true,
    };
    if !line.ends_with(b"\n") {
        return Err(fatal(format!("the line exceeds {LONGEST_LINE} bytes")));
    }
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(fatal(
            "the line ends with a bare LF: end lines with CRLF".to_owned(),
        ));
    };
    match std::str::from_utf8(line) {
        Ok(text) if !text.contains(char::is_control) => Ok(text),
        Ok(_) => Err(syntax("the line has a control character").into()),
        Err(_) => Err(syntax("the line is not UTF-8").into()),
    }
}

fn syntax(text: impl Into<String>) -> SmtpReply {
    SmtpReply::new(501, "5.5.2", text)
}

impl<'a> Command<'a> {
    /// Parses a line, including its CRLF.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Bad> {
        let text = text(line)?.trim_end();
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim_start();
        let command = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => Self::Ehlo,
            "HELO" => Self::Helo,
            "AUTH" => {
                let mut words = rest.split_ascii_whitespace();
                let mechanism = words.next();
                let mechanism = mechanism.ok_or_else(|| syntax("use AUTH PLAIN or AUTH LOGIN"))?;
                Self::Auth {
                    mechanism,
                    response: words.next(),
                }
            }
            "MAIL" => mail(rest)?,
            "RCPT" => rcpt(rest)?,
            "DATA" => Self::Data,
            "RSET" => Self::Rset,
            "NOOP" => Self::Noop,
            "VRFY" => Self::Vrfy,
            "QUIT" => Self::Quit,
            "STARTTLS" => {
                let text = "the sandbox has no TLS: switch it off in the client";
                return Err(SmtpReply::new(502, "5.5.1", text).into());
            }
            "BDAT" | "EXPN" | "ETRN" | "HELP" | "TURN" => {
                let text = format!("{verb} is not implemented");
                return Err(SmtpReply::new(502, "5.5.1", text).into());
            }
            _ => return Err(SmtpReply::new(500, "5.5.1", "unknown command").into()),
        };
        Ok(command)
    }
}

fn mail(rest: &str) -> Result<Command<'_>, SmtpReply> {
    let (address, parameters) = path(rest, "FROM:")?;
    let mut utf8 = false;
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => match value.parse::<u64>() {
                Ok(size) if usize::try_from(size).is_ok_and(|size| size <= MOST_BYTES) => {}
                Ok(_) => return Err(too_big()),
                Err(_) => {
                    return Err(SmtpReply::new(
                        501,
                        "5.5.4",
                        "SIZE is not a number of bytes",
                    ));
                }
            },
            "BODY"
                if ["7BIT", "8BITMIME"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known)) => {}
            "BODY" => {
                return Err(SmtpReply::new(
                    501,
                    "5.5.4",
                    "BODY has to be 7BIT or 8BITMIME",
                ));
            }
            "SMTPUTF8" if value.is_empty() => utf8 = true,
            // The original submitter (RFC 4954, 5) is ignored.
            "AUTH" => {}
            _ => return Err(unknown(parameter)),
        }
    }
    if !address.is_empty() {
        check(address, "5.1.7")?;
    }
    Ok(Command::Mail { address, utf8 })
}

fn rcpt(rest: &str) -> Result<Command<'_>, SmtpReply> {
    let (address, parameters) = path(rest, "TO:")?;
    if let Some(parameter) = parameters.split_ascii_whitespace().next() {
        return Err(unknown(parameter));
    }
    // RFC 5321, 4.5.1: the postmaster needs no domain.
    if !address.eq_ignore_ascii_case("postmaster") {
        check(address, "5.1.3")?;
    }
    Ok(Command::Rcpt { address })
}

fn unknown(parameter: &str) -> SmtpReply {
    SmtpReply::new(555, "5.5.4", format!("unknown parameter {parameter:?}"))
}

/// Returns the reply to a message of more than [`MOST_BYTES`].
pub(super) fn too_big() -> SmtpReply {
    SmtpReply::new(
        552,
        "5.3.4",
        format!("the message exceeds {MOST_BYTES} bytes"),
    )
}

/// Returns the address between `<` and `>` after a keyword, and the parameters after the address.
fn path<'a>(rest: &'a str, keyword: &str) -> Result<(&'a str, &'a str), SmtpReply> {
    let form = || syntax(format!("use {keyword}<address>"));
    let begins = rest.get(..keyword.len());
    if !begins.is_some_and(|begins| begins.eq_ignore_ascii_case(keyword)) {
        return Err(form());
    }
    let path = rest.get(keyword.len()..).unwrap_or_default().trim_start();
    let inner = path.strip_prefix('<').ok_or_else(form)?;
    let (mut quoted, mut escaped) = (false, false);
    let end = inner.find(|letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            '>' => return !quoted,
            _ => {}
        }
        false
    });
    let (address, parameters) = inner.split_at(end.ok_or_else(form)?);
    let address = without_route(address);
    let parameters = parameters.get(1..).unwrap_or_default();
    match parameters.is_empty() || parameters.starts_with(' ') {
        true => Ok((address, parameters)),
        false => Err(form()),
    }
}

/// Removes an obsolete source route, `@one.test,@two.test:`, which servers accept and ignore (RFC 5321,
/// appendix C).
fn without_route(path: &str) -> &str {
    let is_host = |host: &str| host.strip_prefix('@').is_some_and(address::is_domain);
    match path.split_once(':') {
        Some((route, address)) if route.split(',').all(is_host) => address,
        _ => path,
    }
}

/// Refuses a text that is not an address.
fn check(address: &str, enhanced: &'static str) -> Result<(), SmtpReply> {
    address::check(address)
        .map_err(|fault| SmtpReply::new(501, enhanced, format!("{fault}; found: {address:?}")))
}
