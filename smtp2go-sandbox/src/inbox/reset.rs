//! The page that resets the sandbox.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{self, Section, Shell, show};
use crate::world::Shared;

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage {
    shell: Shell,
}

pub(super) async fn ask(State(shared): State<Arc<Shared>>) -> Response {
    let shell = Shell::new(&shared, &shared.world(), Section::None);
    show(StatusCode::OK, &ResetPage { shell })
}

pub(super) async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    shared.world().reset();
    page::see("/")
}
