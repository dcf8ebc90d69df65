//! Archived mail.

use std::sync::Arc;

use serde_json::Value;

use super::{Context, Reply};
use crate::refusal::Refusal;

/// What an account has of them.
#[derive(Debug, Default)]
pub(crate) struct State {}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    _context: &mut Context<'_>,
    _operation: &str,
    _request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    Ok(Reply::Example)
}
