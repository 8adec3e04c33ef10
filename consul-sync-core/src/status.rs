//! What an engine knows of itself at one moment.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{ErrorKind, Reason};

/// A snapshot for probes, metrics and people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// The desired side.
    pub source: SideStatus,
    /// The actual side.
    pub sink: SideStatus,
    /// Services that the source wants known.
    pub services: usize,
    /// Records in the sink that are ours.
    pub owned: usize,
    /// Records in the sink that carry nobody's mark.
    pub orphans: usize,
    /// Records in the sink that are somebody else's, in slots that were seen.
    pub foreign: usize,
    /// Slots that wait for a comparison, a write, its answer or a new read.
    pub pending_slots: usize,
    /// Operations that were handed out and not answered.
    pub in_flight: usize,
    /// Records that wanted writing and met one that is somebody else's.
    pub blocked: usize,
    /// Records that the sink refused and that wait to be tried again.
    pub quarantined: usize,
    /// Services that cannot be used, by reason.
    pub rejected: BTreeMap<Reason, usize>,
    /// The brake.
    pub brake: BrakeStatus,
    /// From the last change of the source to its being written.
    pub last_lag: Option<Duration>,
}

/// What is known of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideStatus {
    /// Whether a complete listing was ever seen.
    pub listed: bool,
    /// Whether what is known now is complete: deletes need it on both sides.
    pub complete: bool,
    /// The last error, until an event came after it.
    pub error: Option<(ErrorKind, String)>,
}

/// The brake's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrakeStatus {
    /// Whether deletes are stopped.
    pub engaged: bool,
    /// Deletes that are wanted and held back, by the brake or because a side is incomplete.
    pub held_deletes: usize,
    /// The fewest owned records that may remain without a person's word.
    pub least: usize,
}

/// One thing that is not done yet, by name. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pending {
    /// The source was not listed completely.
    SourceListing,
    /// The sink was not listed authoritatively.
    SinkListing,
    /// Slots wait for a write.
    Slots,
    /// Deletes are stopped by the brake.
    Brake,
}

impl SyncStatus {
    /// What is not done yet.
    pub fn pending(&self) -> Vec<Pending> {
        [
            (!self.source.complete, Pending::SourceListing),
            (!self.sink.complete, Pending::SinkListing),
            (self.pending_slots > 0, Pending::Slots),
            (self.brake.engaged, Pending::Brake),
        ]
        .into_iter()
        .filter_map(|(is, pending)| is.then_some(pending))
        .collect()
    }

    /// Whether both sides were listed once: from then on the engine does its work.
    pub fn is_ready(&self) -> bool {
        self.source.listed && self.sink.listed
    }
}

impl Pending {
    /// The name, as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceListing => "source_listing",
            Self::SinkListing => "sink_listing",
            Self::Slots => "slots",
            Self::Brake => "brake",
        }
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
