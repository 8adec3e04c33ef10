//! The rules of blocking queries.
//!
//! A blocking query names the index it has and is held until there is a newer one. The index can go backwards
//! (a restored snapshot, another cluster), an answer can come though nothing changed, and a server that is
//! broken in the right way answers at once for ever. [`Cursor`] keeps the index, [`Pace`] the rate; [`Query`] sends.

mod cursor;
mod pace;
mod query;

use std::time::Duration;

pub(crate) use self::{
    cursor::{Cursor, Step},
    pace::{News, Pace},
    query::{Open, Query, Reply},
};

/// For how long a query asks to be held.
pub(crate) const WAIT: Duration = Duration::from_secs(60);
/// For how long at most, where an answer is costly: at the end of the wait it is the whole listing again.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How many times longer than a read of the whole a query is held.
const WAIT_SHARE: u32 = 600;
/// What is allowed on top for the answer's way.
const SLACK: Duration = Duration::from_secs(15);

/// For how long a query asks to be held when a whole read costs so much. Not longer than needed: a server whose
/// index went back unnoticed is silent until the wait is over.
pub(crate) fn wait(least: Duration, cost: Duration) -> Duration {
    least.max((cost * WAIT_SHARE).min(LONGEST_WAIT))
}

/// When a query of this wait counts as lost: Consul spreads its answers over a sixteenth of the wait
/// (fault C07).
pub(crate) fn deadline(wait: Duration) -> Duration {
    wait + wait / 16 + SLACK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_costly_listing_is_asked_for_less_often_when_nothing_happens() {
        let wait = |cost| wait(WAIT, Duration::from_millis(cost)).as_secs();
        assert_eq!(
            [wait(0), wait(100), wait(200), wait(2000)],
            [60, 60, 120, 300]
        );
    }

    #[test]
    fn fault_c07_the_deadline_is_beyond_the_servers_spread() {
        assert_eq!(
            deadline(Duration::from_secs(60)),
            Duration::from_millis(78_750)
        );
    }
}
