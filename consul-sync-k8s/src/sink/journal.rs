//! What was written, for as long as the watches have not shown it.
//!
//! A slot may not be shown as it was before a write whose outcome was reported. The watch of a kind delivers changes in
//! the order of their versions, so a write has been shown as soon as anything of its kind and namespace was shown at its
//! version or a later one, and a delete as soon as the object is not there any more. Until then its slot waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use consul_sync_core::{Action, Op, RecordId, Slot};
use tokio::sync::Notify;

use super::manifest::{Manifest, ObjectVersion};

/// The latest writes to each slot.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    slots: Mutex<HashMap<Slot, Vec<Entry>>>,
    /// How many batches are writing to a slot.
    in_flight: Mutex<HashMap<Slot, usize>>,
    /// Wakes the watch when one of them has ended.
    pub(crate) ended: Notify,
}

/// A batch on its way, as the watches have to know it: a slot that is shown before whoever sent the batch knows what became
/// of it says nothing, and would be read. Ends when it is dropped, also when the call is cancelled.
#[derive(Debug)]
pub(super) struct InFlight {
    journals: Vec<Arc<Journal>>,
    slots: Vec<Slot>,
}

impl InFlight {
    pub(super) fn begin(journals: Vec<Arc<Journal>>, slots: Vec<Slot>) -> Self {
        for journal in &journals {
            let mut in_flight = journal.in_flight();
            for slot in &slots {
                *in_flight.entry(slot.clone()).or_default() += 1;
            }
        }
        Self { journals, slots }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        for journal in &self.journals {
            let mut in_flight = journal.in_flight();
            for slot in &self.slots {
                if let Some(batches) = in_flight.get_mut(slot) {
                    *batches -= 1;
                    if *batches == 0 {
                        in_flight.remove(slot);
                    }
                }
            }
            drop(in_flight);
            journal.ended.notify_waiters();
        }
    }
}

/// The latest write to one object.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: RecordId,
    pub(crate) is_slice: bool,
    pub(crate) last: Last,
}

/// What it was.
#[derive(Clone, Debug)]
pub(crate) enum Last {
    Written(ObjectVersion),
    /// The object that was deleted.
    Deleted(ObjectVersion),
}

impl Journal {
    pub(crate) fn written(&self, op: &Op<Manifest>, version: &ObjectVersion) {
        self.note(op, Last::Written(version.clone()));
    }

    pub(crate) fn deleted(&self, op: &Op<Manifest>) {
        if let Action::Delete(deletion) = &op.action {
            self.note(op, Last::Deleted(deletion.expected().clone()));
        }
    }

    fn note(&self, op: &Op<Manifest>, last: Last) {
        let mut slots = self.lock();
        let entries = slots.entry(op.slot.clone()).or_default();
        entries.retain(|entry| entry.id != op.id());
        entries.push(Entry {
            id: op.id(),
            is_slice: op.record().is_slice(),
            last,
        });
    }

    /// Forgets what was shown of a slot. Answers whether all of it was.
    pub(crate) fn settle(&self, slot: &Slot, is_shown: impl Fn(&Entry) -> bool) -> bool {
        let mut slots = self.lock();
        let Some(entries) = slots.get_mut(slot) else {
            return true;
        };
        entries.retain(|entry| !is_shown(entry));
        if entries.is_empty() {
            slots.remove(slot);
            return true;
        }
        false
    }

    /// Forgets the writes to one kind: a listing that begins now shows them all.
    pub(crate) fn forget(&self, slices: bool) {
        self.lock().retain(|_, entries| {
            entries.retain(|entry| entry.is_slice != slices);
            !entries.is_empty()
        });
    }

    /// The slots that were written.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.lock().keys().cloned().collect()
    }

    /// Whether a batch that writes to it has not ended.
    pub(crate) fn is_in_flight(&self, slot: &Slot) -> bool {
        self.in_flight().contains_key(slot)
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<Slot, usize>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Vec<Entry>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
