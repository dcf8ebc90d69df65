//! What the tests of this workspace share, and the decoder behind `cargo xtask decode`.

pub mod decode;
pub mod doors;
#[rustfmt::skip]
mod generated;
