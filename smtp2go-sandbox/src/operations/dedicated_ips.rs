//! Pools of dedicated IP addresses.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Context, Reply};
use crate::refusal::Refusal;
use crate::weight::Weight;

/// The pools of an account: always one, because the API has no call to add any.
#[derive(Debug)]
pub(crate) struct DedicatedIps {
    pools: Vec<Pool>,
}

#[derive(Debug)]
struct Pool {
    id: i64,
    name: &'static str,
    addresses: &'static [&'static str],
}

impl Default for DedicatedIps {
    fn default() -> Self {
        Self {
            // The addresses in the spec's examples: documentation addresses (RFC 5737).
            pools: vec![Pool {
                id: 12,
                name: "Main pool",
                addresses: &["192.0.2.10", "192.0.2.11"],
            }],
        }
    }
}

/// Pools are never added, so they need no memory limit.
impl Weight for DedicatedIps {
    fn weight(&self) -> usize {
        0
    }
}

impl DedicatedIps {
    /// Whether a pool with this id exists.
    pub(crate) fn has(&self, id: i64) -> bool {
        self.pools.iter().any(|pool| pool.id == id)
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    _request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "dedicated_ips_view" => {
            let pools = context.account().dedicated_ips.pools.iter();
            let pools = pools.map(
                |pool| json!({ "id": pool.id, "name": pool.name, "ip_addresses": pool.addresses }),
            );
            Ok(Reply::Data(pools.collect()))
        }
        _ => Ok(Reply::Example),
    }
}
