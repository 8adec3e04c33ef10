//! The rules of blocking queries, free of I/O.
//!
//! A blocking query names the index it has and is held until there is a newer one. The index can go backwards
//! (a restored snapshot, another cluster), an answer can come though nothing changed, and a server that is
//! broken in the right way answers at once for ever. [`Cursor`] keeps the index, [`Pace`] the rate.

mod cursor;
mod pace;

use std::time::Duration;

pub(crate) use self::{
    cursor::{Cursor, Step},
    pace::Pace,
};

/// For how long a query asks to be held. Long, because an answer at the end of it is the whole listing again.
pub(crate) const WAIT: Duration = Duration::from_secs(300);
/// What is allowed on top for the answer's way.
const SLACK: Duration = Duration::from_secs(15);

/// When a query of this wait counts as lost: Consul spreads its answers over a sixteenth of the wait
/// (fault C07).
pub(crate) fn deadline(wait: Duration) -> Duration {
    wait + wait / 16 + SLACK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c07_the_deadline_is_beyond_the_servers_spread() {
        assert_eq!(
            deadline(Duration::from_secs(60)),
            Duration::from_millis(78_750)
        );
    }
}
