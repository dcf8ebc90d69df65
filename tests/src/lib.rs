//! Code shared by the tests of this workspace, and the decoder of `cargo xtask decode`.

pub mod contract;
pub mod decode;
pub mod entry_points;
#[rustfmt::skip]
mod generated;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../smtp2go-sdk/README.md")]
struct SdkReadme;
