//! What a cluster's users, controllers and kubelets would write.

use consul_sync_testbed::Client;
use serde_json::{Value, json};

use crate::objects::{service, services, slice, slices};

/// The port of every pod.
const PORT: u16 = 8080;
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
        self.create(&services(namespace), &service(name, PORT))
            .await;
        let slice = slice(name, PORT, ready(addresses));
        self.create(&slices(namespace), &slice).await;
    }

    /// The pods of a Service from now on.
    pub(crate) async fn scale(&self, name: &str, addresses: &[&str]) {
        let change = json!({ "endpoints": slice(name, PORT, ready(addresses))["endpoints"] });
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

fn ready<'a>(addresses: &'a [&'a str]) -> impl Iterator<Item = (&'a str, bool)> {
    addresses.iter().map(|address| (*address, true))
}
