//! The source against the suite for sources, over a real API server.
//!
//! It is the suite that `consul-sync-k8s` runs over a cluster in memory. What can be done to a real server here is to
//! start it anew, to compact its store, and to take rights away.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use consul_sync_core::{
    Key,
    testing::conformance::{self, Disturbance, World},
};
use consul_sync_k8s::{ExportSettings, KubeSource};
use consul_sync_testbed::{ApiServer, Client, Result};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::cluster::{RBAC, brisk, cluster, deleted, is_there, without_nodes};

const NAMESPACE: &str = "suite";
/// How many random histories are played, beside the named cases. Each takes a minute.
const HISTORIES: &str = "SOURCE_HISTORIES";
/// How many clusters share the cases.
const CLUSTERS: usize = 4;
/// The annotation that spoils a Service when it names no port of it.
const PORT: &str = "consul.hashicorp.com/service-port";

/// A real cluster, as the suite changes it.
struct Cluster {
    api: Arc<ApiServer>,
    source: KubeSource,
    /// The binding that gives the source its rights.
    binding: Value,
    /// Whether anything went wrong since there was nothing.
    disturbed: bool,
    /// The services that there are.
    held: BTreeSet<Key>,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let api = Arc::new(ApiServer::start().await?);
        api.namespace(NAMESPACE).await?;
        let settings = ExportSettings {
            source_namespace: Some(NAMESPACE.to_owned()),
            ..without_nodes()
        };
        let client = cluster(&api, &settings).await?;
        let mut binding = api.client().get(&binding()).await?.json()?;
        binding["metadata"] = json!({"name": binding["metadata"]["name"]});
        Ok(Self {
            api,
            source: KubeSource::new(client, settings).with_watch_settings(brisk()),
            binding,
            disturbed: false,
            held: BTreeSet::new(),
        })
    }

    /// Makes the Service as it is asked for, whatever it was.
    async fn write(&mut self, key: &Key, service: &Value) -> Result<()> {
        // The suite leaves nothing behind.
        self.disturbed &= !self.held.is_empty();
        self.held.insert(key.clone());
        let services = services();
        let mut new = service.clone();
        let annotations = &mut new["metadata"]["annotations"];
        if annotations[PORT].is_null() {
            *annotations = json!({});
        }
        let made = self.api.client().post(&services, &new).await?;
        if made.status == 409 {
            let path = format!("{services}/{}", key.name());
            return deleted(self.api.client().merge(&path, service).await?);
        }
        deleted(made)
    }

    /// Starts the server anew: every connection breaks.
    async fn again(&self) -> Result<()> {
        let api = Arc::clone(&self.api);
        // The suite's futures go between threads, and this one does not.
        tokio::task::spawn_local(async move { api.restart().await })
            .await
            .expect("it does not panic")
    }

    async fn forget(&self) -> Result<()> {
        let now = self.api.client().get(&services()).await?.json()?;
        let compaction = json!({"revision": now["metadata"]["resourceVersion"], "physical": true});
        Client::plain(self.api.etcd().url())?
            .post("/v3/kv/compaction", &compaction)
            .await?
            .success()?;
        self.again().await
    }
}

fn services() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/services")
}

fn binding() -> String {
    format!("{}/consul-sync", bindings())
}

fn bindings() -> String {
    format!("{RBAC}/namespaces/{NAMESPACE}/rolebindings")
}

fn service(key: &Key, addresses: &[IpAddr], port: Option<&str>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": key.name().as_ref(),
            "annotations": {PORT: port},
        },
        "spec": {"ports": [{"port": 80}], "externalIPs": addresses},
    })
}

#[async_trait]
impl World for Cluster {
    type Source = KubeSource;

    fn source(&self) -> &KubeSource {
        &self.source
    }

    fn key(&self, number: usize) -> Key {
        Key::new(NAMESPACE, format!("s{number}"))
    }

    async fn put(&mut self, key: &Key, addresses: &[IpAddr]) {
        let service = service(key, addresses, None);
        self.write(key, &service).await.expect("it can be written");
    }

    async fn delete(&mut self, key: &Key) {
        let path = format!("{}/{}", services(), key.name());
        let answer = self.api.client().delete(&path).await;
        answer.and_then(deleted).expect("it can be deleted");
        self.held.remove(key);
    }

    async fn spoil(&mut self, key: &Key) -> bool {
        let bad = service(key, &[], Some("no port of it"));
        self.write(key, &bad).await.expect("it can be written");
        true
    }

    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        match disturbance {
            Disturbance::Break => self.again().await.expect("it starts again"),
            Disturbance::Forget => self.forget().await.expect("it starts again"),
            Disturbance::Denied => {
                let answer = self.api.client().delete(&binding()).await;
                answer.and_then(deleted).expect("it can be deleted");
            }
            // While the server is away, nothing can be changed.
            _ => return false,
        }
        self.disturbed = true;
        true
    }

    async fn end(&mut self, disturbance: Disturbance) {
        if disturbance == Disturbance::Denied {
            let answer = self.api.client().post(&bindings(), &self.binding).await;
            answer.and_then(deleted).expect("it can be made");
        }
    }

    async fn moment(&self) {
        let settings = brisk();
        let mut time = settings.backoff_most;
        if self.disturbed {
            // A watch that failed before is known to be well when it says something, or ends as it should. Then the
            // source gives a sign of life, if need be by what it said before.
            time += settings.watch_timeout + Duration::from_millis(300);
        }
        tokio::time::sleep(time).await;
    }

    async fn limit(&self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn a_source_over_a_real_server_keeps_the_protocol() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let histories = std::env::var(HISTORIES).ok();
    let histories = histories.and_then(|text| text.parse().ok()).unwrap_or(0);
    // Most of the time is spent on waiting.
    let starting = (0..CLUSTERS).map(|_| Cluster::start());
    let mut clusters = try_join_all(starting).await?;
    let suite = conformance::source_over(&mut clusters, 0..histories);
    let report = LocalSet::new().run_until(suite).await;
    let made: Vec<_> = report.disturbances.into_keys().collect();
    assert_eq!(
        made,
        [Disturbance::Break, Disturbance::Forget, Disturbance::Denied]
    );
    Ok(())
}
