//! The fake cluster: objects, faults and counters behind one handle.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    fault::{Fault, FaultId, On},
    kind,
    state::Shared,
    store::{path, text},
    watch::{Command, WatchFault},
};
use crate::{Rights, Verb};

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
    pub(super) shared: Arc<Shared>,
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

impl Default for FakeCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeCluster {
    /// A cluster with the namespaces that every one has, and nothing else.
    pub fn new() -> Self {
        let cluster = Self {
            shared: Arc::new(Shared::new()),
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
        let now = self.shared.now();
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
            // The last change itself can still be watched for.
            state.store.advance();
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

    /// Stores an object as it is, with the resourceVersion it has, as a restored backup holds it. Nobody is told.
    ///
    /// # Panics
    /// When the object is of no kind that is served.
    #[expect(clippy::panic, reason = "a test's own mistake, told where it is made")]
    pub fn restore(&self, object: Value) {
        let Some(kind) = kind::by_object(&object) else {
            panic!("no kind that the fake serves: {object}");
        };
        self.shared.state().store.restore(kind, object);
    }

    /// Takes a right away. Requests that need it are refused with 403.
    pub fn deny(&self, verb: Verb, resource: &str) {
        self.shared.access.deny(verb, resource);
    }

    /// Allows these rights and nothing else, as an API server in RBAC mode does.
    ///
    /// ```
    /// use consul_sync_k8s::{ExportSettings, Rights, owner, testing::FakeCluster};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cluster = FakeCluster::new();
    /// cluster.grant_only(&Rights::needed(&ExportSettings::default(), false));
    /// let error = owner(&cluster.client()).await.unwrap_err();
    /// assert!(error.to_string().contains("resourceNames: [\"kube-system\"]"));
    /// # }
    /// ```
    pub fn grant_only(&self, rights: &Rights) {
        self.shared.access.grant_only(rights);
    }

    /// Allows everything again, as at first, but what is [denied](Self::deny).
    pub fn grant_everything(&self) {
        self.shared.access.grant_everything();
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
        self.shared.state().seen.iter().cloned().collect()
    }

    /// How many watches are open.
    pub fn open_watches(&self) -> usize {
        self.shared.commands.receiver_count()
    }

    /// A client that talks to this cluster without a socket. It does not repeat requests by itself.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(super::local::Local::new(self.clone()), "default")
    }
}
