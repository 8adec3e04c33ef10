//! The state of a story: what is true, what is held, and what the process was told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use consul_sync_core::{
    Key, Layout, RecordId, Service, Slot, Standing,
    testing::{MemoryLayout, MemoryRecord},
};
use tokio::sync::watch;

use crate::{catalog::Catalog, oracle::Oracle, rng::Rng};

/// Shared by the source, the sink and the story.
#[derive(Clone, Debug)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    /// Tells the streams that something changed.
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) layout: MemoryLayout,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rng: Rng,
    /// What should be; `None` for a service that cannot be used.
    pub(crate) truth: BTreeMap<Key, Option<Service>>,
    /// Keys that changed, in order.
    pub(crate) changed: Vec<Key>,
    pub(crate) catalog: Catalog,
    pub(crate) oracle: Oracle,
    /// Whether things go wrong.
    pub(crate) faults: bool,
    /// A record that the sink refuses.
    pub(crate) poison: Option<RecordId>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let ops = 1 + usize::try_from(rng.below(12)).unwrap();
        let owner = consul_sync_core::Owner::new("us").unwrap();
        Self {
            layout: MemoryLayout::new(owner, ops),
            changes: watch::Sender::new(0),
            state: Arc::new(Mutex::new(State {
                rng,
                truth: BTreeMap::new(),
                changed: Vec::new(),
                catalog: Catalog::default(),
                oracle: Oracle::default(),
                faults: true,
                poison: None,
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
    pub(crate) async fn dawdle(&self, percent: u64, most_millis: u64) {
        let pause = {
            let mut state = self.lock();
            let is_slow = state.faults && state.rng.chance(percent);
            is_slow.then(|| Duration::from_millis(state.rng.below(most_millis)))
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }

    /// The records that these services want, by slot and id.
    pub(crate) fn records<'a>(
        &self,
        services: impl IntoIterator<Item = &'a Service>,
    ) -> BTreeMap<(Slot, RecordId), Arc<MemoryRecord>> {
        let mut claims: BTreeMap<Slot, Vec<Arc<Service>>> = BTreeMap::new();
        for service in services {
            let slot = self.layout.place(service).unwrap();
            claims
                .entry(slot)
                .or_default()
                .push(Arc::new(service.clone()));
        }
        let mut records = BTreeMap::new();
        for (slot, mut services) in claims {
            services.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
            for record in self.layout.records(&slot, &services).records {
                let id = consul_sync_core::Record::id(&*record).clone();
                records.insert((slot.clone(), id), record);
            }
        }
        records
    }
}

impl State {
    /// Whether somebody else holds the record's place.
    pub(crate) fn is_blocked(&self, slot: &Slot, id: &RecordId) -> bool {
        let held = self.catalog.get(slot, id);
        held.is_some_and(|held| held.standing == Standing::Foreign)
    }

    /// While things go wrong: whether this does.
    pub(crate) fn goes_wrong(&mut self, percent: u64) -> bool {
        self.faults && self.rng.chance(percent)
    }
}
