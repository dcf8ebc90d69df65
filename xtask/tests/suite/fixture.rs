//! The made-up API of `tests/fixture/openapi.yaml`.

use std::path::PathBuf;

use xtask::load::{self, Spec};
use xtask::refine::Files;

/// As it stands in the file.
pub(crate) const TEXT: &str = include_str!("../fixture/openapi.yaml");

/// The folder that holds this package and the real spec.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The fixture, checked. Named as the real spec is, so that messages have a fixed name.
pub(crate) fn spec() -> Spec {
    load::parse(xtask::SPEC, TEXT).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is generated from the fixture.
pub(crate) fn files() -> Files {
    xtask::from_spec(&spec()).unwrap()
}
