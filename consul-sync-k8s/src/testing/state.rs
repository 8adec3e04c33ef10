//! What a fake cluster holds, and how a change of it wakes the watches.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff;
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::{
    access::Access, cluster::Seen, fault::Faults, store::Store, watch::Command, write::Writer,
};
use crate::Verb;

/// What every handle of one fake cluster shares.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) faults: Faults,
    pub(super) access: Access,
    pub(super) revisions: watch::Sender<u64>,
    pub(super) commands: broadcast::Sender<Command>,
    started: Instant,
}

/// What is under one lock, so that each request sees one state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) writer: Writer,
    pub(super) seen: VecDeque<Seen>,
    pub(super) counts: BTreeMap<(Option<Verb>, String), u64>,
    pub(super) streaming_lists: bool,
    pub(super) gone_as_status: bool,
    pub(super) bookmark_every: Duration,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                store: Store::new(),
                writer: Writer::default(),
                seen: VecDeque::new(),
                counts: BTreeMap::new(),
                streaming_lists: true,
                gone_as_status: false,
                bookmark_every: Duration::from_secs(60),
            }),
            faults: Faults::default(),
            access: Access::default(),
            revisions: watch::Sender::new(0),
            commands: broadcast::Sender::new(256),
            started: Instant::now(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the objects and wakes the watches.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let done = change(&mut state);
        let revision = state.store.revision();
        drop(state);
        self.revisions
            .send_if_modified(|held| std::mem::replace(held, revision) != revision);
        done
    }

    pub(super) fn with_store<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.state().store)
    }

    pub(super) fn bookmark_every(&self) -> Duration {
        self.state().bookmark_every
    }

    /// The fake's own time: it starts at one fixed instant, and goes on with the runtime's clock, so that
    /// a run under a paused clock is the same each time.
    pub(super) fn now(&self) -> String {
        const START: i64 = 1_767_225_600;
        let seconds = i64::try_from(self.started.elapsed().as_secs()).unwrap_or(0);
        jiff::Timestamp::from_second(START + seconds)
            .map_or_else(|_| String::new(), |now| now.to_string())
    }
}
