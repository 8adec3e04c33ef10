//! Whether the loop still moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A pulse that one thread gives and another one feels: of the process until its engines run, then of each of them, so that
/// one that stands still is seen beside another one that moves.
///
/// The admin server runs on a thread of its own, so that it can tell that the synchronising thread is stuck
/// in place of being stuck with it.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    start: Instant,
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// How often it beats.
    pub(crate) const EVERY: Duration = Duration::from_secs(1);
    /// Without a beat for this long, the process is not alive. Longer than any single step at the documented
    /// sizes on a throttled machine: a probe that kills a slow start makes it start again.
    pub(crate) const LIMIT: Duration = Duration::from_secs(30);

    /// One that beats now.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            last: Arc::default(),
        }
    }

    /// Beats.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// How long ago the last beat was.
    pub(crate) fn age(&self) -> Duration {
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// One that beat so long ago and not since.
    #[cfg(test)]
    pub(crate) fn of_age(age: Duration) -> Self {
        let start = Instant::now().checked_sub(age);
        Self {
            start: start.expect("the clock of the machine is older"),
            last: Arc::default(),
        }
    }

    /// Beats for ever on the runtime it is called from.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(Self::EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.beat();
        }
    }
}
