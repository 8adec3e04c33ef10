//! What a source told, kept apart from the engine: the measure of what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use consul_sync_core::{
    Action, Event, Key, Layout, Op, Record, Service, Slot, Standing,
    testing::{MemoryRecord, MemorySink},
};

/// The last good value of every service.
#[derive(Debug, Default)]
pub(crate) struct Told {
    services: BTreeMap<Key, Service>,
    /// The keys that the listing under way has shown.
    listed: Option<BTreeSet<Key>>,
    /// Whether one namespace alone holds a slot: then nobody else's claims want anything there.
    pub(crate) exclusive: bool,
}

impl Told {
    pub(crate) fn hear(&mut self, event: &Event<Key, Arc<Service>>) {
        match event {
            Event::RelistStarted => self.listed = Some(BTreeSet::new()),
            Event::Upserted(key, service) => {
                self.list(key);
                self.services.insert(key.clone(), (**service).clone());
            }
            Event::Removed(key) => {
                self.services.remove(key);
            }
            Event::Rejected(key, rejection) => {
                self.list(key);
                if rejection.reason().withdraws() {
                    self.services.remove(key);
                }
            }
            Event::RelistDone => {
                if let Some(listed) = self.listed.take() {
                    self.services.retain(|key, _| listed.contains(key));
                }
            }
        }
    }

    fn list(&mut self, key: &Key) {
        if let Some(listed) = &mut self.listed {
            listed.insert(key.clone());
        }
    }

    /// Whether a slot should have something live in it, apart from what somebody else is in the way of.
    fn wants_live(&self, slot: &Slot, sink: &MemorySink) -> bool {
        let claims = self.services.values();
        let mut claims: Vec<Arc<Service>> = claims
            .filter(|service| sink.place(service).is_ok_and(|place| place == *slot))
            .map(|service| Arc::new(service.clone()))
            .collect();
        claims.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
        let contents = sink.contents();
        let held = || {
            contents
                .get(slot)
                .into_iter()
                .flat_map(|held| &held.records)
        };
        if self.exclusive {
            let origins: BTreeSet<String> = held()
                .filter_map(|held| held.record.origin().map(str::to_owned))
                .collect();
            claims.retain(|claim| origins.contains(&**claim.key.namespace()));
        }
        let is_blocked = |record: &MemoryRecord| {
            held().any(|held| held.record.id() == record.id() && held.standing == Standing::Foreign)
        };
        let wanted = sink.records(slot, &claims).records;
        wanted
            .iter()
            .any(|record| record.is_live() && !is_blocked(record))
    }

    /// Walks through a batch, one operation after the other, and counts what is live after each: no delete leaves a
    /// slot without anything live in which something live is wanted (invariant I-S7).
    pub(crate) fn check_served(&self, ops: &[Op<MemoryRecord>], sink: &MemorySink) {
        let mut slots: BTreeMap<Slot, BTreeMap<_, (u64, bool)>> = BTreeMap::new();
        for (slot, held) in sink.contents() {
            let records = held.records.into_iter();
            let records =
                records.map(|held| (held.record.id(), (held.version, held.record.is_live())));
            slots.insert(slot, records.collect());
        }
        for op in ops {
            let records = slots.entry(op.slot.clone()).or_default();
            let live = |records: &BTreeMap<_, (u64, bool)>| {
                records.values().filter(|(_, live)| *live).count()
            };
            let before = live(records);
            let Action::Delete(deletion) = &op.action else {
                records.insert(op.id(), (u64::MAX, op.record().is_live()));
                continue;
            };
            if records
                .get(&op.id())
                .is_some_and(|(version, _)| version == deletion.expected())
            {
                records.remove(&op.id());
            }
            let is_emptied = before > 0 && live(records) == 0;
            assert!(
                !is_emptied || !self.wants_live(&op.slot, sink),
                "{}: the delete of {} leaves nothing live",
                op.slot,
                op.id()
            );
        }
    }
}
