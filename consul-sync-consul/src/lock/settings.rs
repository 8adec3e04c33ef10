//! Settings of a lock.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use consul_sync_core::{Holder, Owner};

use crate::NodeName;

/// How a lock is held.
///
/// ```
/// use std::time::Duration;
/// use consul_sync_consul::LockSettings;
/// use consul_sync_core::Owner;
/// let mut settings = LockSettings::new(&Owner::new("cluster-a")?);
/// assert_eq!(settings.key(), "consul-sync/cluster-a/leader");
/// settings.prefix = "teams/platform/consul-sync".into();
/// settings.ttl = Duration::from_secs(30);
/// assert_eq!(settings.key(), "teams/platform/consul-sync/cluster-a/leader");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockSettings {
    /// What the key begins with; the owner and the name follow, so that every owner has locks of its own.
    pub prefix: String,
    /// What the key ends with: what it is that has one writer, where an owner has several such things.
    pub name: String,
    /// The identity whose writers exclude each other.
    pub owner: Owner,
    /// Who holds the lock, for the others to tell.
    pub holder: Holder,
    /// The node that the session stands on: the sink's.
    pub node: NodeName,
    /// Its address, where it has to be registered first.
    pub node_address: IpAddr,
    /// How long the session may go without being renewed, at least 10 s on a Consul with its default
    /// `session_ttl_min`. It is renewed three times as often. A leader that could not renew it gives the lead up
    /// after four fifths of it; Consul ends the session of a dead one after one to two times the TTL, in practice
    /// two, which is how long a takeover takes.
    pub ttl: Duration,
    /// For how long nobody can take the lock after its session ended without handing over, up to 60 s. A takeover
    /// takes so much longer. It is what protects those who have no fence, and zero by default because writes here
    /// have one.
    pub lock_delay: Duration,
}

// === impl LockSettings ===

impl LockSettings {
    /// The defaults for an owner: key `consul-sync/OWNER/leader`, node `k8s-sync`, TTL 15 s, no lock delay.
    pub fn new(owner: &Owner) -> Self {
        let node = crate::SinkSettings::new(owner.clone());
        Self {
            prefix: "consul-sync".into(),
            name: "leader".into(),
            owner: owner.clone(),
            holder: Holder {
                id: format!("{:016x}", RandomState::new().hash_one(0_u8)),
                host: String::new(),
                since: String::new(),
            },
            node: node.node,
            node_address: node.node_address,
            ttl: Duration::from_secs(15),
            lock_delay: Duration::ZERO,
        }
    }

    /// The key that is locked.
    pub fn key(&self) -> String {
        let prefix = self.prefix.trim_matches('/');
        format!("{prefix}/{}/{}", self.owner, self.name)
    }

    /// How often the session is renewed.
    pub(super) fn period(&self) -> Duration {
        self.ttl / 3
    }

    /// For how long a session that was made or renewed counts as alive.
    pub(super) fn validity(&self) -> Duration {
        self.ttl * 4 / 5
    }
}
