//! The API server that is written to.

use std::collections::BTreeMap;

use consul_sync_testbed::{ApiServer, Client};
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    processor::Processor,
    shown::Shown,
};

/// The path of Services, and of EndpointSlices.
const KINDS: [(&str, &str); 2] = [
    ("api/v1", "services"),
    ("apis/discovery.k8s.io/v1", "endpointslices"),
];

/// The namespace that is written to.
pub(super) const NAMESPACE: &str = "imports";

/// An API server that holds nothing, and what it comes to show.
///
/// Each measurement has one of its own: what it costs to create a Service grows with those that have addresses already.
pub(super) struct Cluster {
    pub(super) api: ApiServer,
    pub(super) shown: Shown,
}

impl Cluster {
    pub(super) async fn start() -> Result<Self> {
        let api = ApiServer::start().await?;
        api.namespace(NAMESPACE).await?;
        let shown = Shown::follow(api.client(), NAMESPACE).await?;
        Ok(Self { api, shown })
    }

    /// The API server's processor time from now on, with its store's.
    pub(super) fn processor(&self) -> Result<Processor> {
        Processor::of([self.api.process_id(), self.api.etcd().process_id()])
    }

    /// Everything that was written, with the paths that it would be created at: one list a Service, itself, then its
    /// slices.
    pub(super) async fn written(&self) -> Result<Vec<Vec<(String, Value)>>> {
        let mut lists: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
        for path in paths() {
            for object in items(self.api.client(), &path).await? {
                let metadata = &object["metadata"];
                let service = metadata["labels"]["kubernetes.io/service-name"].as_str();
                let service = service.or(metadata["name"].as_str());
                let service = service.unwrap_or_default().to_owned();
                let list = lists.entry(service).or_default();
                list.push((path.clone(), plain(object)));
            }
        }
        Ok(lists.into_values().collect())
    }

    /// The names of all objects, with their versions.
    pub(super) async fn versions(&self) -> Result<BTreeMap<String, Value>> {
        let mut versions = BTreeMap::new();
        for path in paths() {
            for object in items(self.api.client(), &path).await? {
                let metadata = &object["metadata"];
                let name = format!("{path}/{}", metadata["name"]);
                versions.insert(name, metadata["resourceVersion"].clone());
            }
        }
        Ok(versions)
    }
}

/// Where Services and EndpointSlices are, in this order.
fn paths() -> [String; 2] {
    KINDS.map(|(group, resource)| format!("/{group}/namespaces/{NAMESPACE}/{resource}"))
}

async fn items(client: &Client, path: &str) -> Result<Vec<Value>> {
    let mut list = client.get(path).await?.json()?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        other => Err(Error::wrong(format!("{path} lists {other}"))),
    }
}

/// An object without what the API server gave it.
fn plain(mut object: Value) -> Value {
    let metadata = object["metadata"].take();
    let given = ["name", "labels", "annotations"];
    let kept = given.map(|field| (field.to_owned(), metadata[field].clone()));
    object["metadata"] = Value::Object(kept.into_iter().collect::<Map<_, _>>());
    if let Some(parts) = object.as_object_mut() {
        parts.remove("status");
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.retain(|field, _| field == "type" || field == "ports");
    }
    if object["spec"].is_null()
        && let Some(parts) = object.as_object_mut()
    {
        parts.remove("spec");
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_loaded_is_what_was_written_without_what_the_server_gave() {
        let metadata = json!({"name": "web", "namespace": "a", "uid": "1", "labels": {"l": "1"}, "annotations": {}});
        let service = json!({"metadata": metadata, "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [1]},
            "status": {}});
        let kept = json!({"name": "web", "labels": {"l": "1"}, "annotations": {}});
        assert_eq!(
            plain(service),
            json!({"metadata": kept, "spec": {"type": "ClusterIP", "ports": [1]}})
        );
        let slice = json!({"metadata": metadata, "addressType": "IPv4"});
        assert_eq!(
            plain(slice),
            json!({"metadata": kept, "addressType": "IPv4"})
        );
    }
}
