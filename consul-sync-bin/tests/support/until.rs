//! Waiting for something to be seen.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// Longer than anything takes on a machine that compiles meanwhile.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Looks until what is seen is what is wanted, and gives it.
#[track_caller]
pub(crate) fn until<T: Debug>(
    what: &str,
    look: impl AsyncFnMut() -> T,
    is_good: impl Fn(&T) -> bool,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let mut look = look;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let seen = look().await;
            if is_good(&seen) {
                return seen;
            }
            assert!(
                Instant::now() < deadline,
                "{caller}: never seen: {what}; last: {seen:#?}"
            );
            sleep(POLL).await;
        }
    }
}
