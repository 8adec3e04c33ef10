//! What a sink asks before it writes, and what Consul is asked in every write.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// Makes Consul refuse the writes of a process that does not hold the lock. Cheap to clone.
///
/// It comes from [`Lock::fence`](crate::Lock::fence) and goes into
/// [`SinkSettings::fence`](crate::SinkSettings::fence).
#[derive(Clone)]
pub struct Fence(Arc<Inner>);

struct Inner {
    key: Box<str>,
    partition: Option<Box<str>>,
    grant: Mutex<Option<Grant>>,
    gate: watch::Sender<bool>,
    /// Consul refused a write.
    refused: Notify,
}

/// The lead, for as long as it is sure.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) session: Arc<str>,
    /// Consul does not end the session before.
    pub(crate) until: Instant,
}

// === impl Fence ===

impl Fence {
    pub(super) fn new(key: &str, partition: Option<&str>) -> Self {
        Self(Arc::new(Inner {
            key: key.into(),
            partition: partition.map(Into::into),
            grant: Mutex::new(None),
            gate: watch::Sender::new(false),
            refused: Notify::new(),
        }))
    }

    pub(super) fn gate(&self) -> watch::Receiver<bool> {
        self.0.gate.subscribe()
    }

    /// The key that has to be held.
    pub(crate) fn key(&self) -> &str {
        &self.0.key
    }

    pub(crate) fn partition(&self) -> Option<&str> {
        self.0.partition.as_deref()
    }

    /// Whether this process holds the lock, as far as it can know: never later than its session can end, by a clock
    /// that goes on while the process is stopped.
    pub fn is_open(&self) -> bool {
        self.grant().is_some()
    }

    /// The lead, if this process has it. After a pause it is over before anybody had the time to say so.
    pub(crate) fn grant(&self) -> Option<Grant> {
        let grant = self.lock().clone()?;
        (Instant::now() < grant.until).then_some(grant)
    }

    /// Consul says that this session does not hold the lock any more.
    pub(crate) fn refused(&self, grant: &Grant) {
        let mut held = self.lock();
        // A late answer to an earlier lead says nothing of this one.
        if held
            .as_ref()
            .is_some_and(|held| held.session == grant.session)
        {
            *held = None;
            drop(held);
            self.0.gate.send_replace(false);
            self.0.refused.notify_one();
        }
    }

    /// The lock is held, and the session lives until then.
    pub(super) fn open(&self, grant: Grant) {
        *self.lock() = Some(grant);
        self.0.gate.send_replace(true);
    }

    /// The session lives longer, if it has not been refused meanwhile.
    pub(super) fn extend(&self, until: Instant) {
        if let Some(held) = self.lock().as_mut() {
            held.until = until;
        }
    }

    pub(super) fn shut(&self) {
        *self.lock() = None;
        self.0.gate.send_replace(false);
    }

    /// Waits until Consul refuses a write.
    pub(super) async fn until_refused(&self) {
        self.0.refused.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Grant>> {
        self.0.grant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence")
            .field("key", &self.0.key)
            .field("is_open", &*self.0.gate.borrow())
            .finish_non_exhaustive()
    }
}
