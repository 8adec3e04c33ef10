//! One conditional write of one object.

use std::time::Duration;

use consul_sync_core::{Action, AdapterError, Deletion, ErrorKind, Op, Outcome, Reason, Rejection};
use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::{Request as Collection, Status},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    gate::Gate,
    manifest::{Change, Manifest, ObjectVersion},
};
use crate::{
    Verb, mark,
    slim::{EndpointSlice, EndpointSliceBody, Kind, SERVICE_NAME, Service, ServiceBody},
    watch::{Asked, Problem},
};

/// How long a write may take.
pub(super) const LIMIT: Duration = Duration::from_secs(15);
/// How often a write is sent that the server had no time for.
const ATTEMPTS: u32 = 4;
/// The longest wait between two of them, whatever the server asks for: what waits longer is better computed anew.
const WAIT: Duration = Duration::from_secs(5);

/// What became of a write.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is known.
    Clear(Outcome<ObjectVersion>),
    /// It may have been applied, or trying the same at once would not help.
    Unclear(AdapterError),
}

/// What every answer about one object has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reply {
    metadata: ObjectMeta,
}

/// A write of one object.
pub(super) struct Write<'a> {
    client: &'a Client,
    gate: &'a Gate,
    manifest: &'a Manifest,
}

type Built = Result<Request<Vec<u8>>, kube::core::request::Error>;

impl<'a> Write<'a> {
    pub(super) fn of(client: &'a Client, gate: &'a Gate, op: &'a Op<Manifest>) -> Self {
        Self {
            client,
            gate,
            manifest: op.record(),
        }
    }

    pub(super) async fn run(&self, action: &Action<Manifest>) -> Answer {
        match action {
            Action::Create(manifest) => self.create(manifest).await,
            Action::Update {
                record,
                previous,
                expected,
                ..
            } => {
                self.change(record.change(previous, expected), expected)
                    .await
            }
            Action::Delete(deletion) => self.delete(deletion).await,
        }
    }

    async fn create(&self, manifest: &Manifest) -> Answer {
        let params = PostParams {
            field_manager: Some(mark::MANAGER.to_owned()),
            ..PostParams::default()
        };
        let body = manifest.to_json().to_string().into_bytes();
        let build = || self.collection().create(&params, body.clone());
        match self.send(Verb::Create, build).await {
            Ok(reply) => written(&reply),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                self.in_the_way().await
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let text = format!(
                    "namespace {} does not exist; create it, or choose another one",
                    manifest.namespace()
                );
                Answer::Clear(Outcome::Refused(Rejection::new(Reason::Refused, text)))
            }
            Err(error) => self.failed(Verb::Create, error),
        }
    }

    async fn change(&self, change: Change, expected: &ObjectVersion) -> Answer {
        let params = PatchParams::apply(mark::MANAGER);
        match change {
            Change::Apply(object) => {
                let patch = Patch::Apply(object);
                self.patch(&params.force(), &patch).await
            }
            Change::Merge(steps) => {
                let mut answer = Answer::Clear(Outcome::Written(expected.clone()));
                for mut step in steps {
                    let Answer::Clear(Outcome::Written(version)) = &answer else {
                        return answer;
                    };
                    if !self.gate.is_open() {
                        // A step before may be written.
                        let text = "the lead was lost between the steps of a change";
                        return Answer::Unclear(AdapterError::new(ErrorKind::Unavailable, text));
                    }
                    step["metadata"]["resourceVersion"] = json!(&*version.resource_version);
                    answer = self.patch(&params, &Patch::Merge(step)).await;
                }
                answer
            }
        }
    }

    async fn patch(&self, params: &PatchParams, patch: &Patch<Value>) -> Answer {
        let name = self.manifest.name();
        let build = || self.collection().patch(name, params, patch);
        match self.send(Verb::Patch, build).await {
            Ok(reply) => written(&reply),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Answer::Clear(Outcome::Stale)
            }
            Err(error) => self.failed(Verb::Patch, error),
        }
    }

    async fn delete(&self, deletion: &Deletion<Manifest>) -> Answer {
        let expected = deletion.expected();
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(expected.uid.to_string()),
                resource_version: Some(expected.resource_version.to_string()),
            }),
            ..DeleteParams::default()
        };
        let name = self.manifest.name();
        let build = || self.collection().delete(name, &params);
        match self.send(Verb::Delete, build).await {
            Ok(_) => Answer::Clear(Outcome::Deleted),
            Err(kube::Error::Api(status)) if status.code == 404 => Answer::Clear(Outcome::Deleted),
            Err(kube::Error::Api(status)) if status.code == 409 => Answer::Clear(Outcome::Stale),
            Err(error) => self.failed(Verb::Delete, error),
        }
    }

    /// Something has the name of what was to be created. Where the watches show it, it is read again and dealt with;
    /// a slice that they do not show would be created for ever.
    async fn in_the_way(&self) -> Answer {
        if !self.manifest.is_slice() {
            return Answer::Clear(Outcome::Stale);
        }
        let name = self.manifest.name();
        let build = || {
            self.collection()
                .get(name, &kube::api::GetParams::default())
        };
        let metadata = match self.send(Verb::Get, build).await {
            Ok(reply) => reply.metadata,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Answer::Clear(Outcome::Stale);
            }
            Err(error) => return self.failed(Verb::Get, error),
        };
        let is_shown = mark::label(&metadata, mark::MANAGED_BY) == Some(mark::MANAGER)
            && mark::label(&metadata, SERVICE_NAME) == Some(&*self.manifest.service);
        if is_shown {
            return Answer::Clear(Outcome::Stale);
        }
        let text = format!(
            "an EndpointSlice {}/{name} is there that is not labelled as one of this Service; delete it",
            self.manifest.namespace()
        );
        Answer::Clear(Outcome::Refused(Rejection::new(Reason::Taken, text)))
    }

    /// Sends a request, again where the server says that it did nothing for lack of time.
    async fn send(&self, verb: Verb, build: impl Fn() -> Built) -> Result<Reply, kube::Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = build().map_err(kube::Error::BuildRequest)?;
            let sent = timeout(LIMIT, self.client.request::<Reply>(request)).await;
            let error = match sent {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => error,
                Err(_) => return Err(kube::Error::Service(Box::new(NoAnswer))),
            };
            let kube::Error::Api(status) = &error else {
                return Err(error);
            };
            if attempt == ATTEMPTS || !is_untried(verb, status) {
                return Err(error);
            }

            let asked = status
                .details
                .as_ref()
                .map_or(0, |details| details.retry_after_seconds);
            let doubled = Duration::from_millis(100 << attempt);
            sleep(doubled.max(Duration::from_secs(asked.into())).min(WAIT)).await;
            if !self.gate.is_open() {
                return Err(error);
            }
        }
    }

    /// What an error means that has no meaning of its own for this write.
    fn failed(&self, verb: Verb, error: kube::Error) -> Answer {
        let manifest = self.manifest;
        let asked = Asked {
            verb,
            group: if manifest.is_slice() {
                EndpointSliceBody::GROUP
            } else {
                ServiceBody::GROUP
            },
            resource: if manifest.is_slice() {
                EndpointSliceBody::PLURAL
            } else {
                ServiceBody::PLURAL
            },
            namespace: Some(manifest.namespace()),
            name: None,
        };
        let kube::Error::Api(status) = &error else {
            return Answer::Unclear(Problem::of(asked, error).error);
        };
        let said = if status.message.is_empty() {
            &status.reason
        } else {
            &status.message
        };
        let text = format!("{asked}: {said}");
        let (reason, text) = match status.code {
            403 if is_for_lack_of_rights(said) => {
                (Reason::Refused, format!("{text}; add {}", asked.rule()))
            }
            400 | 403 | 404 | 405 | 406 | 415 | 422 => (Reason::Refused, text),
            413 => (Reason::TooLarge, text),
            409 => return Answer::Unclear(AdapterError::new(ErrorKind::Unavailable, text)),
            _ => return Answer::Unclear(Problem::of(asked, error).error),
        };
        Answer::Clear(Outcome::Refused(Rejection::new(reason, text)))
    }

    fn collection(&self) -> Collection {
        let namespace = Some(self.manifest.namespace());
        Collection::new(if self.manifest.is_slice() {
            EndpointSlice::url_path(&(), namespace)
        } else {
            Service::url_path(&(), namespace)
        })
    }
}

/// No answer came in time; whether the write was applied is not known.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the API server within {} s", LIMIT.as_secs())]
struct NoAnswer;

fn written(reply: &Reply) -> Answer {
    let version = ObjectVersion::of(&reply.metadata);
    if version.uid.is_empty() || version.resource_version.is_empty() {
        let text = "the answer to a write has no version; look for a proxy between here and the API server";
        return Answer::Unclear(AdapterError::new(ErrorKind::Protocol, text));
    }
    Answer::Clear(Outcome::Written(version))
}

/// Whether a request was turned away before anything was done: the server had too much to do, or a create ran into
/// another one over the count of a quota.
fn is_untried(verb: Verb, status: &Status) -> bool {
    status.code == 429
        || (verb == Verb::Create && status.code == 409 && status.reason == "Conflict")
}

/// Whether a right is missing, and not a quota exceeded, or a namespace ending.
fn is_for_lack_of_rights(said: &str) -> bool {
    said.contains(" cannot ")
}
