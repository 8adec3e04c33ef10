//! The actual table: what every slot of the destination holds, and whose it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::listing::Listing;
use crate::{Held, HeldRecord, Record, RecordId, Slot, Standing};

/// Records as the sink last showed them or as our writes left them.
#[derive(Debug)]
pub(crate) struct Actual<R: Record> {
    pub(crate) listing: Listing,
    slots: BTreeMap<Slot, Entry<R>>,
    counts: Counts,
    /// Slots written since the open listing began: what it says of them may be older than the write.
    written: BTreeSet<Slot>,
}

#[derive(Debug)]
struct Entry<R: Record> {
    held: Held<R>,
    /// For each record, whether it was wanted at some time in this engine's life.
    known: Vec<bool>,
    seen: u32,
}

/// Records by standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) owned: usize,
    pub(crate) orphans: usize,
    pub(crate) foreign: usize,
}

impl<R: Record> Default for Actual<R> {
    fn default() -> Self {
        Self {
            listing: Listing::default(),
            slots: BTreeMap::new(),
            counts: Counts::default(),
            written: BTreeSet::new(),
        }
    }
}

impl<R: Record> Actual<R> {
    /// A listing begins.
    pub(crate) fn start(&mut self) {
        self.listing.start();
        self.written.clear();
    }

    /// The slot now holds exactly this. Returns whether that is news.
    pub(crate) fn set(&mut self, slot: &Slot, held: Held<R>) -> bool {
        let seen = self.listing.generation();
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.seen = seen;
            if same(&entry.held, &held) {
                // Equal, and held elsewhere, too: so it is there once.
                entry.held = held;
                return false;
            }
        } else if held.records.is_empty() {
            return false;
        }
        self.counts.add(&held);
        let ids = held.records.iter().map(|held| held.record.id());
        let known = ids.map(|id| self.is_known(slot, &id)).collect();
        let old = if held.records.is_empty() {
            self.slots.remove(slot)
        } else {
            self.slots.insert(slot.clone(), Entry { held, known, seen })
        };
        if let Some(old) = old {
            self.counts.subtract(&old.held);
        }
        true
    }

    /// Marks that the open listing showed the slot, without believing what it showed.
    pub(crate) fn mark_seen(&mut self, slot: &Slot) {
        let seen = self.listing.generation();
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.seen = seen;
        }
    }

    /// The slots that the listing that just ended did not show.
    pub(crate) fn unseen(&self) -> Vec<Slot> {
        let generation = self.listing.generation();
        self.slots
            .iter()
            .filter(|(_, entry)| entry.seen != generation)
            .map(|(slot, _)| slot.clone())
            .collect()
    }

    /// Remembers that a write to the slot was answered, for a listing that may have been read before it.
    pub(crate) fn note_written(&mut self, slot: &Slot) {
        if self.listing.is_open() {
            self.written.insert(slot.clone());
        }
    }

    /// Whether the open listing may show the slot as it was before one of our writes.
    pub(crate) fn may_be_stale(&self, slot: &Slot) -> bool {
        self.written.contains(slot)
    }

    /// What the slot holds.
    pub(crate) fn held(&self, slot: &Slot) -> &[HeldRecord<R>] {
        self.slots
            .get(slot)
            .map_or(&[], |entry| entry.held.records.as_slice())
    }

    /// One record.
    pub(crate) fn get(&self, slot: &Slot, id: &RecordId) -> Option<&HeldRecord<R>> {
        let records = self.held(slot);
        records.get(find(records, id).ok()?)
    }

    /// These records, sorted by id, are wanted: whoever wants them is understood.
    pub(crate) fn know(&mut self, slot: &Slot, wanted: &[Arc<R>]) {
        let Some(entry) = self.slots.get_mut(slot) else {
            return;
        };
        for (held, known) in entry.held.records.iter().zip(&mut entry.known) {
            let id = held.record.id();
            *known = *known || wanted.binary_search_by(|want| want.id().cmp(&id)).is_ok();
        }
    }

    /// Whether the record was wanted at some time in this engine's life.
    pub(crate) fn is_known(&self, slot: &Slot, id: &RecordId) -> bool {
        let Some(entry) = self.slots.get(slot) else {
            return false;
        };
        let at = find(&entry.held.records, id);
        at.is_ok_and(|at| entry.known.get(at) == Some(&true))
    }

    /// A record of ours is there now.
    pub(crate) fn put(&mut self, slot: &Slot, record: Arc<R>, version: R::Version) {
        let seen = self.listing.generation();
        let entry = self.slots.entry(slot.clone()).or_insert_with(|| Entry {
            held: Held::empty(),
            known: Vec::new(),
            seen,
        });
        let records = &mut entry.held.records;
        let new = HeldRecord {
            record,
            version,
            standing: Standing::Ours,
        };
        self.counts.owned += 1;
        match find(records, &new.record.id()) {
            Ok(at) => {
                let old = std::mem::replace(&mut records[at], new);
                *self.counts.of(old.standing) -= 1;
                entry.known[at] = true;
            }
            Err(at) => {
                if records.len() == records.capacity() {
                    // Twice the room for each instance that is added would be twice the room for all of them.
                    records.reserve_exact(1 + records.len() / 8);
                }
                records.insert(at, new);
                entry.known.insert(at, true);
            }
        }
    }

    /// A record is gone.
    pub(crate) fn take(&mut self, slot: &Slot, id: &RecordId) {
        let Some(entry) = self.slots.get_mut(slot) else {
            return;
        };
        let records = &mut entry.held.records;
        if let Ok(at) = find(records, id) {
            let old = records.remove(at);
            entry.known.remove(at);
            *self.counts.of(old.standing) -= 1;
        }
        if records.is_empty() {
            self.slots.remove(slot);
        }
    }

    /// Every slot that holds something, in order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.keys()
    }

    /// Records by standing.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }
}

impl Counts {
    fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Ours => &mut self.owned,
            Standing::Orphan => &mut self.orphans,
            Standing::Foreign => &mut self.foreign,
        }
    }

    fn add<R: Record>(&mut self, held: &Held<R>) {
        for record in &held.records {
            *self.of(record.standing) += 1;
        }
    }

    fn subtract<R: Record>(&mut self, held: &Held<R>) {
        for record in &held.records {
            *self.of(record.standing) -= 1;
        }
    }
}

/// Where a record stands in its slot, or where it would.
fn find<R: Record>(records: &[HeldRecord<R>], id: &RecordId) -> Result<usize, usize> {
    records.binary_search_by(|held| held.record.id().cmp(id))
}

fn same<R: Record>(a: &Held<R>, b: &Held<R>) -> bool {
    a.records.len() == b.records.len()
        && a.records.iter().zip(&b.records).all(|(a, b)| {
            a.version == b.version
                && a.standing == b.standing
                && (Arc::ptr_eq(&a.record, &b.record) || a.record == b.record)
        })
}
