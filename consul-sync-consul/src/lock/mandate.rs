//! A lead that was given from elsewhere, and what it is worth beside an older one.

use std::sync::Arc;

use consul_sync_core::Holder;
use serde::{Deserialize, Serialize};

/// What a process was elected by, where that was not the lock itself.
///
/// The lock then only makes Consul refuse what a former leader sends. It must not wait for a dead leader's session, as
/// somebody else has found out already that he is dead; so whoever has a later mandate takes the key from whoever has an
/// earlier one of the same authority. From anybody else it is not taken: two clusters with one owner have two authorities,
/// and would take it from each other for ever.
///
/// ```
/// use consul_sync_consul::Mandate;
/// let first = Mandate { authority: "lease-1".into(), term: 1 };
/// assert!(Mandate { term: 2, ..first.clone() }.overrules(&first));
/// assert!(!first.overrules(&Mandate { term: 2, ..first.clone() }));
/// assert!(!Mandate { authority: "lease-2".into(), term: 2 }.overrules(&first));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// Who elects, by a name that no other election has, also not in another cluster.
    pub authority: Arc<str>,
    /// Which election it was; a later one has a greater number.
    pub term: u64,
}

/// The key's value, which is for people, but for the mandate.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Value {
    id: String,
    host: String,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mandate: Option<Mandate>,
}

// === impl Mandate ===

impl Mandate {
    /// Whether this one is later than another one of the same authority.
    pub fn overrules(&self, other: &Self) -> bool {
        self.authority == other.authority && self.term > other.term
    }
}

// === impl Value ===

impl Value {
    pub(super) fn new(holder: Holder, mandate: Option<Mandate>) -> Self {
        Self {
            id: holder.id,
            host: holder.host,
            since: holder.since,
            mandate,
        }
    }
}

impl From<Value> for Holder {
    fn from(value: Value) -> Self {
        Self {
            id: value.id,
            host: value.host,
            since: value.since,
        }
    }
}
