//! A catalog as the suite for sources changes it: by transactions over HTTP, so on any server.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use async_trait::async_trait;
use consul_sync_consul::ConsulSource;
use consul_sync_core::{
    Key,
    testing::conformance::{Disturbance, World},
};
use serde_json::{Value, json};

/// A server, and what can be done to it.
#[async_trait]
pub(crate) trait Server: Send + Sync {
    /// Applies a transaction as a whole.
    async fn txn(&self, operations: &Value);

    /// Begins a disturbance. Answers whether it can.
    async fn begin(&mut self, disturbance: Disturbance) -> bool;

    /// Ends one that lasts.
    async fn end(&mut self, disturbance: Disturbance);

    /// Queries that are held now, where they can be counted.
    fn open(&self) -> Option<usize>;
}

/// The world behind a source.
pub(crate) struct Behind<S> {
    pub(crate) server: S,
    source: ConsulSource,
    /// The IDs of the instances of each service.
    ids: BTreeMap<Key, Vec<String>>,
}

/// The node that holds the suite's services.
const NODE: &str = "suite";

impl<S: Server> Behind<S> {
    pub(crate) async fn new(server: S, source: ConsulSource) -> Self {
        let node =
            json!([{"Node": {"Verb": "set", "Node": {"Node": NODE, "Address": "10.9.0.9"}}}]);
        server.txn(&node).await;
        Self {
            server,
            source,
            ids: BTreeMap::new(),
        }
    }

    async fn replace(&mut self, key: &Key, instances: Vec<Value>) {
        let name = key.name().as_ref();
        let id = |instance: &Value| instance["ID"].as_str().unwrap_or_default().to_owned();
        let ids: Vec<String> = instances.iter().map(id).collect();
        let old = self
            .ids
            .insert(key.clone(), ids.clone())
            .unwrap_or_default();
        let gone = old.into_iter().filter(|id| !ids.contains(id));
        let service = |verb: &str, service: Value| json!({"Service": {"Verb": verb, "Node": NODE, "Service": service}});
        let operations: Vec<Value> = gone
            .map(|id| service("delete", json!({"ID": id, "Service": name})))
            .chain(
                instances
                    .into_iter()
                    .map(|instance| service("set", instance)),
            )
            .collect();
        if !operations.is_empty() {
            self.server.txn(&Value::Array(operations)).await;
        }
    }
}

#[async_trait]
impl<S: Server> World for Behind<S> {
    type Source = ConsulSource;

    fn source(&self) -> &ConsulSource {
        &self.source
    }

    fn key(&self, number: usize) -> Key {
        Key::new("default", format!("service-{number}"))
    }

    async fn put(&mut self, key: &Key, addresses: &[IpAddr]) {
        let name = key.name();
        let instances = addresses.iter().map(|address| {
            json!({"ID": format!("{name}-{address}"), "Service": name.as_ref(), "Address": address, "Port": 80})
        });
        self.replace(key, instances.collect()).await;
    }

    async fn delete(&mut self, key: &Key) {
        self.replace(key, Vec::new()).await;
    }

    async fn spoil(&mut self, key: &Key) -> bool {
        let name = key.name();
        let bad = json!({"ID": format!("{name}-bad"), "Service": name.as_ref(), "Address": "10.0.0.1", "Port": 70_000});
        self.replace(key, vec![bad]).await;
        true
    }

    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        self.server.begin(disturbance).await
    }

    async fn end(&mut self, disturbance: Disturbance) {
        self.server.end(disturbance).await;
    }

    async fn moment(&self) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn limit(&self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    fn open(&self) -> Option<usize> {
        self.server.open()
    }
}
