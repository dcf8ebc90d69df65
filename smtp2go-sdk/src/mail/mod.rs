//! Sending mail: the conveniences on the client.

mod attachment;
mod batch;
mod bulk;
mod email;
#[cfg(feature = "lettre")]
mod lettre;
mod mailbox;
mod mime;
mod schedule;

#[cfg(feature = "lettre")]
pub use self::lettre::LettreTransport;
pub use attachment::Attachment;
pub use batch::Batch;
#[cfg(feature = "blocking")]
pub(crate) use bulk::SendCall;
pub use bulk::{IntoMail, Mails, SendAll, SendHandle, SendOutcome, SendReport, SendState};
pub use email::Email;
pub use mailbox::{Mailbox, MailboxError};
pub use mime::Mime;

use std::fmt;
use std::sync::Arc;

use smtp2go_types::Validate;
use smtp2go_types::validation::Check;

use crate::body::content::Blob;
use crate::body::json::Writer;
use crate::call::cancel::CallCancel;
use crate::call::verdict::Success;
use crate::error::said::Said;
use crate::operation::Operation;
use crate::{Body, Client, Error, Reply, operations};
use attachment::look;
use email::{Door, File, problem_in};

/// A mail that the service took in. That says nothing of its delivery: see the activity and
/// webhooks for that.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The id of the mail, by which the activity, the archive and webhooks name it. Absent if the
    /// reply has none; whether a scheduled mail has one is not documented.
    pub email_id: Option<String>,
    /// The id of a scheduled mail, with which it can be cancelled
    /// (`client.email().scheduled_remove(…)`).
    pub schedule_id: Option<String>,
    /// How many messages the reply counts as failed. More than 0 is an error, and not seen here,
    /// unless [`failures_are_errors`](crate::CallOptions::failures_are_errors) is off: then look
    /// at this first.
    pub failed: Option<i64>,
    /// Why they failed, in the service's words, which can quote addresses.
    pub failures: Vec<String>,
}

/// Shows how many failures there are, and not their texts.
impl fmt::Debug for Sent {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("email_id", &self.email_id)
            .field("schedule_id", &self.schedule_id)
            .field("failed", &self.failed)
            .field("failures", &self.failures.len())
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
        }
    }
}

impl Client {
    /// Sends a mail, or schedules it.
    ///
    /// All that can be checked here is checked first, files and the size as sent (50 MB) among it,
    /// and reported in one error that names each field. Attachments are read while they are sent.
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation) for a mail that the API would not take, with
    /// [`field_errors`](Error::field_errors), and for an attachment that could not be read to its
    /// end. Otherwise those of [`execute`](Self::execute), a mail that was refused in a reply with
    /// status 200 among them. [`Error::certainty`] says whether the mail may have gone out.
    pub async fn send(&self, email: Email) -> Result<Reply<Sent>, Error> {
        self.send_cancellable(email, None).await
    }

    /// As [`send`](Self::send). `cancel` can cancel the call, and knows if it was sent.
    pub(crate) fn send_cancellable(
        &self,
        email: Email,
        cancel: Option<Arc<CallCancel>>,
    ) -> impl Future<Output = Result<Reply<Sent>, Error>> {
        let operation = &operations::EMAIL_SEND;
        let body = move || one(operation, email);
        self.perform_cancellable(cancel, operation, body, sent, Reply::raw)
    }

    /// Sends a finished MIME message, or schedules it. It is read while it is sent, unless it is
    /// in memory.
    ///
    /// # Errors
    /// As [`send`](Self::send). Of the message only its size is checked, and of one that comes from
    /// lettre that its envelope agrees with its headers.
    #[inline]
    pub async fn send_mime(&self, message: impl Into<Mime>) -> Result<Reply<Sent>, Error> {
        let operation = &operations::EMAIL_MIME;
        let message = message.into();
        let body = || mime(operation, &message);
        self.perform_as(operation, body, sent, Reply::raw).await
    }

    /// Sends many mails, each with its own content, in one request. 50 MB is the limit for all of
    /// them together; how many there may be is not documented, and 1000 is quoted.
    ///
    /// If one mail does not pass its check nothing is sent: the error names every problem of every
    /// mail, as `emails[3].to[0]`. [`Email::fastaccept`] is not available here.
    ///
    /// # Errors
    /// As [`send`](Self::send). Also if the reply does not have one result for each mail: then
    /// nobody can tell which mails were taken in, and the certainty is `Unknown`. What became of
    /// each mail is in the [`Batch`].
    #[inline]
    pub async fn send_batch(
        &self,
        emails: impl IntoIterator<Item = Email>,
    ) -> Result<Batch, Error> {
        let operation = &operations::EMAIL_BATCH;
        let emails: Vec<_> = emails
            .into_iter()
            .enumerate()
            .map(|(index, email)| (format!("emails[{index}]."), email))
            .collect();
        let count = emails.len();
        self.per_item()
            .perform_as(
                operation,
                || many(operation, emails),
                |success| Batch::new(operation, count, success),
                Batch::reply,
            )
            .await
    }
}

/// The result of a mail that was accepted.
fn sent(Success { reply, said }: Success) -> Result<Reply<Sent>, Error> {
    Ok(Reply::new(Sent::from(said), reply))
}

/// The body for one mail, which is dropped when it is written: an answer can take long, and the
/// memory is still warm for the next mail.
async fn one(operation: &Operation, email: Email) -> Result<Body, Error> {
    let named = [(String::new(), email)];
    let files = email::files(&named).await.map_err(Error::config)?;
    let [(_, email)] = &named;
    let mut json = Writer::with_capacity(email.size());
    email.write(Door::Send, &mut json, &mut blobs(&files));
    checked(operation, json.finish(), &|check| {
        email.check_for(Door::Send, check);
        check_files(email, &mut files.iter(), check);
    })
}

/// The body for a batch.
#[inline]
async fn many(operation: &Operation, emails: Vec<(String, Email)>) -> Result<Body, Error> {
    let files = email::files(&emails).await.map_err(Error::config)?;
    let size: usize = emails.iter().map(|(_, email)| email.size()).sum();
    let mut json = Writer::with_capacity(size + 16);
    let mut blobs = blobs(&files);
    json.raw("{\"emails\":[");
    for (index, (_, email)) in emails.iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        email.write(Door::Batch, &mut json, &mut blobs);
    }
    json.raw("]}");
    checked(operation, json.finish(), &|check| {
        let mut files = files.iter();
        check.at("emails", |check| check.count(emails.len(), Some(1), None));
        for (index, (_, email)) in emails.iter().enumerate() {
            check.at_index("emails", index, |check| {
                email.check_for(Door::Batch, check);
                check_files(email, &mut files, check);
            });
        }
    })
}

/// The body for a MIME message.
#[inline]
async fn mime(operation: &Operation, message: &Mime) -> Result<Body, Error> {
    let content = message.content();
    let path = content.path().map(ToOwned::to_owned);
    let stat = look(path.into_iter().collect()).await;
    let stat = stat.map_err(Error::config)?;
    let blob = content.blob("mime_email", stat.into_iter().next());
    let mut json = Writer::with_capacity(128);
    message.write(&mut json, blob.clone().ok().flatten());
    checked(operation, json.finish(), &|check| {
        message.check(&blob, check);
    })
}

/// What can be sent of the files, in order.
fn blobs(files: &[File]) -> impl Iterator<Item = Option<Blob>> {
    files
        .iter()
        .map(|file| file.as_ref().ok().cloned().flatten())
}

/// Reports the files of a mail that can't be sent; its own are the next ones.
fn check_files(email: &Email, files: &mut std::slice::Iter<'_, File>, check: &mut Check) {
    for ((field, index, _), file) in email.files().zip(files) {
        if let Err(fault) = file {
            problem_in(check, (field, index), "", fault);
        }
    }
}

/// The body, if what it is made of passes its check.
fn checked(operation: &Operation, body: Body, check: &dyn Fn(&mut Check)) -> Result<Body, Error> {
    let whole = Whole {
        check,
        size: body.size(),
        limit: operation.max_body_bytes,
    };
    whole.validate().map_err(Error::validation)?;
    Ok(body)
}

struct Whole<'a> {
    check: &'a dyn Fn(&mut Check),
    size: u64,
    limit: Option<u64>,
}

impl Validate for Whole<'_> {
    fn check(&self, check: &mut Check) {
        (self.check)(check);
        if let Some(limit) = self.limit
            && self.size > limit
        {
            let size = self.size;
            check.problem(format!(
                "the request has {size} bytes as sent, and at most {limit} are accepted"
            ));
        }
    }
}
