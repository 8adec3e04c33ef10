//! The fake cluster: objects, faults and counters behind one handle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use k8s_openapi::jiff;
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::{
    access::Access,
    answer::{self, Body, Length, Severed},
    call::Call,
    fault::{self, Fault, FaultId, Faults, On},
    kind::{self, Target},
    read,
    status::Failure,
    store::{Store, path, text},
    watch::{self as watching, Command, WatchFault, Watcher},
    write::Writer,
};
use crate::Verb;

/// A Kubernetes API server in memory, as far as this project uses one.
///
/// It answers requests without a socket, so that tests can run under a paused clock; wrapped in a
/// [`FakeApiServer`](super::FakeApiServer) it listens on loopback.
///
/// # Examples
/// ```
/// use consul_sync_k8s::testing::FakeCluster;
/// use serde_json::json;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = FakeCluster::new();
/// cluster.put(json!({
///     "apiVersion": "v1", "kind": "Service",
///     "metadata": {"namespace": "default", "name": "web"},
///     "spec": {"ports": [{"port": 80}]},
/// }));
/// let version = cluster.client().apiserver_version().await?;
/// assert!(version.git_version.starts_with('v'));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FakeCluster {
    shared: Arc<Shared>,
}

/// One request that was made, for assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The verb, where the path names an object or a collection.
    pub verb: Option<Verb>,
    /// The resource's plural, or the path of what is none.
    pub resource: String,
    /// The namespace in the path.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// The query, as it was sent.
    pub query: String,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    faults: Faults,
    access: Access,
    pub(super) revisions: watch::Sender<u64>,
    pub(super) commands: broadcast::Sender<Command>,
    started: Instant,
}

#[derive(Debug)]
struct State {
    store: Store,
    writer: Writer,
    seen: Vec<Seen>,
    counts: BTreeMap<(Option<Verb>, String), u64>,
    streaming_lists: bool,
    gone_as_status: bool,
    bookmark_every: Duration,
    version: (u32, u32),
}

/// How many requests are remembered whole.
const SEEN: usize = 10_000;

impl Default for FakeCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeCluster {
    /// A cluster with the namespaces that every one has, and nothing else.
    pub fn new() -> Self {
        let cluster = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    store: Store::new(),
                    writer: Writer::default(),
                    seen: Vec::new(),
                    counts: BTreeMap::new(),
                    streaming_lists: true,
                    gone_as_status: false,
                    bookmark_every: Duration::from_secs(60),
                    version: (1, 35),
                }),
                faults: Faults::default(),
                access: Access::default(),
                revisions: watch::Sender::new(1),
                commands: broadcast::Sender::new(256),
                started: Instant::now(),
            }),
        };
        for name in ["kube-system", "kube-public", "default"] {
            cluster
                .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        cluster
    }

    /// Stores an object as it is, valid or not, whole, with its status; new or in place of what is there.
    /// A namespace that is missing is made. Answers what is stored.
    ///
    /// # Panics
    /// When the object is of no kind that is served.
    #[expect(clippy::panic, reason = "a test's own mistake, told where it is made")]
    pub fn put(&self, object: Value) -> Value {
        let Some(kind) = kind::by_object(&object) else {
            panic!("no kind that the fake serves: {object}");
        };
        let now = self.now();
        let namespace = text(&object, "/metadata/namespace").to_owned();
        self.shared.change(|state| {
            if !namespace.is_empty() && state.store.get(kind::NAMESPACES, &namespace).is_none() {
                let object = json!({"metadata": {"name": namespace}});
                state
                    .writer
                    .put(&mut state.store, kind::NAMESPACES, object, &now);
            }
            Value::clone(&state.writer.put(&mut state.store, kind, object, &now))
        })
    }

    /// Changes an object by a JSON merge patch, status included, unvalidated. Answers what is stored, or
    /// nothing when there is none.
    pub fn merge(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: &Value,
    ) -> Option<Value> {
        let mut object = self.get(resource, namespace, name)?;
        super::patch::merge(&mut object, change);
        Some(self.put(object))
    }

    /// Removes an object, whatever it is. Answers whether it was there.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> bool {
        let Some(kind) = kind::by_plural(resource) else {
            return false;
        };
        self.shared
            .change(|state| state.store.remove(kind, &path(namespace, name)).is_some())
    }

    /// An object as it is stored.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kind::by_plural(resource)?;
        let state = self.shared.state();
        state
            .store
            .get(kind, &path(namespace, name))
            .map(|object| Value::clone(object))
    }

    /// Every object of a resource.
    pub fn list(&self, resource: &str) -> Vec<Value> {
        let Some(kind) = kind::by_plural(resource) else {
            return Vec::new();
        };
        let state = self.shared.state();
        state
            .store
            .of(kind)
            .map(|(_, object)| Value::clone(object))
            .collect()
    }

    /// The version of the whole.
    pub fn revision(&self) -> u64 {
        self.shared.state().store.revision()
    }

    /// The UID of namespace `kube-system`.
    pub fn uid(&self) -> String {
        self.get("namespaces", "", "kube-system")
            .map(|namespace| text(&namespace, "/metadata/uid").to_owned())
            .unwrap_or_default()
    }

    // --- faults ---------------------------------------------------------------------------------------

    /// Lays a fault on requests, until it is spent or lifted.
    pub fn inject(&self, on: On, fault: Fault) -> FaultId {
        self.shared.faults.inject(on, fault)
    }

    /// Lifts a fault.
    pub fn lift(&self, fault: FaultId) {
        self.shared.faults.lift(fault);
    }

    /// Lifts every fault.
    pub fn lift_all(&self) {
        self.shared.faults.lift_all();
    }

    /// Does something to the open watches of a resource, or of every one.
    pub fn disturb(&self, resource: Option<&str>, fault: WatchFault) {
        // Without an open watch nobody receives it, which is right.
        let _ = self.shared.commands.send(Command {
            resource: resource.map(str::to_owned),
            fault,
        });
    }

    /// Forgets older versions: watches and pages that go on from one are refused with 410.
    pub fn compact(&self) {
        self.shared.change(|state| {
            state.store.advance();
            state.store.compact();
        });
    }

    /// Whether a watch from a forgotten version is refused with an HTTP status, as some proxies and
    /// aggregated servers do, instead of an ERROR event.
    pub fn gone_as_status(&self, on: bool) {
        self.shared.state().gone_as_status = on;
    }

    /// Whether streaming lists are served, or refused with 422 as older servers do.
    pub fn streaming_lists(&self, on: bool) {
        self.shared.state().streaming_lists = on;
    }

    /// How often bookmarks are sent.
    pub fn bookmark_every(&self, period: Duration) {
        self.shared.state().bookmark_every = period;
    }

    /// Moves the version back, as a restored backup does; every watch ends.
    pub fn rewind(&self, revision: u64) {
        self.shared.change(|state| state.store.rewind(revision));
        self.disturb(None, WatchFault::Close);
    }

    /// Takes a right away. Requests that need it are refused with 403.
    pub fn deny(&self, verb: Verb, resource: &str) {
        self.shared.access.deny(verb, resource);
    }

    /// Gives a right back.
    pub fn allow(&self, verb: Verb, resource: &str) {
        self.shared.access.allow(verb, resource);
    }

    // --- what was asked ---------------------------------------------------------------------------------

    /// How many requests with this verb on this resource came.
    pub fn count(&self, verb: Verb, resource: &str) -> u64 {
        let state = self.shared.state();
        state
            .counts
            .get(&(Some(verb), resource.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    /// The latest requests, oldest first; at most 10,000.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many watches are open.
    pub fn open_watches(&self) -> usize {
        self.shared.commands.receiver_count()
    }

    /// A client that talks to this cluster without a socket. It does not repeat requests by itself.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(super::local::Local::new(self.clone()), "default")
    }

    // --- answering ----------------------------------------------------------------------------------------

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
        let now = self.now();
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
                let (major, minor) = self.shared.state().version;
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
            state.seen.remove(0);
        }
        state.seen.push(Seen {
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

    /// The fake's own time: it starts at one fixed instant, and goes on with the runtime's clock, so that
    /// a run under a paused clock is the same each time.
    fn now(&self) -> String {
        const START: i64 = 1_767_225_600;
        let seconds = i64::try_from(self.shared.started.elapsed().as_secs()).unwrap_or(0);
        jiff::Timestamp::from_second(START + seconds)
            .map_or_else(|_| String::new(), |now| now.to_string())
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the objects and wakes the watches.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let done = change(&mut state);
        let revision = state.store.revision();
        drop(state);
        self.revisions
            .send_if_modified(|held| std::mem::replace(held, revision) != revision);
        done
    }

    pub(super) fn with_store<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.state().store)
    }

    pub(super) fn bookmark_every(&self) -> Duration {
        self.state().bookmark_every
    }
}
