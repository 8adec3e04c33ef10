//! The operation by which a lock fences a transaction.

use consul_sync_core::Cost;
use serde::Serialize;

use super::encode::length;
use crate::lock::Fence;

/// What the fence takes of every transaction.
pub(crate) fn fence_cost(fence: Option<&Fence>) -> Cost {
    // As long as every UUID.
    const SESSION: &str = "00000000-0000-0000-0000-000000000000";
    let Some(fence) = fence else {
        return Cost { ops: 0, bytes: 0 };
    };
    Cost {
        ops: 1,
        bytes: length(&FenceOp::new(fence, SESSION)),
    }
}

/// Makes Consul check that the session still holds the key.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FenceOp<'a> {
    #[serde(rename = "KV")]
    kv: CheckSession<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckSession<'a> {
    verb: &'static str,
    key: &'a str,
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

impl<'a> FenceOp<'a> {
    pub(super) fn new(fence: &'a Fence, session: &'a str) -> Self {
        Self {
            kv: CheckSession {
                verb: "check-session",
                key: fence.key(),
                session,
                partition: fence.partition(),
            },
        }
    }
}
