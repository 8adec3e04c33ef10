//! Everything known of a cluster, and what follows from it for the services it exports.

mod drain;
mod kinds;
mod record;
mod said;
mod store;
mod uid;
mod update;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use consul_sync_core::{Key, Rejection};

pub use update::{Change, Update};

use crate::{
    ExportSettings, Needs,
    slim::{EndpointSliceBody, IngressBody, NamespaceBody, NodeBody, Object, ServiceBody},
    strings::{Strings, Words},
    translate::Head,
};
use kinds::{LastGood, Tracked, TrackedIngress, TrackedSlice};
use record::Record;
use said::Digests;
use store::{Store, Verdict};

/// The state of every watched object, and the services that follow from it. No I/O, no clock, no tasks.
///
/// Objects go in by [`Index::apply`], services come out by [`Index::drain`]. One change costs what the services it
/// concerns cost: that of a Service, EndpointSlice or Ingress the endpoints of its services; that of a Node the
/// NodePort Services with endpoints on it; that of a Namespace's labels the services in it. A change that alters
/// nothing that is used costs the decoding.
///
/// # Nodes
/// The addresses of nodes matter to NodePort Services alone, and the right to list and watch nodes is one that
/// many installations do not give. So [`Index::needs`] names them only when the first NodePort Service that is
/// exported comes up; until then nothing waits for them. Such a Service is not mentioned before nodes were listed:
/// what was said of it before stays.
///
/// # Undecodable objects
/// A Service that cannot be decoded, or that has such an EndpointSlice or Ingress, is
/// [`Rejected`](consul_sync_core::Event::Rejected), so that its last good registration stays. For Nodes and
/// Namespaces the last good state of the object itself is used; only without one are their services rejected.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use consul_sync_core::Event;
/// use consul_sync_k8s::{Change, ExportSettings, Index, NodePorts, slim};
///
/// let settings = ExportSettings { node_ports: NodePorts::Off, ..ExportSettings::default() };
/// let mut index = Index::new(Arc::new(settings));
/// let web: slim::Service = serde_json::from_str(
///     r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"externalIPs":["192.0.2.1"]}}"#,
/// )?;
/// index.apply(Change::<slim::Service>::RelistStarted);
/// index.apply(Change::Upserted(web));
/// index.apply(Change::<slim::Service>::RelistDone);
/// assert!(index.drain().is_empty(), "EndpointSlices are not listed yet");
///
/// index.apply(Change::<slim::EndpointSlice>::RelistStarted);
/// index.apply(Change::<slim::EndpointSlice>::RelistDone);
/// let events = index.drain();
/// assert!(matches!(events[..], [Event::RelistStarted, Event::Upserted(..), Event::RelistDone]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
pub struct Index {
    settings: Arc<ExportSettings>,
    /// What the settings may need.
    needs: Needs,
    /// Whether a service came up that follows nodes.
    follows_nodes: bool,
    strings: Strings,
    words: Words,
    services: Store<Result<Option<Box<Head>>, Rejection>>,
    slices: Store<TrackedSlice>,
    nodes: Store<LastGood<NodeBody>>,
    ingresses: Store<TrackedIngress>,
    namespaces: Store<LastGood<bool>>,
    /// What belongs to each service, and what was said of it.
    records: BTreeMap<Key, Record>,
    digests: Digests,
    /// The NodePort Services that have endpoints on a node, whether or not the node is known.
    by_node: BTreeMap<Arc<str>, BTreeSet<Key>>,
    /// Services that something changed for since the last drain.
    due: BTreeSet<Key>,
    /// Services that follow nodes and came up before these were listed.
    waiting: BTreeSet<Key>,
    phase: Phase,
    /// The services that are still to come of a listing that is told in pieces.
    to_list: VecDeque<Key>,
    /// Whether the reader is to be told something, be it known already: a kind that failed works again.
    recovered: bool,
    /// What became unreadable and is told by no service.
    problems: Vec<Rejection>,
    work: Work,
}

/// How much was done since the index was made. For tests and metrics: these figures only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Services translated.
    pub translations: u64,
    /// Instances made by that.
    pub instances: u64,
    /// Services compared with what was last said of them.
    pub comparisons: u64,
}

/// What the reader of the events knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing.
    Fresh,
    /// Everything.
    Whole,
    /// Everything up to some moment; a needed kind was lost since.
    Lost,
}

/// How far one kind is known.
struct Known {
    needed: bool,
    complete: bool,
    plural: &'static str,
}

impl Known {
    fn of<B: Tracked>(needs: Needs, store: &Store<B::Value>) -> Self {
        Self {
            needed: B::needed(needs),
            complete: store.is_complete(),
            plural: B::PLURAL,
        }
    }
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new(settings: Arc<ExportSettings>) -> Self {
        Self {
            needs: settings.needs(),
            follows_nodes: false,
            settings,
            strings: Strings::default(),
            words: Words::default(),
            services: Store::default(),
            slices: Store::default(),
            nodes: Store::default(),
            ingresses: Store::default(),
            namespaces: Store::default(),
            records: BTreeMap::new(),
            digests: Digests::default(),
            by_node: BTreeMap::new(),
            due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            phase: Phase::Fresh,
            to_list: VecDeque::new(),
            recovered: false,
            problems: Vec::new(),
            work: Work::default(),
        }
    }

    /// Takes one change of one kind of object. Kinds that the settings do not need are ignored.
    pub fn apply(&mut self, update: impl Into<Update>) {
        debug_assert!(self.to_list.is_empty(), "a listing is told whole");
        match update.into() {
            Update::Service(change) => self.take(change),
            Update::EndpointSlice(change) => self.take(change),
            Update::Node(change) => self.take(change),
            Update::Ingress(change) => self.take(change),
            Update::Namespace(change) => self.take(change),
        }
    }

    /// The kinds that must be watched for what is known so far. What is needed once is needed from then on.
    pub fn needs(&self) -> Needs {
        Needs {
            nodes: self.needs.nodes && self.follows_nodes,
            ..self.needs
        }
    }

    /// The needed kinds that are not completely known, by the names of their resources.
    pub fn incomplete(&self) -> Vec<&'static str> {
        let missing = self
            .kinds()
            .into_iter()
            .filter(|kind| kind.needed && !kind.complete);
        missing.map(|kind| kind.plural).collect()
    }

    /// Whether every needed kind is completely known.
    pub fn is_complete(&self) -> bool {
        self.kinds()
            .iter()
            .all(|kind| kind.complete || !kind.needed)
    }

    fn kinds(&self) -> [Known; 5] {
        let needs = self.needs();
        [
            Known::of::<ServiceBody>(needs, &self.services),
            Known::of::<EndpointSliceBody>(needs, &self.slices),
            Known::of::<NodeBody>(needs, &self.nodes),
            Known::of::<IngressBody>(needs, &self.ingresses),
            Known::of::<NamespaceBody>(needs, &self.namespaces),
        ]
    }

    /// The objects that could not be decoded, whether or not they concern a service.
    pub fn undecodable(&self) -> impl Iterator<Item = &Rejection> {
        let services = self
            .services
            .iter()
            .filter_map(|(_, service)| service.as_ref().err());
        let slices = self
            .slices
            .iter()
            .filter_map(|(_, slice)| slice.body.as_ref().err());
        let nodes = self
            .nodes
            .iter()
            .filter_map(|(_, node)| node.problem.as_ref());
        let ingresses = self
            .ingresses
            .iter()
            .filter_map(|(_, ingress)| ingress.body.as_ref().err());
        let namespaces = self
            .namespaces
            .iter()
            .filter_map(|(_, namespace)| namespace.problem.as_ref());
        let all = services
            .chain(slices)
            .chain(nodes)
            .chain(ingresses)
            .chain(namespaces);
        all.filter(|rejection| rejection.reason() == consul_sync_core::Reason::Undecodable)
    }

    /// Nodes, Ingresses and Namespaces that could not be decoded since the last call, each once for each reason: a
    /// service may not show it, since the last good state is used, or none is known to be concerned.
    pub fn take_problems(&mut self) -> Vec<Rejection> {
        std::mem::take(&mut self.problems)
    }

    /// How much was done so far.
    pub fn work(&self) -> Work {
        self.work
    }

    fn take<B: Tracked>(&mut self, change: Change<Object<B>>) {
        if !B::needed(self.needs) {
            return;
        }
        // Out of the index while it changes, so that its objects and the rest can be held at the same time.
        let mut store = std::mem::take(B::store(self));
        match change {
            Change::RelistStarted => store.start_listing(),
            Change::Upserted(object) => self.upsert(&mut store, &object),
            Change::Deleted(object) => {
                let key = object.key();
                if let Some(old) = store.remove(&key, &object.metadata) {
                    B::moved(self, &key, Some(&old), None);
                }
            }
            Change::RelistDone => {
                for (key, old) in store.finish_listing() {
                    B::moved(self, &key, Some(&old), None);
                }
            }
            Change::Lost => {
                store.lose();
                if self.phase == Phase::Whole {
                    self.phase = Phase::Lost;
                }
            }
            Change::Recovered => self.recovered = true,
        }
        *B::store(self) = store;
    }

    fn upsert<B: Tracked>(&mut self, store: &mut Store<B::Value>, object: &Object<B>) {
        let key = object.key();
        if !B::concerns(self, &key) || store.hear(&key, &object.metadata) == Verdict::Stale {
            return;
        }
        let old = store.get(&key);
        let new = B::digest(self, object, old);
        let name = self.strings.known(Arc::clone(key.name()));
        let key = Key::new(self.strings.share(key.namespace()), name);
        if old != Some(&new) {
            B::moved(self, &key, old, Some(&new));
            let problem = B::problem(&new).filter(|now| old.and_then(B::problem) != Some(*now));
            self.problems.extend(problem.cloned());
        }
        store.insert(key, &object.metadata, new);
    }

    /// Notes that something changed for a service.
    fn touch(&mut self, key: &Key) {
        // Before the first complete listing every service is due anyway.
        if self.phase != Phase::Fresh {
            self.due.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests;
