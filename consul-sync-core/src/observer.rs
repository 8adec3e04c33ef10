//! Where a driver reports what it does; the embedding program decides what becomes of it.

use std::{fmt, time::Duration};

use crate::{AdapterError, BrakeStatus, Key, RecordId, Rejection, Slot};

/// Receives reports as they happen. Every method has an empty default and must not block.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A side reported an error.
    fn error(&self, side: Side, error: &AdapterError) {
        let _ = (side, error);
    }

    /// A service became unusable, or is so for another reason than before.
    fn rejected(&self, key: &Key, rejection: &Rejection) {
        let _ = (key, rejection);
    }

    /// A service that had been rejected is usable again, or gone.
    fn accepted(&self, key: &Key) {
        let _ = key;
    }

    /// The sink refused one record.
    fn quarantined(&self, slot: &Slot, id: &RecordId, rejection: &Rejection) {
        let _ = (slot, id, rejection);
    }

    /// Somebody else holds what a wanted record would take the place of; it is left alone, and told once while
    /// it is so.
    fn blocked(&self, slot: &Slot, id: &RecordId) {
        let _ = (slot, id);
    }

    /// One operation was answered. For debugging; see [`Observer::applied`] for the batch.
    fn operation(&self, slot: &Slot, id: &RecordId, verb: &'static str, outcome: &'static str) {
        let _ = (slot, id, verb, outcome);
    }

    /// A batch was answered.
    fn applied(&self, report: &BatchReport) {
        let _ = report;
    }

    /// The brake was engaged or released.
    fn brake(&self, status: &BrakeStatus) {
        let _ = status;
    }
}

/// Which side of the join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What should be.
    Source,
    /// What is.
    Sink,
}

/// What became of one batch, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Records created.
    pub created: usize,
    /// Records updated.
    pub updated: usize,
    /// Records of nobody's that became ours.
    pub adopted: usize,
    /// Records deleted.
    pub deleted: usize,
    /// Operations whose version had moved.
    pub stale: usize,
    /// Operations refused.
    pub refused: usize,
    /// Operations not tried.
    pub skipped: usize,
    /// Operations without a clear answer.
    pub unknown: usize,
    /// From handing the batch out to its answer.
    pub took: Duration,
    /// From the oldest change in the batch to its answer.
    pub lag: Duration,
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

impl Side {
    /// The side as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

impl BatchReport {
    /// Operations that changed something.
    pub fn written(&self) -> usize {
        self.created + self.updated + self.adopted + self.deleted
    }
}
