//! Writes by `/v1/txn`: all of a batch, or nothing of it.
//!
//! It is the only way anything is written. A transaction costs the server the same however many instances the
//! node has, every operation in it is conditional, and a service is never there without its check. The one
//! exception are instances with a list of ports, where an operator asked for such; see [`Ports`](crate::Ports).
//! `/v1/catalog/deregister` is not used at all: with an empty service ID it deletes the whole node.

mod apply;
mod encode;
mod fenced;
mod refusal;
mod sent;
mod single;
mod step;
mod under_way;
mod versions;

use std::sync::atomic::{AtomicUsize, Ordering};

use consul_sync_core::Cost;

pub(crate) use self::{
    apply::Apply,
    encode::{NodeWrite, Target},
    fenced::fence_cost,
    refusal::{Refusal, missing_rule},
};

/// Operations in a transaction since Consul 1.14, less the node's own.
const OPS: usize = 128 - 1;
/// Operations in a transaction before, less the node's own.
const OPS_BEFORE_1_14: usize = 64 - 1;
/// Bytes of a request's body, less what the node's own operation and the brackets take.
const BYTES: usize = 512 * 1024 - 4 * 1024;
/// Bodies are not made smaller than this, whatever the server says.
const FEWEST_BYTES: usize = 32 * 1024;

/// The most that one transaction may hold, as far as the server has told.
#[derive(Debug)]
pub(crate) struct Limits {
    ops: AtomicUsize,
    bytes: AtomicUsize,
}

// === impl Limits ===

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            ops: AtomicUsize::new(OPS),
            bytes: AtomicUsize::new(BYTES),
        }
    }

    /// The limits at this moment.
    pub(crate) fn get(&self) -> Cost {
        Cost {
            ops: self.ops.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// The server took fewer operations than we sent.
    pub(crate) fn fewer_ops(&self) {
        self.ops.store(OPS_BEFORE_1_14, Ordering::Relaxed);
    }

    /// The server took no body of this size, or closed the connection in the middle of it (fault T02).
    pub(crate) fn fewer_bytes(&self, sent: usize) {
        let fewer = (sent / 2).max(FEWEST_BYTES);
        self.bytes.fetch_min(fewer, Ordering::Relaxed);
    }
}
