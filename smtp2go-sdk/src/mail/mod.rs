//! Sends mail: reads the properties of files, checks, encodes, sends.

mod attachment;
mod batch;
mod bulk;
mod check;
mod email;
mod encode;
mod extra;
mod find_sent;
mod header_fields;
mod html;
mod idempotency;
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
mod lettre;
mod mailbox;
mod media_type;
mod mime;
mod preview;
mod recorded;
mod request;
mod schedule;
mod send_once;
mod stored;
mod strict_object;
mod suppressed;

#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
pub use self::lettre::{IdempotencyKey, LettreTransport};
pub use attachment::{Attachment, AttachmentKind};
pub use batch::Batch;
#[cfg(all(feature = "blocking", not(target_family = "wasm")))]
pub(crate) use bulk::SendCall;
pub use bulk::{
    BulkMail, IntoMail, Mails, SendAll, SendHandle, SendOutcome, SendReport, SendState,
};
pub use email::{Email, EmailParts};
pub use find_sent::{FindSent, Found};
pub use mailbox::{Mailbox, MailboxError};
pub use mime::Mime;
pub use send_once::SendOnce;

use std::fmt;
use std::sync::Arc;

use crate::body::content::Files;
use crate::call::cancel::CallCancel;
use crate::call::verdict::Success;
use crate::error::said::Said;
use crate::operation::Operation;
use crate::{Body, Certainty, Client, Error, Reply, operations};
use check::check_email;
use email::EmailFormat;
use encode::{encode_batch, encode_single};

/// A mail that the API accepted. The activity and webhooks report its delivery.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Id of the mail in the activity, the archive and webhooks. `None` if the reply has none.
    /// Whether a scheduled mail has one is not documented.
    pub email_id: Option<String>,
    /// Id of a scheduled mail, which `client.email().scheduled_remove(…)` cancels.
    pub schedule_id: Option<String>,
    /// Number of failed messages in the reply. More than 0 is an error, unless
    /// [`failures_are_errors`](crate::CallOptions::failures_are_errors) is off. If it is off, check
    /// this field first.
    pub failed: Option<i64>,
    /// Why messages failed, as the API reports it. The texts can quote addresses.
    pub failures: Vec<String>,
    /// Whether the reply was lost and [`send_once`](Client::send_once) found the mail in the activity.
    /// Then `email_id` is from the activity.
    pub looked_up: bool,
    /// The recipients that the mail was not sent to because they are suppressed. Only with
    /// [`skip_suppressed`](crate::ClientBuilder::skip_suppressed), and empty if `looked_up`.
    pub skipped: Vec<Mailbox>,
    /// Certainty of the mail, if the reply reports failures.
    certainty: Option<Certainty>,
}

/// Shows the number of failures, and not their texts.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("email_id", &self.email_id)
            .field("schedule_id", &self.schedule_id)
            .field("failed", &self.failed)
            .field("failures", &self.failures.len())
            .field("looked_up", &self.looked_up)
            .field("skipped", &self.skipped.len())
            .finish()
    }
}

impl From<Said> for Sent {
    fn from(said: Said) -> Self {
        Self {
            email_id: said.email_id,
            schedule_id: said.schedule_id,
            failed: said.failed,
            failures: said.failures,
            looked_up: false,
            skipped: Vec::new(),
            certainty: None,
        }
    }
}

impl Client {
    /// Sends a mail, or schedules it.
    ///
    /// The mail and its files are checked first, and all problems are reported in one error that names
    /// each field. The size as sent, at most 50 MB, is checked if there are no other problems.
    /// Attachments are read while they are sent.
    ///
    /// ```no_run
    /// use smtp2go_sdk::{Certainty, Client, Email};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let mail = Email::new("Acme <noreply@example.com>", "Welcome")
    ///     .to("jane@example.net")
    ///     .text("Hello Jane");
    /// match client.send(mail).await {
    ///     Ok(sent) => println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)")),
    ///     Err(error) if error.certainty() == Certainty::Unknown => println!("look it up: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation), with [`field_errors`](Error::field_errors), for a
    /// mail that fails the check, and for an attachment that could not be read to its end. Otherwise
    /// the errors of [`execute`](Self::execute), also for a mail that was refused in a reply with
    /// status 200. [`Error::certainty`] says whether the mail may have been sent.
    pub async fn send(&self, email: Email) -> Result<Reply<Sent>, Error> {
        self.send_as_set(email, None).await
    }

    /// Like [`send`](Self::send). `cancel` can cancel the call, and proves whether it was sent.
    pub(crate) async fn send_as_set(
        &self,
        email: Email,
        cancel: Option<Arc<CallCancel>>,
    ) -> Result<Reply<Sent>, Error> {
        if self.skips_suppressed() {
            // Boxed, so that the future of other sends stays small.
            return Box::pin(self.send_unsuppressed(email, cancel)).await;
        }
        self.send_cancellable(email, cancel).await
    }

    /// Sends a mail to all its recipients.
    fn send_cancellable(
        &self,
        email: Email,
        cancel: Option<Arc<CallCancel>>,
    ) -> impl Future<Output = Result<Reply<Sent>, Error>> {
        let operation = &operations::EMAIL_SEND;
        let header = self.idempotency_header();
        let body = move || single_body(email, header);
        self.perform_cancellable(cancel, operation, body, sent, Reply::raw)
    }

    /// Sends a finished MIME message, or schedules it. A file or reader is read while it is sent.
    ///
    /// ```no_run
    /// use smtp2go_sdk::{Client, Mime};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let message = Mime::from_path("message.eml");
    /// client.send_mime(message).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`send`](Self::send). Of the message only the size is checked, and of a message
    /// from lettre also that its envelope agrees with its headers.
    pub async fn send_mime(&self, message: impl Into<Mime>) -> Result<Reply<Sent>, Error> {
        self.send_mime_as_set(message.into(), None).await
    }

    /// Like [`send_mime`](Self::send_mime). `cancel` can cancel the call, and proves whether it was sent.
    pub(crate) async fn send_mime_as_set(
        &self,
        message: Mime,
        cancel: Option<Arc<CallCancel>>,
    ) -> Result<Reply<Sent>, Error> {
        let operation = &operations::EMAIL_MIME;
        self.sends_to_all(operation)?;
        let body = || mime_body(&message, self.idempotency_header());
        self.perform_cancellable(cancel, operation, body, sent, Reply::raw)
            .await
    }

    /// Sends many mails, each with its own content, in one request. The limit of 50 MB is for all of
    /// them together. The maximum number of mails is not documented; a third party quotes 1000.
    ///
    /// If one mail fails its check, nothing is sent. The error names every problem of every mail, as
    /// `emails[3].to[0]`. [`Email::fastaccept`] is not available here.
    ///
    /// ```no_run
    /// use smtp2go_sdk::{Client, Email};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let mails = ["jane@example.net", "joe@example.net"]
    ///     .map(|to| Email::new("news@example.com", "News").to(to).text("Hello"));
    /// for outcome in client.send_batch(mails).await?.outcomes() {
    ///     if let Err(error) = outcome {
    ///         println!("{error}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`send`](Self::send). Also an error of certainty `Unknown` if the reply does not
    /// have one result per mail, so that the results can't be matched. The [`Batch`] has the outcome
    /// of each mail.
    pub async fn send_batch(
        &self,
        emails: impl IntoIterator<Item = Email>,
    ) -> Result<Batch, Error> {
        let operation = &operations::EMAIL_BATCH;
        self.sends_to_all(operation)?;
        let emails: Vec<_> = emails.into_iter().collect();
        let count = emails.len();
        self.per_item()
            .perform_as(
                operation,
                || batch_body(emails, self.idempotency_header()),
                |success| Batch::new(operation, count, success),
                Batch::reply,
            )
            .await
    }

    /// Fails if `skip_suppressed` is set, for an operation that can't skip suppressed recipients.
    fn sends_to_all(&self, operation: &'static Operation) -> Result<(), Error> {
        if self.skips_suppressed() {
            let error = Error::config(
                "skip_suppressed is not available for batches and MIME messages: use send or \
                 send_all, or turn it off with CallOptions",
            );
            return Err(error.during(operation, 0));
        }
        Ok(())
    }
}

/// Returns the result of a mail that was accepted.
pub(crate) fn sent(success: Success) -> Result<Reply<Sent>, Error> {
    let sent = Sent {
        certainty: success.failed,
        ..Sent::from(success.said)
    };
    Ok(Reply::new(sent, success.reply))
}

/// Checks and encodes one mail. Drops the mail, so that it takes no memory while the call waits for the
/// reply. `header` is the name of the header for its idempotency key.
async fn single_body(email: Email, header: &str) -> Result<Body, Error> {
    let files = Files::look(email.paths()).await?;
    let format = EmailFormat::Single;
    check::run(|check| check_email(&email, format, header, Some(&files), check))?;
    encode_single(&email, header, &files).map_err(Error::unreadable)
}

/// Checks and encodes a batch.
async fn batch_body(emails: Vec<Email>, header: &str) -> Result<Body, Error> {
    let files = Files::look(emails.iter().flat_map(Email::paths)).await?;
    check::run(|check| {
        check.at("emails", |check| check.count(emails.len(), Some(1), None));
        for (index, email) in emails.iter().enumerate() {
            check.at_index("emails", index, |check| {
                check_email(email, EmailFormat::BatchItem, header, Some(&files), check);
            });
        }
    })?;
    encode_batch(&emails, header, &files).map_err(Error::unreadable)
}

/// Checks and encodes a MIME message.
async fn mime_body(message: &Mime, header: &str) -> Result<Body, Error> {
    let files = Files::look(message.path().into_iter()).await?;
    let written = message.key_values(header).await;
    check::run(|check| message.check(&files, header, &written, check))?;
    let header = written.is_empty().then_some(header);
    message.encode(&files, header).map_err(Error::unreadable)
}
