//! What Consul holds, asked of Consul itself.

use std::collections::BTreeMap;

use consul_sync_testbed::{Answer, Client};
use serde_json::{Value, json};

use crate::until::until;

/// The node that the program registers on by default.
pub(crate) const NODE: &str = "k8s-sync";

/// Reads Consul's catalog.
pub(crate) struct Catalog<'a>(pub(crate) &'a Client);

impl Catalog<'_> {
    /// Every instance on the node, by its id; none while Consul does not answer.
    pub(crate) async fn instances(&self) -> BTreeMap<String, Value> {
        let path = format!("/v1/catalog/node-services/{NODE}?consistent");
        let Ok(answer) = self.0.get(&path).await.and_then(Answer::json) else {
            return BTreeMap::new();
        };
        let services = answer["Services"].as_array().cloned().unwrap_or_default();
        services
            .into_iter()
            .map(|service| {
                (
                    service["ID"].as_str().unwrap_or_default().to_owned(),
                    service,
                )
            })
            .collect()
    }

    /// The addresses of a service, sorted.
    pub(crate) async fn addresses(&self, name: &str) -> Vec<String> {
        let instances = self.instances().await;
        let mut addresses: Vec<String> = instances
            .values()
            .filter(|instance| instance["Service"] == name)
            .map(|instance| instance["Address"].as_str().unwrap_or_default().to_owned())
            .collect();
        addresses.sort();
        addresses
    }

    /// Waits until a service has exactly these addresses.
    pub(crate) async fn until_addresses(&self, name: &str, addresses: &[&str]) {
        until(
            &format!("{name} at {addresses:?}"),
            async || self.addresses(name).await,
            |seen| seen == addresses,
        )
        .await;
    }

    /// The highest index of anything that the program writes. A write that changes nothing moves none of these.
    pub(crate) async fn write_index(&self) -> u64 {
        let of = |value: &Value| value["ModifyIndex"].as_u64().unwrap_or(0);
        let instances = self.instances().await;
        let checks = self
            .0
            .get(&format!("/v1/health/node/{NODE}?consistent"))
            .await
            .unwrap()
            .json()
            .unwrap();
        let checks = checks.as_array().cloned().unwrap_or_default();
        instances.values().chain(&checks).map(of).max().unwrap_or(0)
    }

    /// Registers something that is not ours on a node of its own.
    pub(crate) async fn register(&self, registration: &Value) {
        self.0
            .put("/v1/catalog/register", registration)
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    /// Registers an instance on the program's node as somebody else would.
    pub(crate) async fn register_on_our_node(&self, id: &str, meta: &Value) {
        self.register(&json!({
            "Node": NODE,
            "Address": "127.0.0.1",
            "SkipNodeUpdate": true,
            "Service": { "ID": id, "Service": id, "Address": "10.9.9.9", "Port": 1, "Meta": meta },
        }))
        .await;
    }
}
