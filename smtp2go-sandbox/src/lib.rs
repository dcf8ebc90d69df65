//! A local SMTP2GO for tests: an HTTP server on a free loopback port that checks every request
//! against the API's specification, answers as the service does, and keeps the mail that it was
//! sent. Nothing leaves the machine.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use smtp2go_sandbox::Sandbox;
//!
//! # fn main() -> std::io::Result<()> {
//! let sandbox = Sandbox::start_blocking()?;
//!
//! // Any HTTP client will do: give it `base_url()` and `key()`.
//! let body = r#"{"sender":"a@example.com","to":["b@example.net"],"subject":"Hi","text_body":"Hello"}"#;
//! let address = sandbox.base_url().trim_start_matches("http://").trim_end_matches("/v3");
//! let mut stream = TcpStream::connect(address)?;
//! write!(
//!     stream,
//!     "POST /v3/email/send HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
//!      X-Smtp2go-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
//!     sandbox.key(),
//!     body.len(),
//! )?;
//! let mut reply = String::new();
//! stream.read_to_string(&mut reply)?;
//!
//! assert!(reply.starts_with("HTTP/1.1 200"));
//! let mails = sandbox.mails();
//! assert_eq!(mails.len(), 1);
//! assert_eq!(mails[0].subject(), Some("Hi"));
//! assert_eq!(mails[0].to(), ["b@example.net"]);
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! In the order of the service, as far as that is known: the path (404), the method (405), the key
//! (401), the size of the body, its JSON, what the key may do, the request's schema (all 400), and
//! documented rates (429). A refusal has the service's own envelope and names the field as
//! `attachments[0].filename`.
//!
//! Fields that the specification does not know are ignored, as by the service; [`Call::ignored`] names
//! them. Null counts as absent, and so does an empty text of an optional field, except in edits and as
//! the content of a file. [`SandboxBuilder::refuse_unknown`] refuses unknown fields,
//! [`SandboxBuilder::refuse_null`] refuses null and takes an empty text as it is, and
//! [`SandboxBuilder::strict`] does both. `version`, which official clients send with `/email/send`, is
//! ignored in any case.
//!
//! A path without `/v3` is refused with 404, and the error names the right one;
//! [`SandboxBuilder::allow_missing_v3`] serves such paths too.
//!
//! Whatever the settings, mail that the service would not send is refused by the name of the field:
//! - The sender and each recipient is one address by RFC 5321 and RFC 5322, with or without a name:
//!   `a@b.c`, `Name <a@b.c>` or `"Doe, J" <a@b.c>`. A refusal names `sender`, `to`, `cc` or `bcc`, and
//!   quotes the address. `Reply-To` and other headers of addresses among the `custom_headers` have a list
//!   of them.
//! - Other addresses are checked too: `audit_email`, `bounce_notifications`, `subaccount_email` and those of
//!   single senders. Suppressions, allowed senders and allowed recipients are addresses or domains.
//! - A MIME message has a sender in `From` and a recipient in `To`, `Cc` or `Bcc`, and these headers,
//!   `Sender` and `Reply-To` are lists of addresses, with groups and comments.
//! - A mail has a text, HTML or a template. A text of spaces is one; an empty text is none.
//! - What becomes a header has no line breaks or other control characters: addresses, subjects, also of
//!   filled-in templates, `custom_headers`, names and types of files, and the `auth_header_value` of
//!   webhooks.
//!
//! A key counts in the header `X-Smtp2go-Api-Key`, as `Authorization: Bearer …`, and as `api_key`
//! in the body. Every key of a request has to be right: one that is not known is refused in the service's
//! words, with the status of [`SandboxBuilder::unknown_key_status`]. There is one that may do everything;
//! [`SandboxBuilder::api_key`] adds others, for some endpoints only, for a subaccount, disabled, or
//! with the status `sandbox`.
//!
//! # What is answered
//!
//! Mail is kept (see [`Sandbox::mails`]) and delivered for show (see below), and so are text messages
//! ([`Sandbox::sms`]). Activity, figures and the archive are worked out from what happened, and show it
//! at once. What an account has is kept too, and what one call sets the next one sees:
//! templates, suppressions, sender domains and single senders, allowed senders and recipients, API
//! keys, SMTP users, authenticated IP addresses, IP allow lists and subaccounts, each with a state of
//! its own. What there is none of is refused with 400 and `API_EXCEPTION`, and so is what is there
//! already. With [`SandboxBuilder::stateless`] all operations answer with the example of the
//! specification, with a `request_id` of its own. Ids are counted or drawn from a seed, so that a test
//! that makes the same calls gets the same ids.
//!
//! What is kept has its effect:
//!
//! - A key that `/api_keys/add` makes works at once, for its endpoints and by its status, and is
//!   held to its `custom_ratelimit`. Nobody can grant an endpoint that neither the calling key nor the
//!   edited one has. Keys are masked in every reply but that of `/api_keys/add`.
//! - Mail from a sender, or to a recipient, that the lists of allowed ones keep out is refused.
//! - Every sender is taken for verified, unless [`SandboxBuilder::enforce_senders`] or
//!   [`SandboxBuilder::sender_domains`] says otherwise. There is no DNS: a domain is verified by
//!   `/domain/verify`, or 7 minutes after it was added, unless a label of it is `unpublished`.
//!   A single sender is verified a second after it was added, unless it begins with `unverified`.
//!   Before the first look-up the `…_status` of its records are empty and its tracker is off.
//! - With the IP allow list of type `api` switched on, calls from an address that is not on it are
//!   refused with 403: put 127.0.0.1 on it first. [`Sandbox::reset`] lets you in again.
//! - The keys of a closed subaccount are refused, and so is whoever names it as `subaccount_id`.
//!
//! What a subaccount has used of the `limit` of its plan is counted and shown, and no mail is refused
//! for it, since nothing is known of how the service does so.
//!
//! # SMTP
//!
//! [`SandboxBuilder::smtp`] serves SMTP too, without TLS. Mail needs a login: as
//! [`Sandbox::smtp_username`] with [`Sandbox::key`] as the password, as a user of `/users/smtp/add`, or
//! from an address of [`SandboxBuilder::ip_auth`]. It goes to the recipients of the envelope, and is
//! otherwise treated as that of `/email/mime`, by the settings of its user. [`Mail::operation`] is `smtp`
//! and [`Mail::username`] the user's name. [`Sandbox::calls`] lists each message and each command that
//! was refused. The README lists the replies.
//!
//! # What becomes of mail
//!
//! A mail is processed at once, or at its `schedule`, and reaches each recipient 50 ms later:
//! [`Sandbox::events`] lists it. Some recipients' names decide that it does not, or what they do with
//! it: `bounce@`, `softbounce@`, `reject@`, `spam@`, `open@`, `click@`, `unsubscribe@` and others, in
//! any domain ([`Outcome`] has the list). [`Delivery::on`] sets rules for other recipients, and
//! [`Delivery::happen`] makes things happen to one mail when the test wants it.
//!
//! An address that bounced for good, complained or unsubscribed is suppressed. A suppressed recipient
//! is rejected, and a mail that has no other recipients is answered with 200, `failed` 1 and no
//! `email_id`, unless it is scheduled or sent with `fastaccept`; [`Sandbox::mails`] leaves it out, its
//! events are there.
//!
//! Text messages go the same way: numbers that end in 0002 fail, in 0003 are rejected, and in 0004
//! answer STOP, which opts them out: an event of its own. [`Sandbox::receive_sms`] sends any answer.
//!
//! # Webhooks
//!
//! Every event is posted to the webhooks of its account that asked for it, as JSON or as a form, with
//! their `Authorization`, and again after a failure; [`Sandbox::webhook_deliveries`] lists the attempts.
//! At most 16 are posted at a time. They go to this machine only, unless
//! [`SandboxBuilder::remote_webhooks`] allows others, and by `http://` only. No sandbox takes them: an
//! attempt to post to one is answered with 403. A webhook that is `disabled` gets nothing. The README
//! lists the fields of each kind of event.
//!
//! ```
//! # use smtp2go_sandbox::{EventKind, Sandbox, WebhookState};
//! # fn look(sandbox: &Sandbox) {
//! for delivery in sandbox.webhook_deliveries() {
//!     if delivery.event().kind() == EventKind::HardBounce {
//!         assert_eq!(delivery.state(), WebhookState::Accepted, "{delivery:?}");
//!     }
//! }
//! # }
//! ```
//!
//! # Time
//!
//! [`Sandbox::freeze`] stops the sandbox's clock and [`Sandbox::advance`] moves it on: deliveries,
//! scheduled mail and the windows of rates go by it.
//!
//! # What is kept
//!
//! The newest 200,000 mails, in up to 1 GiB: [`SandboxBuilder::keep_mails`] and
//! [`SandboxBuilder::keep_bytes`] change that. The oldest are dropped, each with its events, webhook
//! deliveries and call. They still count in totals, figures and [`Sandbox::assert_mails`];
//! [`Sandbox::dropped`] returns how many there are. What an account has, such as templates and suppressions,
//! is not dropped, and may take 64 MiB in all: then nothing can be added. A `custom_ratelimit` of more
//! than 100,000 mails is not enforced. Of dropped mail only the day is known: `/stats/email_history`
//! counts it if the span begins on that day or before.
//!
//! # A file for the state
//!
//! A sandbox forgets everything when it stops, unless `SandboxBuilder::data` names a file (feature `data`,
//! which `cli` enables). The next sandbox with this file goes on where the last one ended, even if that
//! was killed. The README lists what is in the file.
//!
//! # What can go wrong
//!
//! [`Sandbox::faults`] makes calls fail on purpose, by operation, count or seeded chance:
//! connections closed or reset before or after the request is read, or when they are idle, silence,
//! delay, any status with any body, half an answer, a 200 that reports a failure.
//! [`Call::received`], [`Call::accepted`], [`Call::head`] and [`Call::body`] tell afterwards what
//! really arrived and what was really done.
//!
//! # What went wrong
//!
//! [`Sandbox::assert_mail`], [`assert_mails`](Sandbox::assert_mails) and
//! [`assert_no_mail`](Sandbox::assert_no_mail) fail with a listing of the mail that was received and
//! of the calls that were refused; [`Sandbox::received`] is that listing.
//! [`SandboxBuilder::on_call`] is for a log.
//!
//! # Admin endpoints
//!
//! Below `/_sandbox`, for what is no Rust: `GET /_sandbox` lists them, and the README shows them with
//! `curl`. They are no calls of the API: [`Sandbox::calls`] does not list them and no fault strikes
//! them, but for [`Fault::refuse`], which happens before anything is known.
//!
//! # Who may call
//!
//! Programs, and the pages of the sandbox's own inbox. Browsers add `Origin` or `Sec-Fetch-Site` to what
//! a page sends. A request with one of them is answered with 403 unless these headers and `Host` are the
//! sandbox's own. This holds for the API, the admin endpoints and the inbox. A request with neither
//! passes, whatever its `Host`, except a GET of the admin endpoints or the inbox by a public name (see
//! [`SandboxBuilder::allowed_host`]). Webhooks of a sandbox, its own included, are answered with 403 too.
//!
//! A client of SMTP has to log in. A connection that does not begin with SMTP, such as that of a web page
//! that posts to the port, is closed.
//!
//! Connections are limited in number ([`SandboxBuilder::max_connections`]) and time
//! ([`head_timeout`](SandboxBuilder::head_timeout), [`idle_timeout`](SandboxBuilder::idle_timeout)), and
//! bodies on their way in memory ([`keep_bytes`](SandboxBuilder::keep_bytes)).
//! Large requests, and those with a template, are carried out 4 at a time, and so are pages of the inbox
//! and admin requests, apart from them. What waits for more than 30 s is answered with 503.
//!
//! # What is inferred
//!
//! The service does not document all of its refusals. Assumed here:
//! - The envelope of 401, 404 and 405.
//! - A body over the limit is answered with 400.
//! - A batch with one bad item is refused as a whole.
//! - A scheduled send answers with `email_id` and `schedule_id`, a scheduled item of a batch with
//!   `schedule_id` alone. `fastaccept` leaves `schedule_id` in place.
//! - A domain may have a single label. A `Reply-To` has to be a list of addresses.
//! - `*` in the endpoint of a key stands for any text, slashes included.
//! - A closed subaccount cannot be named. How a `subaccount_id` that cannot be honoured is refused.
//!
//! Of what accounts keep:
//! - A tracker is switched on, and its certificate issued, when its record is found.
//! - `ip_pool` of a subaccount has to be a pool of the master account.
//! - `search_…_op` of `/activity/search` change nothing.
//! - No reply has a `sending_status`.
//! - A filter which finds nothing is answered with an empty list.
//! - Mail which the allowed senders, the allowed recipients or a sending limit forbid is refused with 400
//!   as a whole.
//! - POST of `/api_keys/edit` and `/users/smtp/edit` sets an absent `status` to `allowed`;
//!   `/subaccount/edit` and `/ip_allow_list/edit` keep what is absent.
//! - An entry of a list is compared without regard to case, and a domain stands for its own addresses
//!   only.
//! - Terms of `/template/search` have to occur with their case unless `fuzzy_search` is on.
//! - Suppressions are listed up to now, the oldest first, 100 a page.
//! - Only the HTML of a template is escaped. A template with broken Handlebars, or beyond the
//!   sandbox's own limits, is refused as it is stored.
//!
//! The limits of templates are not the service's: 100 blocks, partials and `else if` in one another, 10 subexpressions
//! in one another, 4 KiB for a tag, 1,000,000,000 tags times bytes, and, as a request's templates are
//! filled in, 5 s, 1,000,000 steps, 8 MiB of output for each and 64 MiB for all, and 64 MiB of copies of
//! the data. Raw blocks, partials with a block and computed names of partials are refused.
//!
//! Of mail and its events:
//! - Suppressed recipients are refused as described above. What suppresses an address.
//! - The master account's activity and history have the mail of subaccounts too.
//! - `only_latest` keeps one event of each mail.
//! - Lists are in the order of time, and text filters of scheduled mail are parts, in any case.
//! - The fields and the grammar of `filter_query`, and that single quotes quote as double ones do.
//! - Everything is archived, and a mail's `url` there leads nowhere.
//! - The cycle is the month. What a text message costs.
//!
//! Of SMTP:
//! - A suppressed recipient is accepted by RCPT. A message that has no other ones is refused with 550
//!   at its end, and so is one from a sender, or to a recipient, that the account does not allow.
//! - A message over the rate limit of its user is refused with 451.
//! - A message with a bare CR or LF is refused. It has 50 MiB and 100 recipients at most.
//! - The texts of replies.
//!
//! Of webhooks:
//! - Statuses from 200 to 299 are success.
//! - There are 35 attempts, at the longer of the two documented schedules.
//! - `/webhook/edit` keeps what is absent.
//! - A webhook without `events` gets none, and a header in `auth_header_value` goes before a user in the
//!   address.
//! - What waits for another attempt is given up when its webhook is disabled.
//! - Several `recipients` in a form are joined by commas.
//! - The value `opt-out` in an event, and the codes of text messages.
//!
//! The `custom_headers` of a webhook are kept and not sent, since their form is not public.
//!
//! Limits that the specification has in its prose only are refused by the name of their field, with
//! `NON_VALIDATING_IN_PAYLOAD`: the words of `status`, `type`, `states`, `sort` and `sort_direction`;
//! `bounce_notifications`; the grammar of `custom_ratelimit_period`; 64 bits of `email_password`; the
//! lengths of `new_id` and `template_name`, and the sizes of `limit`, at edits too; `start_date` and
//! `end_date`; `ip_address`, which `/ip_allow_list/*` needs, and `new_ip_address`; a `continue_token`
//! from elsewhere; HTML without a word and no text; the headers that the service sets itself; a
//! `schedule` that is no time, not in the future or more than 3 days ahead; numbers without a country
//! code; the `url`, `output_format` and `auth_header_type` of webhooks; `group_by`; `filter_query`.
//!
//! Unless a sandbox is strict, what official clients send is taken: a `schedule` in unix seconds,
//! `template_data` as the text of an object; and unknown events of a webhook are passed over, as by the
//! service.

mod account;
mod address;
mod admin;
mod api;
mod assertions;
mod blobs;
mod call;
mod clock;
mod connection;
mod data;
mod delivery;
mod due;
mod event;
mod fault_rule;
mod faults;
mod filling;
mod gate;
mod headers;
mod heavy;
mod ids;
mod inbox;
mod json;
mod keep;
mod mail;
mod mime;
mod operations;
mod paging;
mod refusal;
mod sandbox;
mod schema;
mod server;
mod sms;
mod smtp;
mod webhooks;
mod weight;
mod world;

pub use account::{ApiKey, KeyStatus};
pub use call::{Call, KeyPlace};
pub use delivery::{Delivery, DeliveryError, Outcome};
pub use event::{Event, EventKind};
pub use fault_rule::FaultRuleError;
pub use faults::{ActiveFault, Fault, Faults};
pub use keep::Dropped;
pub use mail::{Attachment, Mail};
pub use sandbox::{Sandbox, SandboxBuilder};
pub use sms::Sms;
pub use webhooks::{WebhookAttempt, WebhookDelivery, WebhookState};

/// The README's example has to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
