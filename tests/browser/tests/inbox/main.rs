//! The inbox in a real browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod accessible;
mod checks;
mod events;
mod gate;
mod hostile;
mod keys;
mod large;
mod layout;
mod lists;
mod live;
mod notify;
mod screenshots;
mod support;
