//! A namespace of its own for each test.

use std::time::Duration;

use consul_sync_k8s::{ImportSettings, KubeSink, Mode, Rights, Subject};
use consul_sync_testbed::{ApiServer, Result};
use serde_json::Value;

use super::{
    cluster::{client, grant},
    round::{self, Round},
};

/// How long a stream is silent before it has said everything: nothing is measured by it.
pub(crate) const STILL: Duration = Duration::from_millis(300);

/// A namespace, and a sink that may write there and nowhere else.
pub(crate) struct Place {
    pub(crate) api: &'static ApiServer,
    pub(crate) namespace: &'static str,
    pub(crate) sink: KubeSink,
}

impl Place {
    pub(crate) async fn new(namespace: &'static str, mode: Mode) -> Result<Self> {
        let api = ApiServer::shared().await?;
        api.namespace(namespace).await?;
        let mut settings: ImportSettings = round::settings(mode);
        settings.namespace = namespace.to_owned();
        let account = api.service_account(namespace, "consul-sync").await?;
        let subject = Subject {
            namespace: namespace.to_owned(),
            ..Subject::default()
        };
        let rights = Rights::to_import(&settings, false).to_yaml(&subject);
        assert!(!rights.contains("ClusterRole"));
        grant(api.client(), &rights).await?;
        let sink = KubeSink::new(client(&account.kubeconfig).await, settings);
        Ok(Self {
            api,
            namespace,
            sink: sink.expect("the settings are good"),
        })
    }

    pub(crate) async fn round(&self) -> Round {
        Round::over(self.sink.clone(), STILL).await
    }

    pub(crate) fn services(&self) -> String {
        format!("/api/v1/namespaces/{}/services", self.namespace)
    }

    pub(crate) fn slices(&self) -> String {
        format!(
            "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
            self.namespace
        )
    }

    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let list = self.api.client().get(path).await?.json()?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    pub(crate) async fn service(&self, name: &str) -> Result<Value> {
        let path = format!("{}/{name}", self.services());
        self.api.client().get(&path).await?.json()
    }

    /// Changes an object as somebody else would.
    pub(crate) async fn merge(&self, path: &str, change: &Value) -> Result<()> {
        self.api
            .client()
            .merge(path, change)
            .await?
            .success()
            .map(drop)
    }
}
