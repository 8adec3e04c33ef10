//! The brake: too many owned records vanishing at once is taken for a fault of the source, not for its wish.
//!
//! # The bound (invariant I-S6)
//!
//! At every moment, however the answers of the sink turn out, at least `peak - max(floor, share of peak)` records of ours
//! remain of all that is not gone by somebody else's hand. The peak is the number of records that would be missed:
//!
//! ```text
//! peak = owned                                                   when the sink was listed first
//! peak = min(highest owned in the window, max(peak before, matched))     from then on
//! ```
//!
//! `owned` is what the sink is known to hold of ours, and `matched` the part of it that is wanted. So:
//!
//! - What is created to replace something is no peak while both are there: replacing one for one never engages.
//! - What is not wanted any more counts for as long as it is there. Whatever holds its deletes back (the brake itself, a
//!   side that is incomplete, a service that is rejected), time alone makes them no less of a loss.
//! - A loss, by whomever, is the normal state once it has lasted for the window.
//! - Deletes count as done from the moment they are handed out until an answer or a read says otherwise; creates
//!   count only once they are answered. Deletes that need creates under way to stay within the bound wait for their
//!   answers, and that alone does not engage the brake.
//! - A person's word lowers the peak to what then remains. It holds until more of what is there is wanted.
//!
//! A process that starts knows of no highest number before its own: each start may lose a share anew.

use std::{collections::VecDeque, time::Duration};

use crate::{BrakeSettings, BrakeStatus};

/// Decides whether deletes may go on, from the number of records that would be missed.
#[derive(Debug)]
pub(crate) struct Brake {
    settings: BrakeSettings,
    /// The number of records that would be missed; `None` until the first look.
    peak: Option<usize>,
    /// Times and numbers of owned records, falling from front to back: the front is the highest within the window.
    owned: VecDeque<(Duration, usize)>,
    engaged: bool,
}

impl Brake {
    pub(crate) fn new(settings: BrakeSettings) -> Self {
        Self {
            settings,
            peak: None,
            owned: VecDeque::new(),
            engaged: false,
        }
    }

    /// Takes note of how many records are known to be ours, whatever is under way, and how many of these are wanted.
    pub(crate) fn observe(&mut self, now: Duration, owned: usize, matched: usize) {
        while self.owned.back().is_some_and(|(_, count)| *count < owned) {
            self.owned.pop_back();
        }
        if self.owned.back().is_none_or(|(_, count)| *count > owned) {
            self.owned.push_back((now, owned));
        }
        // A number is over when the next, lower one has lasted for the whole window.
        while self
            .owned
            .get(1)
            .is_some_and(|(since, _)| now.saturating_sub(*since) >= self.settings.window)
        {
            self.owned.pop_front();
        }
        let highest = self.owned.front().map_or(owned, |(_, count)| *count);
        let peak = self
            .peak
            .map_or(owned, |before| highest.min(before.max(matched)));
        self.peak = Some(peak);
    }

    /// The fewest owned records that may remain.
    pub(crate) fn least(&self) -> usize {
        let peak = self.peak.unwrap_or(0);
        let share = usize::from(self.settings.share.min(100));
        // The quotient and the rest apart, so that no count can overflow.
        let by_share = peak / 100 * share + peak % 100 * share / 100;
        peak - by_share.max(self.settings.floor).min(peak)
    }

    /// Whether this many deletes may be done, when that leaves `remaining` records of ours for certain and `expected` with
    /// the creates that are under way. Remembers whether the deletes are stopped or only wait for those creates.
    pub(crate) fn allows(&mut self, deletes: usize, remaining: usize, expected: usize) -> bool {
        let least = self.least();
        self.engaged = deletes > 0 && expected < least;
        remaining >= least
    }

    /// A person confirms the deletes that are held; afterwards what remains is the normal number.
    pub(crate) fn release(&mut self, remaining: usize) {
        if std::mem::take(&mut self.engaged) {
            self.peak = Some(remaining);
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

    /// Whether deletes that leave this many may be done while nothing is created.
    fn allows(brake: &mut Brake, deletes: usize, remaining: usize) -> bool {
        brake.allows(deletes, remaining, remaining)
    }

    #[test]
    fn losing_more_than_the_share_and_more_than_the_floor_engages() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        assert!(allows(&mut brake, 150, 850));
        assert!(!allows(&mut brake, 151, 849));
        assert!(brake.status(151).engaged);
        assert!(allows(&mut brake, 150, 850), "the source recovered");
        assert!(!brake.status(0).engaged);
    }

    #[test]
    fn a_small_catalog_may_lose_up_to_the_floor() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 12, 12);
        assert!(allows(&mut brake, 10, 2));
        assert!(!allows(&mut brake, 11, 1));
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
        assert!(!allows(&mut brake, 1000, 0));
        brake.observe(at(10_000), 1000, 0);
        assert!(!allows(&mut brake, 1000, 0));
    }

    #[test]
    fn time_alone_makes_no_loss_smaller_that_something_else_than_the_brake_holds_back() {
        let mut brake = brake(15, 10);
        // A process that starts: nothing is wanted before the source was listed.
        brake.observe(at(0), 1000, 0);
        brake.observe(at(10_000), 1000, 0);
        assert!(!allows(&mut brake, 1000, 0));
    }

    #[test]
    fn what_others_remove_and_we_repair_makes_up_for_no_loss() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 100, 100);
        // The source loses half; then somebody removes the other half, which is repaired.
        brake.observe(at(1), 100, 50);
        brake.observe(at(2), 50, 0);
        brake.observe(at(3), 100, 50);
        brake.observe(at(10_000), 100, 50);
        assert!(!allows(&mut brake, 50, 50));
    }

    #[test]
    fn records_beyond_the_wanted_are_no_peak() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 100, 100);
        brake.observe(at(1), 200, 100);
        assert!(allows(&mut brake, 100, 100));
    }

    #[test]
    fn deletes_wait_for_the_answer_of_the_creates_that_make_up_for_them() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 100, 100);
        assert!(!brake.allows(100, 0, 100));
        assert!(!brake.status(100).engaged, "that is no alarm");
        assert!(!brake.allows(100, 0, 84));
        assert!(brake.status(100).engaged);
    }

    #[test]
    fn a_confirmed_loss_goes_through_however_often_it_must_be_tried() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        assert!(!allows(&mut brake, 600, 400));
        brake.release(400);
        brake.observe(at(2), 1000, 400);
        assert!(allows(&mut brake, 600, 400));
        assert!(!allows(&mut brake, 661, 339), "and nothing beyond it");
        brake.observe(at(3), 400, 400);
        assert!(allows(&mut brake, 60, 340), "400 is the new normal");
        assert!(!allows(&mut brake, 61, 339));
    }

    #[test]
    fn a_confirmation_ends_when_the_source_wants_more_of_what_is_there() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 1000, 1000);
        assert!(!allows(&mut brake, 600, 400));
        brake.release(400);
        brake.observe(at(2), 1000, 1000);
        assert!(!allows(&mut brake, 600, 400));
    }

    #[test]
    fn a_share_of_a_hundred_percent_never_engages() {
        let mut brake = brake(100, 0);
        brake.observe(at(0), 1_000_000, 1_000_000);
        assert!(allows(&mut brake, 1_000_000, 0));
    }

    #[test]
    fn a_confirmation_holds_though_less_of_what_remains_is_wanted() {
        let mut brake = brake(15, 10);
        brake.observe(at(0), 100, 100);
        assert!(!brake.allows(40, 60, 60));
        brake.release(60);
        brake.observe(at(1), 100, 20);
        assert_eq!(brake.least(), 50, "of the sixty that a person left");
    }
}
