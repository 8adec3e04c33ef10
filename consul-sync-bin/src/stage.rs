//! How far the process has come, for the probes and the metrics.

use std::{fmt, sync::Arc};

use consul_sync_consul::LockState;
use consul_sync_core::{ErrorKind, SyncStatus};
use tokio::sync::watch;

/// How far the process has come.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Something is needed before the engine can start.
    Starting {
        /// What is waited for, by name, from a closed set.
        waits_for: &'static str,
        /// Why the last try failed.
        error: Option<ErrorKind>,
    },
    /// The engine runs.
    Running(Engine),
    /// A signal came.
    Stopping,
}

/// What the admin server may know of the engine, and the one thing it may ask of it.
#[derive(Clone)]
pub(crate) struct Engine {
    /// Its status.
    pub(crate) status: watch::Receiver<SyncStatus>,
    /// Lets as many of the deletes go that the brake holds as a person saw.
    pub(crate) release: Arc<dyn Fn(usize) + Send + Sync>,
    /// Where the election stands, where there is one.
    pub(crate) lock: Option<watch::Receiver<LockState>>,
}

impl Stage {
    /// The engine's status, once there is one.
    pub(crate) fn status(&self) -> Option<SyncStatus> {
        match self {
            Self::Running(engine) => Some(engine.status.borrow().clone()),
            Self::Starting { .. } | Self::Stopping => None,
        }
    }

    /// Whether this process may write: one that needs no lock always may.
    pub(crate) fn is_leading(&self) -> bool {
        match self {
            Self::Running(engine) => engine.is_leading(),
            Self::Starting { .. } | Self::Stopping => false,
        }
    }
}

impl Engine {
    pub(crate) fn is_leading(&self) -> bool {
        let lock = self.lock.as_ref();
        lock.is_none_or(|lock| lock.borrow().is_leading())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}
