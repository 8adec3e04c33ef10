//! The cluster as a destination: services of Consul become Services and EndpointSlices.
//!
//! A slot is `namespace/name` of a Service, and what it holds are objects: the Service, and in the modes `endpoints` and
//! `headless` the EndpointSlices that we write to it. Objects of others are seen where they stand in the way, and never
//! written.
//!
//! | rule | how |
//! | --- | --- |
//! | only what is ours is written | the owner's label and the object's own name on it, see `mark` |
//! | every write is conditional | a create fails where something is, a change carries `uid` and `resourceVersion`, a delete has both as preconditions |
//! | what others add stays | server-side apply under our own field manager |
//! | what others changed is repaired | what they added where it would lead traffic elsewhere is taken away by merge patch |
//! | one instance changes, one object is written | how endpoints are shared out follows from the endpoints alone |
//! | nothing below a name of theirs | a slice [needs](consul_sync_core::Record::needs) its Service |
//!
//! No object has an owner reference: garbage collection deletes without a brake, and knows no order. A Service that
//! somebody deletes is created again, and its slices have stayed meanwhile.

mod address;
mod apply;
mod gate;
mod journal;
mod leftover;
mod manifest;
mod name;
mod place;
mod ports;
mod read;
mod settings;
mod slices;
mod table;
mod tell;
mod watch;
mod write;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicBool},
};

use async_trait::async_trait;
use consul_sync_core::{
    Cost, Held, Layout, Op, Outcomes, Owner, Placed, Rejection, Service, Sink, SinkError, Slot,
    WatchStream,
};
use kube::Client;
use tokio::sync::Semaphore;

use self::{gate::Gate, journal::Journal, place::Placement};
pub use self::{
    manifest::{Endpoint, Manifest, ObjectVersion},
    settings::{ImportSettings, InvalidImport, Mode, ModeRule},
};
use crate::{WatchSettings, mark};

/// Operations in one batch.
const BATCH: usize = 64;
/// How many slots are written at once, over all batches under way.
const AT_ONCE: usize = 32;

/// Writes services into a cluster, and shows what it holds of them. Cheap to clone.
///
/// # Examples
/// ```
/// use consul_sync_core::{Owner, Settings, testing::{TableSource, service}};
/// use consul_sync_k8s::{ImportSettings, KubeSink, testing::FakeCluster};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = FakeCluster::new();
/// let sink = KubeSink::new(cluster.client(), ImportSettings::new(Owner::new("cluster-a")?))?;
/// let services = TableSource::default();
/// services.put(service("/web", ["10.0.0.1"]));
/// let plan = consul_sync_core::plan(&services, &sink, &Settings::default()).await?;
/// assert_eq!(plan.summary().create, 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KubeSink {
    inner: Arc<Inner>,
}

/// What every clone of a sink shares.
pub(crate) struct Inner {
    client: Client,
    placement: Placement,
    watching: Arc<WatchSettings>,
    gate: Gate,
    /// One for each slot that may be written at the same time, whichever batch it is of.
    turns: Semaphore,
    journals: Mutex<Vec<Weak<Journal>>>,
    /// Whether slices are watched, and read with the rest of a slot.
    slices: AtomicBool,
    /// UIDs of Services that were told that they stand in the way.
    told: Mutex<HashSet<Arc<str>>>,
}

// === impl KubeSink ===

impl KubeSink {
    /// A sink over a client; nothing is sent yet. The client's own repetitions are best switched off
    /// (`Config::default_retry`): the sink repeats what helps, and bounds what the client does.
    ///
    /// # Errors
    /// [`InvalidImport`] names the setting that can be no part of a name in Kubernetes.
    pub fn new(client: Client, settings: ImportSettings) -> Result<Self, InvalidImport> {
        settings.check()?;
        let placement = Placement {
            owner: mark::owner_label(&settings.owner).into(),
            settings,
        };
        let (watching, gate) = (Arc::default(), Gate::default());
        Ok(Self::of(client, placement, watching, gate))
    }

    fn of(client: Client, placement: Placement, watching: Arc<WatchSettings>, gate: Gate) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                slices: AtomicBool::new(placement.settings.writes_slices()),
                placement,
                watching,
                gate,
                turns: Semaphore::new(AT_ONCE),
                journals: Mutex::default(),
                told: Mutex::default(),
            }),
        }
    }

    /// The same with other limits for its watches.
    ///
    /// ```
    /// use consul_sync_core::Owner;
    /// use consul_sync_k8s::{ImportSettings, KubeSink, WatchSettings, testing::FakeCluster};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = ImportSettings::new(Owner::new("cluster-a")?);
    /// let sink = KubeSink::new(FakeCluster::new().client(), settings)?
    ///     .with_watch_settings(WatchSettings { page_size: 100, ..WatchSettings::default() });
    /// # let _ = sink; Ok(()) }
    /// ```
    #[must_use]
    pub fn with_watch_settings(self, settings: WatchSettings) -> Self {
        let Inner {
            client,
            placement,
            gate,
            ..
        } = &*self.inner;
        let watching = Arc::new(settings);
        Self::of(client.clone(), placement.clone(), watching, gate.clone())
    }

    /// The same that asks before each write whether it may be sent: the place of a leader election. What may not be sent
    /// is [skipped](consul_sync_core::Outcome::Skipped). It should say no also right after the process was stopped for
    /// long, before anybody had the time to shut anything ([`Lease::is_held`](crate::Lease::is_held)).
    ///
    /// ```
    /// use consul_sync_core::{BatchReport, Owner, Settings, testing::{TableSource, service}};
    /// use consul_sync_k8s::{ImportSettings, KubeSink, testing::FakeCluster};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = FakeCluster::new();
    /// let sink = KubeSink::new(cluster.client(), ImportSettings::new(Owner::new("cluster-a")?))?.with_gate(|| false);
    /// let services = TableSource::default();
    /// services.put(service("/web", ["10.0.0.1"]));
    /// let plan = consul_sync_core::plan(&services, &sink, &Settings::default()).await?;
    /// assert_eq!(consul_sync_core::carry_out(&sink, plan).await?.skipped, 1);
    /// assert!(cluster.list("services").is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_gate(self, may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let Inner {
            client,
            placement,
            watching,
            ..
        } = &*self.inner;
        let gate = Gate::new(may_write);
        Self::of(
            client.clone(),
            placement.clone(),
            Arc::clone(watching),
            gate,
        )
    }
}

impl Layout for KubeSink {
    type Record = Manifest;

    fn owner(&self) -> &Owner {
        &self.inner.placement.settings.owner
    }

    fn limits(&self) -> Cost {
        Cost {
            ops: BATCH,
            bytes: usize::MAX,
        }
    }

    /// Every operation is a request of its own, whatever its size.
    fn cost(&self, _op: &Op<Manifest>) -> Cost {
        Cost { ops: 1, bytes: 1 }
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.inner.placement.place(service)
    }

    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<Manifest> {
        self.inner.placement.records(slot, claims)
    }
}

#[async_trait]
impl Sink for KubeSink {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn watch(&self) -> WatchStream<Manifest> {
        watch::stream(Arc::clone(&self.inner))
    }

    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<Manifest>)>, SinkError> {
        self.inner.read(slots).await
    }

    async fn apply(&self, ops: &[Op<Manifest>]) -> Result<Outcomes<Manifest>, SinkError> {
        self.inner.apply(ops).await
    }
}

impl fmt::Debug for KubeSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeSink")
            .field("settings", &self.inner.placement.settings)
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// A journal that is told of every write from now on, for as long as it lives.
    fn journal(&self) -> Arc<Journal> {
        let journal = Arc::new(Journal::default());
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.retain(|journal| journal.strong_count() > 0);
        journals.push(Arc::downgrade(&journal));
        journal
    }

    /// Every journal that lives.
    fn journals(&self) -> Vec<Arc<Journal>> {
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.iter().filter_map(Weak::upgrade).collect()
    }
}
