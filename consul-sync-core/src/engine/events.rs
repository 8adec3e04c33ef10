//! What comes in: events of both sides.

use std::{sync::Arc, time::Duration};

use super::{Engine, Notice, slots::Meanwhile};
use crate::{Event, Held, Key, Layout, Record, Rejection, Service, Side, Slot};

impl<L: Layout> Engine<L> {
    /// Takes an event of the desired side. Cost: O(instances of that service).
    pub fn source_event(&mut self, event: Event<Key, Arc<Service>>, now: Duration) {
        if shows_recovery(&event, self.desired.listing.is_open()) {
            self.clear_error(Side::Source);
        }
        match event {
            Event::RelistStarted => self.desired.listing.start(),
            Event::Upserted(key, service) => self.upsert(&key, &service, now),
            Event::Removed(key) => {
                self.note_accepted(&key);
                if let Some(slot) = self.desired.remove(&key) {
                    self.left(&slot, &key, now);
                }
                self.touch_kept();
            }
            Event::Rejected(key, rejection) => self.reject(key, rejection, now),
            Event::RelistDone => {
                if self.desired.listing.finish() {
                    for (key, slot) in self.desired.sweep() {
                        if let Some(slot) = slot {
                            self.left(&slot, &key, now);
                        }
                        self.notices.push(Notice::Accepted(key));
                    }
                    self.touch_kept();
                    self.touch_held();
                }
            }
        }
    }

    /// Takes an event of the actual side. Cost: O(records in that slot).
    pub fn sink_event(&mut self, event: Event<Slot, Held<L::Record>>, now: Duration) {
        if shows_recovery(&event, self.actual.listing.is_open()) {
            self.clear_error(Side::Sink);
        }
        match event {
            Event::RelistStarted => self.actual.start(),
            Event::Upserted(slot, held) => self.observe(&slot, held),
            Event::Removed(slot) => self.observe(&slot, Held::empty()),
            // A sink's slot that cannot be read keeps what was known of it.
            Event::Rejected(slot, _) => self.actual.mark_seen(&slot),
            Event::RelistDone => {
                let was_listed = self.actual.listing.is_listed();
                if self.actual.listing.finish() {
                    for slot in self.actual.unseen() {
                        if self.actual.may_be_stale(&slot) {
                            self.doubt(&slot);
                        } else {
                            self.observe(&slot, Held::empty());
                        }
                    }
                    if !was_listed {
                        self.touch_all(now);
                        // Not only at the next batch: what a later listing leaves out would never have been missed.
                        let owned = self.actual.counts().owned;
                        self.brake.observe(now, owned, self.matched_total);
                    }
                    self.touch_held();
                }
            }
        }
    }

    /// Slots whose content is in doubt, at most this many: read them, and answer with [`Engine::read`]
    /// or [`Engine::read_failed`].
    pub fn take_doubtful(&mut self, most: usize) -> Vec<Slot> {
        self.slots.take_doubtful(most)
    }

    /// Whether a slot waits to be handed out by [`Engine::take_doubtful`].
    pub fn has_doubtful(&self) -> bool {
        self.slots.has_doubtful()
    }

    /// An authoritative read of one slot was answered. A read that nobody asked for changes nothing.
    ///
    /// What an event showed while the read was under way may be newer than its answer: unless both say the same,
    /// the slot is read again.
    pub fn read(&mut self, slot: &Slot, held: Held<L::Record>) {
        let Some(meanwhile) = self.slots.meanwhile(slot) else {
            return;
        };
        let is_other = self.actual.set(slot, held);
        self.actual.note_written(slot);
        let is_known = match meanwhile {
            Meanwhile::Nothing => true,
            Meanwhile::Shown => !is_other,
            Meanwhile::Doubted => false,
        };
        if is_known {
            self.unclear.remove(slot);
        }
        let lanes = self.lanes(slot);
        self.slots.read_answered(slot, is_known, &lanes);
    }

    /// An authoritative read was not answered.
    pub fn read_failed(&mut self, slot: &Slot) {
        let lanes = self.lanes(slot);
        self.slots.read_answered(slot, false, &lanes);
    }

    fn upsert(&mut self, key: &Key, service: &Service, now: Duration) {
        match self.layout.place(service) {
            Ok(slot) => {
                self.note_accepted(key);
                let touched = self.desired.upsert(slot, service);
                if let Some(slot) = touched.left {
                    self.left(&slot, key, now);
                }
                if let Some(slot) = touched.joined {
                    self.touch(&slot, Some(now));
                }
                self.touch_kept();
            }
            Err(rejection) => self.reject(key.clone(), rejection, now),
        }
    }

    fn reject(&mut self, key: Key, rejection: Rejection, now: Duration) {
        let is_news = if rejection.reason().withdraws() {
            let (left, is_news) = self.desired.withdraw(key.clone(), rejection.clone());
            if let Some(slot) = left {
                self.left(&slot, &key, now);
            }
            self.touch_kept();
            is_news
        } else {
            self.desired.reject(key.clone(), rejection.clone())
        };
        if is_news {
            self.notices.push(Notice::Rejected(key, rejection));
        }
    }

    /// A slot lost a claim.
    fn left(&mut self, slot: &Slot, key: &Key, now: Duration) {
        let mut lanes = self.lanes(slot);
        if !lanes.contains(key.namespace()) {
            lanes.push(Arc::clone(key.namespace()));
        }
        self.slots.touch(slot, Some(now), &lanes);
    }

    /// Something about the slot changed. `since` is given when the source changed.
    pub(super) fn touch(&mut self, slot: &Slot, since: Option<Duration>) {
        let lanes = self.lanes(slot);
        self.slots.touch(slot, since, &lanes);
    }

    /// What the slot holds is not known.
    pub(super) fn doubt(&mut self, slot: &Slot) {
        let lanes = self.lanes(slot);
        self.slots.doubt(slot, &lanes);
    }

    /// The namespaces of a slot: those that claim it, or the one that what is left there came from.
    pub(super) fn lanes(&self, slot: &Slot) -> Vec<Arc<str>> {
        let lanes = self.desired.namespaces(slot);
        if lanes.is_empty() {
            let left = self.actual.held(slot).first();
            let origin = left.and_then(|held| held.record.origin());
            return vec![Arc::from(origin.unwrap_or_default())];
        }
        lanes
    }

    fn observe(&mut self, slot: &Slot, held: Held<L::Record>) {
        let is_open = self.actual.listing.is_open();
        // What is shown while operations are under way may be from before or after them: only a read can tell.
        if self.slots.is_busy(slot) || (is_open && self.actual.may_be_stale(slot)) {
            self.actual.mark_seen(slot);
            self.doubt(slot);
            return;
        }
        self.slots.shown(slot);
        if self.actual.set(slot, held) {
            if self.actual.listing.is_listed() {
                self.damaged.insert(slot.clone());
            }
            self.touch(slot, None);
        }
    }

    fn note_accepted(&mut self, key: &Key) {
        if self.desired.is_rejected(key) {
            self.notices.push(Notice::Accepted(key.clone()));
        }
    }

    pub(super) fn clear_error(&mut self, side: Side) {
        self.errors[side as usize] = None;
    }

    /// The sink's first listing: everything that was waiting for it is due.
    fn touch_all(&mut self, now: Duration) {
        let claimed: Vec<Slot> = self.desired.slots().cloned().collect();
        for slot in claimed {
            self.touch(&slot, Some(now));
        }
        let held: Vec<Slot> = self.actual.slots().cloned().collect();
        for slot in held {
            self.touch(&slot, None);
        }
    }

    /// Fewer services are rejected, maybe: what was kept for one of them is looked at again.
    fn touch_kept(&mut self) {
        if !self.desired.take_is_relieved() {
            return;
        }
        for slot in std::mem::take(&mut self.kept) {
            self.touch(&slot, None);
        }
    }

    /// Deletes that were held back may be possible now.
    pub(super) fn touch_held(&mut self) {
        let held: Vec<Slot> = self.held.keys().cloned().collect();
        for slot in held {
            self.touch(&slot, None);
        }
    }
}

/// Whether a side that had failed works again: a change or the end of a listing shows it. The start of a listing,
/// or a part of one, comes with every try.
fn shows_recovery<K, T>(event: &Event<K, T>, is_listing: bool) -> bool {
    match event {
        Event::RelistStarted => false,
        Event::RelistDone => true,
        Event::Upserted(..) | Event::Removed(_) | Event::Rejected(..) => !is_listing,
    }
}
