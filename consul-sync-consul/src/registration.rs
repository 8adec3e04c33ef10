//! A service instance as it stands in the catalog, with its check: the record that the engine compares.
//!
//! It has one canonical form, whether it was made from a service of the source or read back from Consul, so
//! that reading what was written gives an equal value. What a source can never ask for and a third party may
//! have added is kept as [`Extra`]: it makes the records unequal, and the next write takes it away.

mod check;
mod intern;
mod known;
mod pairs;
mod ports;
mod read;
mod version;

use std::{borrow::Cow, sync::Arc};

use consul_sync_core::{
    Address, Meta, Owner, Packed, Record, RecordId, ServiceName, Slot, Standing,
};

pub(crate) use self::{
    check::check_id,
    intern::Interner,
    known::Known,
    read::{SeenCheck, fold, scope_of, slot_of},
};
pub use self::{
    check::{Checks, RegisteredCheck},
    ports::Ports,
    version::Version,
};

/// The meta key that carries the owner on every instance. Consul reserves keys that begin with `consul-`
/// for itself and refuses the registration, so the key stands in the family of `external-source`.
pub const OWNER_META: &str = "external-sync-owner";
/// The meta key that says what kind of system an instance came from; Consul's UI shows its icon.
pub const SOURCE_META: &str = "external-source";
/// The value of [`SOURCE_META`] on what comes from Kubernetes.
pub const KUBERNETES: &str = "kubernetes";
/// The meta key that says which namespace of Kubernetes an instance came from.
const ORIGIN_META: &str = "external-k8s-ns";
/// How the keys begin that are for our marks. A mark that is not known was set by a newer version.
pub(crate) const MARKS: &str = "external-sync-";

/// One instance of a service, with its check.
///
/// Node and datacenter are the sink's and stand nowhere in it. What the instances of a service have in common is
/// shared between them, so that one costs some 60 bytes beside its own text.
#[derive(Clone, Debug)]
pub struct Registration {
    pub(crate) common: Arc<Common>,
    /// Its address, absent where Consul holds none and never in what is written; its pairs, on top of the common ones;
    /// and its port.
    pub(crate) own: Packed,
    pub(crate) check: Option<Arc<RegisteredCheck>>,
    pub(crate) extra: Option<Box<Extra>>,
    /// What its ID ends with, behind its name; nothing where [`Extra::id`] is the ID.
    pub(crate) hash: [u8; 6],
}

/// What the instances of a service have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Common {
    pub(crate) name: ServiceName,
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) tags: Arc<[Arc<str>]>,
    pub(crate) weight: u32,
    /// Pairs; the owner's is never read from them.
    pub(crate) meta: Meta,
    pub(crate) owner: Option<Arc<str>>,
}

/// What few instances have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Its ID, where that is none that a source's instance can have: other text than its name and a hash.
    pub(crate) id: Option<RecordId>,
    /// The list of named ports, by name, where lists are written; see [`Ports`](crate::Ports).
    pub(crate) ports: Vec<NamedPort>,
    /// Fields of the service or its check that a source cannot ask for, for people.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Further checks of our form on the same instance: scopes, in order.
    pub(crate) scopes: Vec<Arc<str>>,
}

/// One of several ports of an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NamedPort {
    pub(crate) name: Arc<str>,
    pub(crate) number: u16,
    pub(crate) is_default: bool,
}

// === impl Registration ===

impl Registration {
    /// The service's name, spelled as Consul holds it.
    pub fn name(&self) -> &str {
        self.common.name.as_str()
    }

    /// The Consul namespace, where namespaces are used.
    pub fn namespace(&self) -> Option<&str> {
        self.common.namespace.as_deref()
    }

    /// The address.
    pub fn address(&self) -> Option<Address> {
        self.own.address()
    }

    /// The port; 0 for none.
    pub fn port(&self) -> u16 {
        self.own.number()
    }

    /// The tags, in order.
    pub fn tags(&self) -> &[Arc<str>] {
        &self.common.tags
    }

    /// The check.
    pub fn check(&self) -> Option<&RegisteredCheck> {
        self.check.as_deref()
    }

    /// The installation whose mark it carries.
    pub fn owner(&self) -> Option<&str> {
        self.common.owner.as_deref()
    }

    /// The value of a meta key; the owner's included.
    pub fn meta(&self, key: &str) -> Option<&str> {
        if key == OWNER_META {
            return self.owner();
        }
        self.own
            .meta()
            .get(key)
            .or_else(|| self.common.meta.get(key))
    }

    /// The pairs in the order of their keys, without the owner's.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        pairs::merged(&self.common.meta, self.own.meta())
            .filter(|(key, _)| key.as_ref() != OWNER_META)
    }

    /// Whose it is. What a newer version has marked may mean what this one cannot read: it is taken over where it is
    /// wanted, and never deleted as ours (fault P14).
    pub(crate) fn standing(&self, owner: &Owner) -> Standing {
        match self.owner() {
            Some(mark) if mark == owner.as_str() && self.has_unknown_marks() => Standing::Orphan,
            Some(mark) if mark == owner.as_str() => Standing::Ours,
            None if self.meta(SOURCE_META) == Some(KUBERNETES) => Standing::Orphan,
            Some(_) | None => Standing::Foreign,
        }
    }

    fn has_unknown_marks(&self) -> bool {
        let keys = |meta: &Meta| {
            let mut keys = meta.iter().map(|(key, _)| key);
            keys.any(|key| key.starts_with(MARKS) && key.as_ref() != OWNER_META)
        };
        keys(&self.common.meta) || keys(self.own.meta())
    }

    /// Its slot: the folded name, in its namespace where namespaces are used.
    pub(crate) fn slot(&self) -> Option<Slot> {
        Slot::new(slot_of(self.namespace(), self.name())).ok()
    }

    /// The list of named ports; empty where lists are not written.
    pub(crate) fn named_ports(&self) -> &[NamedPort] {
        self.extra.as_ref().map_or(&[], |extra| &extra.ports)
    }

    /// Check IDs that are ours by their form, in Consul at this moment.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &Arc<str>> {
        let first = self.check.iter().map(|check| &check.scope);
        let more = self.extra.iter().flat_map(|extra| &extra.scopes);
        first.chain(more)
    }
}

impl PartialEq for Registration {
    fn eq(&self, other: &Self) -> bool {
        // The name, which is the rest of the ID, is compared with what is common.
        self.hash == other.hash
            && self.port() == other.port()
            && self.address() == other.address()
            && self.check == other.check
            && self.extra == other.extra
            && (Arc::ptr_eq(&self.common, &other.common) || self.common.is_alike(&other.common))
            && self.pairs().eq(other.pairs())
    }
}

impl Eq for Registration {}

// === impl Common ===

impl Common {
    /// Equality but for the pairs, which count only together with those of the instance.
    fn is_alike(&self, other: &Self) -> bool {
        self.weight == other.weight
            && self.name == other.name
            && self.namespace == other.namespace
            && self.owner == other.owner
            && self.tags == other.tags
    }
}

impl Record for Registration {
    type Version = Version;

    fn id(&self) -> RecordId {
        let other = self.extra.as_ref().and_then(|extra| extra.id.clone());
        other.unwrap_or_else(|| RecordId::hashed(&self.common.name, self.hash))
    }

    fn is_live(&self) -> bool {
        self.check.as_ref().is_none_or(|check| check.is_live())
    }

    fn origin(&self) -> Option<&str> {
        self.meta(ORIGIN_META)
    }

    fn fields(&self) -> Vec<(Cow<'static, str>, String)> {
        let mut fields: Vec<(Cow<'static, str>, String)> = Vec::with_capacity(16);
        let mut add = |name: &'static str, value: String| fields.push((name.into(), value));
        if let Some(namespace) = self.namespace() {
            add("namespace", namespace.to_owned());
        }
        add("name", self.name().to_owned());
        if let Some(address) = self.address() {
            add("address", address.to_string());
        }
        add("port", self.port().to_string());
        if !self.named_ports().is_empty() {
            let ports = self.named_ports().iter();
            let ports: Vec<String> = ports.map(|p| format!("{}={}", p.name, p.number)).collect();
            add("ports", ports.join(", "));
        }
        add("tags", self.tags().join(", "));
        add("weight", self.common.weight.to_string());
        if let Some(check) = &self.check {
            add("check.id", check.id(&self.id()));
            add("check.name", check.name.to_string());
            add("check.type", check.kind.to_string());
            add("check.status", check.status.to_string());
            add("check.output", check.output.to_string());
        }
        if let Some(extra) = &self.extra {
            for (name, value) in &extra.fields {
                add(name, value.clone());
            }
            for scope in &extra.scopes {
                add("extra check", format!("{scope}/{}", self.id()));
            }
        }
        let meta = self.pairs().map(|(key, value)| {
            let name: Cow<'static, str> = format!("meta.{key}").into();
            (name, value.to_string())
        });
        fields.extend(meta);
        if let Some(owner) = self.owner() {
            fields.push((format!("meta.{OWNER_META}").into(), owner.to_owned()));
        }
        fields
    }
}
