// docs.rs shows the feature that an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The doc tests of the README need this feature.
#![cfg_attr(any(not(doctest), feature = "postgres"), doc = include_str!("../README.md"))]
//!
//! ## API surface
//!
//! - [`Outbox::put`] and [`put_in`](Outbox::put_in) queue mails, the latter in your own transaction.
//! - [`Worker::run_until`] sends the queued mails. If you already run a job queue, its jobs can call
//!   [`Worker::deliver`] instead, which sends one mail.
//! - [`Outbox::record`] records webhook events, which prove that a mail was accepted and report its delivery.
//!   [`Dedup`] recognises duplicate events.
//! - [`get`](Outbox::get), [`list`](Outbox::list), [`retry`](Outbox::retry), [`hold`](Outbox::hold),
//!   [`look_up`](Outbox::look_up), [`cancel`](Outbox::cancel), [`counts`](Outbox::counts),
//!   [`health`](Outbox::health), [`purge`](Outbox::purge) and [`erase`](Outbox::erase) are for operation. The
//!   program `smtp2go-outbox` has them as commands.
//!
//! ## Guarantees
//!
//! Under the assumptions below, the API accepts no mail twice, and accepts each mail that is not rejected, held or
//! cancelled:
//! - A worker commits the state `sending` before it sends the first byte.
//! - A send ends before the worker's lease on the mail does, even if the process is suspended meanwhile.
//! - If the worker dies or the reply is lost, the mail becomes [`Unknown`](State::Unknown). A worker looks it up
//!   in the account's activity by its key, and sends it again only if the look-up proves that it was not accepted:
//!   see [`FindSent`](smtp2go_sdk::FindSent). With the default times, an accepted mail is found about 2 minutes
//!   after it became unknown, and the proof of absence takes 7 to 15 minutes from the end of the lease.
//!
//! The assumptions:
//! - The activity shows mails in the order in which the API accepted them, or at least within
//!   [`give_up_after`](WorkerBuilder::give_up_after). A mail that the service holds back for
//!   longer, for example over a daily limit, can be sent twice.
//! - The clocks of the database and of the API differ by less than
//!   [`look_up_margin`](WorkerBuilder::look_up_margin). A request that a network or a suspended machine delays
//!   reaches the API within this margin after the end of the mail's lease, or not at all.
//! - A key belongs to one mail of the account for as long as SMTP2GO posts events about that mail. Don't use the
//!   key for another mail, neither in another outbox nor after [`purge`](Outbox::purge): an event of the old mail
//!   would count for the new one.
//! - All workers of a table use API keys of one account, and the same name of the header with the key. Otherwise
//!   a worker can't find the mails that another worker sent.
//! - The database loses no commit. After a restore from a backup, or a failover to a replica that lagged, mails
//!   that were sent can be in the state `queued`: cancel or hold them before you start a worker.
//!
//! If sending twice is worse than not sending, set [`OnAbsent::Hold`]: then an operator decides
//! about mails that the look-up does not find.
//!
//! ## The table
//!
//! `smtp2go_outbox` is a public interface: its columns keep their meaning within a major version. A program in any
//! language queues a mail with
//!
//! ```sql
//! INSERT INTO smtp2go_outbox (key, mail) VALUES ($1, CAST($2 AS json)) ON CONFLICT DO NOTHING
//! ```
//!
//! PostgreSQL needs the cast only if the driver sends parameters with the type `text`, as sqlx does and psycopg
//! does not. In SQLite, write `$2` without the cast.
//!
//! In PostgreSQL, the role that inserts needs `INSERT` on the table. The role of a worker needs `SELECT`, `INSERT`,
//! `UPDATE` and `DELETE`, also on the tables `_gate` and `_events`, `SELECT` on `_migrations`, and `USAGE` on the
//! sequence `_fence`: see `examples/roles.sql`. In SQLite, a program that inserts should set
//! `PRAGMA synchronous = FULL` and a busy timeout on its connection, as [`Outbox::sqlite_options`] does.
//!
//! | Column | Meaning |
//! | --- | --- |
//! | `key` | The mail's idempotency key: 1 to 255 characters of printable ASCII, without a space at its ends and without `=?`. A second row with the same key is not inserted |
//! | `mail` | The mail as JSON, as [`Email`](smtp2go_sdk::Email) serialises. Null after its content was deleted or encrypted |
//! | `tenant` | For [`tenant_rate`](WorkerBuilder::tenant_rate). Default: empty |
//! | `priority` | 0 (high), 1 (normal, the default) or 2 (low) |
//! | `not_before` | Earliest time to send the mail. Default: now. Like all times, a `timestamptz` in PostgreSQL, and seconds since 1970 in SQLite |
//! | `not_after` | A mail that was not sent by this time is cancelled. Default: null, never |
//! | `state` | See [`State`]. Default: `queued`. Don't write this column or those below |
//! | `sender`, `schedule` | Generated from `mail` |
//! | `fence`, `owner`, `attempt_since`, `lease_until` | The last attempt: see [`Record`] |
//! | `unknown_since`, `attempts`, `resends`, `look_at` | See [`Record`] |
//! | `email_id`, `schedule_id`, `reason`, `error`, `event` | See [`Record`] |
//! | `reserved`, `failing_since` | Internal |
//! | `sealed` | The encrypted mail, see [`Bodies::Seal`] |
//! | `created_at`, `updated_at`, `sent_at` | See [`Record`] |
//!
//! The other tables and the functions whose names begin with `smtp2go_outbox_` are internal.
//! [`Outbox::migrate`] creates and upgrades all tables and functions.
//!
//! ## Attachments
//!
//! Attachments in memory are part of the JSON, whose size [`max_mail_bytes`](Outbox::max_mail_bytes) limits.
//! Attach larger files by path or URL. The worker reads a file when it sends the mail. It holds the mail if it
//! can't read the file, or if the file's size or modification time has changed since the mail was queued. An
//! attachment from a reader can't be stored.
//!
//! ## Schedules
//!
//! Prefer [`Entry::not_before`] to a [`schedule`](smtp2go_sdk::Email::schedule): a scheduled mail appears in the
//! activity only at its time, so until then a look-up can't find it. If the time passes before the worker sends
//! the mail, it sends the mail without the schedule.
//!
//! ## Databases
//!
//! PostgreSQL 12 or later serves any number of workers on any number of machines. It notifies workers of inserted
//! mails, and workers poll as well. All times are the database's, so the workers' clocks don't matter. A committed
//! mail survives a power cut if `fsync` and `synchronous_commit` are on, which is the default. A pool needs at
//! least two connections, because a worker keeps one for notifications.
//!
//! SQLite serves the processes of one machine. [`Outbox::sqlite_options`] says what survives a power cut.
//!
//! ## Telemetry
//!
//! All events have the target `smtp2go_outbox`:
//! - INFO: `state changed`, for each change of a mail's state by this process, with `key`, `from`, `to`, `reason`,
//!   `fence` and `attempts`.
//! - WARN: failures of the database and of look-ups, and pauses of all workers.
//! - ERROR: a refused API key, and failures of your [`Seal`] or [`Observer`].
//! - TRACE: the steps of a mail, with `step`: `claim`, `claimed`, `send`, `answered`, `record`, `recorded`.
//!
//! No event contains an address or the content of a mail. Events contain the keys of mails, so keep personal data
//! out of keys. An [`Observer`] receives the changes for metrics.

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("enable one of the features `postgres` and `sqlite`");

mod change;
mod content;
mod decide;
mod dedup;
mod deliver;
mod entry;
mod erase;
mod error;
mod events;
mod foreign;
mod health;
mod observer;
mod outbox;
mod record;
mod settings;
mod store;
mod time;
mod worker;

pub use content::{Bodies, Seal};
pub use decide::OnAbsent;
pub use dedup::Dedup;
pub use deliver::Delivery;
pub use entry::{Entry, Put, Requested};
pub use erase::Erased;
pub use error::Error;
pub use health::Health;
pub use observer::{LookUpReport, Observer, StateChange};
pub use outbox::Outbox;
pub use record::{Priority, Record, State};
pub use settings::WorkerBuilder;
pub use store::Connection;
pub use worker::Worker;
