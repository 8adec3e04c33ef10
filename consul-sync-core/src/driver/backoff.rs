//! Pauses after failures.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Pauses that double from one failure to the next, each shortened by up to half at random, so that many
/// programs that lost the same server do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) fn new(first: Duration, max: Duration, seed: Option<u64>) -> Self {
        let random = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Self {
            first,
            max,
            failures: 0,
            random,
        }
    }

    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = self.first.saturating_mul(factor).min(self.max);
        // A linear congruential step is random enough to spread pauses; its high bits are the good ones.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = u32::try_from(self.random >> 48).unwrap_or(0);
        pause / 2 + (pause / 2).saturating_mul(share) / (1 << 16)
    }

    /// Something succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_again_after_a_success() {
        let secs = Duration::from_secs;
        let mut backoff = Backoff::new(secs(1), secs(30), Some(7));
        let mut most = secs(1);
        for _ in 0..40 {
            let pause = backoff.next();
            assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
            most = (most * 2).min(secs(30));
        }
        backoff.reset();
        assert!(backoff.next() <= secs(1));
    }
}
