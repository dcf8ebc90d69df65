//! The blocking transport for lettre.

use ::lettre::address::Envelope;
use ::lettre::{Message, Transport};

use super::Client;
use crate::{Error, Mime, Reply, Sent, operations};

/// Sends messages of [`lettre`] through the API, for code that uses lettre's blocking transports.
///
/// ```no_run
/// use lettre::{Message, Transport};
/// use smtp2go_sdk::blocking::{Client, LettreTransport};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // let mailer = SmtpTransport::relay("mail.smtp2go.com")?.build();
/// let mailer = LettreTransport::new(Client::from_env()?);
///
/// let message = Message::builder()
///     .from("Acme <noreply@example.com>".parse()?)
///     .to("Jane <jane@example.net>".parse()?)
///     .subject("Hello")
///     .body("Hello Jane".to_owned())?;
/// mailer.send(&message)?;
/// # Ok(())
/// # }
/// ```
///
/// [`Client`] also implements [`Transport`], with the settings of a new `LettreTransport`. Envelopes,
/// idempotency keys and errors work like in the async
/// [`LettreTransport`](crate::LettreTransport#envelopes).
#[derive(Clone, Debug)]
pub struct LettreTransport {
    client: Client,
    transport: crate::LettreTransport,
}

impl LettreTransport {
    /// Creates a transport that sends through the client, with its key, region and settings.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            transport: crate::LettreTransport::new(client.client.clone()),
            client,
        }
    }

    /// Sets whether to write envelope recipients that are in no header into a header `Bcc`. See
    /// [`Mime::restore_bcc`] for the risk. Default: `false`: a message with such recipients is a
    /// validation error.
    #[must_use]
    pub fn restore_bcc(mut self, restore: bool) -> Self {
        self.transport = self.transport.restore_bcc(restore);
        self
    }

    /// Sets whether the API queues mail without checks: see
    /// [`Email::fastaccept`](crate::Email::fastaccept). Default: `false`.
    #[must_use]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.transport = self.transport.fastaccept(fastaccept);
        self
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns whether the key may send MIME messages, like
    /// [`test_connection`](crate::LettreTransport::test_connection) of the async transport.
    ///
    /// # Errors
    /// The errors of a call. [`is_auth`](Error::is_auth) if the API does not know the key.
    pub fn test_connection(&self) -> Result<bool, Error> {
        let transport = self.transport.clone();
        let call = async move { transport.test_connection().await };
        self.client
            .worker
            .run(&operations::API_KEYS_PERMISSIONS, call)
    }

    fn deliver(&self, message: Mime) -> Result<Reply<Sent>, Error> {
        let transport = self.transport.clone();
        let call = async move { transport.deliver(message).await };
        self.client.worker.run(&operations::EMAIL_MIME, call)
    }
}

impl From<Client> for LettreTransport {
    fn from(client: Client) -> Self {
        Self::new(client)
    }
}

impl Transport for LettreTransport {
    type Ok = Reply<Sent>;
    type Error = Error;

    // The default implementation would lose the message's idempotency key.
    fn send(&self, message: &Message) -> Result<Reply<Sent>, Error> {
        self.deliver(Mime::from(message))
    }

    fn send_raw(&self, envelope: &Envelope, email: &[u8]) -> Result<Reply<Sent>, Error> {
        self.deliver(Mime::with_envelope(email.to_vec(), envelope))
    }
}

/// Sends like a new [`LettreTransport`].
impl Transport for Client {
    type Ok = Reply<Sent>;
    type Error = Error;

    fn send(&self, message: &Message) -> Result<Reply<Sent>, Error> {
        LettreTransport::new(self.clone()).send(message)
    }

    fn send_raw(&self, envelope: &Envelope, email: &[u8]) -> Result<Reply<Sent>, Error> {
        LettreTransport::new(self.clone()).send_raw(envelope, email)
    }
}
