//! One of the two servers, and what it answers.

use std::collections::BTreeMap;

use consul_sync_k8s::{Rights, testing::FakeCluster};
use consul_sync_testbed::{Answer, Client};
use http::Method;
use serde_json::{Value, json};

use super::{
    difference::tell,
    normal::Choices,
    objects,
    step::{At, Kind, Known, Place, Step},
    watched,
};

#[path = "reads.rs"]
mod reads;

/// What stands behind a side's client.
#[derive(Clone, Debug)]
pub(crate) enum Behind {
    /// A real server, and its store.
    Real(Box<Client>),
    Fake(FakeCluster),
}

/// One server, as one run sees it.
#[derive(Debug)]
pub(crate) struct Side {
    client: Client,
    /// A client of somebody who may do nothing; the fake is told so for the time of the request.
    nobody: Client,
    behind: Behind,
    prefix: String,
    choices: Choices,
    /// Version and UID of each object by its path: the first and the latest seen.
    known: BTreeMap<String, [(String, String); 2]>,
    /// Every version that was seen of an object in a namespace, oldest first.
    versions: Vec<String>,
    start: String,
}

/// An answer that can be compared.
pub(crate) type Seen = Value;

/// Tells the differences, place by place.
pub(crate) fn compare(real: &Seen, fake: &Seen) -> Result<(), String> {
    let mut text = String::new();
    tell(real, fake, "", &mut text);
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// A refusal in short.
pub(crate) fn refusal(answer: &Answer) -> Value {
    let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    json!({"status": answer.status, "reason": status["reason"], "kind": status["kind"]})
}

/// The names in a list.
pub(crate) fn names(list: &Value) -> Value {
    let items = list["items"].as_array().into_iter().flatten();
    let ours = items.filter(|item| item["metadata"]["name"] != "kubernetes");
    ours.map(|item| item["metadata"]["name"].clone()).collect()
}

impl Side {
    /// A side with its two namespaces.
    pub(crate) async fn start(
        client: Client,
        nobody: Client,
        behind: Behind,
        prefix: &str,
    ) -> Self {
        let mut side = Self {
            client,
            nobody,
            behind,
            prefix: prefix.to_owned(),
            choices: Choices::default(),
            known: BTreeMap::new(),
            versions: Vec::new(),
            start: String::new(),
        };
        for place in [Place::A, Place::B] {
            let namespace = json!({"metadata": {"name": side.namespace(place)}});
            let made = side
                .client
                .post(&Kind::Namespace.path(None), &namespace)
                .await;
            made.and_then(Answer::success)
                .expect("a namespace can be made");
        }
        let list = side
            .client
            .get(&Kind::Service.path(Some(&side.namespace(Place::A))))
            .await;
        let list = list.and_then(Answer::json).expect("services can be listed");
        list["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut side.start);
        side
    }

    fn namespace(&self, place: Place) -> String {
        let suffix = match place {
            Place::A => "a",
            Place::B => "b",
            Place::Missing => "missing",
        };
        format!("{}-{suffix}", self.prefix)
    }

    /// Names of kinds that live in no namespace must be this run's own.
    fn name(&self, kind: Kind, name: &str) -> String {
        if kind.is_namespaced() || name.is_empty() {
            name.to_owned()
        } else {
            format!("{}-{name}", self.prefix)
        }
    }

    fn path(&self, kind: Kind, place: Place, name: &str) -> String {
        let collection = kind.path(Some(&self.namespace(place)));
        format!("{collection}/{}", self.name(kind, name))
    }

    fn complete(&self, kind: Kind, name: Option<&str>, body: &Value) -> Value {
        let mut body = body.clone();
        body["apiVersion"] = json!(kind.api_version());
        body["kind"] = json!(kind.name());
        let name = name
            .or(body["metadata"]["name"].as_str())
            .unwrap_or_default();
        body["metadata"]["name"] = json!(self.name(kind, name));
        body
    }

    fn knows(&self, path: &str, version: Known, uid: Known) -> (Option<String>, Option<String>) {
        let [first, latest] = self.known.get(path).cloned().unwrap_or_default();
        let of = |known, first: String, latest: String, wrong: &str| {
            let value = match known {
                Known::Nothing => return None,
                Known::Current => latest,
                Known::First => first,
                Known::Wrong => wrong.to_owned(),
            };
            Some(value).filter(|value| !value.is_empty())
        };
        (
            of(version, first.0, latest.0, "1"),
            of(
                uid,
                first.1,
                latest.1,
                "11111111-1111-4111-8111-111111111111",
            ),
        )
    }

    /// Makes the request of a step.
    pub(crate) async fn run(&mut self, step: &Step) -> Seen {
        let merge = "application/merge-patch+json";
        let json_type = "application/json";
        let mut suffix = "";
        let (method, path, content, body) = match step {
            Step::Create(kind, place, object) => {
                let path = kind.path(Some(&self.namespace(*place)));
                (
                    Method::POST,
                    path,
                    json_type,
                    self.complete(*kind, None, object),
                )
            }
            Step::Update(kind, place, name, object, version, uid) => {
                let path = self.path(*kind, *place, name);
                let (version, uid) = self.knows(&path, *version, *uid);
                let mut body = self.complete(*kind, Some(name), object);
                if let Some(version) = version {
                    body["metadata"]["resourceVersion"] = json!(version);
                }
                if let Some(uid) = uid {
                    body["metadata"]["uid"] = json!(uid);
                }
                (Method::PUT, path, json_type, body)
            }
            Step::Merge(kind, place, name, change) => (
                Method::PATCH,
                self.path(*kind, *place, name),
                merge,
                change.clone(),
            ),
            Step::MergeStatus(kind, place, name, change) => {
                suffix = "/status";
                (
                    Method::PATCH,
                    self.path(*kind, *place, name),
                    merge,
                    change.clone(),
                )
            }
            Step::Apply(kind, place, name, object) => {
                suffix = "?fieldManager=test&force=true";
                let path = self.path(*kind, *place, name);
                let body = self.complete(*kind, Some(name), object);
                (Method::PATCH, path, "application/apply-patch+yaml", body)
            }
            Step::Delete(kind, place, name, version, uid) => {
                let path = self.path(*kind, *place, name);
                let (version, uid) = self.knows(&path, *version, *uid);
                let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
                if let Some(version) = version {
                    options["preconditions"]["resourceVersion"] = json!(version);
                }
                if let Some(uid) = uid {
                    options["preconditions"]["uid"] = json!(uid);
                }
                (Method::DELETE, path, json_type, options)
            }
            Step::Get(kind, place, name) => (
                Method::GET,
                self.path(*kind, *place, name),
                json_type,
                Value::Null,
            ),
            Step::List(kind, place, selector) => {
                return self.list(*kind, *place, selector, 0).await;
            }
            Step::ListAt(kind, place, selector, at, limit) => {
                return self.list_at(*kind, *place, selector, *at, *limit).await;
            }
            Step::Watch(kind, place, selector, at) => {
                let watch = self.watch(*kind, *place, selector, *at).await;
                let answer = self.open(&watch, watched::USUAL).await;
                return self.told(&watch, &answer);
            }
            Step::Query(kind, place, query) => return self.query(*kind, *place, query).await,
            Step::Forget => return self.forget().await,
            Step::Denied(step) => return Box::pin(self.denied(step)).await,
        };
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self
            .client
            .send(method, &format!("{path}{suffix}"), content, text)
            .await
            .unwrap_or_else(|error| panic!("{step:?}: {error}"));
        self.seen(step, &path, &answer)
    }

    /// The same step by somebody who may do nothing.
    async fn denied(&mut self, step: &Step) -> Seen {
        if let Behind::Fake(cluster) = &self.behind {
            cluster.grant_only(&Rights::default());
        }
        std::mem::swap(&mut self.client, &mut self.nobody);
        let seen = self.run(step).await;
        std::mem::swap(&mut self.client, &mut self.nobody);
        if let Behind::Fake(cluster) = &self.behind {
            cluster.grant_everything();
        }
        seen
    }

    /// What was before now is forgotten, and so is what was seen last: time goes on by two changes of something else,
    /// since the very last change can still be watched for.
    async fn forget(&self) -> Seen {
        let store = match &self.behind {
            Behind::Fake(cluster) => {
                cluster.compact();
                return json!({"status": "done"});
            }
            Behind::Real(store) => store,
        };
        let path = format!("/api/v1/namespaces/{}/configmaps", self.namespace(Place::A));
        let mut now = Value::Null;
        for _ in 0..2 {
            let made = self
                .client
                .post(&path, &json!({"metadata": {"generateName": "time-"}}))
                .await;
            let made = made.and_then(Answer::json);
            now = made.expect("a ConfigMap can be made")["metadata"]["resourceVersion"].clone();
        }
        let compaction = json!({"revision": now, "physical": true});
        let done = store.post("/v3/kv/compaction", &compaction).await;
        done.and_then(Answer::success)
            .expect("the store can be compacted");
        json!({"status": "done"})
    }

    /// The version that a read names, as this server has it.
    fn version(&self, at: At) -> String {
        match at {
            At::Any => "0".to_owned(),
            At::Latest => self.versions.last().unwrap_or(&self.start).clone(),
            At::Exactly(percent) => {
                let place = self.versions.len() * usize::from(percent) / 100;
                self.versions.get(place).unwrap_or(&self.start).clone()
            }
        }
    }

    /// How the versions that came up stand to each other.
    pub(crate) fn order(&self) -> Seen {
        self.choices.order()
    }

    /// Removes what a server that many runs share would run out of: addresses, ports, and room in its listings.
    pub(crate) async fn clean(&self) {
        for place in [Place::A, Place::B] {
            let namespace = self.namespace(place);
            for kind in [Kind::Service, Kind::Slice, Kind::Ingress, Kind::Lease] {
                let _ = self.client.delete(&kind.path(Some(&namespace))).await;
            }
            let path = format!("{}/{namespace}", Kind::Namespace.path(None));
            let _ = self.client.delete(&path).await;
            // No controller does this here.
            let last = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}, "spec": {"finalizers": []},
            });
            let _ = self.client.put(&format!("{path}/finalize"), &last).await;
        }
        for name in ["a", "b", "c"] {
            let path = self.path(Kind::Node, Place::A, name);
            let _ = self.client.delete(&path).await;
        }
    }

    fn seen(&mut self, step: &Step, path: &str, answer: &Answer) -> Seen {
        let object: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if object["kind"] == "Status" {
            let details = &object["details"];
            return json!({
                "status": answer.status, "reason": object["reason"], "result": object["status"],
                "name": details["name"], "kind": details["kind"], "group": details["group"],
            });
        }
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let path = match step {
            // The name may be the server's choice.
            Step::Create(kind, place, _) => format!(
                "{}/{}",
                kind.path(Some(&self.namespace(*place))),
                text("name")
            ),
            _ => path.to_owned(),
        };
        let now = (text("resourceVersion"), text("uid"));
        if !now.0.is_empty() {
            self.versions.push(now.0.clone());
        }
        let known = self
            .known
            .entry(path)
            .or_insert_with(|| [now.clone(), now.clone()]);
        known[1] = now;
        json!({"status": answer.status, "object": self.choices.object(step.kind(), &object)})
    }

    fn is_ours(&self, kind: Kind, object: &Value) -> bool {
        kind.is_namespaced()
            || object["metadata"]["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(&format!("{}-", self.prefix)))
    }
}

/// A Service of a step.
pub(crate) fn service(name: &str, spec: &Value) -> Value {
    objects::service_of(name, spec)
}
