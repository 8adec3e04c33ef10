//! One service that is followed.

use std::collections::BTreeMap;

use tokio::{task::AbortHandle, time::Instant};

use crate::{
    block::{Cursor, Query},
    source::{ask::OnNode, translate::Found},
};

/// A service, what was told of it, and what is asked about it now.
#[derive(Debug)]
pub(super) struct Follow {
    /// Tells it from another one of its name that was there before.
    pub(super) serial: u64,
    pub(super) cursor: Cursor,
    pub(super) query: Query,
    /// What was last told of it.
    pub(super) told: Found,
    /// What the last read showed of each node, by its folded name.
    pub(super) nodes: BTreeMap<Box<str>, OnNode>,
    pub(super) stage: Stage,
    /// The next look may not go by the index alone.
    pub(super) is_doubtful: bool,
    /// Whether it was read since the listing began.
    pub(super) is_read: bool,
    /// Whether the list waits for the look at it.
    pub(super) is_owed: bool,
    /// When it last changed, by the count of changes.
    pub(super) changed: u64,
    /// What another query told of it and its own is to say.
    pub(super) left: Option<Left>,
}

/// Another query told that a service may have changed, which was left to the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its own was sent before that: what comes of it may be older.
    Before,
    /// Its own was sent after that.
    After,
}

/// What is asked about a service.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing: its changes are noticed by other queries.
    Idle,
    /// It waits for its turn to be looked at.
    Due,
    /// It is being looked at.
    Looking {
        /// Something happened meanwhile: it has to be looked at once more.
        again: bool,
    },
    /// It failed, and is not looked at before this time, nor before the list answers.
    Stalled(Instant),
    /// It is looked at after a pause.
    Resting,
    /// It has a query of its own.
    Held(#[expect(dead_code, reason = "its drop ends the query")] Open),
}

/// A query that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Open(pub(super) AbortHandle);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Follow ===

impl Follow {
    /// A service that was not read yet, and is due to be.
    pub(super) fn new(serial: u64) -> Self {
        Self {
            serial,
            cursor: Cursor::default(),
            query: Query::new(),
            told: Found::Nothing,
            nodes: BTreeMap::new(),
            stage: Stage::Due,
            is_doubtful: false,
            is_read: false,
            is_owed: true,
            changed: 0,
            left: None,
        }
    }

    /// The index that a look may go by.
    pub(super) fn known(&self) -> Option<u64> {
        (self.is_read && !self.is_doubtful).then(|| self.cursor.index())
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Held(_))
    }

    /// Its query is being sent.
    pub(super) fn hold(&mut self, query: Open) {
        self.stage = Stage::Held(query);
        self.left = self.left.map(|_| Left::After);
    }

    /// Its query said what it is.
    pub(super) fn answered(&mut self) {
        if self.left == Some(Left::After) {
            self.left = None;
        }
    }

    /// Its query goes to another one. Whether it is to be looked at, because something was left to that query.
    pub(super) fn take_query(&mut self) -> bool {
        self.stage = Stage::Idle;
        self.left.take().is_some()
    }
}
