//! What was written while the catalog was being read, so that a watch never shows a state older than the
//! outcome of a write.
//!
//! A blocking query may be answered from before a write whose outcome has already been reported. For each slot
//! that was written the journal keeps what a read must show, in Consul's own indexes, until one does. A delete
//! leaves no index behind; but a read that still shows the deleted version is from before it, and one that
//! does not, and is not older than that version, is from after.
//!
//! A snapshot that is put back brings deleted versions back and takes written ones away for good. So a read that
//! began after the last write to its slot ended is always from after it, whatever it shows.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use consul_sync_core::{RecordId, Slot};
use tokio::sync::Notify;

use crate::registration::Version;

/// What one watch has to wait for.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    slots: Mutex<HashMap<Slot, Expected>>,
    /// Wakes the watch when a write has ended.
    pub(crate) settled: Notify,
    /// A write showed that the servers' index went back.
    alarm: AtomicBool,
    /// Counts what is done to slots.
    clock: AtomicU64,
}

/// What a read of a slot must show.
#[derive(Debug, Default)]
struct Expected {
    /// Writes under way: their state is nobody's knowledge.
    in_flight: usize,
    /// When a write to it began or ended last, by the journal's count.
    touched: u64,
    records: Vec<(RecordId, Sign)>,
    /// A read that showed the slot whole: what it did not show and is not newer is gone.
    whole_at: u64,
}

/// What must be seen of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Written: at least this version. `dropped` is the version of a check that the write took away.
    Written {
        /// The new version.
        version: Version,
        /// The version of the check that is gone; 0 for none.
        dropped: u64,
    },
    /// Deleted: no longer this version.
    Deleted(Version),
}

/// How a read of a slot stands to what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It shows everything that was written, or something newer.
    Current,
    /// It is from before a write.
    Older,
    /// A write is under way.
    InFlight,
}

/// A moment in the life of a slot.
#[derive(Clone, Debug)]
pub(crate) struct Mark(Option<u64>);

/// One record of a read: ID and version.
pub(crate) type Seen = (RecordId, Version);

// === impl Journal ===

impl Journal {
    /// Writes to these slots begin.
    pub(crate) fn begin<'a>(&self, slots: impl IntoIterator<Item = &'a Slot>) {
        let mut all = self.lock();
        for slot in slots {
            let expected = all.entry(slot.clone()).or_default();
            expected.in_flight += 1;
            expected.touched = self.tick();
        }
    }

    /// Writes to these slots ended.
    pub(crate) fn end<'a>(&self, slots: impl IntoIterator<Item = &'a Slot>) {
        let mut all = self.lock();
        for slot in slots {
            if let Some(expected) = all.get_mut(slot) {
                expected.in_flight = expected.in_flight.saturating_sub(1);
                expected.touched = self.tick();
                if expected.is_idle() {
                    all.remove(slot);
                }
            }
        }
        drop(all);
        self.settled.notify_one();
    }

    /// A write got a lower index than reads have shown: the watch is waiting for what will not come.
    pub(crate) fn raise_alarm(&self) {
        self.alarm.store(true, Ordering::Relaxed);
    }

    /// Whether the alarm was raised since the last time.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarm.swap(false, Ordering::Relaxed)
    }

    /// A record was written or deleted.
    pub(crate) fn wrote(&self, slot: &Slot, id: &RecordId, sign: Sign) {
        let mut all = self.lock();
        let expected = all.entry(slot.clone()).or_default();
        expected.touched = self.tick();
        let records = &mut expected.records;
        if let Some((_, known)) = records.iter_mut().find(|(known, _)| known == id) {
            *known = sign;
        } else {
            // All of a catalog is waited for while it is filled.
            records.reserve_exact(1);
            records.push((id.clone(), sign));
        }
    }

    /// A read showed the whole slot; what the engine was given must not be taken back by an older one.
    pub(crate) fn read(&self, slot: &Slot, records: &[Seen], index: u64) {
        let mut all = self.lock();
        let expected = all.entry(slot.clone()).or_default();
        expected.records = records
            .iter()
            .map(|(id, version)| {
                let sign = Sign::Written {
                    version: *version,
                    dropped: index,
                };
                ((*id).clone(), sign)
            })
            .collect();
        expected.whole_at = index;
    }

    /// How a read stands to what was written; when it is current, nothing of the slot is waited for any more.
    pub(crate) fn fit(
        &self,
        slot: &Slot,
        seen: &[Seen],
        services_index: u64,
        checks_index: u64,
    ) -> Fit {
        let mut all = self.lock();
        let Some(expected) = all.get(slot) else {
            return Fit::Current;
        };
        if expected.in_flight > 0 {
            return Fit::InFlight;
        }
        if expected.is_older(seen, services_index, checks_index) {
            return Fit::Older;
        }
        all.remove(slot);
        Fit::Current
    }

    /// Taken before a slot is read by itself, for [`fit_since`](Self::fit_since).
    pub(crate) fn mark(&self, slot: &Slot) -> Mark {
        Mark(self.lock().get(slot).map(|expected| expected.touched))
    }

    /// How a consistent read of the slot alone stands to what was written, when it began after `mark` was taken:
    /// current, too, when nothing was written to the slot since, nor was under way.
    pub(crate) fn fit_since(&self, slot: &Slot, mark: &Mark, seen: &[Seen], index: u64) -> Fit {
        let is_untouched =
            |expected: &Expected| expected.in_flight == 0 && Some(expected.touched) == mark.0;
        let mut all = self.lock();
        if all.get(slot).is_some_and(is_untouched) {
            all.remove(slot);
            return Fit::Current;
        }
        drop(all);
        self.fit(slot, seen, index, index)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a write to a slot is under way.
    pub(crate) fn is_in_flight(&self, slot: &Slot) -> bool {
        self.lock()
            .get(slot)
            .is_some_and(|expected| expected.in_flight > 0)
    }

    /// Whether something of a slot is waited for.
    pub(crate) fn is_expected(&self, slot: &Slot) -> bool {
        self.lock().contains_key(slot)
    }

    /// The slots of which something is waited for.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.lock().keys().cloned().collect()
    }

    /// How many those are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Expected>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Expected ===

impl Expected {
    /// Whether nothing is waited for.
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.records.is_empty() && self.whole_at == 0
    }

    fn is_older(&self, seen: &[Seen], services_index: u64, checks_index: u64) -> bool {
        let of = |id: &RecordId| seen.iter().find(|(other, _)| other == id).map(|(_, v)| *v);
        let is_before = |(id, sign): &(RecordId, Sign)| match (sign, of(id)) {
            (Sign::Written { version, dropped }, Some(shown)) => {
                let is_check_before = match (version.check(), shown.check()) {
                    (Some(wanted), Some(shown)) => shown < wanted,
                    (Some(wanted), None) => checks_index < wanted.get(),
                    (None, Some(shown)) => shown.get() <= *dropped,
                    (None, None) => false,
                };
                shown.service() < version.service() || is_check_before
            }
            (Sign::Deleted(version), Some(shown)) => shown.service() <= version.service(),
            // Also of what is deleted by now: a read without it may be from before it was written.
            (Sign::Written { version, .. } | Sign::Deleted(version), None) => {
                services_index < version.service()
            }
        };
        if self.records.iter().any(is_before) {
            return true;
        }
        let is_mentioned = |id: &RecordId| self.records.iter().any(|(known, _)| known == id);
        seen.iter()
            .any(|(id, version)| version.service() <= self.whole_at && !is_mentioned(id))
    }
}

#[cfg(test)]
mod tests;
