//! One object as it is written, in the form in which it is compared.
//!
//! A manifest holds what the sink sets and nothing else. What the server fills in (addresses, families, policies) and
//! what others add beside it (labels, annotations, fields of a webhook) is no part of it, so that neither is ever a
//! reason to write (fault W05). What others *changed* of that which the sink sets, or added where it would send traffic
//! elsewhere, is [damage](Manifest::damage): no manifest that is wanted has any, so it is repaired.

mod json;
mod read;

use std::{borrow::Cow, fmt, sync::Arc};

use consul_sync_core::{Port, Record, RecordId};

pub(crate) use self::json::Change;
pub use super::slices::Endpoint;

/// The id of the record of a slot's Service. It sorts before those of its slices, and is written first.
const SERVICE: &str = "service";
/// What the ids of slices begin with.
const SLICE: &str = "slice/";

/// One object in a cluster: a Service, or one of its EndpointSlices.
///
/// ```
/// use consul_sync_core::{Layout, Owner, Record, testing::service};
/// use consul_sync_k8s::{ImportSettings, KubeSink, testing::FakeCluster};
/// use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = ImportSettings::new(Owner::new("cluster-a")?);
/// let sink = KubeSink::new(FakeCluster::new().client(), settings)?;
/// let web = Arc::new(service("/Web", ["10.0.0.1"]));
/// let slot = sink.place(&web)?;
/// let placed = sink.records(&slot, &[web]);
/// assert_eq!(placed.records[0].fields()[1].1, "ExternalName");
/// assert_eq!(placed.records[0].to_json()["spec"]["externalName"], "web.service.consul");
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    pub(crate) id: RecordId,
    /// The value of the label that names the owner.
    pub(crate) owner: Arc<str>,
    pub(crate) namespace: Arc<str>,
    /// The Service's name, of a slice too.
    pub(crate) service: Arc<str>,
    /// The namespace of the source; empty where it has none.
    pub(crate) origin: Arc<str>,
    pub(crate) content: Content,
    pub(crate) damage: Vec<Box<str>>,
}

/// What an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A Service of type ExternalName.
    ExternalName {
        /// The name in Consul.
        consul: Arc<str>,
        host: Arc<str>,
    },
    /// A Service of type ClusterIP without a selector.
    ClusterIp {
        /// The name in Consul.
        consul: Arc<str>,
        /// Without an address.
        headless: bool,
        /// By name.
        ports: Arc<[Port]>,
    },
    /// An EndpointSlice.
    Slice {
        headless: bool,
        ipv6: bool,
        /// By name.
        ports: Arc<[Port]>,
        /// By address.
        endpoints: Arc<[Endpoint]>,
    },
    /// Somebody else's, or one that cannot be read.
    Unread,
}

/// What a conditional write to an object compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// `metadata.uid`: another one is another object of the same name.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Arc<str>,
}

/// The record id of a Service.
#[expect(clippy::expect_used, reason = "the text is fixed and not empty")]
pub(crate) fn service_id() -> RecordId {
    static ID: std::sync::LazyLock<RecordId> =
        std::sync::LazyLock::new(|| RecordId::new(SERVICE).expect("it is not empty"));
    ID.clone()
}

// === impl Manifest ===

impl Manifest {
    /// Whether it is a slice; otherwise it is a Service.
    pub(crate) fn is_slice(&self) -> bool {
        self.id.whole() != Some(SERVICE)
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name of the object.
    pub fn name(&self) -> &str {
        let slice = self.id.whole().and_then(|id| id.strip_prefix(SLICE));
        slice.unwrap_or(&self.service)
    }

    /// What others did to the object that the sink undoes, by path.
    pub fn damage(&self) -> impl Iterator<Item = &str> {
        self.damage.iter().map(AsRef::as_ref)
    }

    /// What the object is, for people.
    fn kind(&self) -> &'static str {
        match &self.content {
            Content::ExternalName { .. } => "ExternalName",
            Content::ClusterIp {
                headless: false, ..
            } => "ClusterIP",
            Content::ClusterIp { headless: true, .. } => "ClusterIP without an address",
            Content::Slice { ipv6: false, .. } => "IPv4",
            Content::Slice { ipv6: true, .. } => "IPv6",
            Content::Unread => "not looked at",
        }
    }
}

impl Record for Manifest {
    type Version = ObjectVersion;

    fn id(&self) -> RecordId {
        self.id.clone()
    }

    /// An alias is; of endpoints, the slices with one that is ready are.
    fn is_live(&self) -> bool {
        match &self.content {
            Content::ExternalName { .. } => true,
            Content::Slice { endpoints, .. } => endpoints.iter().any(|endpoint| endpoint.ready),
            Content::ClusterIp { .. } | Content::Unread => false,
        }
    }

    fn origin(&self) -> Option<&str> {
        (!self.origin.is_empty()).then_some(&self.origin)
    }

    /// A slice needs its Service: below somebody else's it would take their traffic.
    fn needs(&self) -> Option<&RecordId> {
        static ID: std::sync::LazyLock<RecordId> = std::sync::LazyLock::new(service_id);
        self.is_slice().then_some(&*ID)
    }

    fn fields(&self) -> Vec<(Cow<'static, str>, String)> {
        let kind = if self.is_slice() {
            "EndpointSlice"
        } else {
            "Service"
        };
        let mut fields: Vec<(Cow<'static, str>, String)> = vec![
            (
                "object".into(),
                format!("{kind} {}/{}", self.namespace, self.name()),
            ),
            ("type".into(), self.kind().to_owned()),
        ];
        match &self.content {
            Content::ExternalName { consul, host } => {
                fields.push(("consul name".into(), consul.to_string()));
                fields.push(("external name".into(), host.to_string()));
            }
            Content::ClusterIp { consul, ports, .. } => {
                fields.push(("consul name".into(), consul.to_string()));
                fields.push(("ports".into(), list(ports.iter().map(port))));
            }
            Content::Slice {
                ports, endpoints, ..
            } => {
                fields.push(("ports".into(), list(ports.iter().map(port))));
                fields.push(("endpoints".into(), list(endpoints.iter().map(endpoint))));
            }
            Content::Unread => {}
        }
        if !self.damage.is_empty() {
            fields.push(("changed by others".into(), self.damage.join(", ")));
        }
        fields
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Manifest");
        for (name, value) in self.fields() {
            text.field(&name, &value);
        }
        text.finish()
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn port(port: &Port) -> String {
    format!("{} {}", port.name, port.number)
}

fn endpoint(endpoint: &Endpoint) -> String {
    if endpoint.ready {
        endpoint.address.to_string()
    } else {
        format!("{} not ready", endpoint.address)
    }
}

/// The record id of a slice.
pub(crate) fn slice_id(name: &str) -> Option<RecordId> {
    RecordId::new(format!("{SLICE}{name}")).ok()
}

#[cfg(test)]
mod tests;
