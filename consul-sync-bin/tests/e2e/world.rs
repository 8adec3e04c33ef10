//! What a cluster's users, controllers and kubelets would write.

use consul_sync_testbed::Client;
use serde_json::{Value, json};

/// The namespace that scenarios live in.
const NAMESPACE: &str = "default";

/// Writes into a cluster, as nobody else does: there are no controllers.
pub(crate) struct World<'a>(pub(crate) &'a Client);

impl World<'_> {
    /// A ClusterIP Service on port 80 whose pods have these addresses, all ready.
    pub(crate) async fn web(&self, name: &str, addresses: &[&str]) {
        self.web_of(NAMESPACE, name, addresses).await;
    }

    /// The same in a namespace of its own, which is made.
    pub(crate) async fn web_of_tenant(&self, namespace: &str, name: &str, addresses: &[&str]) {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": namespace },
        });
        self.create("/api/v1/namespaces", &object).await;
        self.web_of(namespace, name, addresses).await;
    }

    async fn web_of(&self, namespace: &str, name: &str, addresses: &[&str]) {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name },
            "spec": { "clusterIP": "None", "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
        });
        self.create(&services(namespace), &service).await;
        self.create(&slices(namespace), &slice(name, addresses))
            .await;
    }

    /// The pods of a Service from now on.
    pub(crate) async fn scale(&self, name: &str, addresses: &[&str]) {
        let change = json!({ "endpoints": slice(name, addresses)["endpoints"] });
        self.0
            .merge(&format!("{}/{name}-1", slices(NAMESPACE)), &change)
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    pub(crate) async fn annotate(&self, name: &str, key: &str, value: &str) {
        self.annotate_of(NAMESPACE, name, key, value).await;
    }

    /// The same for a Service of another namespace.
    pub(crate) async fn annotate_of(&self, namespace: &str, name: &str, key: &str, value: &str) {
        let change = json!({ "metadata": { "annotations": { format!("consul.hashicorp.com/{key}"): value } } });
        self.0
            .merge(&format!("{}/{name}", services(namespace)), &change)
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    /// A Service and its pods.
    pub(crate) async fn delete(&self, name: &str) {
        self.0
            .delete(&format!("{}/{name}", services(NAMESPACE)))
            .await
            .unwrap()
            .success()
            .unwrap();
        self.0
            .delete(&format!("{}/{name}-1", slices(NAMESPACE)))
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    async fn create(&self, path: &str, object: &Value) {
        self.0.post(path, object).await.unwrap().success().unwrap();
    }
}

fn services(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services")
}

fn slices(namespace: &str) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
}

fn slice(name: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": format!("{name}-1"), "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
    })
}
