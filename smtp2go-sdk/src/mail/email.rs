//! A mail and its setters.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_core::Serialize;
use serde_json::Value;
use smtp2go_types::{Timestamp, Validate, ValidationError};

use super::attachment::Attachment;
use super::check::{UNSUBSCRIBE, UNSUBSCRIBE_POST};
use super::encode::encode_single;
use super::extra::{ExtraFields, is_same_json};
use super::mailbox::Mailbox;
use crate::{Error, IDEMPOTENCY_HEADER};

/// A mail for [`Client::send`](crate::Client::send), [`send_all`](crate::Client::send_all) and
/// [`send_batch`](crate::Client::send_batch).
///
/// Setters accept addresses as text, `jane@example.com` or `Jane <jane@example.com>`, as a pair of
/// name and address, or as a [`Mailbox`]. Setters never fail. All problems of a mail are reported in
/// one error, by field, before any of it is sent. [`validate`](Self::validate) reports them earlier.
///
/// Limits: 100 recipients each in to, cc and bcc; 50 MB for the request as sent, in which base64
/// makes files a third larger; three days ahead for a schedule.
///
/// A clone shares the content of attachments. Two mails are equal if all their parts are.
/// [`Attachment`] documents how content is compared. Template data and additional fields are compared
/// as JSON.
///
/// ```
/// use smtp2go_sdk::{Attachment, Email};
///
/// let mail = Email::new("Acme <noreply@example.com>", "Your report")
///     .to("Jane <jane@example.net>")
///     .cc(("Doe, John", "john@example.net"))
///     .reply_to("support@example.com")
///     .text("The report is attached.")
///     .html(r#"<img src="cid:logo.png"> <p>The report is attached.</p>"#)
///     .inline(Attachment::from_bytes("logo.png", &b"\x89PNG"[..]))
///     .attach(Attachment::from_bytes("report.csv", "month,mails\n"));
/// mail.validate()?;
/// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
/// ```
///
/// # Stored mail
///
/// A mail can be written as JSON with serde, stored, and read again, also by another program. Programs
/// in other languages can write the format too. This example has a mail with
/// all members except those of templates, and a mail from a template:
///
/// ```
/// use smtp2go_sdk::Email;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let json = r#"{
///   "version": 1,
///   "idempotency_key": "order-42/confirmation",
///   "sender": "Acme <noreply@example.com>",
///   "to": ["Jane <jane@example.net>"],
///   "cc": ["sales@example.com"],
///   "bcc": ["archive@example.com"],
///   "reply_to": ["support@example.com"],
///   "subject": "Your order",
///   "html_body": "<img src=\"cid:logo.png\"> <p>Thank you.</p>",
///   "text_body": "Thank you.",
///   "custom_headers": [{"header": "X-Order", "value": "42"}],
///   "schedule": "2026-12-01T09:00:00Z",
///   "fastaccept": true,
///   "attachments": [
///     {"filename": "order.csv", "mimetype": "text/csv", "fileblob": "aXRlbSxwcmljZQo="},
///     {"filename": "terms.pdf", "url": "https://example.com/terms.pdf"},
///     {"filename": "invoice.pdf", "path": "/srv/invoices/42.pdf", "size": 48213,
///      "modified": "2026-11-28T17:04:31.204518733Z"}
///   ],
///   "inlines": [{"filename": "logo.png", "fileblob": "iVBORw=="}],
///   "extra": {"newer_field": 1}
/// }"#;
/// let mail: Email = serde_json::from_str(json)?;
/// let stored = serde_json::to_string(&mail)?;
/// assert_eq!(serde_json::from_str::<Email>(&stored)?, mail);
///
/// let from_template = r#"{
///   "version": 1,
///   "sender": "noreply@example.com",
///   "to": ["jane@example.net"],
///   "template_id": "welcome",
///   "template_data": {"name": "Jane", "items": [{"price": 12}]}
/// }"#;
/// let mail: Email = serde_json::from_str(from_template)?;
/// mail.validate()?;
/// # Ok(())
/// # }
/// ```
///
/// The members of the mail:
/// - `version` and `sender` are required. The version is 1.
/// - All other members are optional. Null, an empty list and a missing member are the same.
/// - Members have the names and meanings of the API's `/email/send`, except for `idempotency_key`,
///   `reply_to` ([`reply_to`](Self::reply_to)) and `extra` ([`extra`](Self::extra)). `fastaccept` is
///   false by default.
/// - A member that is in neither example is refused.
///
/// An attachment has one of three members for its content:
/// - `fileblob`: the content in standard base64, with padding and without line breaks.
/// - `url`: a URL that SMTP2GO fetches.
/// - `path`: a file that is read when the mail is sent. The SDK writes an absolute path. A relative
///   path, written by another program, starts at the working directory of the program that sends.
///   `filename` is optional here. So are `size` in bytes and `modified`, a time as [`Timestamp`] reads
///   it. If the file's size differs when it is sent, or its modification time differs from `modified`
///   by one unit of its last digit or more, sending fails with
///   [`Certainty::NotSent`](crate::Certainty::NotSent), the [kind](crate::Error::kind) `content` and a
///   message that names the file.
///
/// Reading checks the form only, as the setters do: [`validate`](Self::validate) finds a wrong
/// address. Writing blocks while it reads the size and time of files. It is an error for
/// - an attachment from a reader,
/// - a file that is missing, or whose path is not UTF-8,
/// - an address that would be read as another one, such as a [`Mailbox`] with a name in its address,
/// - template data that could not be serialised.
///
/// Template data and additional fields are kept as JSON text, with all digits of their numbers. This
/// needs serde_json: other formats of serde are not supported, and neither are serde's `flatten` and
/// untagged enums around a mail. Later versions of the SDK read the format of earlier ones.
#[derive(Clone, PartialEq)]
pub struct Email {
    /// Behind a pointer, since the mail is moved through several futures.
    pub(super) parts: Arc<EmailParts>,
}

/// The parts of an [`Email`], for reading. Returned by [`Email::parts`]. The methods have the names of
/// the setters.
#[derive(Clone, PartialEq)]
pub struct EmailParts {
    pub(super) sender: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) cc: Vec<Mailbox>,
    pub(super) bcc: Vec<Mailbox>,
    pub(super) reply_to: Vec<Mailbox>,
    pub(super) subject: Option<String>,
    pub(super) html: Option<String>,
    pub(super) text: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) template: Option<EmailTemplate>,
    pub(super) schedule: Option<Timestamp>,
    pub(super) fastaccept: bool,
    pub(super) attachments: Vec<Attachment>,
    pub(super) inlines: Vec<Attachment>,
    pub(super) extra: ExtraFields,
    /// The idempotency key.
    pub(super) key: Option<String>,
}

/// The template that gives subject and bodies.
#[derive(Clone, Default)]
pub(super) struct EmailTemplate {
    pub(super) id: String,
    /// The data as JSON, or the error of its serialisation.
    pub(super) data: Option<Result<String, String>>,
}

/// Compares the data as JSON.
impl PartialEq for EmailTemplate {
    fn eq(&self, other: &Self) -> bool {
        let same_data = match (&self.data, &other.data) {
            (Some(Ok(a)), Some(Ok(b))) => is_same_json(a, b),
            (a, b) => a == b,
        };
        self.id == other.id && same_data
    }
}

/// The endpoint that a mail is written for: some fields differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EmailFormat {
    Single,
    BatchItem,
}

impl Email {
    /// Creates a mail with a subject. It needs a recipient, and [`text`](Self::text) or
    /// [`html`](Self::html).
    ///
    /// The sender's domain or address must be verified in the account.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hello Jane");
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    pub fn new(sender: impl Into<Mailbox>, subject: impl Into<String>) -> Self {
        Self::bare(sender.into()).subject(subject)
    }

    /// Creates a mail with subject and bodies from a template of the account. It needs a recipient.
    /// The id is case-sensitive.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::from_template("noreply@example.com", "welcome")
    ///     .to("jane@example.net")
    ///     .template_data(serde_json::json!({"name": "Jane"}));
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    pub fn from_template(sender: impl Into<Mailbox>, id: impl Into<String>) -> Self {
        let mut mail = Self::bare(sender.into());
        mail.edit().template = Some(EmailTemplate {
            id: id.into(),
            data: None,
        });
        mail
    }

    pub(super) fn bare(sender: Mailbox) -> Self {
        let parts = EmailParts {
            sender,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: None,
            html: None,
            text: None,
            headers: Vec::new(),
            template: None,
            schedule: None,
            fastaccept: false,
            attachments: Vec::new(),
            inlines: Vec::new(),
            extra: ExtraFields::default(),
            key: None,
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    pub(super) fn edit(&mut self) -> &mut EmailParts {
        Arc::make_mut(&mut self.parts)
    }

    /// Adds a To recipient. A mail has at least 1 and at most 100.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello")
    ///     .to("jane@example.net")
    ///     .to("Joe <joe@example.net>")
    ///     .to(("Doe, John", "john@example.net"));
    /// assert_eq!(mail.parts().to().len(), 3);
    /// ```
    #[must_use]
    pub fn to(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.edit().to.push(recipient.into());
        self
    }

    /// Adds recipients, who all see each other. To send each of them a mail of their own, use
    /// [`send_all`](crate::Client::send_all) or [`send_batch`](crate::Client::send_batch).
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let team = ["jane@example.net", "joe@example.net"];
    /// let mail = Email::new("noreply@example.com", "Minutes").to_all(team).text("See below.");
    /// assert_eq!(mail.parts().to().len(), 2);
    /// ```
    #[must_use]
    pub fn to_all(mut self, recipients: impl IntoIterator<Item = impl Into<Mailbox>>) -> Self {
        self.edit()
            .to
            .extend(recipients.into_iter().map(Into::into));
        self
    }

    /// Adds a Cc recipient, who gets a copy. A mail has at most 100.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").cc("Joe <joe@example.net>");
    /// assert_eq!(mail.parts().cc().len(), 1);
    /// ```
    #[must_use]
    pub fn cc(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.edit().cc.push(recipient.into());
        self
    }

    /// Adds a Bcc recipient, who gets a copy and whom the others do not see. A mail has at most 100.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").bcc("archive@example.com");
    /// assert_eq!(mail.parts().bcc().len(), 1);
    /// ```
    #[must_use]
    pub fn bcc(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.edit().bcc.push(recipient.into());
        self
    }

    /// Adds an address for replies, in place of the sender's. All such addresses are sent in one header
    /// `Reply-To`, since the API has no field for them.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hi").reply_to("support@example.com");
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn reply_to(mut self, address: impl Into<Mailbox>) -> Self {
        self.edit().reply_to.push(address.into());
        self
    }

    /// Sets the subject. For a mail from a template this is a validation error, because the API
    /// ignores the subject.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Draft").subject("Welcome");
    /// assert_eq!(mail.parts().subject(), Some("Welcome"));
    /// ```
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.edit().subject = Some(subject.into());
        self
    }

    /// Sets the HTML body. Refer to an image of [`inline`](Self::inline) by `cid:` and its file name.
    /// An empty text counts as no body.
    ///
    /// An image that the HTML loads by `cid:` must be in the mail, or the mail fails its check. HTML loads
    /// images in the attributes `src`, `srcset`, `background` and `poster`, and in `url()` of CSS.
    /// Elsewhere `cid:` is text.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net")
    ///     .text("Hello Jane")
    ///     .html("<p>Hello <b>Jane</b></p>");
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.edit().html = Some(html.into());
        self
    }

    /// Sets the plain text body, for mail programs that don't show HTML. An empty text counts
    /// as no body.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hello Jane");
    /// assert_eq!(mail.parts().text(), Some("Hello Jane"));
    /// ```
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.edit().text = Some(text.into());
        self
    }

    /// Adds a header, such as `List-Unsubscribe`, or one with your own id, by which the activity can
    /// be searched.
    ///
    /// Validation errors: Content-Type, Content-Transfer-Encoding and MIME-Version, which the API
    /// refuses; From, To, Cc, Bcc and Subject, which have setters; a second Reply-To, also beside
    /// [`reply_to`](Self::reply_to). Not documented: what the API does with other headers that it also
    /// writes itself, such as Date and Message-ID, and whether it encodes a value that is not ASCII.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hi").header("X-Order", "42");
    /// mail.validate()?;
    /// assert!(mail.header("Subject", "Hi").validate().is_err()); // has a setter
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.edit().headers.push((name.into(), value.into()));
        self
    }

    /// Lets recipients unsubscribe with one click in their mail program (RFC 8058), by the headers
    /// `List-Unsubscribe` and `List-Unsubscribe-Post`. Replaces earlier ones. Large mailbox providers
    /// require this for mail to lists.
    ///
    /// The URL must be https, and must have a token that identifies the recipient and can't be guessed.
    /// So send each recipient a mail of their own. [`unsubscribe`](crate::unsubscribe) has a receiver
    /// of the POST. Providers act on the headers only if the DKIM signature covers them; whether
    /// SMTP2GO's does is not documented.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("Acme <news@example.com>", "News")
    ///     .to("jane@example.net")
    ///     .text("Hello Jane")
    ///     .one_click_unsubscribe("https://example.com/unsubscribe/0b9f2c7d41e84c6f");
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    ///
    /// A validation error: a URL that is not https, or has characters that must be percent-encoded; a comma
    /// is one of them.
    #[must_use]
    pub fn one_click_unsubscribe(mut self, url: impl AsRef<str>) -> Self {
        let headers = &mut self.edit().headers;
        let is = |name: &str, expected| name.trim().eq_ignore_ascii_case(expected);
        headers.retain(|(name, _)| !is(name, UNSUBSCRIBE) && !is(name, UNSUBSCRIBE_POST));
        headers.push((UNSUBSCRIBE.to_owned(), format!("<{}>", url.as_ref())));
        let post = "List-Unsubscribe=One-Click".to_owned();
        headers.push((UNSUBSCRIBE_POST.to_owned(), post));
        self
    }

    /// Sets the mail's idempotency key: an id that is the same whenever this mail is sent, and that no
    /// other mail has, such as `order-42/confirmation`. Replaces an earlier key.
    ///
    /// SMTP2GO does not support idempotency keys: two requests with the same key are two mails. The SDK
    /// sends the key in a header, [`X-Idempotency-Key`](crate::IDEMPOTENCY_HEADER) unless
    /// [`ClientBuilder::idempotency_header`](crate::ClientBuilder::idempotency_header) sets another
    /// name. The activity returns that header with the mail's events. There `find_sent`, `send_once` and
    /// the outbox look for the mail after an outcome that is [`Unknown`](crate::Certainty::Unknown).
    /// Whether recipients see the header is not documented: assume that they do, and put nothing
    /// secret into a key.
    ///
    /// Validation errors: a key that is empty or longer than 255 bytes; a character other than
    /// printable ASCII; a space at the start or end; `=?`, which starts an encoded word. Also a
    /// [`header`](Self::header) of the same name with another value; with the same value the header is
    /// sent once. [`validate`](Self::validate) checks this for the default name of the header.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hi").idempotency_key("order-42/confirmation");
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.edit().key = Some(key.into());
        self
    }

    /// Returns the idempotency key.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").idempotency_key("order-42/confirmation");
    /// assert_eq!(mail.key(), Some("order-42/confirmation"));
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.parts.key.as_deref()
    }

    /// Sets the values for the template's placeholders: anything that serialises to a JSON object,
    /// such as a struct, a map, or `serde_json::json!({…})`. It is serialised immediately. Only for a
    /// mail [from a template](Self::from_template).
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::from_template("noreply@example.com", "welcome")
    ///     .to("jane@example.net")
    ///     .template_data(serde_json::json!({"name": "Jane", "items": [{"price": 12}]}));
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "a reference serialises too")]
    pub fn template_data(mut self, data: impl Serialize) -> Self {
        let json = match serde_json::to_string(&data) {
            Ok(json) if json.starts_with('{') => Ok(json),
            Ok(_) => Err("the data of a template must be an object".to_owned()),
            Err(error) => Err(format!("the data can't be written as JSON: {error}")),
        };
        // Also kept without a template, so that the check finds it.
        self.edit()
            .template
            .get_or_insert_with(|| EmailTemplate {
                id: String::new(),
                data: None,
            })
            .data = Some(json);
        self
    }

    /// Sets when to send: in the future, and at most three days ahead. The time is a
    /// [`SystemTime`](std::time::SystemTime), or anything that [`Timestamp`] parses. A time without a
    /// zone is UTC. Fractions of a second are cut off.
    ///
    /// A time that is up to 10 minutes beyond a limit is still sent, and the API decides, because the
    /// local clock may be wrong.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use smtp2go_sdk::Email;
    ///
    /// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hi").schedule(tomorrow);
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn schedule(mut self, time: impl Into<Timestamp>) -> Self {
        self.edit().schedule = Some(time.into());
        self
    }

    /// Removes the [`schedule`](Self::schedule), so that the mail is sent at once.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").schedule("2026-12-01T09:00:00Z");
    /// assert!(mail.without_schedule().parts().schedule().is_none());
    /// ```
    #[must_use]
    pub fn without_schedule(mut self) -> Self {
        self.edit().schedule = None;
        self
    }

    /// Sets whether the API queues the mail without checks. Failures then show only in the activity and
    /// in webhooks. Default: `false`. The SDK always sends the value, since the API has announced
    /// another default. Not available in a batch.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hi").fastaccept(true);
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.edit().fastaccept = fastaccept;
        self
    }

    /// Attaches a file.
    ///
    /// ```
    /// use smtp2go_sdk::{Attachment, Email};
    ///
    /// let mail = Email::new("noreply@example.com", "Your report")
    ///     .to("jane@example.net")
    ///     .text("Two files are attached.")
    ///     .attach(Attachment::from_path("report.pdf")) // read when the mail is sent
    ///     .attach(Attachment::from_bytes("report.csv", "month,mails\n"));
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn attach(mut self, file: Attachment) -> Self {
        self.edit().attachments.push(file);
        self
    }

    /// Adds an image that the HTML shows: `<img src="cid:logo.png">` for the file name `logo.png`. The
    /// HTML must mention the image. The name must be unique and without white space.
    ///
    /// ```
    /// use smtp2go_sdk::{Attachment, Email};
    ///
    /// let mail = Email::new("noreply@example.com", "Hello")
    ///     .to("jane@example.net")
    ///     .html(r#"<img src="cid:logo.png" alt="Acme">"#)
    ///     .inline(Attachment::from_bytes("logo.png", &b"\x89PNG"[..]));
    /// mail.validate()?;
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn inline(mut self, image: Attachment) -> Self {
        self.edit().inlines.push(image);
        self
    }

    /// Adds a field that the API has and this version does not list, or replaces it. Validation errors:
    /// the name of a listed field, ignoring case and separators; `api_key` and `subaccount_id`.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hi").extra("campaign", 7);
    /// mail.validate()?;
    /// assert!(mail.extra("sender", "a@example.com").validate().is_err()); // a listed field
    /// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
    /// ```
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.edit().extra.set(name.into(), &value.into());
        self
    }

    /// Checks the mail as [`Client::send`] does, except for its files and its size.
    ///
    /// Does not check what only the API knows, such as whether the sender is verified and whether the
    /// template exists.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@");
    /// let error = mail.validate().unwrap_err();
    /// let fields: Vec<_> = error.problems().iter().map(|problem| problem.field()).collect();
    /// println!("{fields:?}"); // to[0], and that there is no body
    /// ```
    ///
    /// # Errors
    ///
    /// All problems, each with its field in the API's names.
    ///
    /// [`Client::send`]: crate::Client::send
    pub fn validate(&self) -> Result<(), ValidationError> {
        Validate::validate(self)
    }

    /// Returns the parts of the mail, for reading.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net");
    /// for mailbox in mail.parts().to() {
    ///     println!("{mailbox}");
    /// }
    /// ```
    #[must_use]
    pub fn parts(&self) -> &EmailParts {
        &self.parts
    }

    /// Returns the size of the request in bytes, as [`Client::send`] sends it with the default
    /// settings. The limit is the operation's
    /// [`max_body_bytes`](crate::operation::Operation::max_body_bytes): 50 MB. Blocks while it reads
    /// the size of files.
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hello Jane");
    /// assert_eq!(mail.size()?, mail.to_json()?.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a file can't be read, if it differs from what a stored mail records, or if a reader was used
    /// before. The error names the attachment.
    ///
    /// [`Client::send`]: crate::Client::send
    pub fn size(&self) -> Result<u64, Error> {
        let body = encode_single(self, IDEMPOTENCY_HEADER, &self.look_now());
        body.map(|body| body.size()).map_err(Error::unreadable)
    }

    /// Paths of the files on disk.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.parts.attachments.iter().chain(&self.parts.inlines);
        files.filter_map(Attachment::path)
    }
}

impl EmailParts {
    /// Returns the sender.
    #[must_use]
    pub fn sender(&self) -> &Mailbox {
        &self.sender
    }

    /// Returns the To recipients.
    #[must_use]
    pub fn to(&self) -> &[Mailbox] {
        &self.to
    }

    /// Returns the Cc recipients.
    #[must_use]
    pub fn cc(&self) -> &[Mailbox] {
        &self.cc
    }

    /// Returns the Bcc recipients.
    #[must_use]
    pub fn bcc(&self) -> &[Mailbox] {
        &self.bcc
    }

    /// Returns all recipients: to, cc and bcc.
    pub fn recipients(&self) -> impl Iterator<Item = &Mailbox> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// Returns the Reply-To addresses.
    #[must_use]
    pub fn reply_to(&self) -> &[Mailbox] {
        &self.reply_to
    }

    /// Returns the subject.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the HTML body. `None` also if it is empty.
    #[must_use]
    pub fn html(&self) -> Option<&str> {
        self.html.as_deref().filter(|html| !html.is_empty())
    }

    /// Returns the plain text body. `None` also if it is empty.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.is_empty())
    }

    /// Returns names and values of the headers that [`Email::header`] has added.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the template's id.
    #[must_use]
    pub fn template_id(&self) -> Option<&str> {
        let template = self.template.as_ref();
        template
            .map(|template| template.id.as_str())
            .filter(|id| !id.is_empty())
    }

    /// Returns the template's data as JSON. `None` also if it could not be serialised.
    #[must_use]
    pub fn template_data(&self) -> Option<&str> {
        let data = self.template.as_ref()?.data.as_ref()?;
        data.as_deref().ok()
    }

    /// Returns the time at which the mail is sent. `None`: at once.
    #[must_use]
    pub fn schedule(&self) -> Option<&Timestamp> {
        self.schedule.as_ref()
    }

    /// Returns whether the API queues the mail without checks.
    #[must_use]
    pub fn fastaccept(&self) -> bool {
        self.fastaccept
    }

    /// Returns the attached files.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// Returns the images that the HTML shows.
    #[must_use]
    pub fn inlines(&self) -> &[Attachment] {
        &self.inlines
    }

    /// Returns names and values, as JSON, of the fields that [`Email::extra`] has added.
    pub fn extra(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.extra.iter()
    }

    /// Returns the idempotency key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

/// Clones the mail. The clone shares the content of attachments.
impl From<&Email> for Email {
    fn from(email: &Email) -> Self {
        email.clone()
    }
}

/// Shows the number of recipients and files, and no address or text.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

/// Shows the number of recipients and files, and no address or text.
impl fmt::Debug for EmailParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("to", &self.to.len())
            .field("cc", &self.cc.len())
            .field("bcc", &self.bcc.len())
            .field("template", &self.template.as_ref().map(|t| &t.id))
            .field("schedule", &self.schedule)
            .field("fastaccept", &self.fastaccept)
            .field("attachments", &self.attachments)
            .field("inlines", &self.inlines)
            .field("extra", &self.extra.names().len())
            .finish_non_exhaustive()
    }
}
