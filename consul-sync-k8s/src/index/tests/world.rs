//! Objects to list and watch, and a reader of what the index says of them.
#![expect(
    clippy::needless_pass_by_value,
    reason = "JSON is written where it is passed"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use consul_sync_core::{Event, Key, Service};
use serde_json::{Value, json};

use crate::{Change, ExportSettings, Index, NodePorts, Update, slim};

/// What a reader of the events holds: the table of an engine.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) services: BTreeMap<Key, Arc<Service>>,
    pub(super) rejected: BTreeMap<Key, String>,
    listing: Option<BTreeSet<Key>>,
    pub(super) listings: usize,
}

impl Reader {
    /// Takes events in, and returns them as short lines.
    pub(super) fn read(&mut self, index: &mut Index) -> Vec<String> {
        let mut lines = Vec::new();
        for event in index.drain() {
            match event {
                Event::RelistStarted => {
                    self.listing = Some(BTreeSet::new());
                    lines.push("<".to_owned());
                }
                Event::Upserted(key, service) => {
                    lines.push(format!("+{key}"));
                    self.heard(&key);
                    self.rejected.remove(&key);
                    self.services.insert(key, service);
                }
                Event::Removed(key) => {
                    lines.push(format!("-{key}"));
                    let known =
                        self.services.remove(&key).is_some() | self.rejected.remove(&key).is_some();
                    assert!(known, "removed twice: {key}");
                }
                Event::Rejected(key, rejection) => {
                    lines.push(format!("!{key}"));
                    self.heard(&key);
                    self.rejected.insert(key, rejection.to_string());
                }
                Event::RelistDone => {
                    lines.push(">".to_owned());
                    let heard = self.listing.take().expect("a listing has begun");
                    self.services.retain(|key, _| heard.contains(key));
                    self.rejected.retain(|key, _| heard.contains(key));
                    self.listings += 1;
                }
            }
        }
        assert!(self.listing.is_none(), "a listing is drained whole");
        lines
    }

    fn heard(&mut self, key: &Key) {
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
    }

    /// The instances of a service, as `address status`.
    pub(super) fn instances(&self, namespace: &str, name: &str) -> Vec<String> {
        let service = self.services.get(&Key::new(namespace, name));
        let instances = service
            .map(|service| service.instances.as_slice())
            .unwrap_or_default();
        let status = |i: &consul_sync_core::Instance| {
            i.check
                .as_ref()
                .map_or("unchecked", |check| check.status.as_str())
        };
        instances
            .iter()
            .map(|i| format!("{} {}", i.address, status(i)))
            .collect()
    }
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|e| panic!("{e}"))
}

pub(super) fn service(name: &str, version: u32, spec: Value) -> slim::Service {
    decode(json!({
        "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "resourceVersion": version.to_string()},
        "spec": spec,
    }))
}

pub(super) fn cluster_ip(name: &str) -> slim::Service {
    service(name, 1, json!({"ports": [{"port": 80}]}))
}

pub(super) fn node_port(name: &str) -> slim::Service {
    service(
        name,
        1,
        json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}),
    )
}

pub(super) fn slice(name: &str, of: &str, version: u32, endpoints: Value) -> slim::EndpointSlice {
    decode(json!({
        "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "resourceVersion": version.to_string(),
                     "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080}],
        "endpoints": endpoints,
    }))
}

pub(super) fn endpoints(addresses: &[&str]) -> Value {
    addresses
        .iter()
        .map(|address| json!({"addresses": [address]}))
        .collect()
}

pub(super) fn on_node(node: &str, addresses: &[&str]) -> Value {
    addresses
        .iter()
        .map(|address| json!({"addresses": [address], "nodeName": node}))
        .collect()
}

pub(super) fn node(name: &str, version: u32, address: &str) -> slim::Node {
    decode(json!({
        "metadata": {"name": name, "uid": format!("u-{name}"), "resourceVersion": version.to_string()},
        "status": {"addresses": [{"type": "ExternalIP", "address": address}]},
    }))
}

pub(super) fn namespace(name: &str, version: u32, labels: Value) -> slim::Namespace {
    decode(
        json!({"metadata": {"name": name, "resourceVersion": version.to_string(), "labels": labels}}),
    )
}

pub(super) fn ingress(name: &str, version: u32, host: &str, service: &str) -> slim::Ingress {
    decode(json!({
        "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "resourceVersion": version.to_string()},
        "spec": {"rules": [{"host": host, "http": {"paths": [{"path": "/", "backend": {"service": {"name": service}}}]}}]},
    }))
}

pub(super) fn list<T>(index: &mut Index, objects: impl IntoIterator<Item = T>)
where
    Update: From<Change<T>>,
{
    index.apply(Change::<T>::RelistStarted);
    for object in objects {
        index.apply(Change::Upserted(object));
    }
    index.apply(Change::<T>::RelistDone);
}

/// Settings that need Services and EndpointSlices only.
pub(super) fn lean() -> ExportSettings {
    ExportSettings {
        node_ports: NodePorts::Off,
        ..ExportSettings::default()
    }
}

/// Settings that need every kind.
pub(super) fn all_kinds() -> ExportSettings {
    ExportSettings {
        ingress: true,
        namespace_selector: "sync=yes".parse().unwrap(),
        ..ExportSettings::default()
    }
}

/// An index that listed these, and a reader that read them.
pub(super) fn listed(
    settings: ExportSettings,
    services: Vec<slim::Service>,
    slices: Vec<slim::EndpointSlice>,
) -> (Index, Reader) {
    let mut index = Index::new(Arc::new(settings));
    list(&mut index, services);
    list(&mut index, slices);
    list::<slim::Node>(&mut index, []);
    list::<slim::Ingress>(&mut index, []);
    list(&mut index, [namespace("shop", 1, json!({"sync": "yes"}))]);
    let mut reader = Reader::default();
    reader.read(&mut index);
    assert_eq!(reader.listings, 1);
    (index, reader)
}
