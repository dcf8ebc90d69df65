// docs.rs shows the feature that an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
//!
//! ## What is checked
//!
//! The checks are in the order of the service, as far as it is known: the path (404), the method
//! (405), the key (401), the size of the body, its JSON, the key's permissions, the request's schema
//! (all 400), and documented rate limits (429). An error reply has the service's envelope, and names
//! a field as `attachments[0].filename`.
//!
//! Fields that are not in the specification are ignored, as at the service; [`Call::ignored`] lists
//! them. Null is treated as absent. So is an empty string in an optional field, except in edits and as
//! the content of a file. [`SandboxBuilder::strict`] refuses unknown fields, nulls and empty strings in
//! optional fields.
//!
//! The sender and each recipient must be one address: `a@b.c`, `Name <a@b.c>` or `"Doe, J" <a@b.c>`. An
//! error names `sender`, `to`, `cc` or `bcc`, and quotes the address. The headers of a MIME message may
//! have lists of addresses and groups.
//!
//! The key may be in the header `X-Smtp2go-Api-Key`, in `Authorization: Bearer …`, or in the body as
//! `api_key`. If a request has several keys, all must be valid. An unknown key gets the service's error,
//! with the status of [`SandboxBuilder::unknown_key_status`]. The main key has all permissions;
//! [`SandboxBuilder::api_key`] adds others, for example for some endpoints only, of a subaccount, or
//! with the status `blocked` or `sandbox`.
//!
//! ## What is simulated
//!
//! Mails ([`Sandbox::mails`]) and text messages ([`Sandbox::sms`]) are kept, and their delivery is
//! simulated (see below). Activity, statistics and the archive are computed from the events, and are
//! up to date at once. Each account has its own state, which calls read and change: templates,
//! suppressions, sender domains and single senders, allowed senders and recipients, API keys, SMTP
//! users, authenticated IP addresses, IP allow lists and subaccounts. A call that names an unknown
//! object, or adds one that already exists, gets 400 and `API_EXCEPTION`. With
//! [`SandboxBuilder::stateless`], all operations reply with the specification's example and a new
//! `request_id`. Ids come from counters or a seed, so that a test that makes the same calls gets the
//! same ids.
//!
//! The state affects later calls:
//!
//! - A key that `/api_keys/add` makes works at once. Its endpoints, its status and its
//!   `custom_ratelimit` are enforced. A call can only grant endpoints that the calling key or the edited
//!   key has. Keys are masked in every reply except the one of `/api_keys/add`.
//! - Mail is refused if the allowed senders or allowed recipients exclude its sender or a recipient.
//! - Every sender counts as verified, unless [`SandboxBuilder::enforce_senders`] or
//!   [`SandboxBuilder::sender_domains`] is set. The sandbox does not query DNS: `/domain/verify`
//!   verifies a domain; otherwise it is verified 7 minutes after it was added. A domain with the
//!   label `unpublished` is never verified. A single sender is verified one second after it was
//!   added, unless it starts with `unverified`. Before a domain's first look-up, the `…_status` of
//!   its records are empty and its tracker is off.
//! - If the IP allow list of type `api` is on, calls from other addresses get 403: add 127.0.0.1 first.
//!   [`Sandbox::reset`] turns the list off again.
//! - The keys of a closed subaccount are refused, and so are requests that name it as `subaccount_id`.
//!
//! The mails of a subaccount are counted against the `limit` of its plan, but none is refused, because
//! it is not known how the service refuses them.
//!
//! ## Delivery
//!
//! A mail is processed at once, or at its `schedule`, and delivered to each recipient 50 ms later:
//! [`Sandbox::events`] lists the events. Some local parts have another outcome, in any domain:
//! `bounce@`, `softbounce@`, `reject@`, `spam@`, `open@`, `click@`, `unsubscribe@` and others
//! ([`Outcome`] has the list). [`Delivery::on`] sets the outcome for other recipients, and
//! [`Delivery::happen`] makes an event of a mail happen on demand.
//!
//! An address is suppressed after a hard bounce, a complaint or an unsubscription. Mail to a suppressed
//! recipient is rejected. If all recipients of a mail are suppressed, the reply is 200 with `failed` 1
//! and no `email_id`. [`Sandbox::events`] then has the mail's events, but [`Sandbox::mails`] does not
//! list the mail. A scheduled mail or one with `fastaccept` is accepted, and rejected when it is
//! processed.
//!
//! Text messages are simulated too: a number that ends in 0002 fails, one in 0003 is rejected, and one
//! in 0004 answers STOP, which opts the number out and records an event. [`Sandbox::receive_sms`]
//! simulates any answer.
//!
//! ## Webhooks
//!
//! Every event is posted to the account's webhooks that subscribe to it, as JSON or as a form, with
//! their `Authorization`, and retried after a failure; [`Sandbox::webhook_deliveries`] lists the
//! attempts. At most 16 are posted at a time. Webhooks must be on this machine, unless
//! [`SandboxBuilder::remote_webhooks`] allows others, and use `http://`. A sandbox does not accept
//! webhooks of sandboxes: it replies 403. A `disabled` webhook receives nothing. The [`reference`](mod@reference) lists
//! the fields of each kind of event.
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
//! ## Time
//!
//! [`Sandbox::freeze`] stops the sandbox's clock and [`Sandbox::advance`] moves it forward. Deliveries,
//! scheduled mail and rate limits follow this clock.
//!
//! ## What is kept
//!
//! The newest 200,000 mails are kept, in up to 1 GiB; [`SandboxBuilder::keep_mails`] and
//! [`SandboxBuilder::keep_bytes`] change these limits. Beyond them, the oldest mails are dropped with
//! their events, webhook deliveries and calls. Dropped mails still count in totals, statistics and
//! [`Sandbox::assert_mails`]; [`Sandbox::dropped`] returns their number. Statistics know only the day of
//! a dropped mail: `/stats/email_history` counts it if the range starts on that day or before.
//!
//! The state of accounts, such as templates and suppressions, may take 64 MiB in total. Beyond that,
//! requests can't add anything, and a new suppression by an event replaces the account's oldest ones.
//! A `custom_ratelimit` of more than 100,000 mails is not enforced.
//!
//! ## Faults
//!
//! [`Sandbox::faults`] makes calls fail on purpose, selected by operation, count or a seeded
//! probability. A fault can close or reset the connection before or after the request is read, or once
//! the connection is idle. It can also stall, delay the reply, send any status with any body, send half
//! of a reply, or report failure with status 200. [`Call::received`], [`Call::accepted`],
//! [`Call::head`] and [`Call::body`] show what the sandbox received and whether it carried out the
//! call.
//!
//! ## Assertions
//!
//! [`Sandbox::assert_mail`], [`assert_mails`](Sandbox::assert_mails) and
//! [`assert_no_mail`](Sandbox::assert_no_mail) panic with a list of the received mails and of the calls
//! that failed. [`Sandbox::received`] returns this list. [`SandboxBuilder::on_call`] receives every call,
//! for a log.
//!
//! ## Admin endpoints
//!
//! The admin endpoints below `/_sandbox` give programs in other languages access to the sandbox. `GET
//! /_sandbox` lists them, and the [`reference`](mod@reference) shows them with `curl`. They are not part of the API:
//! [`Sandbox::calls`] does not list requests to them, and faults don't apply to them, except
//! [`Fault::refuse`], which applies to connections.
//!
//! ## Who may call
//!
//! Programs and the pages of the sandbox's own inbox may call the sandbox; pages of other sites may not.
//! Browsers add `Origin` or `Sec-Fetch-Site` to the requests of pages. A request with one of them gets
//! 403 unless these headers and `Host` are the sandbox's own. This applies to the API, the admin
//! endpoints and the inbox. A request with neither header passes, whatever its `Host`, except a GET of
//! the admin endpoints or the inbox by a public name (see [`SandboxBuilder::allowed_host`]). Webhooks of
//! any sandbox also get 403.
//!
//! There are limits on the number of connections ([`SandboxBuilder::max_connections`]), on their time
//! ([`head_timeout`](SandboxBuilder::head_timeout), [`idle_timeout`](SandboxBuilder::idle_timeout)) and
//! on the memory for bodies in progress ([`keep_bytes`](SandboxBuilder::keep_bytes)). At most 4 large
//! requests and requests with templates run at a time, and separately at most 4 inbox and admin
//! requests. Others wait, and get 503 after 30 s.
//!
//! ## What is inferred
//!
//! The service does not document all of its behaviour. The sandbox assumes about requests:
//! - 401, 404 and 405 have the usual envelope.
//! - A body over the limit gets 400.
//! - A batch with an invalid item is refused as a whole.
//! - The reply to a scheduled mail has `email_id` and `schedule_id`, the one to a scheduled item of a
//!   batch only `schedule_id`. `fastaccept` does not remove `schedule_id`.
//! - `*` in the endpoint of a key matches any text, including slashes.
//! - A `subaccount_id` that is unknown, closed or not permitted gets 400 and `API_EXCEPTION`.
//!
//! About the state of accounts:
//! - A tracker is switched on, and its certificate issued, when its record is found.
//! - `ip_pool` of a subaccount must be a pool of the master account.
//! - `search_…_op` of `/activity/search` have no effect.
//! - No reply has a `sending_status`.
//! - A filter that finds nothing gives an empty list.
//! - Mail that the allowed senders, the allowed recipients or a sending limit forbid is refused as a
//!   whole, with 400.
//! - POST of `/api_keys/edit` and `/users/smtp/edit` sets a missing `status` to `allowed`;
//!   `/subaccount/edit` and `/ip_allow_list/edit` keep missing fields unchanged.
//! - Entries of lists are compared ignoring letter case. A domain does not include its subdomains.
//! - Terms of `/template/search` are case-sensitive unless `fuzzy_search` is on.
//! - Suppressions are listed up to now, the oldest first, 100 per page.
//! - Only the HTML of a template is escaped. A template with invalid Handlebars, or beyond the
//!   sandbox's own limits, is refused when it is stored.
//!
//! The limits of templates are the sandbox's own: 100 nested blocks, partials and `else if`, 10
//! subexpressions in a tag, 4 KiB for a tag, and 1,000,000,000 for the number of tags times the size in
//! bytes. Rendering the templates of a request is limited to 5 s, 1,000,000 steps, 8 MiB of output for each
//! template and 64 MiB in total, and 64 MiB of copied data. Raw blocks, partials with a block and computed
//! names of partials are refused.
//!
//! About mail and its events:
//! - Suppressed recipients are refused, and addresses are suppressed, as described above.
//! - The master account's activity and history include the mail of subaccounts.
//! - `only_latest` returns one event of each mail.
//! - Lists are in the order of time. Text filters of scheduled mail match parts, ignoring letter case.
//! - The fields and the grammar of `filter_query` are invented. In a quoted term, a quote is escaped
//!   with a backslash.
//! - A MIME message needs a body like any mail: a text or HTML. Attachments don't count. An encrypted body
//!   is accepted.
//! - All mail is archived. A mail's `url` in the archive does not exist.
//! - The billing cycle is the month. The price of a text message is invented.
//!
//! About webhooks:
//! - Statuses from 200 to 299 are success.
//! - There are 35 attempts, on the longer of the two documented schedules.
//! - `/webhook/edit` keeps missing fields unchanged.
//! - A webhook without `events` receives none. `auth_header_value` takes precedence over a user in the
//!   URL.
//! - Pending retries are given up when their webhook is disabled.
//! - Several `recipients` in a form are joined by commas.
//! - An opt-out has the `event` `opt-out`. The codes of text messages are invented.
//!
//! The `custom_headers` of a webhook are kept but not sent, because their format is not public.
//!
//! Some limits are only in the specification's prose. A request beyond one of them gets `NON_VALIDATING_IN_PAYLOAD`
//! with the field's name:
//! - The values of `status`, `type`, `states`, `sort`, `sort_direction`, `group_by` and `bounce_notifications`, and
//!   those of `limit`, also in edits.
//! - The grammar of `custom_ratelimit_period` and of `filter_query`.
//! - At least 64 bits of entropy of `email_password`.
//! - The lengths of `new_id` and `template_name`.
//! - The forms of `start_date`, `end_date`, `ip_address`, `new_ip_address` and `continue_token`. `/ip_allow_list/*`
//!   requires `ip_address`.
//! - A mail needs a text, or HTML that is not blank. The same applies to a rendered template.
//! - `emails` of a batch, `content` of a text message and `filename` of an attachment are not empty. The `url` of an
//!   attachment is an http or https URL.
//! - `custom_headers` of a mail have none that the service sets or that a field of the mail sets (`From`, `To`, `Cc`,
//!   `Bcc`, `Subject`). Those of a webhook have no control characters.
//! - A `schedule` is a time in the future, at most 3 days ahead.
//! - Phone numbers have a country code.
//! - The `url`, `output_format` and `auth_header_type` of webhooks.
//!
//! Unless the sandbox is strict, it accepts quirks of official clients: a `schedule` in unix seconds, and
//! `template_data` as a JSON string. Like the service, it then ignores unknown events of a webhook.

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

#[doc = include_str!("../REFERENCE.md")]
#[doc = include_str!("../CLIENTS.md")]
pub mod reference {}
