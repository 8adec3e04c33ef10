//! How one of several processes is chosen to write.

use std::time::Duration;

use consul_sync_consul::Ports;

use crate::args::{
    given::Given,
    table::{consul, direction, election},
};

/// How one of several processes is chosen to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Election {
    /// There is one process.
    #[default]
    None,
    /// By a lock in Consul.
    Consul,
    /// By a Lease in Kubernetes, and under it a lock in Consul.
    Lease,
}

/// The lock by which a leader is elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockSettings {
    /// The session's time to live.
    pub(crate) ttl: Duration,
    /// For how long nobody can have it after the session ended.
    pub(crate) delay: Duration,
    /// What the key begins with.
    pub(crate) prefix: String,
}

/// The Leases by which leaders are elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseSettings {
    /// The name, which the directions add to.
    pub(crate) name: String,
    /// The namespace; `None` for the pod's or the kubeconfig's.
    pub(crate) namespace: Option<String>,
    /// After how long without a renewal it is taken.
    pub(crate) ttl: Duration,
}

/// Both parts, with bad values noted in `given`.
pub(super) fn settings(given: &mut Given) -> (Option<LockSettings>, Option<LeaseSettings>) {
    let ttl = given.one(&election::TTL);
    let lock = LockSettings {
        ttl,
        delay: given.one(&election::LOCK_DELAY),
        prefix: given.one(&election::PREFIX),
    };
    let lease = LeaseSettings {
        name: given.one(&election::LEASE),
        namespace: given.optional(&election::NAMESPACE),
        ttl,
    };
    let kind = given.one(&election::LEADER_ELECTION);
    if kind == Election::None {
        return (None, None);
    }
    if given.one(&consul::PORTS) != Ports::Never && given.one(&direction::TO_CONSUL) {
        given.refuse(
            &consul::PORTS,
            "expected never with --leader-election: a list of ports is written unconditionally, and Consul could not \
             refuse it when it comes from a former leader",
        );
    }
    (Some(lock), (kind == Election::Lease).then_some(lease))
}
