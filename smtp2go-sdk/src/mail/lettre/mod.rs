//! The client as a transport of lettre.

pub(crate) mod envelope;

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::{AsyncTransport, Message};

use crate::{Client, Error, Reply, operations};
use crate::{Mime, Sent};

/// Sends what is composed with [`lettre`] through the API: in lettre code, put it where the SMTP
/// transport is made, and leave the rest as it is.
///
/// ```no_run
/// use lettre::{AsyncTransport, Message};
/// use smtp2go_sdk::{Client, LettreTransport};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // let mailer = AsyncSmtpTransport::<Tokio1Executor>::relay("mail.smtp2go.com")?.build();
/// let mailer = LettreTransport::new(Client::from_env()?);
///
/// let message = Message::builder()
///     .from("Acme <noreply@example.com>".parse()?)
///     .to("Jane <jane@example.net>".parse()?)
///     .subject("Hello")
///     .body("Hello Jane".to_owned())?;
/// mailer.send(message).await?;
/// # Ok(())
/// # }
/// ```
///
/// A [`Client`] is an [`AsyncTransport`] too, with the same settings as a new `LettreTransport`, for
/// code that is generic over transports. It can't be called as `client.send(message)`, since the
/// client's own [`send`](Client::send) takes an [`Email`](crate::Email): that is
/// [`client.send_mime(message)`](Client::send_mime).
///
/// # Envelopes
///
/// SMTP delivers to whom the envelope names. The API has no envelope, but reads sender and
/// recipients from the headers of the message. Where the two say different things, nothing is
/// sent, and the error, whose [certainty](Error::certainty) is
/// [`NotSent`](crate::Certainty::NotSent), names the address as
/// a [field error](Error::field_errors):
///
/// - `envelope.to[2]`: no header `To`, `Cc` or `Bcc` names this recipient, who would get nothing.
///   So it is with every hidden copy, because lettre's builder takes the header `Bcc` out of the
///   message. Have it stay with [`keep_bcc`](lettre::message::MessageBuilder::keep_bcc), or put it
///   back with [`restore_bcc`](Self::restore_bcc).
/// - `envelope.to`: a header names this recipient and the envelope does not; the mail would go to
///   somebody it is not meant for.
/// - `envelope.from`: the sender is neither in `From` nor in `Sender`. An envelope without a sender
///   is accepted; where bounces go is the service's affair either way.
///
/// Addresses are compared without regard to the case of the domain, display names, comments and
/// needless quotes. The case of what precedes the `@` counts.
///
/// # Errors
///
/// Those of [`Client::send_mime`]. `shutdown` does nothing, and the transport works after it: its
/// connections are those of the client.
#[derive(Clone, Debug)]
pub struct LettreTransport {
    client: Client,
    restore_bcc: bool,
    fastaccept: bool,
}

impl LettreTransport {
    /// A transport that sends through the client, with its key, region and settings.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            restore_bcc: false,
            fastaccept: false,
        }
    }

    /// Sets whether recipients whom no header names are written into a header `Bcc`, as
    /// [`Mime::restore_bcc`] does it, where the risk is explained. `false` unless set: such a
    /// message is refused.
    #[must_use]
    pub fn restore_bcc(mut self, restore: bool) -> Self {
        self.restore_bcc = restore;
        self
    }

    /// Sets whether mail is queued without checks, as
    /// [`Email::fastaccept`](crate::Email::fastaccept). `false` unless set.
    #[must_use]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.fastaccept = fastaccept;
        self
    }

    /// The client that it sends through.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks the API what the key may do, and says whether that includes sending MIME messages:
    /// what can be found out without sending one. It is a call of `/api_keys/permissions`, which
    /// every key may make. `false`: the API can be reached and knows the key, but `send` would be
    /// refused. Neither tells whether a sender is verified.
    ///
    /// # Errors
    /// Those of a call. [`is_auth`](Error::is_auth) if the API does not know the key.
    pub async fn test_connection(&self) -> Result<bool, Error> {
        let allowed = self.client.api_keys().permissions().await?;
        Ok(allowed
            .iter()
            .any(|pattern| covers(pattern, operations::EMAIL_MIME.path)))
    }

    async fn deliver(&self, message: Mime) -> Result<Reply<Sent>, Error> {
        let message = message.fastaccept(self.fastaccept);
        let message = if self.restore_bcc {
            message.restore_bcc()
        } else {
            message
        };
        self.client.send_mime(message).await
    }
}

impl From<Client> for LettreTransport {
    fn from(client: Client) -> Self {
        Self::new(client)
    }
}

#[async_trait]
impl AsyncTransport for LettreTransport {
    type Ok = Reply<Sent>;
    type Error = Error;

    // In place of lettre's own, which would have the message in memory once more.
    async fn send(&self, message: Message) -> Result<Reply<Sent>, Error> {
        let mime = Mime::from(&message);
        drop(message);
        self.deliver(mime).await
    }

    async fn send_raw(&self, envelope: &Envelope, email: &[u8]) -> Result<Reply<Sent>, Error> {
        self.deliver(Mime::with_envelope(email.to_vec(), envelope))
            .await
    }
}

/// As a new [`LettreTransport`].
#[async_trait]
impl AsyncTransport for Client {
    type Ok = Reply<Sent>;
    type Error = Error;

    async fn send(&self, message: Message) -> Result<Reply<Sent>, Error> {
        LettreTransport::new(self.clone()).send(message).await
    }

    async fn send_raw(&self, envelope: &Envelope, email: &[u8]) -> Result<Reply<Sent>, Error> {
        LettreTransport::new(self.clone())
            .send_raw(envelope, email)
            .await
    }
}

/// Whether a permission, a path in which `*` stands for any text, is for this path.
fn covers(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|path| {
            (0..=path.len()).any(|at| path.get(at..).is_some_and(|path| covers(rest, path)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_paths_or_patterns() {
        for pattern in [
            "/email/mime",
            "/email/*",
            "*",
            "/*",
            "/*/mime",
            "/email/mime*",
        ] {
            assert!(covers(pattern, "/email/mime"), "{pattern}");
        }
        for pattern in [
            "",
            "/email/send",
            "/email",
            "/sms/*",
            "/email/*x",
            "email/*",
        ] {
            assert!(!covers(pattern, "/email/mime"), "{pattern}");
        }
    }
}
