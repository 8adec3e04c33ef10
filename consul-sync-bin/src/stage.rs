//! How far the process has come, for the probes and the metrics.

use std::{fmt, sync::Arc};

use consul_sync_core::{ElectionState, ErrorKind, SyncStatus};
use tokio::sync::watch;

use crate::{direction::Direction, heartbeat::Heartbeat};

/// How far the process has come.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Something is needed before the engines can start.
    Starting {
        /// What is waited for, by name, from a closed set.
        waits_for: &'static str,
        /// Why the last try failed.
        error: Option<ErrorKind>,
    },
    /// The engines run: one for each direction that is on.
    Running(Vec<Engine>),
    /// A signal came.
    Stopping,
}

/// What the admin server may know of an engine, and the one thing it may ask of it.
#[derive(Clone)]
pub(crate) struct Engine {
    /// Its direction.
    pub(crate) direction: Direction,
    /// Beats while its loop moves.
    pub(crate) heartbeat: Heartbeat,
    /// Its status.
    pub(crate) status: watch::Receiver<SyncStatus>,
    /// Lets as many of the deletes go that the brake holds as a person saw.
    pub(crate) release: Arc<dyn Fn(usize) + Send + Sync>,
    /// Where the election stands, where there is one.
    pub(crate) election: Option<Arc<dyn Fn() -> ElectionState + Send + Sync>>,
}

impl Stage {
    /// The engines, once there are any.
    pub(crate) fn engines(&self) -> &[Engine] {
        match self {
            Self::Running(engines) => engines,
            Self::Starting { .. } | Self::Stopping => &[],
        }
    }
}

impl Engine {
    /// Whether it may write: one without an election always may.
    pub(crate) fn is_leading(&self) -> bool {
        let election = self.election.as_ref();
        election.is_none_or(|state| state().is_leading())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("direction", &self.direction)
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}
