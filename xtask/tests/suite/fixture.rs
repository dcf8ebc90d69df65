//! The made-up API of `tests/fixture/openapi.yaml`.

use std::path::PathBuf;

use xtask::load::{self, Spec};
use xtask::refine::Files;

/// The text of the file.
pub(crate) const TEXT: &str = include_str!("../fixture/openapi.yaml");

/// Returns the root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the checked fixture, named like the real spec, so that messages have a fixed name.
pub(crate) fn spec() -> Spec {
    load::parse(xtask::SPEC, TEXT).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Returns the files generated from the fixture.
pub(crate) fn files() -> Files {
    xtask::from_spec(&spec()).unwrap()
}
