//! The requests that the sink makes, of the API server in memory and of a real one: both answer alike.
//!
//! In bodies `$uid`, `$version` and `$old` stand for what the server last said of the object that the step names: its UID,
//! its version, and the version before that.

use std::collections::BTreeMap;

use bytes::Bytes;
use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{ApiServer, Client, Result};
use http::Method;
use serde_json::{Value, json};

use super::{is_there, steps::steps};

/// One request: what it is for, how, where, and with what.
#[derive(Debug)]
pub(crate) struct Step(
    pub(crate) &'static str,
    pub(crate) How,
    pub(crate) String,
    pub(crate) Value,
);

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Create,
    Apply,
    Merge,
    Delete,
    Get,
}

/// One of the two servers, and the versions of its objects.
struct Side {
    client: Client,
    versions: BTreeMap<String, (String, String, String)>,
}

impl Side {
    fn new(client: Client) -> Self {
        Self {
            client,
            versions: BTreeMap::new(),
        }
    }

    /// The status, the reason of a refusal, and the parts of an object that do not differ from server to server.
    async fn run(&mut self, step: &Step) -> Result<Value> {
        let Step(_, how, path, body) = step;
        let object = path.split('?').next().unwrap_or_default().to_owned();
        let mut text = body.to_string();
        if let Some((uid, version, old)) = self.versions.get(&object) {
            text = text
                .replace("$uid", uid)
                .replace("$version", version)
                .replace("$old", old);
        }
        let (method, content) = match how {
            How::Create => (Method::POST, "application/json"),
            How::Apply => (Method::PATCH, "application/apply-patch+yaml"),
            How::Merge => (Method::PATCH, "application/merge-patch+json"),
            How::Delete => (Method::DELETE, "application/json"),
            How::Get => (Method::GET, "application/json"),
        };
        let text = if matches!(how, How::Get) {
            String::new()
        } else {
            text
        };
        let answer = self
            .client
            .send(method, path, content, Bytes::from(text))
            .await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status >= 300 {
            return Ok(json!({"status": answer.status, "reason": body["reason"]}));
        }
        let metadata = &body["metadata"];
        if let (Some(uid), Some(version)) = (
            metadata["uid"].as_str(),
            metadata["resourceVersion"].as_str(),
        ) {
            let name = metadata["name"].as_str().unwrap_or_default();
            let object = if matches!(how, How::Create) {
                format!("{}/{name}", object.trim_end_matches('/'))
            } else {
                object
            };
            let known = self
                .versions
                .get(&object)
                .map(|(_, version, _)| version.clone());
            let old = known.filter(|known| known != version);
            let old = old.or_else(|| self.versions.get(&object).map(|(_, _, old)| old.clone()));
            self.versions.insert(
                object,
                (uid.to_owned(), version.to_owned(), old.unwrap_or_default()),
            );
        }
        Ok(json!({"status": answer.status, "object": comparable(body)}))
    }
}

/// An object without what a server chooses by itself.
fn comparable(mut object: Value) -> Value {
    if object["kind"] == "Status" {
        return json!({"status": object["status"]});
    }
    let ending = object["metadata"]["deletionTimestamp"].is_string();
    let metadata = &object["metadata"];
    let metadata = json!({
        "name": metadata["name"],
        "labels": metadata["labels"],
        "annotations": metadata["annotations"],
        "finalizers": metadata["finalizers"],
        "ending": ending,
    });
    object["metadata"] = metadata;
    for field in ["clusterIP", "clusterIPs"] {
        if let Some(chosen) = object["spec"].get_mut(field)
            && *chosen != "None"
            && *chosen != json!(["None"])
        {
            *chosen = json!("chosen");
        }
    }
    object
}

#[tokio::test]
async fn both_servers_answer_the_sinks_requests_alike() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::shared().await?;
    api.namespace("requests").await?;
    let server = FakeApiServer::start().await.expect("a port is free");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "requests"}});
    server.cluster().put(namespace);
    let mut real = Side::new(api.client().clone());
    let mut fake = Side::new(Client::plain(&server.url())?);
    let mut differences = Vec::new();
    for step in steps() {
        let (one, other) = (real.run(&step).await?, fake.run(&step).await?);
        if one != other {
            differences.push(format!("{}:\n  real {one}\n  fake {other}", step.0));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}
