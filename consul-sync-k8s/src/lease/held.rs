//! What this process has of the lead.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{sync::watch, time::Instant};

/// One lead of one Lease. A later one has a greater number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The UID of the Lease, which no other one has, also not in another cluster.
    pub lease: Arc<str>,
    /// How often the Lease went from one to another.
    pub number: u64,
}

/// The lead, if this process has it.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Until when nobody else can have it.
    until: Mutex<Option<Instant>>,
    gate: watch::Sender<bool>,
    term: watch::Sender<Option<Term>>,
}

// === impl Held ===

impl Held {
    pub(super) fn gate(&self) -> watch::Receiver<bool> {
        self.gate.subscribe()
    }

    pub(super) fn term(&self) -> watch::Receiver<Option<Term>> {
        self.term.subscribe()
    }

    pub(super) fn is_sure(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn open(&self, term: Term, until: Instant) {
        self.extend(until);
        self.term.send_replace(Some(term));
        self.gate.send_replace(true);
    }

    pub(super) fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    pub(super) fn shut(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.gate.send_replace(false);
        self.term.send_replace(None);
    }
}
