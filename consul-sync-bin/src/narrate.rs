//! The changes of the engine's state, told once each.
//!
//! A side that is away is tried again for hours; that is one line when it goes and one when it is back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use consul_sync_core::{AdapterError, ErrorKind, Side, SideStatus, SyncStatus};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{chain::Chain, heartbeat::Heartbeat};

/// Remembers what was told last. Trouble is told where it is reported, with all its causes; its end where the
/// engine's status shows it.
#[derive(Debug, Default)]
pub(crate) struct Narrator(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    source: Option<ErrorKind>,
    sink: Option<ErrorKind>,
    is_ready: bool,
}

/// One thing worth telling.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Recovered(Side),
    Ready {
        services: usize,
        owned: usize,
        orphans: usize,
    },
}

// === impl Narrator ===

impl Narrator {
    /// A side reported an error.
    pub(crate) fn error(&self, side: Side, error: &AdapterError) {
        if self.told().fails(side, error.kind()) {
            warn!(
                side = side.as_str(),
                kind = error.kind().as_str(),
                error = %Chain(error),
                "cannot go on with this side; trying again"
            );
        }
    }

    /// Tells every change until the engine is gone. The engine's loop sends its status at least once a second,
    /// which is what keeps the heartbeat going.
    pub(crate) async fn follow(
        &self,
        mut status: watch::Receiver<SyncStatus>,
        heartbeat: Heartbeat,
    ) {
        loop {
            heartbeat.beat();
            let changes = self.told().changes(&status.borrow_and_update());
            for change in changes {
                change.tell();
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Told ===

impl Told {
    /// Whether this trouble is news. The same kind with other words is the same trouble: an address or a port in the
    /// text may change with every try.
    fn fails(&mut self, side: Side, kind: ErrorKind) -> bool {
        self.of(side).replace(kind) != Some(kind)
    }

    fn changes(&mut self, status: &SyncStatus) -> Vec<Change> {
        let mut changes = Vec::new();
        for (side, known) in [(Side::Source, &status.source), (Side::Sink, &status.sink)] {
            if known.error.is_none() && self.of(side).take().is_some() {
                changes.push(Change::Recovered(side));
            }
        }
        let listed = |side: &SideStatus| side.listed;
        if listed(&status.source) && listed(&status.sink) && !self.is_ready {
            self.is_ready = true;
            changes.push(Change::Ready {
                services: status.services,
                owned: status.owned,
                orphans: status.orphans,
            });
        }
        changes
    }

    fn of(&mut self, side: Side) -> &mut Option<ErrorKind> {
        match side {
            Side::Source => &mut self.source,
            Side::Sink => &mut self.sink,
        }
    }
}

// === impl Change ===

impl Change {
    fn tell(&self) {
        match self {
            Self::Recovered(side) => info!(side = side.as_str(), "this side answers again"),
            Self::Ready {
                services,
                owned,
                orphans,
            } => {
                info!(
                    services,
                    owned, orphans, "both sides were listed; from now on changes are followed"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(source: Option<ErrorKind>) -> SyncStatus {
        SyncStatus {
            source: SideStatus {
                error: source.map(|kind| (kind, "words".to_owned())),
                ..SideStatus::default()
            },
            ..SyncStatus::default()
        }
    }

    #[test]
    fn trouble_is_told_once_and_not_with_every_try() {
        let mut told = Told::default();
        assert!(told.fails(Side::Source, ErrorKind::Unavailable));
        assert!(!told.fails(Side::Source, ErrorKind::Unavailable));
        assert_eq!(told.changes(&status(Some(ErrorKind::Unavailable))), []);
        assert!(!told.fails(Side::Source, ErrorKind::Unavailable));
    }

    #[test]
    fn another_kind_of_trouble_is_told_and_so_is_its_end() {
        let mut told = Told::default();
        told.fails(Side::Source, ErrorKind::Unavailable);
        assert!(told.fails(Side::Source, ErrorKind::Unauthorized));
        assert_eq!(
            told.changes(&status(None)),
            [Change::Recovered(Side::Source)]
        );
        assert_eq!(told.changes(&status(None)), []);
        assert!(told.fails(Side::Source, ErrorKind::Unauthorized));
    }

    #[test]
    fn the_sides_are_told_apart() {
        let mut told = Told::default();
        told.fails(Side::Source, ErrorKind::Timeout);
        assert!(told.fails(Side::Sink, ErrorKind::Timeout));
        assert_eq!(
            told.changes(&status(Some(ErrorKind::Timeout))),
            [Change::Recovered(Side::Sink)]
        );
    }

    #[test]
    fn being_ready_is_told_once() {
        let listed = SideStatus {
            listed: true,
            ..SideStatus::default()
        };
        let ready = SyncStatus {
            source: listed.clone(),
            sink: listed,
            services: 3,
            ..SyncStatus::default()
        };
        let mut told = Told::default();
        assert_eq!(told.changes(&ready).len(), 1);
        assert_eq!(told.changes(&ready), []);
    }
}
