//! Durable outbox for [SMTP2GO](https://www.smtp2go.com): each mail once, from a table in your own
//! PostgreSQL or SQLite database.
//!
//! ```no_run
//! use smtp2go_outbox::Outbox;
//! use smtp2go_sdk::{Client, Email};
//!
//! # #[cfg(feature = "sqlite")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let outbox = Outbox::open_sqlite("outbox.db").await?;
//! let mail = Email::new("Shop <shop@example.com>", "Your order 42")
//!     .to("jane@example.net")
//!     .text("Thank you.")
//!     .idempotency_key("order-42/confirmation");
//! outbox.put(mail).await?;
//!
//! let worker = outbox.worker(Client::from_env()?).concurrency(8).build()?;
//! worker.run_until(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Outbox::put`] and [`put_in`](Outbox::put_in) queue mails, the latter in your own transaction.
//! - [`Worker::run_until`] sends them. [`Worker::deliver`] sends one, for those who run a job queue.
//! - [`Outbox::record`] takes webhook events, which settle mails and tell their outcome. [`Dedup`] recognises
//!   duplicate events.
//! - [`get`](Outbox::get), [`list`](Outbox::list), [`retry`](Outbox::retry), [`hold`](Outbox::hold),
//!   [`look_up`](Outbox::look_up), [`cancel`](Outbox::cancel), [`counts`](Outbox::counts),
//!   [`health`](Outbox::health), [`purge`](Outbox::purge) and [`erase`](Outbox::erase) are for operation. The
//!   program `smtp2go-outbox` has them as commands.
//!
//! # What is certain
//!
//! Under the assumptions below, the API accepts each mail at most once, and once if it can be sent at all:
//! - `sending` is committed before the first byte is sent.
//! - A send ends before the worker's lease on the mail does, also if the process is suspended meanwhile.
//! - A mail whose worker died or whose reply was lost is [`Unknown`](State::Unknown). It is looked up in the
//!   account's activity by its key, and sent again only if the look-up finds that it was not accepted: see
//!   [`FindSent`](smtp2go_sdk::FindSent). With the default times that takes 7 to 15 minutes after the lease; a
//!   mail that was accepted is found after 2.
//!
//! The assumptions:
//! - The activity shows mails in the order in which they were accepted. It is never further behind than
//!   [`give_up_after`](WorkerBuilder::give_up_after). A mail that the service holds back, over a daily limit for
//!   example, may not be in it for longer.
//! - The clocks of the database and of the API differ by less than
//!   [`look_up_margin`](WorkerBuilder::look_up_margin). No request arrives later than that after the end of its
//!   lease, out of the buffers of a network that stalled or of a machine that was suspended during the send.
//! - A key stands for one mail of the account, as long as its events come. Don't use it for another mail, in
//!   another outbox or after [`purge`](Outbox::purge): an event of the old mail would pass for one of the new mail.
//! - All workers of a table use keys of one account, and one name of the header. Otherwise a worker can't find
//!   what another one has sent.
//! - The database loses no commit. After a restore from a backup, or a failover to a replica that lagged, mails
//!   that were sent are queued again: cancel or hold them before you start a worker.
//!
//! If sending twice is worse than not sending, set [`OnAbsent::Hold`]: then a person decides about mails that
//! the look-up does not find.
//!
//! # The table
//!
//! `smtp2go_outbox` is an interface: its columns keep their meaning within a major version. A program in any
//! language queues a mail with
//!
//! ```sql
//! INSERT INTO smtp2go_outbox (key, mail) VALUES ($1, CAST($2 AS json)) ON CONFLICT DO NOTHING
//! ```
//!
//! In SQLite, write `$2` without the cast. In PostgreSQL, literals and drivers without types, such as psycopg, need
//! none either. The role that inserts needs `INSERT` on the table, and `SELECT` too for
//! [`put_in`](Outbox::put_in). Workers also need `UPDATE` and `DELETE`, the same on the other tables, and `USAGE` on
//! the sequence.
//!
//! | Column | Meaning |
//! | --- | --- |
//! | `key` | The mail's idempotency key: 1 to 255 characters of printable ASCII. A second row with the same key is not inserted |
//! | `mail` | The mail as JSON, as [`Email`](smtp2go_sdk::Email) serialises. Null after its content was deleted or encrypted |
//! | `tenant` | For [`tenant_rate`](WorkerBuilder::tenant_rate). Default: empty |
//! | `priority` | 0 (high), 1 (normal, the default) or 2 (low) |
//! | `not_before` | When it may be sent. Default: now. `timestamptz` in PostgreSQL, seconds since 1970 in SQLite, as all times |
//! | `not_after` | When it is cancelled if it was not sent. Default: null, never |
//! | `state` | See [`State`]. Default: `queued`. Don't write this column or those below |
//! | `sender`, `schedule` | Generated from `mail` |
//! | `fence`, `owner`, `attempt_since`, `lease_until` | The last attempt |
//! | `unknown_since` | See [`Record`] |
//! | `attempts`, `resends`, `look_at`, `reserved` | See [`Record`] |
//! | `email_id`, `schedule_id`, `reason`, `error`, `event` | See [`Record`] |
//! | `sealed` | The encrypted mail, see [`Bodies::Seal`] |
//! | `created_at`, `updated_at`, `sent_at` | Times |
//!
//! The other tables and the functions whose names begin with `smtp2go_outbox_` are internal.
//! [`Outbox::migrate`] creates and upgrades all of them.
//!
//! # Attachments
//!
//! Attachments in memory are part of the JSON, up to [`max_mail_bytes`](Outbox::max_mail_bytes). Larger ones
//! go by path or URL. A file must be readable for the worker when the mail is sent, with the size and time
//! that it had when the mail was queued; otherwise the mail is held. An attachment from a reader can't be
//! stored.
//!
//! # Schedules
//!
//! [`Entry::not_before`] is the better choice: a mail with a [`schedule`](smtp2go_sdk::Email::schedule) appears
//! in the activity at that time, so one with an unknown outcome can't be looked up before. If the time passes
//! before the mail is sent, it is sent without the schedule.
//!
//! # Databases
//!
//! PostgreSQL 12 or later, for any number of workers on any number of machines. Workers are notified of
//! inserted mails, and poll as well. All times are the database's, so the workers' clocks don't matter. A
//! committed mail survives a power cut if `fsync` and `synchronous_commit` are on, which is the default.
//!
//! A pool needs at least two connections, because a worker keeps one for notifications.
//!
//! SQLite, for the processes of one machine: see [`Outbox::sqlite_options`] for what survives a power cut.
//!
//! # Telemetry
//!
//! Each change of a mail's state by this process is an event with the target `smtp2go_outbox` at INFO:
//! `state changed`, with `key`, `from`, `to`, `reason`, `fence` and `attempts`. Failures of the database and of
//! look-ups are events at WARN, a refused API key one at ERROR, and the steps of a mail are events at TRACE with
//! `step`: `claim`, `claimed`, `send`, `answered`, `record`, `recorded`. No address and no content is logged;
//! keys of mails are, so keep personal data out of them. An [`Observer`] receives the changes for metrics.
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `cli` | | the program `smtp2go-outbox` |
//! | `postgres` | yes | the table in PostgreSQL |
//! | `sqlite` | yes | the table in SQLite, whose source is compiled in |
//! | `rustls-ring` | yes | TLS by rustls with ring, to SMTP2GO and to PostgreSQL |
//! | `rustls-aws-lc` | | TLS by rustls with aws-lc, to both |
//! | `native-tls` | | TLS by the system's library, to both |

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

#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../README.md")]
struct Readme;
