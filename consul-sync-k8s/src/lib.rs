//! A Kubernetes cluster as a [`Source`](consul_sync_core::Source) of services, and as a destination
//! ([`Sink`](consul_sync_core::Sink)) of them.
//!
//! # The source
//! [`KubeSource`] watches the kinds of objects that its [`ExportSettings`] need and says which services follow from
//! them, one key at a time. It is made of layers that can be used alone:
//!
//! | layer | what it does | I/O |
//! | --- | --- | --- |
//! | watch | lists and follows one kind of object, and stands what goes wrong with that | all of it |
//! | [`slim`] | decodes what is used of an object, so that one bad field spoils one object | none |
//! | [`Index`] | holds all objects, and says which services changed | none |
//! | quota | lets the oldest services of a namespace through, as many as it may have | none |
//! | [`translate`] | says what service follows from some objects | none |
//!
//! Nothing is written to the cluster for it.
//!
//! # The sink
//! [`KubeSink`] writes services into a cluster, as its [`ImportSettings`] say: as aliases, or as Services with the
//! EndpointSlices of their instances. It follows the cluster by the same watches, and everything it writes is
//! conditional.
//!
//! # The election
//! [`Lease`] says which of several processes may write, to whatever they write.
//!
//! # Both
//! [`Rights`] and [`preflight`] say what must be granted; [`owner`] reads the identity of the cluster. Nothing here
//! speaks to Consul: services, addresses and checks are those of `consul-sync-core`.
//!
//! # Examples
//! ```
//! use consul_sync_core::{Event, Source};
//! use consul_sync_k8s::{ExportSettings, KubeSource, testing::FakeCluster};
//! use futures::StreamExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = FakeCluster::new();
//! cluster.put(serde_json::json!({
//!     "apiVersion": "v1", "kind": "Service",
//!     "metadata": {"namespace": "default", "name": "web"},
//!     "spec": {"externalIPs": ["192.0.2.1"], "ports": [{"port": 80}]},
//! }));
//! let mut events = KubeSource::new(cluster.client(), ExportSettings::default()).watch();
//! while let Some(event) = events.next().await {
//!     if let Event::Upserted(key, service) = event? {
//!         assert_eq!(key.to_string(), "default/web");
//!         assert_eq!(service.instances[0].address.to_string(), "192.0.2.1");
//!         break;
//!     }
//! }
//! # Ok(()) }
//! ```

mod annotations;
mod digest;
mod identity;
mod index;
mod lease;
mod mark;
mod preflight;
mod quota;
mod rights;
mod selector;
mod settings;
mod sink;
pub mod slim;
mod source;
mod strings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod translate;
mod watch;

pub use identity::owner;
pub use index::{Change, Index, Update, Work};
pub use ipnet::IpNet;
pub use lease::{Lease, LeaseSettings, Term};
pub use preflight::{preflight, preflight_rights};
pub use rights::{Right, Rights, Subject, Verb};
pub use selector::{InvalidSelector, Selector};
pub use settings::{
    ConsulNamespaces, ExportSettings, InvalidNameRule, InvalidNodePorts, NameRule, NameRules,
    Needs, NodePorts,
};
pub use sink::{
    Endpoint, ImportSettings, InvalidImport, KubeSink, Manifest, Mode, ModeRule, ObjectVersion,
};
pub use source::KubeSource;
pub use watch::WatchSettings;
