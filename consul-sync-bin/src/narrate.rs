//! The changes of the engine's state, told once each.
//!
//! A side that is away is tried again for hours; that is one line when it goes and one when it is back.

use std::fmt;

use consul_sync_core::{ErrorKind, Side, SideStatus, SyncStatus};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::heartbeat::Heartbeat;

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    source: Option<ErrorKind>,
    sink: Option<ErrorKind>,
    ready: bool,
}

/// One thing worth telling.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Failing(Side, ErrorKind, String),
    Recovered(Side),
    Ready {
        services: usize,
        owned: usize,
        orphans: usize,
    },
}

/// Tells every change until the engine is gone. The engine's loop sends its status at least once a second, which
/// is what keeps the heartbeat going.
pub(crate) async fn narrate(mut status: watch::Receiver<SyncStatus>, heartbeat: Heartbeat) {
    let mut told = Told::default();
    loop {
        heartbeat.beat();
        let changes = told.changes(&status.borrow_and_update());
        for change in changes {
            change.tell();
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

// === impl Told ===

impl Told {
    fn changes(&mut self, status: &SyncStatus) -> Vec<Change> {
        let mut changes = Vec::new();
        changes.extend(side(&mut self.source, Side::Source, &status.source));
        changes.extend(side(&mut self.sink, Side::Sink, &status.sink));
        if status.is_ready() && !self.ready {
            self.ready = true;
            changes.push(Change::Ready {
                services: status.services,
                owned: status.owned,
                orphans: status.orphans,
            });
        }
        changes
    }
}

/// The same kind with other words is the same trouble: an address or a port in the text may change with every try.
fn side(told: &mut Option<ErrorKind>, side: Side, now: &SideStatus) -> Option<Change> {
    let kind = now.error.as_ref().map(|(kind, _)| *kind);
    if kind == *told {
        return None;
    }
    *told = kind;
    Some(match &now.error {
        Some((kind, message)) => Change::Failing(side, *kind, message.clone()),
        None => Change::Recovered(side),
    })
}

// === impl Change ===

impl Change {
    fn tell(&self) {
        match self {
            Self::Failing(side, kind, message) => warn!(
                side = side.as_str(),
                kind = kind.as_str(),
                error = %OneLine(message),
                "cannot go on with this side; trying again"
            ),
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

struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.split_whitespace().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(source: Option<(ErrorKind, &str)>) -> SyncStatus {
        SyncStatus {
            source: SideStatus {
                error: source.map(|(kind, message)| (kind, message.to_owned())),
                ..SideStatus::default()
            },
            ..SyncStatus::default()
        }
    }

    fn failing(kind: ErrorKind, message: &str) -> Vec<Change> {
        vec![Change::Failing(Side::Source, kind, message.to_owned())]
    }

    #[test]
    fn trouble_is_told_once_and_not_with_every_try() {
        let mut told = Told::default();
        let first = told.changes(&status(Some((ErrorKind::Unavailable, "port 1"))));
        assert_eq!(first, failing(ErrorKind::Unavailable, "port 1"));
        assert_eq!(
            told.changes(&status(Some((ErrorKind::Unavailable, "port 2")))),
            []
        );
    }

    #[test]
    fn another_kind_of_trouble_is_told_and_so_is_its_end() {
        let mut told = Told::default();
        told.changes(&status(Some((ErrorKind::Unavailable, "away"))));
        let second = told.changes(&status(Some((ErrorKind::Unauthorized, "no"))));
        assert_eq!(second, failing(ErrorKind::Unauthorized, "no"));
        assert_eq!(
            told.changes(&status(None)),
            [Change::Recovered(Side::Source)]
        );
        assert_eq!(told.changes(&status(None)), []);
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
