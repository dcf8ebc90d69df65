//! What the tests of this workspace share, and the decoder behind `cargo xtask decode`.

pub mod contract;
pub mod decode;
pub mod doors;
#[rustfmt::skip]
mod generated;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../smtp2go-sdk/README.md")]
struct SdkReadme;
