//! The dialogue with a client.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Bytes;
use serde_json::json;
use tokio::net::TcpStream;

use super::command::{self, Command};
use super::reply::SmtpReply;
use super::user::Client;
use super::wire::{End, Wire};
use super::{MOST_BYTES, MOST_RECIPIENTS};
use crate::blobs::Blobs;
use crate::call::Call;
use crate::connection::Refusals;
use crate::heavy::Undone;
use crate::mail::{SMTP, decode_base64};
use crate::mime::Mime;
use crate::operations::email::{self, NewMail, Sent};
use crate::operations::sending;
use crate::server::LIGHT;
use crate::world::{Shared, World};

/// The method of recorded SMTP calls.
const METHOD: &str = "SMTP";

/// The prompts of AUTH LOGIN: `Username:` and `Password:` in base64.
const ASK_USERNAME: &str = "VXNlcm5hbWU6";
const ASK_PASSWORD: &str = "UGFzc3dvcmQ6";

/// A connection and the state of its dialogue.
pub(super) struct Session {
    shared: Arc<Shared>,
    wire: Wire,
    client: Client,
    /// Whether the client has sent EHLO or HELO.
    greeted: bool,
    envelope: Option<Envelope>,
}

/// The sender and the recipients of the next message.
#[derive(Debug, Default)]
struct Envelope {
    sender: String,
    recipients: Vec<String>,
    /// Whether addresses may be non-ASCII (SMTPUTF8).
    utf8: bool,
    /// The MAIL and RCPT lines, for the recorded call.
    head: Vec<u8>,
}

impl Session {
    pub(super) fn new(stream: TcpStream, address: IpAddr, shared: Arc<Shared>) -> Self {
        Self {
            wire: Wire::new(stream, shared.settings.limits.idle),
            client: Client {
                address,
                username: None,
            },
            greeted: false,
            envelope: None,
            shared,
        }
    }

    /// Runs the dialogue until the client or the server ends it.
    pub(super) async fn run(mut self, refusals: &Refusals) {
        if let Err(End::Reply(reply)) = self.talk().await {
            refusals.answer(self.wire.into_stream(), reply.to_string());
        }
    }

    async fn talk(&mut self) -> Result<(), End> {
        let hello = SmtpReply::new(220, "", "localhost ESMTP smtp2go-sandbox");
        self.wire.write(&hello).await?;
        loop {
            let line = self.line().await?;
            let command = match Command::parse(&line) {
                Ok(command) => command,
                Err(bad) => {
                    self.note_refusal(&line, &bad.reply);
                    if bad.is_fatal || !self.greeted {
                        return Err(End::Reply(bad.reply));
                    }
                    self.wire.write(&bad.reply).await?;
                    continue;
                }
            };
            let is_quit = command == Command::Quit;
            let reply = self.carry_out(command, &line).await?;
            self.wire.write(&reply).await?;
            if is_quit {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, End> {
        let limits = self.shared.settings.limits;
        let limit = match self.client.username {
            Some(_) => limits.idle,
            None => limits.head,
        };
        self.wire.line(limit).await
    }

    /// Carries out a command and returns the reply. A refusal is recorded in the list of calls.
    async fn carry_out(&mut self, command: Command<'_>, line: &[u8]) -> Result<SmtpReply, End> {
        let has_recipients = |envelope: &mut Envelope| !envelope.recipients.is_empty();
        if command == Command::Data
            && self.greeted
            && let Some(envelope) = self.envelope.take_if(has_recipients)
        {
            return self.receive(envelope).await;
        }
        let reply = match command {
            Command::Auth {
                mechanism,
                response,
            } => self.authenticate(mechanism, response).await?,
            command => self.answer(&command, line),
        };
        let reply = reply.unwrap_or_else(|refused| {
            self.note_refusal(line, &refused);
            refused
        });
        Ok(reply)
    }

    /// Carries out a command that needs no further input from the client.
    fn answer(&mut self, command: &Command<'_>, line: &[u8]) -> Result<SmtpReply, SmtpReply> {
        match command {
            Command::Ehlo | Command::Helo | Command::Rset => self.envelope = None,
            Command::Noop | Command::Vrfy | Command::Quit => {}
            _ => self.check_greeted()?,
        }
        Ok(match command {
            Command::Ehlo => {
                self.greeted = true;
                let lines = [
                    "localhost".to_owned(),
                    format!("SIZE {MOST_BYTES}"),
                    "8BITMIME".to_owned(),
                    "SMTPUTF8".to_owned(),
                    "PIPELINING".to_owned(),
                    "ENHANCEDSTATUSCODES".to_owned(),
                    "AUTH PLAIN LOGIN".to_owned(),
                ];
                SmtpReply::of_lines(250, "", lines.to_vec())
            }
            Command::Helo => {
                self.greeted = true;
                SmtpReply::new(250, "", "localhost")
            }
            Command::Rset | Command::Noop => SmtpReply::new(250, "2.0.0", "OK"),
            Command::Vrfy => SmtpReply::new(252, "2.0.0", "send a message to find out"),
            Command::Quit => SmtpReply::new(221, "2.0.0", "goodbye"),
            Command::Mail { address, utf8 } => {
                if self.envelope.is_some() {
                    return Err(out_of_order("there is a sender already; RSET removes it"));
                }
                self.client.user(&self.shared.world())?;
                check_letters(address, *utf8)?;
                self.envelope = Some(Envelope {
                    sender: (*address).to_owned(),
                    utf8: *utf8,
                    head: line.to_vec(),
                    ..Envelope::default()
                });
                SmtpReply::new(250, "2.1.0", "OK")
            }
            Command::Rcpt { address } => {
                let envelope = self.envelope.as_mut();
                let envelope = envelope.ok_or_else(|| out_of_order("MAIL comes first"))?;
                check_letters(address, envelope.utf8)?;
                if envelope.recipients.len() >= MOST_RECIPIENTS {
                    let text = format!("the message has {MOST_RECIPIENTS} recipients already");
                    return Err(SmtpReply::new(452, "4.5.3", text));
                }
                envelope.recipients.push((*address).to_owned());
                envelope.head.extend_from_slice(line);
                SmtpReply::new(250, "2.1.5", "OK")
            }
            // `carry_out` handles AUTH, and DATA in the right order.
            Command::Auth { .. } | Command::Data => {
                return Err(out_of_order("MAIL and RCPT come first"));
            }
        })
    }

    fn check_greeted(&self) -> Result<(), SmtpReply> {
        match self.greeted {
            true => Ok(()),
            false => Err(out_of_order("EHLO comes first")),
        }
    }

    async fn authenticate(
        &mut self,
        mechanism: &str,
        response: Option<&str>,
    ) -> Result<Result<SmtpReply, SmtpReply>, End> {
        if let Err(refused) = self.check_greeted() {
            return Ok(Err(refused));
        }
        if self.client.username.is_some() || self.envelope.is_some() {
            return Ok(Err(out_of_order("AUTH comes once, and before MAIL")));
        }
        let is = |known: &str| mechanism.eq_ignore_ascii_case(known);
        let credentials = if is("PLAIN") {
            let response = self.response(response, "").await?.unwrap_or_default();
            // The authorization identity (ignored), the name and the password.
            match response.split('\0').collect::<Vec<_>>()[..] {
                [_, username, password] => Some((username.to_owned(), password.to_owned())),
                _ => None,
            }
        } else if is("LOGIN") {
            match self.response(response, ASK_USERNAME).await? {
                Some(username) => {
                    let password = self.response(None, ASK_PASSWORD).await?;
                    password.map(|password| (username, password))
                }
                None => None,
            }
        } else {
            let text = format!("unknown mechanism {mechanism:?}: use PLAIN or LOGIN");
            return Ok(Err(SmtpReply::new(504, "5.5.4", text)));
        };
        let Some((username, password)) = credentials else {
            let text = "the credentials are not base64 of a name and a password";
            return Ok(Err(SmtpReply::new(501, "5.5.2", text)));
        };
        let world = self.shared.world();
        let logged_in = self.client.log_in(&world, &username, &password);
        Ok(logged_in.map(|()| SmtpReply::new(235, "2.7.0", "OK")))
    }

    /// Returns a decoded response to AUTH: the initial response, or the next line after the prompt
    /// `ask`. `None` if it is not base64, such as the `*` that cancels AUTH.
    async fn response(&mut self, given: Option<&str>, ask: &str) -> Result<Option<String>, End> {
        let bytes = match given {
            Some(given) => decode_base64(given),
            None => {
                self.wire.write(&SmtpReply::new(334, "", ask)).await?;
                let line = self.line().await?;
                let text = command::text(&line).map_err(|bad| End::Reply(bad.reply))?;
                decode_base64(text)
            }
        };
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Reads a message, and accepts or refuses it.
    async fn receive(&mut self, mut envelope: Envelope) -> Result<SmtpReply, End> {
        let go_on = SmtpReply::new(354, "", "end with CRLF, a dot and CRLF");
        self.wire.write(&go_on).await?;
        let shared = Arc::clone(&self.shared);
        let received = self.wire.message(shared.bodies.reading(true)).await?;
        let mut call = Call {
            head: std::mem::take(&mut envelope.head).into(),
            body: received.bytes.clone(),
            body_bytes: received.size,
            ..self.call("DATA")
        };
        let (mut reply, messages) = match received.refused {
            Some(refused) => (refused, 0..0),
            None => self.deliver(envelope, received.bytes).await,
        };
        if let Err(why) = self.shared.saved().await {
            reply = SmtpReply::new(451, "4.3.0", why);
        }
        call.messages = messages;
        call.accepted = !reply.refuses();
        self.note(call, &reply);
        Ok(reply)
    }

    /// Accepts or refuses a message. Returns the reply and the numbers of the messages that it made.
    async fn deliver(&self, envelope: Envelope, message: Bytes) -> (SmtpReply, Range<u64>) {
        let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
        let is_light = message.len() <= LIGHT;
        let work = move || accept(&shared, &client, &envelope, message);
        if is_light {
            return work();
        }
        let done = self.shared.heavy.calls.run(work).await;
        done.unwrap_or_else(|why| {
            let text = match why {
                Undone::Busy(waited) => {
                    let seconds = waited.as_secs();
                    format!("other large messages and requests took longer than {seconds} s")
                }
                Undone::Panicked => "the sandbox panicked".to_owned(),
            };
            (SmtpReply::new(451, "4.3.0", text), 0..0)
        })
    }

    /// Records a refusal in the list of calls.
    fn note_refusal(&self, line: &[u8], reply: &SmtpReply) {
        let text = String::from_utf8_lossy(line);
        let verb = text.split_whitespace().next().unwrap_or_default();
        let verb = verb.to_ascii_uppercase();
        let head = match verb.as_str() {
            // The rest may contain a password.
            "AUTH" => Bytes::from_static(b"AUTH\r\n"),
            _ => Bytes::copy_from_slice(line),
        };
        let call = Call {
            head,
            ..self.call(&verb)
        };
        self.note(call, reply);
    }

    /// Creates the call of a command, without its result.
    fn call(&self, verb: &str) -> Call {
        let (now, is_known) = {
            let world = self.shared.world();
            (world.now(), self.client.user(&world).is_ok())
        };
        Call {
            operation: Some(SMTP.to_owned()),
            received: true,
            has_known_key: is_known,
            ..Call::new(now, METHOD.to_owned(), verb.to_owned())
        }
    }

    fn note(&self, mut call: Call, reply: &SmtpReply) {
        call.status = reply.code;
        call.reply = reply.to_string().into();
        call.refused = reply.refuses().then(|| reply.text());
        call.shorten();
        self.shared.note(call);
    }
}

/// Accepts or refuses a message. Returns the reply and the numbers of the messages that it created.
fn accept(
    shared: &Shared,
    client: &Client,
    envelope: &Envelope,
    message: Bytes,
) -> (SmtpReply, Range<u64>) {
    let mime = Mime::new(&message);
    let mut world = shared.world();
    let first = world.ledger.next();
    let reply = try_accept(&mut world, client, envelope, mime, message);
    let reply = reply.unwrap_or_else(|refused| refused);
    (reply, first..world.ledger.next())
}

/// Accepts a message like `/email/mime`, except that its recipients are those of the envelope.
fn try_accept(
    world: &mut World,
    client: &Client,
    envelope: &Envelope,
    mime: Mime,
    message: Bytes,
) -> Result<SmtpReply, SmtpReply> {
    let user = client.user(world)?;
    mime.check_headers()
        .and_then(|()| mime.check_body())
        .map_err(|why| SmtpReply::new(550, "5.6.0", why))?;
    if mime.from.is_empty() && envelope.sender.is_empty() {
        let text = "neither the header From nor MAIL has a sender";
        return Err(SmtpReply::new(550, "5.7.1", text));
    }
    let sender = match mime.from.as_str() {
        "" => &envelope.sender,
        from => from,
    };
    let recipients: Vec<_> = envelope.recipients.iter().map(String::as_str).collect();
    sending::may_send(world, user.account, sender, &recipients)
        .map_err(|refusal| SmtpReply::new(550, "5.7.1", refusal.reason()))?;
    sending::within_limit(world, &user, 1)
        .map_err(|refusal| SmtpReply::new(451, "4.7.1", refusal.reason()))?;
    let request = json!({ "sender": envelope.sender, "recipients": recipients });
    let mail = NewMail {
        operation: SMTP,
        request: Arc::new(request),
        blobs: Blobs::of_message(message),
        checked: mime.into(),
    };
    match email::accept(world, user, mail) {
        Sent::Accepted(mail) => {
            let text = format!("OK id={}", mail.email_id());
            Ok(SmtpReply::new(250, "2.0.0", text))
        }
        Sent::Refused(failures) => Err(SmtpReply::of_lines(550, "5.1.1", failures)),
    }
}

fn out_of_order(text: &str) -> SmtpReply {
    SmtpReply::new(503, "5.5.1", text)
}

/// Refuses a non-ASCII address, unless MAIL had the parameter SMTPUTF8 (`utf8`).
fn check_letters(address: &str, utf8: bool) -> Result<(), SmtpReply> {
    match utf8 || address.is_ascii() {
        true => Ok(()),
        false => {
            let text = format!("{address:?} is not ASCII: say SMTPUTF8 with MAIL");
            Err(SmtpReply::new(553, "5.6.7", text))
        }
    }
}
