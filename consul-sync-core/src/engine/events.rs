//! What comes in: events of both sides.

use std::{sync::Arc, time::Duration};

use super::{Engine, Notice};
use crate::{Event, Held, Key, Layout, Service, Side, Slot};

impl<L: Layout> Engine<L> {
    /// Takes an event of the desired side. Cost: O(instances of that service).
    pub fn source_event(&mut self, event: Event<Key, Arc<Service>>, now: Duration) {
        if shows_recovery(&event, self.desired.listing.is_open()) {
            self.clear_error(Side::Source);
        }
        match event {
            Event::RelistStarted => self.desired.listing.start(),
            Event::Upserted(key, service) => self.upsert(&key, service, now),
            Event::Removed(key) => {
                self.note_accepted(&key);
                let left = self.desired.remove(&key);
                self.release(left, now);
                self.touch_kept();
            }
            Event::Rejected(key, rejection) => {
                if self.desired.reject(key.clone(), rejection.clone()) {
                    self.notices.push(Notice::Rejected(key, rejection));
                }
            }
            Event::RelistDone => {
                if self.desired.listing.finish() {
                    let (left, gone) = self.desired.sweep();
                    self.notices.extend(gone.into_iter().map(Notice::Accepted));
                    self.release(left, now);
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
                        self.observe(&slot, Held::empty());
                    }
                    if !was_listed {
                        self.touch_all(now);
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

    /// An authoritative read of one slot was answered.
    pub fn read(&mut self, slot: &Slot, held: Held<L::Record>) {
        self.actual.set(slot, held);
        self.actual.note_written(slot);
        self.slots.read_answered(slot, true);
    }

    /// An authoritative read was not answered.
    pub fn read_failed(&mut self, slot: &Slot) {
        self.slots.read_answered(slot, false);
    }

    fn upsert(&mut self, key: &Key, service: Arc<Service>, now: Duration) {
        match self.layout.place(&service) {
            Ok(slot) => {
                self.note_accepted(key);
                let touched = self.desired.upsert(slot, service);
                self.release(touched.left, now);
                if let Some(slot) = touched.joined {
                    self.slots.touch(&slot, Some(now));
                }
                self.touch_kept();
            }
            Err(rejection) => {
                if self.desired.reject(key.clone(), rejection.clone()) {
                    self.notices.push(Notice::Rejected(key.clone(), rejection));
                }
            }
        }
    }

    /// Slots lost a claim.
    fn release(&mut self, slots: impl IntoIterator<Item = Slot>, now: Duration) {
        for slot in slots {
            self.slots.touch(&slot, Some(now));
        }
    }

    fn observe(&mut self, slot: &Slot, held: Held<L::Record>) {
        let is_open = self.actual.listing.is_open();
        // What is shown while operations are under way may be from before or after them: only a read can tell.
        if self.slots.is_busy(slot) || (is_open && self.actual.may_be_stale(slot)) {
            self.actual.mark_seen(slot);
            self.slots.doubt(slot);
        } else if self.actual.set(slot, held) {
            if self.actual.listing.is_listed() {
                self.damaged.insert(slot.clone());
            }
            self.slots.touch(slot, None);
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
            self.slots.touch(&slot, Some(now));
        }
        let held: Vec<Slot> = self.actual.slots().cloned().collect();
        for slot in held {
            self.slots.touch(&slot, None);
        }
    }

    /// Fewer services are rejected, maybe: what was kept for one of them is looked at again.
    fn touch_kept(&mut self) {
        if !self.desired.take_is_relieved() {
            return;
        }
        for slot in std::mem::take(&mut self.kept) {
            self.slots.touch(&slot, None);
        }
    }

    /// Deletes that were held back may be possible now.
    pub(super) fn touch_held(&mut self) {
        let held: Vec<Slot> = self.held.keys().cloned().collect();
        for slot in held {
            self.slots.touch(&slot, None);
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
