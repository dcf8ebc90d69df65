//! Tests of the generator, with the fixture, which has every construct once, and with the
//! repository.

// Tests fail by panics.
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
