//! Settings of a Lease.

use std::time::Duration;

use consul_sync_core::Holder;

/// How a Lease is held.
///
/// ```
/// use consul_sync_core::Holder;
/// use consul_sync_k8s::LeaseSettings;
/// let me = Holder { id: "1f".into(), host: "pod-1".into(), ..Holder::default() };
/// let settings = LeaseSettings::new("consul-sync", "consul-sync", me);
/// assert_eq!(settings.ttl.as_secs(), 15);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaseSettings {
    /// The namespace that the Lease is in.
    pub namespace: String,
    /// The Lease's name. Processes that exclude each other have the same one, and all others another.
    pub name: String,
    /// Who this process is. Its [`id`](Holder::id) must be no other process's, also not an earlier one's.
    pub holder: Holder,
    /// After how long without a change others take the Lease, in whole seconds: a part of one counts as one. It is renewed
    /// three times as often, and given up after four fifths of it without a renewal.
    pub ttl: Duration,
}

// === impl LeaseSettings ===

impl LeaseSettings {
    /// The defaults: 15 s.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, holder: Holder) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            holder,
            ttl: Duration::from_secs(15),
        }
    }

    /// Who this process is, as the Lease says it.
    pub(super) fn identity(&self) -> String {
        match self.holder.host.as_str() {
            "" => self.holder.id.clone(),
            host => format!("{host}_{}", self.holder.id),
        }
    }

    /// How often the Lease is renewed.
    pub(super) fn period(&self) -> Duration {
        self.ttl / 3
    }

    /// For how long a Lease that was taken or renewed counts as held.
    pub(super) fn validity(&self) -> Duration {
        self.ttl * 4 / 5
    }

    /// The time that the others are told, rounded up.
    pub(super) fn seconds(&self) -> u64 {
        self.ttl
            .as_millis()
            .div_ceil(1000)
            .try_into()
            .unwrap_or(u64::MAX)
    }
}
