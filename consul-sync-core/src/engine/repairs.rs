//! The pace of repairs: somebody who keeps damaging a slot of ours is not fought at the speed of the network.

use std::{collections::BTreeMap, time::Duration};

use super::alarm::Alarm;
use crate::{RetrySettings, Slot};

/// Slots that were repaired lately, and when each may be repaired next (fault catalogue T15).
///
/// The first repair is made at once. Each further one waits twice as long as the one before, until the slot was
/// left alone for the longest pause. Changes of the source never wait.
#[derive(Debug)]
pub(crate) struct Repairs {
    settings: RetrySettings,
    slots: BTreeMap<Slot, Repair>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Repair {
    count: u32,
    next: Duration,
    is_waiting: bool,
}

impl Repairs {
    pub(crate) fn new(settings: RetrySettings) -> Self {
        Self {
            settings,
            slots: BTreeMap::new(),
            alarm: Alarm::default(),
        }
    }

    /// Whether the slot may be repaired now. If so the repair counts; if not the slot is due again in time.
    pub(crate) fn allows(&mut self, slot: &Slot, now: Duration) -> bool {
        let repair = self.slots.entry(slot.clone()).or_insert(Repair {
            count: 0,
            next: now,
            is_waiting: false,
        });
        if now < repair.next {
            repair.is_waiting = true;
            self.alarm.set(repair.next, slot);
            return false;
        }
        repair.count = repair.count.saturating_add(1);
        repair.next = now.saturating_add(self.settings.pause(repair.count));
        repair.is_waiting = false;
        let forget = repair.next.saturating_add(self.settings.max);
        self.alarm.set(forget, slot);
        true
    }

    /// Slots that waited for their repair and whose time has come.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Slot> {
        let mut due = Vec::new();
        while let Some(slot) = self.alarm.pop(now) {
            let Some(repair) = self.slots.get(&slot) else {
                continue;
            };
            if repair.is_waiting {
                // An alarm that was set to forget the slot may ring while it waits: its own rings later.
                if now >= repair.next {
                    due.push(slot);
                }
            } else if now >= repair.next.saturating_add(self.settings.max) {
                self.slots.remove(&slot);
            }
        }
        due
    }

    /// When the next slot is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.alarm.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_repair_is_made_at_once_and_the_next_ones_wait_longer_and_longer() {
        let secs = Duration::from_secs;
        let mut repairs = Repairs::new(RetrySettings {
            first: secs(1),
            max: secs(60),
        });
        let slot = Slot::new("web").unwrap();
        let mut made = Vec::new();
        for tick in 0..100 {
            for slot in repairs.due(secs(tick)) {
                assert!(repairs.allows(&slot, secs(tick)));
                made.push(tick);
            }
            // The damage comes back every second.
            if repairs.allows(&slot, secs(tick)) {
                made.push(tick);
            }
        }
        assert_eq!(made, [0, 1, 3, 7, 15, 31, 63]);
    }

    #[test]
    fn a_slot_that_is_left_alone_is_forgotten() {
        let secs = Duration::from_secs;
        let mut repairs = Repairs::new(RetrySettings::default());
        let slot = Slot::new("web").unwrap();
        assert!(repairs.allows(&slot, secs(0)));
        assert!(repairs.due(secs(1000)).is_empty());
        assert!(repairs.slots.is_empty());
        assert_eq!(repairs.next(), None);
    }
}
