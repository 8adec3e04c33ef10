//! From a request to its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::{Value, json};

use super::{
    answer::{self, Body, Length, Severed},
    call::Call,
    cluster::{FakeCluster, Seen},
    fault::{self, Fault},
    kind::Target,
    read,
    status::Failure,
    store::kind_of,
    watch::{self as watching, Watcher},
    write::Writer,
};
use crate::Verb;

/// How many requests are remembered whole.
const SEEN: usize = 10_000;

/// What the fake says it is.
const VERSION: (u32, u32) = (1, 35);

impl FakeCluster {
    /// Answers one request. An error: the connection is closed instead.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Result<Response<Body>, Severed> {
        let call = Call::read(
            request.method(),
            request.uri().path(),
            request.uri().query().unwrap_or_default(),
        );
        self.record(&call, request.uri().query().unwrap_or_default());
        let (mut length, mut stale, mut empty) = (Length::Whole, None, false);
        match self.shared.faults.of(&call) {
            None => {}
            Some(Fault::Status { code, retry_after }) => {
                return Ok(answer::failure(&fault::failure(&call, code, retry_after)));
            }
            Some(Fault::Text { code, body }) => return Ok(answer::text(code, body)),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Disconnect) => return Err(Severed),
            Some(Fault::Cut { after }) => length = Length::Cut(after),
            Some(Fault::Truncate { after }) => length = Length::Truncated(after),
            Some(Fault::Stale { revision }) => stale = Some(revision),
            Some(Fault::Empty) => empty = true,
        }
        if let Err(refusal) = self.shared.access.check(&call) {
            return Ok(answer::failure(&refusal));
        }
        let Some(target) = call.target.clone() else {
            return Ok(self.elsewhere(&call, request.body()));
        };
        Ok(match call.verb {
            Some(Verb::Watch) => self.watch(&call, target, length),
            Some(Verb::List) => {
                let listed = read::list(&self.shared.state().store, &call, &target, stale);
                match listed {
                    Ok(mut list) => {
                        if empty {
                            super::store::set(&mut list, "", "items", json!([]));
                        }
                        answer::json(200, &list, length)
                    }
                    Err(failure) => answer::failure(&failure),
                }
            }
            _ => match self.one(&call, &target, &request) {
                Ok((code, object)) => answer::json(code, &object, length),
                Err(failure) => answer::failure(&failure),
            },
        })
    }

    fn watch(&self, call: &Call, target: Target, length: Length) -> Response<Body> {
        let (started, gone_as_status) = {
            let state = self.shared.state();
            (
                watching::start(&state.store, call, &target, state.streaming_lists),
                state.gone_as_status,
            )
        };
        match started {
            Ok((start, selector)) => {
                let watcher = Watcher::new(Arc::clone(&self.shared), call, target, start, selector);
                answer::lines(watcher.into_stream(), length)
            }
            Err(failure) if failure.code == 410 && !gone_as_status => {
                let line = format!("{}\n", json!({"type": "ERROR", "object": failure.status()}));
                answer::lines(futures::stream::iter([Ok(line.into())]), length)
            }
            Err(failure) => answer::failure(&failure),
        }
    }

    /// Everything that is about one object.
    fn one(
        &self,
        call: &Call,
        target: &Target,
        request: &Request<Bytes>,
    ) -> Result<(u16, Value), Failure> {
        let body = |request: &Request<Bytes>| {
            serde_json::from_slice::<Value>(request.body())
                .map_err(|error| Failure::bad_request(format!("the body is not JSON: {error}")))
        };
        subresource(call, target)?;
        let now = self.shared.now();
        match call.verb {
            Some(Verb::Get) => read::get(&self.shared.state().store, target)
                .map(|object| (200, Value::clone(&object))),
            Some(Verb::Create) if target.name.is_none() => {
                let object = body(request)?;
                let written = self
                    .shared
                    .change(|state| state.writer.create(&mut state.store, target, object, &now))?;
                Ok((written.0, Value::clone(&written.1)))
            }
            Some(Verb::Update) => {
                let object = body(request)?;
                let written = self
                    .shared
                    .change(|state| state.writer.update(&mut state.store, target, object, &now))?;
                Ok((written.0, Value::clone(&written.1)))
            }
            Some(Verb::Patch) => {
                let change = body(request)?;
                let content = request
                    .headers()
                    .get(header::CONTENT_TYPE)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default();
                let written = self.shared.change(|state| {
                    state
                        .writer
                        .patch(&mut state.store, call, target, content, &change, &now)
                })?;
                Ok((written.0, Value::clone(&written.1)))
            }
            Some(Verb::Delete) => {
                let options = if request.body().is_empty() {
                    json!({})
                } else {
                    body(request)?
                };
                let answer = self
                    .shared
                    .change(|state| Writer::delete(&mut state.store, target, &options, &now))?;
                Ok((200, answer))
            }
            _ => Err(Failure::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )),
        }
    }

    /// What is no object: version, probes, access reviews.
    fn elsewhere(&self, call: &Call, body: &Bytes) -> Response<Body> {
        match call.path.as_str() {
            "/version" => {
                let (major, minor) = VERSION;
                let version = json!({
                    "major": major.to_string(), "minor": minor.to_string(),
                    "gitVersion": format!("v{major}.{minor}.0"), "gitCommit": "fake", "gitTreeState": "clean",
                    "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "memory",
                });
                answer::json(200, &version, Length::Whole)
            }
            "/readyz" | "/livez" | "/healthz" => answer::text(200, "ok".to_owned()),
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => {
                let review: Value = serde_json::from_slice(body).unwrap_or_default();
                answer::json(201, &self.shared.access.review(review), Length::Whole)
            }
            _ => answer::failure(&Failure::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            )),
        }
    }

    fn record(&self, call: &Call, query: &str) {
        let mut state = self.shared.state();
        *state
            .counts
            .entry((call.verb, call.resource().to_owned()))
            .or_default() += 1;
        if state.seen.len() >= SEEN {
            state.seen.pop_front();
        }
        state.seen.push_back(Seen {
            verb: call.verb,
            resource: call.resource().to_owned(),
            namespace: call
                .target
                .as_ref()
                .and_then(|target| target.namespace.clone()),
            name: call.name().map(str::to_owned),
            query: query.to_owned(),
        });
    }
}

/// Refuses what is asked of a subresource that the fake, or any server, does not have.
fn subresource(call: &Call, target: &Target) -> Result<(), Failure> {
    let kind = kind_of(target.kind);
    match (target.subresource.as_deref(), call.verb) {
        (None, _) => Ok(()),
        (Some("status"), Some(Verb::Get | Verb::Patch)) if kind.serves_status() => Ok(()),
        (Some("status"), _) if kind.serves_status() => Err(Failure::new(
            405,
            "MethodNotAllowed",
            "not in this fake: a status is changed by a patch",
        )),
        (Some("status"), _) if !kind.has_status => Err(Failure::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )),
        (Some(part), _) => Err(Failure::new(
            404,
            "NotFound",
            format!("not in this fake: {}/{part}", kind.qualified()),
        )),
    }
}
