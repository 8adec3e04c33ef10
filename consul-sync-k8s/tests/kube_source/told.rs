//! What a source told, as a table, and the objects of its cluster.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use consul_sync_core::{Address, Event, Key, Service, Source, SourceError};
use consul_sync_k8s::{ExportSettings, KubeSource, NodePorts, testing::FakeCluster};
use futures::{StreamExt, stream::BoxStream};
use serde_json::{Value, json};

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// A source's events, and what they say is there.
pub(crate) struct Told {
    pub(crate) events: BoxStream<'static, Item>,
    /// Each service's addresses; none while it is rejected and nothing good was said of it.
    pub(crate) table: BTreeMap<String, Vec<String>>,
    pub(crate) listing: Option<BTreeMap<String, Vec<String>>>,
    pub(crate) errors: Vec<SourceError>,
    pub(crate) whole: u32,
    pub(crate) rejected: Vec<String>,
}

impl Told {
    pub(crate) fn new(cluster: &FakeCluster, settings: ExportSettings) -> Self {
        Self::of(&KubeSource::new(cluster.client(), settings))
    }

    pub(crate) fn of(source: &KubeSource) -> Self {
        Self {
            events: source.watch(),
            table: BTreeMap::new(),
            listing: None,
            errors: Vec::new(),
            whole: 0,
            rejected: Vec::new(),
        }
    }

    /// Takes events until the source is still for a second of the paused clock.
    pub(crate) async fn settle(&mut self) -> &BTreeMap<String, Vec<String>> {
        self.run(Duration::from_secs(1)).await
    }

    /// Takes events until the source is still for that long.
    pub(crate) async fn run(&mut self, still: Duration) -> &BTreeMap<String, Vec<String>> {
        while let Ok(item) = tokio::time::timeout(still, self.events.next()).await {
            self.take(item.expect("a source never ends"));
        }
        &self.table
    }

    pub(crate) fn take(&mut self, item: Item) {
        match item {
            Ok(Event::RelistStarted) => self.listing = Some(BTreeMap::new()),
            Ok(Event::Upserted(key, service)) => {
                let addresses = service
                    .instances
                    .iter()
                    .map(|instance| match &instance.address {
                        Address::Ip(ip) => ip.to_string(),
                        Address::Host(host) => host.to_string(),
                    });
                let mut addresses: Vec<_> = addresses.collect();
                addresses.sort();
                let table = self.listing.as_mut().unwrap_or(&mut self.table);
                table.insert(key.to_string(), addresses);
            }
            Ok(Event::Removed(key)) => {
                let table = self.listing.as_mut().unwrap_or(&mut self.table);
                table.remove(&key.to_string());
            }
            Ok(Event::Rejected(key, _)) => {
                self.rejected.push(key.to_string());
                // Its last good value stays.
                if let Some(listing) = &mut self.listing
                    && let Some(kept) = self.table.get(&key.to_string())
                {
                    listing.insert(key.to_string(), kept.clone());
                }
            }
            Ok(Event::RelistDone) => {
                self.table = self
                    .listing
                    .take()
                    .expect("a listing begins before it ends");
                self.whole += 1;
            }
            Err(error) => self.errors.push(error),
        }
    }

    pub(crate) fn addresses(&self, key: &str) -> Vec<&str> {
        self.table
            .get(key)
            .map(|addresses| addresses.iter().map(String::as_str).collect())
            .unwrap_or_default()
    }
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"ports": [{"port": 80, "targetPort": 8080}]},
    })
}

pub(crate) fn slice(name: &str, service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true}, "nodeName": "n1"}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default", "name": name,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

pub(crate) fn node(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"addresses": [{"type": "ExternalIP", "address": address}]},
    })
}

/// A Service that is reached at the nodes.
pub(crate) fn node_port(name: &str) -> Value {
    let mut object = service(name);
    object["spec"]["type"] = json!("NodePort");
    object
}

/// Settings that need Services and EndpointSlices alone.
pub(crate) fn without_nodes() -> ExportSettings {
    ExportSettings {
        node_ports: NodePorts::Off,
        ..ExportSettings::default()
    }
}

/// Two services with endpoints.
pub(crate) fn cluster() -> FakeCluster {
    let cluster = FakeCluster::new();
    cluster.put(service("web"));
    cluster.put(service("db"));
    cluster.put(slice("web-1", "web", &["10.1.0.1", "10.1.0.2"]));
    cluster.put(slice("db-1", "db", &["10.1.0.9"]));
    cluster
}
