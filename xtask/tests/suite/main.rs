//! Tests of the generator: on the fixture, which holds every construct once, and on the repository.

// A test that fails, fails by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod clients;
mod collection;
mod compare;
mod diff;
mod drift;
mod fixture;
mod generated;
mod lint;
mod progenitor;
mod random;
mod twin;
mod view;
