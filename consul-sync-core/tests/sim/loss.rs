//! The bound of the brake (I-S6), from what the story knows: independent of what the brake itself counts.

use std::{collections::VecDeque, time::Duration};

use consul_sync_core::BrakeSettings;
use tokio::time::Instant;

/// How long records must have been there and wanted to count: longer than any pause between two looks of the driver.
const SETTLED: Duration = Duration::from_secs(15);

/// The records that would be missed, as the brake's documentation defines their number.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    settings: BrakeSettings,
    peak: Option<usize>,
    /// Until when how many records were ours.
    owned: VecDeque<(Instant, usize)>,
    /// Since when how many of ours are wanted.
    matched: VecDeque<(Instant, usize)>,
}

impl Loss {
    pub(crate) fn new(settings: BrakeSettings) -> Self {
        Self {
            settings,
            peak: None,
            owned: VecDeque::new(),
            matched: VecDeque::new(),
        }
    }

    /// The process knows its sink for the first time.
    pub(crate) fn starts(&mut self, owned: usize) {
        self.peak.get_or_insert(owned);
    }

    /// A person agrees to what is held back: this many are left.
    pub(crate) fn confirmed(&mut self, left: usize) {
        self.matched.clear();
        self.peak = self.peak.map(|peak| peak.min(left));
    }

    /// This many were ours until now.
    pub(crate) fn stood(&mut self, now: Instant, owned: usize) {
        self.owned.push_back((now, owned));
        let window = self.settings.window;
        self.owned.retain(|(until, _)| now - *until < window);
        let highest = self.owned.iter().map(|(_, count)| *count).max();
        self.peak = self.peak.map(|peak| peak.min(highest.unwrap_or(owned)));
    }

    /// This many of ours were wanted until now.
    pub(crate) fn wanted(&mut self, now: Instant, since: Instant, matched: usize) {
        self.matched.push_back((since, matched));
        while self
            .matched
            .get(1)
            .is_some_and(|(since, _)| now - *since >= SETTLED)
        {
            self.matched.pop_front();
        }
        let first = self.matched.front().map(|(since, _)| now - *since);
        if first.is_some_and(|age| age >= SETTLED) {
            let settled = self.matched.iter().map(|(_, count)| *count).min();
            self.peak = self.peak.map(|peak| peak.max(settled.unwrap_or(0)));
        }
    }

    /// Nobody looked at what is wanted.
    pub(crate) fn forget_wanted(&mut self) {
        self.matched.clear();
    }

    /// The fewest that must remain.
    pub(crate) fn least(&self) -> usize {
        let peak = self.peak.unwrap_or(0);
        let share = peak * usize::from(self.settings.share) / 100;
        peak.saturating_sub(share.max(self.settings.floor))
    }
}
