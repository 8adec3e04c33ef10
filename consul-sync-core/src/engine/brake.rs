//! The brake: too many owned records vanishing at once is taken for a fault of the source, not for its wish.

use std::{collections::VecDeque, time::Duration};

use crate::{BrakeSettings, BrakeStatus};

/// Decides whether deletes may go on, from the highest number of owned records within a window.
#[derive(Debug)]
pub(crate) struct Brake {
    settings: BrakeSettings,
    /// Times and counts, counts falling from front to back: the front is the highest within the window.
    peaks: VecDeque<(Duration, usize)>,
    /// Deletes that a person has confirmed and that were not handed out yet.
    pardoned: usize,
    engaged: bool,
}

impl Brake {
    pub(crate) fn new(settings: BrakeSettings) -> Self {
        Self {
            settings,
            peaks: VecDeque::new(),
            pardoned: 0,
            engaged: false,
        }
    }

    /// Takes note of the number of owned records, without those whose deletes are under way, and of how many are
    /// wanted. What is there beyond the wanted is being replaced and is no peak, except at the start, when it is all
    /// that is known of before. While deletes are stopped nothing is forgotten: time alone does not release them.
    pub(crate) fn observe(&mut self, now: Duration, owned: usize, wanted: usize) {
        let level = if self.peaks.is_empty() {
            owned
        } else {
            owned.min(wanted)
        };
        let owned = level.saturating_sub(self.pardoned);
        if self.engaged && self.peaks.front().is_some_and(|(_, peak)| *peak >= owned) {
            return;
        }
        while self.peaks.back().is_some_and(|(_, count)| *count < owned) {
            self.peaks.pop_back();
        }
        if self.peaks.back().is_none_or(|(_, count)| *count > owned) {
            self.peaks.push_back((now, owned));
        }
        // A peak is over when the next, lower one has lasted for the whole window.
        while self
            .peaks
            .get(1)
            .is_some_and(|(since, _)| now.saturating_sub(*since) >= self.settings.window)
        {
            self.peaks.pop_front();
        }
    }

    /// The fewest owned records that may remain.
    pub(crate) fn least(&self) -> usize {
        let peak = self.peaks.front().map_or(0, |(_, count)| *count);
        let share = usize::from(self.settings.share.min(100));
        // The quotient and the rest apart, so that no count can overflow.
        let by_share = peak / 100 * share + peak % 100 * share / 100;
        peak - by_share.max(self.settings.floor).min(peak)
    }

    /// Whether this many deletes may be done, when that leaves `remaining` owned records. Remembers the answer.
    pub(crate) fn allows(&mut self, deletes: usize, remaining: usize) -> bool {
        let allowed = deletes <= self.pardoned || remaining >= self.least();
        self.engaged = deletes > 0 && !allowed;
        if deletes == 0 {
            self.pardoned = 0;
        }
        allowed
    }

    /// Takes note of deletes handed out.
    pub(crate) fn spend(&mut self, deletes: usize) {
        self.pardoned = self.pardoned.saturating_sub(deletes);
    }

    /// A person confirms the deletes that are held; afterwards the smaller number is the normal one.
    pub(crate) fn release(&mut self, now: Duration, held: usize, owned: usize) {
        if self.engaged {
            self.pardoned = held;
            self.engaged = false;
            self.peaks.clear();
            self.peaks.push_back((now, owned.saturating_sub(held)));
        }
    }

    /// The state for people.
    pub(crate) fn status(&self, held_deletes: usize) -> BrakeStatus {
        BrakeStatus {
            engaged: self.engaged,
            held_deletes,
            least: self.least(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brake(share: u8, floor: usize) -> Brake {
        Brake::new(BrakeSettings {
            share,
            floor,
            window: Duration::from_secs(60),
        })
    }

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn losing_more_than_the_share_and_more_than_the_floor_engages() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        assert!(brake.allows(150, 850));
        assert!(!brake.allows(151, 849));
        assert!(brake.status(151).engaged);
        assert!(brake.allows(150, 850), "the source recovered");
        assert!(!brake.status(0).engaged);
    }

    #[test]
    fn a_small_catalog_may_lose_up_to_the_floor() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 12, 12);
        assert!(brake.allows(10, 2));
        assert!(!brake.allows(11, 1));
    }

    #[test]
    fn a_slow_loss_is_measured_against_the_highest_count_of_the_window() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        brake.observe(at(30), 900, 900);
        brake.observe(at(59), 900, 900);
        assert_eq!(brake.least(), 850);
        brake.observe(at(91), 900, 900);
        assert_eq!(brake.least(), 765, "900 has been normal for a minute");
    }

    #[test]
    fn time_alone_does_not_release_the_brake() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        brake.observe(at(1), 1000, 0);
        assert!(!brake.allows(1000, 0));
        brake.observe(at(10_000), 1000, 0);
        assert!(!brake.allows(1000, 0));
    }

    #[test]
    fn records_beyond_the_wanted_are_no_peak() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 100, 100);
        brake.observe(at(1), 200, 100);
        assert!(brake.allows(100, 100));
    }

    #[test]
    fn a_confirmed_loss_goes_through_once() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        assert!(!brake.allows(600, 400));
        brake.release(at(1), 600, 1000);
        brake.observe(at(2), 1000, 1000);
        assert!(brake.allows(600, 400));
        brake.spend(600);
        brake.observe(at(2), 400, 400);
        assert!(brake.allows(60, 340), "400 is the new normal");
        assert!(!brake.allows(61, 339), "the pardon is spent");
    }

    #[test]
    fn a_share_of_a_hundred_percent_never_engages() {
        let mut brake = brake(100, 0);
        brake.observe(at(0), 1_000_000, 1_000_000);
        assert!(brake.allows(1_000_000, 0));
    }
}
