//! The queries of a scope: one for the names, and two for checks where not every service has a query of its own.

use std::time::Duration;

use tokio::time::Instant;

use super::{follow::Open, node::Nodes};
use crate::{
    block::{Cursor, News, Query},
    source::ask::{Checks, STATES},
};

/// A pause of a query is this many times what it costs to parse an answer (see [`crate::block::Pace`]): by this share of
/// the time that looks took, the pause is as long as they were.
const SHARE: u32 = 12;

/// The names of a scope.
#[derive(Debug)]
pub(super) struct List {
    pub(super) query: Query,
    pub(super) open: Option<Open>,
    /// Services that have to be looked at before the names are asked for again.
    pub(super) owed: usize,
    /// The last answer, until those were looked at.
    pub(super) answered: Option<Answered>,
    /// A query failed, of the list or of a service: the list is asked for without being held, and tells whether the
    /// server is there.
    pub(super) is_poked: bool,
    /// The list's query failed: whatever is held may hang.
    pub(super) is_suspect: bool,
    /// Consul said that it has no access control, so that nothing can be hidden from us.
    pub(super) is_open: bool,
    pub(super) states: [State; STATES.len()],
    pub(super) nodes: Nodes,
    /// When a look at every service without a query of its own was last due.
    pub(super) swept: Instant,
}

/// An answer, and when it came.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) at: Instant,
    pub(super) parse: Duration,
    pub(super) held: Duration,
    pub(super) news: News,
    pub(super) is_suspect: bool,
}

/// The checks in one state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) cursor: Cursor,
    pub(super) query: Query,
    pub(super) open: Option<Open>,
    pub(super) checks: Option<Checks>,
}

// === impl List ===

impl List {
    pub(super) fn new() -> Self {
        Self {
            query: Query::new(),
            open: None,
            owed: 0,
            answered: None,
            is_poked: false,
            is_suspect: false,
            is_open: false,
            states: STATES.map(|_| State {
                cursor: Cursor::default(),
                query: Query::new(),
                open: None,
                checks: None,
            }),
            nodes: Nodes::new(),
            swept: Instant::now(),
        }
    }

    /// Whether it is time to ask for the names again.
    pub(super) fn is_due(&self) -> bool {
        self.open.is_none() && (self.owed == 0 || self.is_poked)
    }

    /// Nothing is owed any more, or it does not matter: the next query leaves as much time as the looks took.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Some(answered) = self.answered.take() {
            let looks = now.duration_since(answered.at) / SHARE;
            let cost = answered.parse.max(looks);
            self.query
                .succeeded(cost, answered.held, answered.news, answered.is_suspect);
        }
    }

    /// A query failed: the names are asked for at once.
    pub(super) fn poke(&mut self) {
        if !self.is_poked {
            self.is_poked = true;
            self.open = None;
            self.query.probe();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_looks_the_list_rests_as_long_as_they_took() {
        let mut list = List::new();
        let at = Instant::now();
        list.answered = Some(Answered {
            at,
            parse: Duration::ZERO,
            held: Duration::ZERO,
            news: News::Change,
            is_suspect: false,
        });
        list.settle(at + Duration::from_secs(3));
        assert_eq!(list.query.pause(), Duration::from_secs(3));
    }
}
