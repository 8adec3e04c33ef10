//! Telling whoever looks at a Service that it stands in the way of one from Consul.

use std::sync::{Arc, PoisonError};

use consul_sync_core::{SinkError, Slot, Standing};
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use kube::{api::PostParams, client::Body, core::Request};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{KubeSink, place::parts, write::LIMIT};
use crate::{
    Verb, digest, mark,
    watch::{Asked, Problem},
};

impl KubeSink {
    /// Puts an Event on somebody else's Service that holds a slot which is wanted, so that its owners learn of it.
    /// One object is told once, also over restarts while the cluster keeps the Event; the name of the Event follows from
    /// the object's UID. Answers whether an Event was written now.
    ///
    /// Nothing is written when the Service is ours, or gone, or events are off. Meant for
    /// [`Observer::blocked`](consul_sync_core::Observer::blocked). The Event's time is the server's: no clock here is asked.
    ///
    /// # Errors
    /// When the server does not answer, or a right is missing. Nothing is tried again.
    ///
    /// # Examples
    /// ```
    /// use consul_sync_core::{Owner, Slot};
    /// use consul_sync_k8s::{ImportSettings, KubeSink, testing::FakeCluster};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = FakeCluster::new();
    /// cluster.put(serde_json::json!({
    ///     "apiVersion": "v1", "kind": "Service",
    ///     "metadata": {"namespace": "default", "name": "web"},
    ///     "spec": {"ports": [{"port": 80}]},
    /// }));
    /// let sink = KubeSink::new(cluster.client(), ImportSettings::new(Owner::new("cluster-a")?))?;
    /// let slot = Slot::new("default/web")?;
    /// assert!(sink.tell_in_the_way(&slot).await?);
    /// assert!(!sink.tell_in_the_way(&slot).await?, "once");
    /// assert_eq!(cluster.list("events")[0]["reason"], "NameTaken");
    /// # Ok(()) }
    /// ```
    pub async fn tell_in_the_way(&self, slot: &Slot) -> Result<bool, SinkError> {
        if !self.inner.placement.settings.events {
            return Ok(false);
        }
        let held = self.inner.read_slot(slot).await?;
        let service = held
            .records
            .into_iter()
            .find(|held| !held.record.is_slice());
        let Some(service) = service.filter(|held| held.standing == Standing::Foreign) else {
            return Ok(false);
        };
        let uid = service.version.uid;
        if self.has_told(&uid) {
            return Ok(false);
        }
        let (namespace, _) = parts(slot);
        let asked = Asked {
            verb: Verb::Create,
            group: "",
            resource: "events",
            namespace: Some(namespace),
            name: None,
        };
        let now = self.servers_time(slot).await;
        let body = self.event(slot, &uid, now).to_string().into_bytes();
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/events"))
            .create(&PostParams::default(), body)
            .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)).error)?;
        let is_new = match timeout(LIMIT, self.inner.client.request_text(request)).await {
            Ok(Ok(_)) => true,
            // Told before a restart, or by another replica.
            Ok(Err(kube::Error::Api(status))) if status.reason == "AlreadyExists" => false,
            Ok(Err(error)) => return Err(Problem::of(asked, error).error),
            Err(_) => return Err(Problem::timeout(asked, LIMIT).error),
        };
        let mut told = self
            .inner
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        told.insert(uid);
        Ok(is_new)
    }

    /// What the server's clock says, by an answer's header; none where that has no time.
    async fn servers_time(&self, slot: &Slot) -> Option<Timestamp> {
        let (namespace, name) = parts(slot);
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
        let request = http::Request::get(path).body(Body::empty()).ok()?;
        let answer = timeout(LIMIT, self.inner.client.send(request)).await.ok()?;
        let answer = answer.ok()?;
        let date = answer.headers().get(http::header::DATE)?.to_str().ok()?;
        let time = rfc2822::parse(date).ok()?;
        Some(time.timestamp())
    }

    fn has_told(&self, uid: &Arc<str>) -> bool {
        let told = self
            .inner
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        told.contains(uid)
    }

    fn event(&self, slot: &Slot, uid: &str, now: Option<Timestamp>) -> Value {
        let (namespace, name) = parts(slot);
        let owner = &self.inner.placement.owner;
        let now = now.map(|now| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "namespace": namespace,
                "name": format!("{name}.{}", digest::hex(format!("{uid} {owner}").as_bytes())),
            },
            "involvedObject": {
                "apiVersion": "v1", "kind": "Service", "namespace": namespace, "name": name, "uid": uid,
            },
            "type": "Warning",
            "reason": "NameTaken",
            "message": "a service of Consul has this name in Kubernetes, and stays out because this Service is not \
                        consul-sync's; rename one of them, or set a prefix",
            "source": {"component": mark::MANAGER},
            "reportingComponent": mark::MANAGER,
            "reportingInstance": &**owner,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        })
    }
}
