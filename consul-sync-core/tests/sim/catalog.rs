//! What the sink holds, and everything it ever held.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{
    Action, Held, HeldRecord, Op, Outcome, Record, RecordId, Slot, Standing, testing::MemoryRecord,
};

pub(crate) type Records = BTreeMap<RecordId, HeldRecord<MemoryRecord>>;

/// Records with versions and standings, and the history of every slot.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) slots: BTreeMap<Slot, Records>,
    /// Each change: the slot, and what it held after it.
    pub(crate) journal: Vec<(Slot, Held<MemoryRecord>)>,
    version: u64,
    pub(crate) writes: u64,
    /// Deletes that were carried out for us, by slot and id.
    pub(crate) deletes: BTreeMap<(Slot, RecordId), usize>,
    /// What is somebody else's, as they wrote it.
    theirs: BTreeMap<(Slot, RecordId), u64>,
}

impl Catalog {
    pub(crate) fn held(&self, slot: &Slot) -> Held<MemoryRecord> {
        let records = self.slots.get(slot).into_iter().flatten();
        Held {
            records: records.map(|(_, held)| held.clone()).collect(),
        }
    }

    /// What every slot held after the first changes.
    pub(crate) fn at(&self, change: usize) -> BTreeMap<Slot, Held<MemoryRecord>> {
        let changes = self.journal.iter().take(change);
        let mut slots: BTreeMap<Slot, Held<MemoryRecord>> = changes.cloned().collect();
        slots.retain(|_, held| !held.records.is_empty());
        slots
    }

    /// Somebody else writes, in whoever's name.
    pub(crate) fn plant(&mut self, slot: &Slot, record: Arc<MemoryRecord>, standing: Standing) {
        let place = (slot.clone(), record.id());
        let version = self.set(slot, record, standing);
        if standing == Standing::Foreign {
            self.theirs.insert(place, version);
        } else {
            self.theirs.remove(&place);
        }
    }

    /// Somebody else removes.
    pub(crate) fn lose(&mut self, slot: &Slot, id: &RecordId) {
        self.theirs.remove(&(slot.clone(), id.clone()));
        self.remove(slot, id);
    }

    pub(crate) fn get(&self, slot: &Slot, id: &RecordId) -> Option<&HeldRecord<MemoryRecord>> {
        self.slots.get(slot)?.get(id)
    }

    /// Every record.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Slot, &HeldRecord<MemoryRecord>)> {
        let slots = self.slots.iter();
        slots.flat_map(|(slot, records)| records.values().map(move |held| (slot, held)))
    }

    /// Ours, by slot and id.
    pub(crate) fn ours(&self) -> BTreeMap<(Slot, RecordId), Arc<MemoryRecord>> {
        self.all()
            .filter(|(_, held)| held.standing == Standing::Ours)
            .map(|(slot, held)| {
                let place = (slot.clone(), held.record.id());
                (place, Arc::clone(&held.record))
            })
            .collect()
    }

    /// A record of somebody else's that is not as they left it.
    pub(crate) fn hurt(&self) -> Option<&(Slot, RecordId)> {
        let is_hurt = |place: &&(Slot, RecordId)| {
            let held = self.get(&place.0, &place.1);
            held.map(|held| held.version) != self.theirs.get(place).copied()
        };
        self.theirs.keys().find(is_hurt)
    }

    /// One conditional write of ours.
    pub(crate) fn apply(&mut self, op: &Op<MemoryRecord>) -> Outcome<u64> {
        let version = self.get(&op.slot, &op.id()).map(|held| held.version);
        if op.is_delete() && version.is_none() {
            return Outcome::Deleted;
        }
        if version != expected(op) {
            return Outcome::Stale;
        }
        self.writes += 1;
        if op.is_delete() {
            let place = (op.slot.clone(), op.id());
            *self.deletes.entry(place).or_default() += 1;
            self.remove(&op.slot, &op.id());
            Outcome::Deleted
        } else {
            Outcome::Written(self.set(&op.slot, Arc::clone(op.record()), Standing::Ours))
        }
    }

    fn set(&mut self, slot: &Slot, record: Arc<MemoryRecord>, standing: Standing) -> u64 {
        self.version += 1;
        let held = HeldRecord {
            record,
            version: self.version,
            standing,
        };
        let records = self.slots.entry(slot.clone()).or_default();
        records.insert(held.record.id(), held);
        self.journal.push((slot.clone(), self.held(slot)));
        self.version
    }

    fn remove(&mut self, slot: &Slot, id: &RecordId) {
        if let Some(records) = self.slots.get_mut(slot) {
            records.remove(id);
        }
        self.journal.push((slot.clone(), self.held(slot)));
    }
}

/// The version that an operation demands.
pub(crate) fn expected(op: &Op<MemoryRecord>) -> Option<u64> {
    match &op.action {
        Action::Create(_) => None,
        Action::Update { expected, .. } => Some(*expected),
        Action::Delete(deletion) => Some(*deletion.expected()),
    }
}
