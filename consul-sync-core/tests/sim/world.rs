//! The state of a story: what is true, what is held, and what the process was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use consul_sync_core::{
    Layout, Op, Orphans, Outcome, Owner, RecordId, Service, Slot, Standing,
    testing::{MemoryLayout, MemoryRecord},
};
use tokio::{sync::watch, time::Instant};

use crate::{
    catalog::Catalog,
    fault::{Fault, Faults},
    oracle::Oracle,
    rng::Rng,
    script::Script,
    source::Truth,
};

/// Shared by the source, the sink and the story.
#[derive(Clone, Debug)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    /// Tells the streams that something changed.
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) layout: MemoryLayout,
    /// Counts the points at which the process waits, where somebody wants to cut it at one of them.
    points: Option<watch::Sender<u64>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) truth: Truth,
    pub(crate) catalog: Catalog,
    pub(crate) oracle: Oracle,
    /// Records that the sink refuses.
    pub(crate) poison: BTreeSet<RecordId>,
    /// Up to which change of the catalog each slot's last write went, and its last answered one.
    pub(crate) applied: BTreeMap<Slot, usize>,
    pub(crate) answered: BTreeMap<Slot, usize>,
    pub(crate) tally: Tally,
    /// What is told, asked and answered, where somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
    /// Writes that the sink has not done with, whoever sent them.
    pub(crate) requests: usize,
    /// Whether nobody's records are deleted as ours are.
    pub(crate) deletes_orphans: bool,
    begun: Instant,
    now: Option<Instant>,
    /// The point at which the process is cut.
    pub(crate) cut: Option<u64>,
}

/// What stories met, to see that they meet it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stories: u64,
    pub(crate) lies: u64,
    pub(crate) crashes: u64,
    pub(crate) freezes: u64,
    pub(crate) engaged: u64,
    pub(crate) confirmed: u64,
    pub(crate) writes: u64,
    pub(crate) deletes: u64,
}

impl Tally {
    /// Adds another story's.
    pub(crate) fn add(&mut self, other: Self) {
        self.stories += other.stories;
        self.lies += other.lies;
        self.crashes += other.crashes;
        self.freezes += other.freezes;
        self.engaged += other.engaged;
        self.confirmed += other.confirmed;
        self.writes += other.writes;
        self.deletes += other.deletes;
    }
}

impl World {
    pub(crate) fn new(script: &Script, points: Option<watch::Sender<u64>>) -> Self {
        let owner = Owner::new("us").unwrap();
        Self {
            layout: MemoryLayout::new(owner, script.ops),
            changes: watch::Sender::new(0),
            points,
            state: Arc::new(Mutex::new(State {
                rng: Rng::new(script.seed),
                faults: Faults::new(script.seed, &script.faults),
                truth: Truth::default(),
                catalog: Catalog::default(),
                oracle: Oracle::new(script.settings.brake.clone(), script.concurrency),
                poison: BTreeSet::new(),
                applied: BTreeMap::new(),
                answered: BTreeMap::new(),
                tally: Tally::default(),
                trace: None,
                requests: 0,
                deletes_orphans: script.settings.orphans == Orphans::Delete,
                begun: Instant::now(),
                now: None,
                cut: None,
            })),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Sometimes, while things go wrong, a pause.
    pub(crate) async fn dawdle(&self, fault: Fault, most_millis: u64) {
        let pause = {
            let mut state = self.lock();
            let slow = state.faults.strikes(fault);
            slow.map(|rng| Duration::from_millis(rng.below(most_millis)))
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) fn has_points(&self) -> bool {
        self.points.is_some()
    }

    /// A point at which the process waits. It may never get past it.
    pub(crate) async fn point(&self) {
        let Some(points) = &self.points else { return };
        points.send_modify(|count| *count += 1);
        let met = *points.borrow();
        let is_cut = self.lock().cut.is_some_and(|cut| met >= cut);
        if is_cut {
            std::future::pending::<()>().await;
        }
    }

    /// The records that are wanted in truth, by slot and id.
    pub(crate) fn wanted(&self) -> BTreeMap<(Slot, RecordId), Arc<MemoryRecord>> {
        let services: Vec<_> = {
            let state = self.lock();
            state.truth.services.values().flatten().cloned().collect()
        };
        let mut claims: BTreeMap<Slot, Vec<Arc<Service>>> = BTreeMap::new();
        for service in services {
            let slot = self.layout.place(&service).unwrap();
            claims.entry(slot).or_default().push(service);
        }
        let mut records = BTreeMap::new();
        for (slot, services) in claims {
            for (id, record) in lay_out(&self.layout, &slot, services) {
                records.insert((slot.clone(), id), record);
            }
        }
        records
    }
}

/// The records of one slot, by id.
pub(crate) fn lay_out(
    layout: &MemoryLayout,
    slot: &Slot,
    mut claims: Vec<Arc<Service>>,
) -> BTreeMap<RecordId, Arc<MemoryRecord>> {
    claims.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
    let records = layout.records(slot, &claims).records.into_iter();
    let by_id =
        |record: Arc<MemoryRecord>| (consul_sync_core::Record::id(&*record).clone(), record);
    records.map(by_id).collect()
}

impl State {
    /// Whether somebody else holds the record's place.
    pub(crate) fn is_blocked(&self, slot: &Slot, id: &RecordId) -> bool {
        let held = self.catalog.get(slot, id);
        held.is_some_and(|held| held.standing == Standing::Foreign)
    }

    /// Notes what happens, where somebody wants to read it.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let now = Instant::now() - self.begun;
            trace.push(format!("{:10.3} {}", now.as_secs_f64(), what()));
        }
    }

    /// To be called before anything changes: the oracle takes stock of what stood until now.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        if self.now.replace(now).is_some_and(|before| before < now) {
            self.oracle.hears_confirmation(&self.catalog);
            self.oracle.loss_stands(&self.catalog, now);
        }
    }

    /// A batch was answered, or its call failed.
    pub(crate) fn answered(
        &mut self,
        ops: &[Op<MemoryRecord>],
        outcomes: Option<&Vec<Outcome<u64>>>,
    ) {
        if outcomes.is_some() {
            for op in ops {
                if let Some(change) = self.applied.get(&op.slot) {
                    self.answered.insert(op.slot.clone(), *change);
                }
            }
        }
        self.oracle.answered(ops, outcomes);
    }
}
