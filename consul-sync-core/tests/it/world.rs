//! An engine and a destination in memory, driven step by step, with the rules checked at every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use consul_sync_core::{
    Batch, Engine, Event, Key, Layout, Outcome, Record, Service, Settings, Sink, Slot, Standing,
    WatchStream,
    testing::{MemoryRecord, MemorySink},
};
use futures::{FutureExt, StreamExt};

use crate::told::Told;

pub(crate) struct World {
    pub(crate) engine: Engine<MemorySink>,
    pub(crate) sink: MemorySink,
    pub(crate) now: Duration,
    pub(crate) deletes: usize,
    events: WatchStream<MemoryRecord>,
    /// Slots of which an answer was unclear and that were not read since.
    unclear: BTreeSet<Slot>,
    told: Told,
    /// How many turns of [`World::pump`] were needed.
    pub(crate) turns: usize,
}

/// Settings without a brake, for worlds in which everything may vanish.
pub(crate) fn unbraked() -> Settings {
    let mut settings = Settings::default();
    settings.brake.share = 100;
    settings
}

impl World {
    /// An engine that has listed the sink and not yet the source.
    pub(crate) fn new(sink: &MemorySink, settings: Settings) -> Self {
        let mut told = Told::default();
        told.exclusive = settings.exclusive;
        let mut world = Self {
            engine: Engine::new(sink.clone(), settings),
            events: sink.watch(),
            sink: sink.clone(),
            now: Duration::ZERO,
            deletes: 0,
            unclear: BTreeSet::new(),
            told,
            turns: 0,
        };
        world.take_sink_events();
        world
    }

    pub(crate) fn source(&mut self, event: Event<Key, Arc<Service>>) {
        self.told.hear(&event);
        self.engine.source_event(event, self.now);
    }

    pub(crate) fn upsert(&mut self, service: Service) {
        self.source(Event::Upserted(service.key.clone(), Arc::new(service)));
    }

    /// Lists exactly these services.
    pub(crate) fn list(&mut self, services: impl IntoIterator<Item = Service>) {
        self.source(Event::RelistStarted);
        for service in services {
            self.upsert(service);
        }
        self.source(Event::RelistDone);
    }

    /// The sink is listed anew, and shows what it holds.
    pub(crate) fn relist_sink(&mut self) {
        self.engine.sink_event(Event::RelistStarted, self.now);
        self.show_sink();
    }

    /// The rest of a listing of the sink that has begun: what it holds, and the end.
    pub(crate) fn show_sink(&mut self) {
        for (slot, held) in self.sink.contents() {
            self.engine
                .sink_event(Event::Upserted(slot, held), self.now);
        }
        self.engine.sink_event(Event::RelistDone, self.now);
    }

    pub(crate) fn take_sink_events(&mut self) {
        while let Some(Some(event)) = self.events.next().now_or_never() {
            let event = event.expect("the memory sink reports no errors");
            self.engine.sink_event(event, self.now);
        }
    }

    /// A person confirms all the deletes that they see held back.
    pub(crate) fn release_brake(&mut self) {
        let seen = self.engine.status().brake.held_deletes;
        self.engine.release_brake(seen);
    }

    /// Carries batches out until nothing is left to do at this time.
    pub(crate) fn pump(&mut self) {
        for _ in 0..10_000 {
            self.turns += 1;
            self.take_sink_events();
            self.read_doubtful();
            if let Some(batch) = self.engine.next_batch(self.now) {
                self.carry_out(&batch);
            } else if !self.engine.has_doubtful() {
                return;
            }
        }
        panic!("no end: {:?}", self.engine.status());
    }

    pub(crate) fn read_doubtful(&mut self) {
        let slots = self.engine.take_doubtful(3);
        if slots.is_empty() {
            return;
        }
        let answer = self
            .sink
            .read(&slots)
            .now_or_never()
            .expect("memory never waits");
        match answer {
            Ok(held) => {
                for (slot, held) in held {
                    self.unclear.remove(&slot);
                    self.engine.read(&slot, held);
                }
            }
            Err(_) => slots.iter().for_each(|slot| self.engine.read_failed(slot)),
        }
    }

    pub(crate) fn carry_out(&mut self, batch: &Batch<MemoryRecord>) {
        self.check(batch);
        self.told.check_served(batch.ops(), &self.sink);
        self.deletes += batch.ops().iter().filter(|op| op.is_delete()).count();
        let before = self.sink.contents();
        let answer = self
            .sink
            .apply(batch.ops())
            .now_or_never()
            .expect("memory never waits");
        let after = self.sink.contents();
        for (slot, held) in &before {
            for record in held
                .records
                .iter()
                .filter(|r| r.standing == Standing::Foreign)
            {
                let still = after.get(slot).into_iter().flat_map(|held| &held.records);
                let is_there = still.into_iter().any(|r| {
                    r.record == record.record
                        && r.version == record.version
                        && r.standing == record.standing
                });
                assert!(is_there, "somebody else's record changed: {record:?}");
            }
        }
        if let Ok(outcomes) = &answer {
            for (op, outcome) in batch.ops().iter().zip(outcomes) {
                if matches!(outcome, Outcome::Stale | Outcome::Unknown) {
                    self.unclear.insert(op.slot.clone());
                }
            }
        } else {
            self.unclear
                .extend(batch.ops().iter().map(|op| op.slot.clone()));
        }
        self.engine.settle(batch.id(), answer.ok(), self.now);
    }

    /// The rules that every batch obeys.
    fn check(&self, batch: &Batch<MemoryRecord>) {
        let limits = self.sink.limits();
        assert!(
            !batch.ops().is_empty() && batch.ops().len() <= limits.ops,
            "limits"
        );
        let contents = self.sink.contents();
        let status = self.engine.status();
        let mut deleting: BTreeSet<&Slot> = BTreeSet::new();
        for op in batch.ops() {
            assert!(
                !self.unclear.contains(&op.slot),
                "{} was not read again",
                op.slot
            );
            if op.is_delete() {
                assert!(
                    status.source.complete && status.sink.complete,
                    "delete from weak knowledge"
                );
                deleting.insert(&op.slot);
            } else {
                assert!(
                    !deleting.contains(&op.slot),
                    "{}: delete before put",
                    op.slot
                );
            }
            let held = contents
                .get(&op.slot)
                .into_iter()
                .flat_map(|held| &held.records);
            let held = held.into_iter().find(|held| held.record.id() == op.id());
            let is_foreign = held.is_some_and(|held| held.standing == Standing::Foreign);
            assert!(!is_foreign, "an operation on somebody else's {}", op.id());
        }
    }

    /// What is ours in the sink: slot, id, content.
    pub(crate) fn ours(&self) -> Vec<(Slot, Arc<MemoryRecord>)> {
        let contents = self.sink.contents().into_iter();
        contents
            .flat_map(|(slot, held)| {
                let ours = held
                    .records
                    .into_iter()
                    .filter(|r| r.standing == Standing::Ours);
                ours.map(move |held| (slot.clone(), held.record))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// What should be ours: the records of these services, without ids that somebody else holds.
    pub(crate) fn wanted<'a>(
        &self,
        services: impl IntoIterator<Item = &'a Service>,
    ) -> Vec<(Slot, Arc<MemoryRecord>)> {
        let mut claims: BTreeMap<Slot, Vec<Arc<Service>>> = BTreeMap::new();
        for service in services {
            let slot = self.sink.place(service).expect("has a place");
            claims
                .entry(slot)
                .or_default()
                .push(Arc::new(service.clone()));
        }
        let contents = self.sink.contents();
        let mut wanted = Vec::new();
        for (slot, mut services) in claims {
            services.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
            for record in self.sink.records(&slot, &services).records {
                let held = contents
                    .get(&slot)
                    .into_iter()
                    .flat_map(|held| &held.records);
                let is_foreign = held
                    .into_iter()
                    .any(|r| r.record.id() == record.id() && r.standing == Standing::Foreign);
                if !is_foreign {
                    wanted.push((slot.clone(), record));
                }
            }
        }
        wanted
    }
}
