//! The client as a transport of lettre.

pub(crate) mod envelope;

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::{AsyncTransport, Message};
use smtp2go_types::validation::header_fault;

use crate::{Client, Error, IDEMPOTENCY_HEADER, Mime, Reply, Sent, operations};

/// Sends messages of [`lettre`] through the API. In code that uses lettre, replace the SMTP transport
/// with it; the rest stays unchanged. Not on wasm32.
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
/// A [`Client`] is an [`AsyncTransport`] too, for code that is generic over transports, with the
/// settings of a new `LettreTransport`. To call it directly, use
/// [`client.send_mime(message)`](Client::send_mime): the client's own [`send`](Client::send) takes an
/// [`Email`](crate::Email).
///
/// # Envelopes
///
/// SMTP delivers to the recipients in the envelope. The API has no envelope: it reads sender and
/// recipients from the headers of the message. If the two differ, nothing is sent. The error has the
/// [certainty](Error::certainty) [`NotSent`](crate::Certainty::NotSent), and names each address as a
/// [field error](Error::field_errors):
///
/// - `envelope.to[2]`: no header `To`, `Cc` or `Bcc` has this recipient, who would get nothing. This is
///   the case for every Bcc recipient, because lettre's builder removes the header `Bcc`. Keep the
///   header with [`keep_bcc`](lettre::message::MessageBuilder::keep_bcc), or restore it with
///   [`restore_bcc`](Self::restore_bcc).
/// - `envelope.to`: a header has this recipient and the envelope does not. The mail would go to the
///   wrong person.
/// - `envelope.from`: the sender is neither in `From` nor in `Sender`. An envelope without a sender is
///   accepted. The API decides where bounces go.
///
/// The comparison ignores the case of the domain, display names, comments and needless quotes. The
/// case of the part before the `@` matters.
///
/// # Idempotency keys
///
/// The header [`IdempotencyKey`] sets the key of a message.
///
/// # Errors
///
/// The errors of [`Client::send_mime`]. `shutdown` does nothing: the connections belong to the
/// client.
#[derive(Clone, Debug)]
pub struct LettreTransport {
    client: Client,
    restore_bcc: bool,
    fastaccept: bool,
}

impl LettreTransport {
    /// Creates a transport that sends through the client, with its key, region and settings.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            restore_bcc: false,
            fastaccept: false,
        }
    }

    /// Sets whether to write envelope recipients that are in no header into a header `Bcc`. See
    /// [`Mime::restore_bcc`] for the risk. Default: `false`: a message with such recipients is a
    /// validation error.
    #[must_use]
    pub fn restore_bcc(mut self, restore: bool) -> Self {
        self.restore_bcc = restore;
        self
    }

    /// Sets whether mail is queued without checks: see
    /// [`Email::fastaccept`](crate::Email::fastaccept). Default: `false`.
    #[must_use]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.fastaccept = fastaccept;
        self
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns whether the key may send MIME messages. Calls `/api_keys/permissions`, which every key
    /// may call, and sends nothing. `false`: the API knows the key, but would refuse `send`. The
    /// result does not tell whether a sender is verified.
    ///
    /// # Errors
    /// The errors of a call. [`is_auth`](Error::is_auth) if the API does not know the key.
    pub async fn test_connection(&self) -> Result<bool, Error> {
        let allowed = self.client.api_keys().permissions().await?;
        Ok(allowed
            .iter()
            .any(|pattern| covers(pattern, operations::EMAIL_MIME.path)))
    }

    pub(crate) async fn deliver(&self, message: Mime) -> Result<Reply<Sent>, Error> {
        let message = message.fastaccept(self.fastaccept);
        let message = if self.restore_bcc {
            message.restore_bcc()
        } else {
            message
        };
        self.client.send_mime(message).await
    }
}

/// The header of [`lettre`] messages with the mail's idempotency key: see
/// [`Email::idempotency_key`](crate::Email::idempotency_key).
///
/// The header has the name [`IDEMPOTENCY_HEADER`]. If the client has
/// [another name](crate::ClientBuilder::idempotency_header), a message that is sent with
/// [`AsyncTransport::send`] or [`Client::send_mime`] gets a second header with that name.
///
/// ```
/// use lettre::Message;
/// use smtp2go_sdk::{IdempotencyKey, Mime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let message = Message::builder()
///     .from("Acme <noreply@example.com>".parse()?)
///     .to("Jane <jane@example.net>".parse()?)
///     .subject("Your order")
///     .header(IdempotencyKey::new("order-42/confirmation"))
///     .body("Thank you.".to_owned())?;
/// assert_eq!(Mime::from(message).key(), Some("order-42/confirmation"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub(crate) String);

impl IdempotencyKey {
    /// Creates the header. The key is checked when the message is sent through the API.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Returns the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Header for IdempotencyKey {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str(IDEMPOTENCY_HEADER)
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self::new(text.trim()))
    }

    fn display(&self) -> HeaderValue {
        let key = self.0.clone();
        if key.is_ascii() && header_fault(&key).is_none() {
            // Otherwise lettre folds a long key.
            HeaderValue::dangerous_new_pre_encoded(Self::name(), key.clone(), key)
        } else {
            HeaderValue::new(Self::name(), key)
        }
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

    // The default implementation would have the message in memory twice.
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

/// Sends like a new [`LettreTransport`].
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

/// Returns whether a permission, a path in which `*` matches any text, covers a path.
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
    fn permission_is_a_path_or_a_pattern() {
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
