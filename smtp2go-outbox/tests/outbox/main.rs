//! The outbox on both engines, with the sandbox in place of SMTP2GO. Without PostgreSQL, its tests
//! print a line and pass.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/cluster.rs"]
mod cluster;
#[cfg(feature = "cli")]
mod command;
mod deliver;
mod events;
#[path = "../../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;
mod outage;
mod plans;
mod sending;
mod support;
mod table;
mod truth;
mod upgrade;
mod workers;
