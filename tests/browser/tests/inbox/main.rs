//! The inbox in a real browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod accessible;
mod checks;
mod events;
mod gate;
mod hostile;
mod large;
mod layout;
mod live;
mod screenshots;
mod support;
