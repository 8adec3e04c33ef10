//! What other people register in Consul, and what becomes of it in the cluster.

use std::collections::BTreeMap;

use consul_sync_testbed::{Answer, Client};
use serde_json::{Value, json};

use crate::{
    objects::{services, slices},
    until::until,
};

/// The node that other people's instances are on.
const NODE: &str = "legacy";
/// The port of every instance.
const PORT: u16 = 9090;
/// The label of what the program wrote.
const OWNER: &str = "consul-sync.io/owner";
/// Where it writes to by default.
pub(crate) const NAMESPACE: &str = "default";

/// Registers instances in Consul as somebody else does.
pub(crate) struct Registered<'a>(pub(crate) &'a Client);

impl Registered<'_> {
    /// Instances of a service, all passing.
    pub(crate) async fn put(&self, name: &str, addresses: &[&str]) {
        for address in addresses {
            self.put_as(name, address, "passing").await;
        }
    }

    /// One instance with a health.
    pub(crate) async fn put_as(&self, name: &str, address: &str, status: &str) {
        let id = format!("{name}-{address}");
        let registration = json!({
            "Node": NODE, "Address": "10.9.0.1",
            "Service": { "ID": id, "Service": name, "Address": address, "Port": PORT },
            "Check": { "Node": NODE, "CheckID": id, "Name": "alive", "ServiceID": id, "Status": status },
        });
        self.send("/v1/catalog/register", &registration).await;
    }

    /// Takes an instance away.
    pub(crate) async fn remove(&self, name: &str, address: &str) {
        let gone = json!({ "Node": NODE, "ServiceID": format!("{name}-{address}") });
        self.send("/v1/catalog/deregister", &gone).await;
    }

    /// Everything that is there of other people, whole.
    pub(crate) async fn all(&self) -> Value {
        let path = format!("/v1/catalog/node-services/{NODE}?consistent");
        self.0.get(&path).await.unwrap().json().unwrap()
    }

    async fn send(&self, path: &str, body: &Value) {
        self.0.put(path, body).await.unwrap().success().unwrap();
    }
}

/// Reads the namespace that is written to.
pub(crate) struct Cluster<'a>(pub(crate) &'a Client);

impl Cluster<'_> {
    /// A Service by its name.
    pub(crate) async fn service(&self, name: &str) -> Option<Value> {
        let answer = self.0.get(&format!("{}/{name}", services(NAMESPACE))).await;
        answer.and_then(Answer::json).ok()
    }

    /// The endpoints of a Service and whether each is ready. One that is there twice is told as such.
    pub(crate) async fn endpoints(&self, name: &str) -> BTreeMap<String, bool> {
        let mut endpoints = BTreeMap::new();
        for slice in self.list(&slices(NAMESPACE)).await {
            if slice["metadata"]["labels"]["kubernetes.io/service-name"] != name {
                continue;
            }
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                for address in endpoint["addresses"].as_array().into_iter().flatten() {
                    let ready = endpoint["conditions"]["ready"] == true;
                    let address = address.as_str().unwrap_or_default();
                    if endpoints.insert(address.to_owned(), ready).is_some() {
                        endpoints.insert(format!("{address} twice"), ready);
                    }
                }
            }
        }
        endpoints
    }

    /// Waits until a Service has exactly these endpoints.
    pub(crate) async fn until_endpoints(&self, name: &str, wanted: &[(&str, bool)]) {
        let wanted: BTreeMap<String, bool> = wanted
            .iter()
            .map(|(address, ready)| ((*address).to_owned(), *ready))
            .collect();
        until(
            &format!("{name} at {wanted:?}"),
            async || self.endpoints(name).await,
            |seen| *seen == wanted,
        )
        .await;
    }

    /// Waits until a Service is there, or is not.
    pub(crate) async fn until_service(&self, name: &str, is_there: bool) -> Value {
        let what = format!("Service {name}: {is_there}");
        let seen = until(
            &what,
            async || self.service(name).await,
            |seen| seen.is_some() == is_there,
        );
        seen.await.unwrap_or_default()
    }

    /// Everything that the program wrote, by kind and name, with the version of each.
    pub(crate) async fn ours(&self) -> BTreeMap<String, String> {
        let mut ours = BTreeMap::new();
        for (kind, path) in [
            ("service", services(NAMESPACE)),
            ("slice", slices(NAMESPACE)),
        ] {
            for object in self.list(&path).await {
                let metadata = &object["metadata"];
                if metadata["labels"][OWNER].is_string() {
                    let text =
                        |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
                    ours.insert(format!("{kind} {}", text("name")), text("resourceVersion"));
                }
            }
        }
        ours
    }

    /// The names of Services that the program wrote.
    pub(crate) async fn names(&self) -> Vec<String> {
        let ours = self.ours().await.into_keys();
        ours.filter_map(|name| Some(name.strip_prefix("service ")?.to_owned()))
            .collect()
    }

    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let Ok(list) = self.0.get(path).await.and_then(Answer::json) else {
            return Vec::new();
        };
        list["items"].as_array().cloned().unwrap_or_default()
    }
}
