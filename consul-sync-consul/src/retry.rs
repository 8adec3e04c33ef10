//! Pauses between attempts: exponential, jittered, capped.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The pauses of one loop. The first is short, each later one twice as long up to a cap, and each is spread
/// over its upper half so that clients that failed together do not come back together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

// === impl Backoff ===

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failures: 0,
        }
    }

    /// The next pause; at least what the server asked for, up to the cap.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.pause(random_share());
        self.failures = self.failures.saturating_add(1);
        asked.map_or(pause, |asked| pause.max(asked.min(self.most)))
    }

    /// Starts from the shortest pause again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn pause(&self, share: f64) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.min(16));
        let whole = self.first.saturating_mul(factor).min(self.most);
        whole.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0)
    }
}

/// A number in 0..1 from the standard library's per-process randomness: jitter needs no better one.
fn random_share() -> f64 {
    let bits = RandomState::new().hash_one(0_u8);
    #[allow(clippy::cast_precision_loss)] // 53 bits fit exactly
    let share = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_cap_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(100 * MS, 1000 * MS);
        let mut most = Vec::new();
        for _ in 0..6 {
            most.push(backoff.pause(1.0).as_millis());
            backoff.next(None);
        }
        assert_eq!(most, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.pause(0.0), 500 * MS);
        backoff.reset();
        assert_eq!(backoff.pause(1.0), 100 * MS);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_up_to_the_cap() {
        let mut backoff = Backoff::new(100 * MS, 1000 * MS);
        assert_eq!(backoff.next(Some(700 * MS)), 700 * MS);
        assert_eq!(backoff.next(Some(70_000 * MS)), 1000 * MS);
    }

    #[test]
    fn the_random_share_stays_in_its_range() {
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random_share())));
    }
}
