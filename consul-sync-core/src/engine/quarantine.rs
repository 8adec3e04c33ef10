//! Records that the sink refused: they wait, their neighbours do not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::alarm::Alarm;
use crate::{Record, RecordId, RetrySettings, Slot};

/// Refused records by slot, and when each slot is to be tried again.
#[derive(Debug)]
pub(crate) struct Quarantine<R: Record> {
    settings: RetrySettings,
    slots: BTreeMap<Slot, BTreeMap<RecordId, Refusal<R>>>,
    alarm: Alarm,
    len: usize,
}

#[derive(Debug)]
struct Refusal<R: Record> {
    record: Arc<R>,
    failures: u32,
    until: Duration,
}

impl<R: Record> Quarantine<R> {
    pub(crate) fn new(settings: RetrySettings) -> Self {
        Self {
            settings,
            slots: BTreeMap::new(),
            alarm: Alarm::default(),
            len: 0,
        }
    }

    /// The sink refused this content.
    pub(crate) fn add(&mut self, slot: &Slot, record: Arc<R>, now: Duration) {
        let slot_refusals = self.slots.entry(slot.clone()).or_default();
        let failures = match slot_refusals.get(&record.id()) {
            Some(known) if known.record == record => known.failures.saturating_add(1),
            Some(_) => 1,
            None => {
                self.len += 1;
                1
            }
        };
        let until = now.saturating_add(self.settings.pause(failures));
        self.alarm.set(until, slot);
        let id = record.id();
        slot_refusals.insert(
            id,
            Refusal {
                record,
                failures,
                until,
            },
        );
    }

    /// Whether this very content has to wait. Other content of the same id is tried at once.
    pub(crate) fn holds(&self, slot: &Slot, record: &Arc<R>, now: Duration) -> bool {
        self.slots
            .get(slot)
            .and_then(|refusals| refusals.get(&record.id()))
            .is_some_and(|refusal| now < refusal.until && refusal.record == *record)
    }

    /// Whether the record was refused, now or before.
    pub(crate) fn knows(&self, slot: &Slot, id: &RecordId) -> bool {
        self.slots
            .get(slot)
            .is_some_and(|refusals| refusals.contains_key(id))
    }

    /// The record was written after all.
    pub(crate) fn clear(&mut self, slot: &Slot, id: &RecordId) {
        self.retain(slot, |known| known != id);
    }

    /// Keeps only refusals of ids that still have something to be written.
    pub(crate) fn keep(&mut self, slot: &Slot, is_wanted: impl Fn(&RecordId) -> bool) {
        self.retain(slot, is_wanted);
    }

    /// Slots with a refusal whose time has come.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Slot> {
        let mut due = Vec::new();
        while let Some(slot) = self.alarm.pop(now) {
            if self.slots.contains_key(&slot) {
                due.push(slot);
            }
        }
        due
    }

    /// When the next slot is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.alarm.next()
    }

    /// How many records wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn retain(&mut self, slot: &Slot, keep: impl Fn(&RecordId) -> bool) {
        let Some(refusals) = self.slots.get_mut(slot) else {
            return;
        };
        let before = refusals.len();
        refusals.retain(|id, _| keep(id));
        self.len -= before - refusals.len();
        if refusals.is_empty() {
            self.slots.remove(slot);
        }
    }
}
