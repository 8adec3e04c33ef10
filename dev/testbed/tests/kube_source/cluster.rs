//! A cluster as the tests fill it, and a client of it with just the rights that some settings need.

use std::time::Duration;

use bytes::Bytes;
use consul_sync_k8s::{ExportSettings, NodePorts, Rights, Subject, WatchSettings};
use consul_sync_testbed::{Answer, ApiServer, Client, Program, Programs, Result};
use http::Method;
use serde_json::{Value, json};

pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
pub(crate) const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

pub(crate) fn is_there() -> bool {
    Programs::locate().all_or_skip(&[Program::Etcd, Program::KubeApiserver])
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 80, "targetPort": 8080}]},
    })
}

pub(crate) fn slice(name: &str, service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints,
    })
}

/// Applies the roles as they are shipped: YAML, document by document.
pub(crate) async fn grant(client: &Client, yaml: &str) -> Result<()> {
    for document in yaml.split("---\n") {
        let field = |name: &str| {
            let line = document
                .lines()
                .find(|line| line.trim_start().starts_with(name));
            line.and_then(|line| line.split_once(": "))
                .map(|(_, value)| value.to_owned())
        };
        let kind = field("kind:").expect("every document has a kind");
        let plural = format!("{}s", kind.to_lowercase());
        let in_namespace = document
            .lines()
            .nth(4)
            .and_then(|line| line.strip_prefix("  namespace: "));
        let path = match in_namespace {
            Some(namespace) => format!("{RBAC}/namespaces/{namespace}/{plural}"),
            None => format!("{RBAC}/{plural}"),
        };
        let body = Bytes::from(document.to_owned());
        client
            .send(Method::POST, &path, "application/yaml", body)
            .await?
            .success()?;
    }
    Ok(())
}

/// A cluster, and a client of it with the rights that the settings need.
pub(crate) async fn cluster(api: &ApiServer, settings: &ExportSettings) -> Result<kube::Client> {
    let account = api.service_account("consul-sync", "consul-sync").await?;
    let rights = Rights::needed(settings, true);
    grant(api.client(), &rights.to_yaml(&Subject::default())).await?;
    Ok(client(&account.kubeconfig).await)
}

pub(crate) async fn client(kubeconfig: &std::path::Path) -> kube::Client {
    let file =
        kube::config::Kubeconfig::read_from(kubeconfig).expect("the testbed writes kubeconfigs");
    let mut config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .expect("the testbed's kubeconfigs can be used");
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client needs no server")
}

/// Settings that need no Nodes.
pub(crate) fn without_nodes() -> ExportSettings {
    ExportSettings {
        node_ports: NodePorts::Off,
        ..ExportSettings::default()
    }
}

/// Watches short enough for a test to see them end.
pub(crate) fn brisk() -> WatchSettings {
    WatchSettings {
        watch_timeout: Duration::from_secs(2),
        backoff_least: Duration::from_millis(50),
        backoff_most: Duration::from_millis(500),
        ..WatchSettings::default()
    }
}

pub(crate) async fn fill(client: &Client) -> Result<()> {
    for name in ["web", "db"] {
        client.post(SERVICES, &service(name)).await?.success()?;
    }
    client
        .post(SLICES, &slice("web-1", "web", &["10.1.0.1", "10.1.0.2"]))
        .await?
        .success()?;
    client
        .post(SLICES, &slice("db-1", "db", &["10.1.0.9"]))
        .await?
        .success()?;
    Ok(())
}

pub(crate) fn deleted(answer: Answer) -> Result<()> {
    answer.success().map(drop)
}
