//! What a process has to hold before it may write in one direction.
//!
//! | kind | services that go to Consul | services that go to Kubernetes |
//! | --- | --- | --- |
//! | `consul` | the lock in Consul | the lock in Consul |
//! | `lease` | the Lease, then the lock in Consul | the Lease |
//!
//! The lock is what makes Consul refuse the writes of a former leader, so who is elected by a Lease takes it, too: from a
//! former leader at once. Kubernetes has nothing of the kind, and there the lock would only be one more thing to wait for.

use std::{fmt, future::Future, pin::pin, sync::Arc};

use consul_sync_consul::{Fence, Lock, Mandate};
use consul_sync_core::ElectionState;
use consul_sync_k8s::{Lease, Term};
use tokio::sync::{oneshot, watch};

/// What has to be held. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) enum Election {
    /// A lock in Consul.
    Lock(Lock),
    /// A Lease in Kubernetes.
    Lease(Lease),
    /// A Lease in Kubernetes, and under it a lock in Consul.
    Both(Lease, Lock),
}

// === impl Election ===

impl Election {
    /// Whether this process may write, for the driver.
    pub(crate) fn gate(&self) -> watch::Receiver<bool> {
        match self {
            Self::Lease(lease) => lease.gate(),
            Self::Lock(lock) | Self::Both(_, lock) => lock.gate(),
        }
    }

    /// Whether it may write for sure at this moment, by a clock that went on while the process was stopped.
    pub(crate) fn is_sure(&self) -> bool {
        match self {
            Self::Lease(lease) => lease.is_held(),
            Self::Lock(lock) => lock.fence().is_open(),
            Self::Both(lease, lock) => lease.is_held() && lock.fence().is_open(),
        }
    }

    /// What makes Consul refuse the writes of a former leader.
    pub(crate) fn fence(&self) -> Option<Fence> {
        match self {
            Self::Lease(_) => None,
            Self::Lock(lock) | Self::Both(_, lock) => Some(lock.fence()),
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> ElectionState {
        let lease = match self {
            Self::Lock(lock) => return lock.state().borrow().clone(),
            Self::Lease(lease) | Self::Both(lease, _) => lease.state().borrow().clone(),
        };
        match self {
            Self::Both(_, lock) if lease.is_leading() => lock.state().borrow().clone(),
            _ => lease,
        }
    }

    /// Takes part until `shutdown` is done, and then hands over.
    pub(crate) async fn run(&self, shutdown: impl Future<Output = ()>) {
        match self {
            Self::Lock(lock) => lock.run(shutdown).await,
            Self::Lease(lease) => lease.run(shutdown).await,
            Self::Both(lease, lock) => {
                let (holding, released) = oneshot::channel::<()>();
                let locking = async {
                    lock_while_elected(lease, lock, shutdown).await;
                    drop(holding);
                };
                // The next one is elected when the lock is free, not before.
                let hand_over = async {
                    let _ = released.await;
                };
                // Large, and most processes need only one of them.
                Box::pin(async { tokio::join!(locking, lease.run(hand_over)) }).await;
            }
        }
    }
}

impl fmt::Display for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(lock) => write!(f, "the lock {}", lock.key()),
            Self::Lease(lease) => write!(f, "the lease {}", lease.path()),
            Self::Both(lease, lock) => {
                write!(f, "the lease {} with the lock {}", lease.path(), lock.key())
            }
        }
    }
}

/// Holds the lock in each term of the Lease, for as long as that lasts.
async fn lock_while_elected(lease: &Lease, lock: &Lock, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut terms = lease.term();
    loop {
        let term = tokio::select! {
            biased;
            () = &mut shutdown => return,
            term = next_term(&mut terms) => term,
        };
        let mandate = Mandate {
            authority: Arc::clone(&term.lease),
            term: term.number,
        };
        let mut is_over = false;
        let until = async {
            tokio::select! {
                biased;
                () = &mut shutdown => is_over = true,
                // The sender lives in the lease.
                _ = terms.wait_for(|now| now.as_ref() != Some(&term)) => {}
            }
        };
        lock.run_under(mandate, until).await;
        if is_over {
            return;
        }
    }
}

async fn next_term(terms: &mut watch::Receiver<Option<Term>>) -> Term {
    loop {
        let term = terms.borrow_and_update().clone();
        if let Some(term) = term {
            return term;
        }
        if terms.changed().await.is_err() {
            // The sender lives in the lease.
            std::future::pending::<()>().await;
        }
    }
}
