//! Durable outbox.
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
mod health;
mod observer;
mod outbox;
mod record;
mod settings;
mod store;
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
