//! What the sink holds.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{
    Action, Held, HeldRecord, Op, Outcome, Record, RecordId, Slot, Standing, testing::MemoryRecord,
};

/// Records with versions and standings, and which slots changed, in order.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) slots: BTreeMap<Slot, BTreeMap<RecordId, HeldRecord<MemoryRecord>>>,
    pub(crate) changed: Vec<Slot>,
    version: u64,
    pub(crate) writes: u64,
}

impl Catalog {
    pub(crate) fn held(&self, slot: &Slot) -> Held<MemoryRecord> {
        let records = self.slots.get(slot).into_iter().flatten();
        Held {
            records: records.map(|(_, held)| held.clone()).collect(),
        }
    }

    pub(crate) fn set(
        &mut self,
        slot: &Slot,
        record: Arc<MemoryRecord>,
        standing: Standing,
    ) -> u64 {
        self.version += 1;
        let held = HeldRecord {
            record,
            version: self.version,
            standing,
        };
        let records = self.slots.entry(slot.clone()).or_default();
        records.insert(held.record.id().clone(), held);
        self.changed.push(slot.clone());
        self.version
    }

    pub(crate) fn remove(&mut self, slot: &Slot, id: &RecordId) {
        if let Some(records) = self.slots.get_mut(slot) {
            records.remove(id);
        }
        self.changed.push(slot.clone());
    }

    pub(crate) fn get(&self, slot: &Slot, id: &RecordId) -> Option<&HeldRecord<MemoryRecord>> {
        self.slots.get(slot)?.get(id)
    }

    /// Ours, by slot and id.
    pub(crate) fn ours(&self) -> BTreeMap<(Slot, RecordId), Arc<MemoryRecord>> {
        let all = self
            .slots
            .iter()
            .flat_map(|(slot, records)| records.iter().map(move |r| (slot, r)));
        all.filter(|(_, (_, held))| held.standing == Standing::Ours)
            .map(|(slot, (id, held))| ((slot.clone(), id.clone()), Arc::clone(&held.record)))
            .collect()
    }

    /// One conditional write.
    pub(crate) fn apply(&mut self, op: &Op<MemoryRecord>) -> Outcome<u64> {
        let version = self.get(&op.slot, op.id()).map(|held| held.version);
        let expected = match &op.action {
            Action::Create(_) => None,
            Action::Update { expected, .. } => Some(*expected),
            Action::Delete(deletion) => Some(*deletion.expected()),
        };
        if op.is_delete() && version.is_none() {
            return Outcome::Deleted;
        }
        if version != expected {
            return Outcome::Stale;
        }
        self.writes += 1;
        if op.is_delete() {
            self.remove(&op.slot, op.id());
            Outcome::Deleted
        } else {
            Outcome::Written(self.set(&op.slot, Arc::clone(op.record()), Standing::Ours))
        }
    }
}
