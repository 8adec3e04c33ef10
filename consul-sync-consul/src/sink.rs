//! The Consul sink: one synthetic node that holds every instance we register.

mod namespaces;
mod node;
mod read;
mod settings;

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use consul_sync_core::{
    Cost, Held, Layout, Op, Outcomes, Owner, Placed, Rejection, Service, Sink, SinkError, Slot,
    WatchStream,
};

pub use self::settings::{NodeName, SinkSettings};
pub(crate) use self::{
    namespaces::{Namespaces, Unusable},
    node::NodeState,
    read::{Listed, seen},
};
use crate::{
    Client,
    journal::Journal,
    place::Placement,
    registration::Registration,
    txn::{Apply, Limits, Target, fence_cost},
    watch,
};

/// Writes services to Consul's catalog, and shows what it holds of our node. Cheap to clone.
///
/// Everything is read with `?consistent` and written by conditional transactions. The node is a synthetic one:
/// no agent runs on it, and a node of an agent is refused, because the agent would remove what it did not
/// register itself.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings};
/// use consul_sync_core::{Layout, Owner};
///
/// let client = Client::new(ClientSettings::new("http://127.0.0.1:8500"))?;
/// let owner = Owner::new("6f1c0a57-93de-4a4e-8a9f-2d3d8a4f6f10")?;
/// let sink = ConsulSink::new(client, SinkSettings::new(owner));
/// assert_eq!(sink.limits().ops, 127, "one of the 128 is the node's");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConsulSink {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) settings: SinkSettings,
    pub(crate) placement: Placement,
    pub(crate) limits: Limits,
    pub(crate) node: Mutex<NodeState>,
    pub(crate) namespaces: Namespaces,
    journals: Mutex<Vec<Weak<Journal>>>,
    /// The highest index that a listing has shown.
    highest: AtomicU64,
}

// === impl ConsulSink ===

impl ConsulSink {
    /// A sink; nothing is sent yet.
    pub fn new(client: Client, settings: SinkSettings) -> Self {
        let placement = Placement {
            owner: settings.owner.clone(),
            namespace: settings.namespace.as_deref().map(Into::into),
            named_ports: settings.named_ports,
            checks: settings.checks,
            known: Arc::default(),
        };
        Self {
            inner: Arc::new(Inner {
                client,
                placement,
                settings,
                limits: Limits::new(),
                node: Mutex::new(NodeState::Unknown),
                namespaces: Namespaces::default(),
                journals: Mutex::default(),
                highest: AtomicU64::new(0),
            }),
        }
    }

    /// The name of the node that holds the instances.
    pub fn node(&self) -> &NodeName {
        &self.inner.settings.node
    }

    /// The client that it speaks through.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }
}

impl Layout for ConsulSink {
    type Record = Registration;

    fn owner(&self) -> &Owner {
        &self.inner.settings.owner
    }

    fn limits(&self) -> Cost {
        let limits = self.inner.limits.get();
        let fence = fence_cost(self.inner.settings.fence.as_ref());
        Cost {
            ops: limits.ops - fence.ops,
            bytes: limits.bytes - fence.bytes,
        }
    }

    fn cost(&self, op: &Op<Registration>) -> Cost {
        self.inner.target().cost(op)
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.inner.placement.place(service)
    }

    fn records(&self, _slot: &Slot, claims: &[Arc<Service>]) -> Placed<Registration> {
        self.inner.placement.records(claims)
    }
}

#[async_trait]
impl Sink for ConsulSink {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn watch(&self) -> WatchStream<Registration> {
        watch::stream(Arc::clone(&self.inner))
    }

    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<Registration>)>, SinkError> {
        Ok(self.inner.read(slots).await?)
    }

    async fn apply(&self, ops: &[Op<Registration>]) -> Result<Outcomes<Registration>, SinkError> {
        Ok(Apply::new(&self.inner, ops).run().await?)
    }
}

// === impl Inner ===

impl Inner {
    /// Where instances are written.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            node: self.settings.node.as_str(),
            partition: self.client.partition(),
        }
    }

    /// Whether namespaces are used, so that slots and answers have them.
    pub(crate) fn has_namespaces(&self) -> bool {
        self.settings.namespace.is_some()
    }

    /// A listing showed this index.
    pub(crate) fn saw_index(&self, index: u64) {
        self.highest.fetch_max(index, Ordering::Relaxed);
    }

    /// A listing is relied upon that has this index and no higher one.
    pub(crate) fn restart_index(&self, index: u64) {
        self.highest.store(index, Ordering::Relaxed);
    }

    /// The highest index that was shown.
    pub(crate) fn highest_index(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    /// A journal that is told of every write from now on, for as long as it lives.
    pub(crate) fn journal(&self) -> Arc<Journal> {
        let journal = Arc::new(Journal::default());
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.retain(|journal| journal.strong_count() > 0);
        journals.push(Arc::downgrade(&journal));
        journal
    }

    /// Every journal that lives.
    pub(crate) fn journals(&self) -> Vec<Arc<Journal>> {
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.iter().filter_map(Weak::upgrade).collect()
    }
}
