//! Waiting longer after each failure, with jitter, so that a thousand clients do not come back at once.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Bounds of the waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// The state of one series of failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    bounds: Bounds,
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            failures: 0,
            random: RandomState::new().build_hasher().finish() | 1,
        }
    }

    /// The next wait: double the one before, within the bounds, less up to a quarter.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self.bounds.least.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        // xorshift: spread is all that is wanted of it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let whole = doubled.min(self.bounds.most);
        whole.saturating_sub(
            (whole / 1024).saturating_mul(u32::try_from(self.random % 256).unwrap_or(0)),
        )
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures there were since all was well.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds_and_start_anew_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(Bounds {
            least: second,
            most: second * 30,
        });
        for _ in 0..2 {
            for whole in [1, 2, 4, 8, 16, 30, 30, 30] {
                let wait = backoff.next();
                assert!(
                    wait <= second * whole && wait >= second * whole * 3 / 4,
                    "{wait:?} of {whole}"
                );
            }
            backoff.reset();
        }
        for _ in 0..100 {
            backoff.next();
        }
        assert_eq!(backoff.failures(), 100);
    }
}
