//! Consul's catalog as the measurements see it.

use std::{collections::HashMap, time::Duration};

use consul_sync_testbed::Client;
use serde_json::{Map, Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::error::{Error, Result};

/// The node that consul-sync registers on.
pub(crate) const NODE: &str = "k8s-sync";
/// How often the position in Consul's log is looked at; a figure is this coarse.
const LOOK: Duration = Duration::from_millis(10);

/// What is registered on the node.
pub(crate) struct Registered {
    /// Instances, each with its check where it has one, as the parts of a transaction that would write them.
    pub(crate) writes: Vec<Vec<Value>>,
    /// The newest index of any of them.
    pub(crate) newest: u64,
}

impl Registered {
    /// Reads all of it, consistently.
    pub(crate) async fn read(client: &Client) -> Result<Self> {
        let services = format!("/v1/catalog/node-services/{NODE}?consistent");
        let services = client.get(&services).await?.json()?;
        let checks = format!("/v1/health/node/{NODE}?consistent");
        let checks = client.get(&checks).await?.json()?;
        Ok(Self::new(&services, &checks))
    }

    fn new(services: &Value, checks: &Value) -> Self {
        let checks = checks.as_array().map_or(&[][..], Vec::as_slice);
        let by_service: HashMap<&str, &Value> = checks
            .iter()
            .filter_map(|check| Some((check["ServiceID"].as_str()?, check)))
            .collect();
        let services = services["Services"].as_array();
        let services = services.map_or(&[][..], Vec::as_slice);
        let versions = services.iter().chain(checks);
        let newest = versions
            .filter_map(|entry| entry["ModifyIndex"].as_u64())
            .max();
        let writes = services.iter().map(|service| {
            let check = service["ID"].as_str().and_then(|id| by_service.get(id));
            let service =
                json!({ "Service": { "Verb": "set", "Node": NODE, "Service": plain(service) } });
            let check =
                check.map(|check| json!({ "Check": { "Verb": "set", "Check": plain(check) } }));
            [service].into_iter().chain(check).collect()
        });
        Self {
            writes: writes.collect(),
            newest: newest.unwrap_or(0),
        }
    }
}

/// The entry as it was written: without its indexes, and without what Consul adds.
fn plain(entry: &Value) -> Value {
    let parts = entry.as_object().cloned().unwrap_or_default();
    let given = [
        "ID",
        "Service",
        "Tags",
        "Address",
        "Port",
        "Ports",
        "Meta",
        "Node",
        "CheckID",
        "Name",
        "Status",
        "Notes",
        "Output",
        "Type",
        "ServiceID",
        "ServiceName",
        "Namespace",
    ];
    parts
        .into_iter()
        .filter(|(key, value)| {
            given.contains(&key.as_str()) && !value.is_null() && *value != json!("")
        })
        .collect::<Map<_, _>>()
        .into()
}

/// Follows how far Consul's log is, cheaply, from when it is made until it is ended.
pub(crate) struct LogWatch {
    task: JoinHandle<Vec<(Instant, u64)>>,
    end: tokio::sync::oneshot::Sender<()>,
}

impl LogWatch {
    pub(crate) fn start(client: &Client) -> Self {
        let client = client.keeping_connections();
        let (end, mut ended) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut seen: Vec<(Instant, u64)> = Vec::new();
            loop {
                if let Ok(index) = commit_index(&client).await
                    && seen.last().is_none_or(|(_, last)| *last != index)
                {
                    seen.push((Instant::now(), index));
                }
                tokio::select! {
                    () = sleep(LOOK) => {}
                    _ = &mut ended => return seen,
                }
            }
        });
        Self { task, end }
    }

    /// Ends it.
    pub(crate) fn end(self) {
        // Fails only when the task ended before.
        let _ = self.end.send(());
    }

    /// When the log passed an index.
    pub(crate) async fn passed(self, index: u64) -> Result<Instant> {
        let _ = self.end.send(());
        let seen = self.task.await;
        let seen =
            seen.map_err(|error| Error::wrong(format!("the watch of the log ended: {error}")))?;
        let passed = seen.iter().find(|(_, at)| *at >= index);
        passed
            .map(|(when, _)| *when)
            .ok_or_else(|| Error::wrong(format!("Consul's log was never seen at {index}")))
    }
}

/// The last index that Consul's log holds for certain.
pub(crate) async fn commit_index(client: &Client) -> Result<u64> {
    let stats = client.get("/v1/agent/self").await?.json()?;
    let index = stats["Stats"]["raft"]["commit_index"].as_str();
    index
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::wrong("/v1/agent/self does not say how far the log is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_registered() {
        let services = json!({ "Services": [
            { "ID": "web-1", "Service": "web", "Tags": ["k8s"], "Address": "10.0.0.1", "Port": 80, "Meta": { "a": "b" },
              "Weights": { "Passing": 1, "Warning": 1 }, "EnableTagOverride": false, "CreateIndex": 3, "ModifyIndex": 9 },
        ] });
        let checks = json!([
            { "Node": NODE, "CheckID": "c", "Name": "n", "Status": "passing", "Notes": "", "ServiceID": "web-1",
              "ServiceName": "web", "ServiceTags": ["k8s"], "CreateIndex": 3, "ModifyIndex": 11 },
        ]);
        let read = Registered::new(&services, &checks);
        assert_eq!(read.newest, 11);
        let service = json!({ "ID": "web-1", "Service": "web", "Tags": ["k8s"], "Address": "10.0.0.1", "Port": 80, "Meta": { "a": "b" } });
        let check = json!({ "Node": NODE, "CheckID": "c", "Name": "n", "Status": "passing", "ServiceID": "web-1", "ServiceName": "web" });
        assert_eq!(
            read.writes,
            [vec![
                json!({ "Service": { "Verb": "set", "Node": NODE, "Service": service } }),
                json!({ "Check": { "Verb": "set", "Check": check } }),
            ]]
        );
    }
}
