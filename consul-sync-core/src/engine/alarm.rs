//! Slots that are to be looked at again at a time of their own.

use std::{collections::BTreeSet, time::Duration};

use crate::Slot;

/// Times and slots, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    times: BTreeSet<(Duration, Slot)>,
}

impl Alarm {
    /// The slot is to be looked at, at this time.
    pub(crate) fn set(&mut self, at: Duration, slot: &Slot) {
        self.times.insert((at, slot.clone()));
    }

    /// A slot whose time has come, once.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Slot> {
        if self.times.first().is_some_and(|(at, _)| *at <= now) {
            self.times.pop_first().map(|(_, slot)| slot)
        } else {
            None
        }
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.times.first().map(|(at, _)| *at)
    }
}
