//! What the fake catalog holds: nodes, service instances and checks.
//!
//! These types are the fake's own on purpose. It is an independent witness: were it built from the client's wire types, a
//! wrong field name would be wrong on both sides and no test would see it.
//!
//! Lists and tables are `Option` because Consul tells "absent" from "empty" when it decides whether a write changes
//! anything: a service written first with `"Tags": null` and then with `"Tags": []` gets a new index.

use std::collections::BTreeMap;

use serde::Serialize;

/// String pairs such as meta, in the order Consul prints them.
pub type Pairs = BTreeMap<String, String>;

/// A node of the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Node {
    /// UUID; empty for nodes that no agent stands behind.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name in the spelling of the last write that changed the node.
    pub node: String,
    /// Address.
    pub address: String,
    /// Datacenter.
    pub datacenter: String,
    /// Tagged addresses.
    pub tagged_addresses: Option<Pairs>,
    /// Meta.
    pub meta: Option<Pairs>,
    /// Raft index of the write that created it.
    pub create_index: u64,
    /// Raft index of the last write that changed it.
    pub modify_index: u64,
}

impl Node {
    /// Whether a write of `self` over `other` would change nothing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
            && folded(&self.node) == folded(&other.node)
            && self.address == other.address
            && self.datacenter == other.datacenter
            && self.tagged_addresses == other.tagged_addresses
            && self.meta == other.meta
    }
}

/// One entry of a tagged address table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaggedAddress {
    /// Address.
    pub address: String,
    /// Port.
    pub port: i64,
}

/// One entry of the `Ports` list of Consul 1.22.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NamedPort {
    /// Name, unique in the list.
    pub name: String,
    /// Port.
    pub port: i64,
    /// Whether this is the port that readers without port names get.
    pub default: bool,
}

/// DNS weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weights {
    /// Weight while passing.
    pub passing: i64,
    /// Weight while warning.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}

impl Weights {
    /// Consul stores weights that are out of range as 1 and 1 instead of refusing them.
    pub(super) fn or_default(self) -> Self {
        let fits = (1..=65_535).contains(&self.passing) && (0..=65_535).contains(&self.warning);
        if fits { self } else { Self::default() }
    }
}

/// A service instance on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Name of its node in the spelling of the last write.
    pub node: String,
    /// Instance ID, unique on the node without regard to case.
    pub id: String,
    /// Service name.
    pub service: String,
    /// Kind; empty for typical services.
    pub kind: String,
    /// Tags; `None` is JSON's null.
    pub tags: Option<Vec<String>>,
    /// Address; empty means the node's.
    pub address: String,
    /// Tagged addresses; `None` is JSON's null.
    pub tagged_addresses: Option<BTreeMap<String, TaggedAddress>>,
    /// Meta; `None` is JSON's null.
    pub meta: Option<Pairs>,
    /// Port; 0 when there is none.
    pub port: i64,
    /// Named ports (Consul 1.22).
    pub ports: Vec<NamedPort>,
    /// Unix socket.
    pub socket_path: String,
    /// DNS weights.
    pub weights: Weights,
    /// Whether others may change the tags.
    pub enable_tag_override: bool,
    /// Raft index of the write that created it.
    pub create_index: u64,
    /// Raft index of the last write that changed it.
    pub modify_index: u64,
}

impl Instance {
    /// Value of the meta key `key`.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.meta.as_ref()?.get(key).map(String::as_str)
    }

    /// Tags, empty when there are none.
    pub fn tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// Whether a write of `self` over `other` would change nothing. The socket path does not count, as in Consul.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        folded(&self.node) == folded(&other.node)
            && self.kind == other.kind
            && self.id == other.id
            && self.service == other.service
            && self.tags == other.tags
            && self.address == other.address
            && self.tagged_addresses == other.tagged_addresses
            && self.port == other.port
            && same_ports(&self.ports, &other.ports)
            && self.meta == other.meta
            && self.weights == other.weights
            && self.enable_tag_override == other.enable_tag_override
    }

    /// Port that readers without port names get.
    pub(super) fn default_port(&self) -> i64 {
        self.ports
            .iter()
            .find(|p| p.default)
            .map_or(self.port, |p| p.port)
    }
}

/// Consul compares names and numbers of the list and neither its order nor its default.
fn same_ports(a: &[NamedPort], b: &[NamedPort]) -> bool {
    let seen: BTreeMap<&str, i64> = a.iter().map(|p| (p.name.as_str(), p.port)).collect();
    a.len() == b.len() && b.iter().all(|p| seen.get(p.name.as_str()) == Some(&p.port))
}

/// A health check of a node or of one of its instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Name of its node in the spelling of the last write.
    pub node: String,
    /// Check ID, unique on the node without regard to case.
    pub check_id: String,
    /// Display name.
    pub name: String,
    /// `passing`, `warning` or `critical`; Consul stores any text.
    pub status: String,
    /// Notes.
    pub notes: String,
    /// Output.
    pub output: String,
    /// Instance it belongs to; empty for a check of the node.
    pub service_id: String,
    /// Service name of that instance when the check was written.
    pub service_name: String,
    /// Tags of that instance when the check was written.
    pub service_tags: Option<Vec<String>>,
    /// Type, free text.
    pub kind: String,
    /// Interval as text.
    pub interval: String,
    /// Timeout as text.
    pub timeout: String,
    /// Exposed port.
    pub exposed_port: i64,
    /// Definition as it is printed.
    pub definition: BTreeMap<String, serde_json::Value>,
    /// Raft index of the write that created it.
    pub create_index: u64,
    /// Raft index of the last write that changed it.
    pub modify_index: u64,
}

impl Check {
    /// Whether a write of `self` over `other` would change nothing. Type, interval, timeout and exposed port do not count,
    /// as in Consul.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        folded(&self.node) == folded(&other.node)
            && self.check_id == other.check_id
            && self.name == other.name
            && self.status == other.status
            && self.notes == other.notes
            && self.output == other.output
            && self.service_id == other.service_id
            && self.service_name == other.service_name
            && self.service_tags == other.service_tags
            && self.definition == other.definition
    }
}

/// The form in which Consul compares names and IDs.
pub(super) fn folded(name: &str) -> String {
    crate::registration::fold(name)
}
