//! One leader of several processes: a Lease (`coordination.k8s.io/v1`), as Kubernetes' own components hold one.
//!
//! Whoever is named in the Lease leads, and writes the time into it again and again. It has died when the Lease was not
//! seen to change for as long as it says, *by the clock of who looks*: what the Lease says of times is never compared
//! with a clock, so that clocks may differ and jump. Every write is conditional on the version that was seen, so that of
//! two that find it free one gets it. The leader itself gives up after four fifths of the time, by a clock that
//! goes on while the process is stopped.
//!
//! That makes one leader at a time as far as each of them knows, and is no fence: nobody checks the Lease when something is
//! written elsewhere. [`Lease::term`] is what a fence is made of: a later leader has a greater number, and what is
//! written to can refuse a smaller one. Writes to Kubernetes have no such place; there [`Lease::is_held`] is asked before
//! each of them ([`KubeSink::with_gate`](crate::KubeSink::with_gate)), and each is conditional on the version that it means.
//!
//! It does not know what is synchronised. [`Lease::gate`] is what a driver takes
//! ([`Driver::gate`](https://docs.rs/consul-sync-core)).

mod held;
mod lead;
mod record;
mod requests;
mod run;
mod settings;

use std::{fmt, future::Future, sync::Arc};

use consul_sync_core::ElectionState;
use kube::Client;
use tokio::sync::watch;

use self::{held::Held, requests::Requests, run::Candidate};
pub use self::{held::Term, settings::LeaseSettings};

/// The Lease that one process of several holds. Cheap to clone; clones are the same.
///
/// # Examples
/// ```
/// use consul_sync_core::{ElectionState, Holder};
/// use consul_sync_k8s::{Lease, LeaseSettings, testing::FakeCluster};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = FakeCluster::new();
/// let me = Holder { id: "1f".into(), host: "pod-1".into(), ..Holder::default() };
/// let lease = Lease::new(cluster.client(), LeaseSettings::new("default", "consul-sync", me));
/// let mut state = lease.state();
/// let leads = async { state.wait_for(ElectionState::is_leading).await.map(drop) };
/// tokio::select! {
///     () = lease.run(std::future::pending()) => {}
///     leads = leads => leads?,
/// }
/// let object = cluster.get("leases", "default", "consul-sync").ok_or("no Lease")?;
/// assert_eq!(object["spec"]["holderIdentity"], "pod-1_1f");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lease(Arc<Inner>);

struct Inner {
    requests: Requests,
    settings: LeaseSettings,
    held: Held,
    state: watch::Sender<ElectionState>,
}

// === impl Lease ===

impl Lease {
    /// A Lease; nothing is sent before it [runs](Self::run).
    pub fn new(client: Client, settings: LeaseSettings) -> Self {
        Self(Arc::new(Inner {
            requests: Requests::new(client, &settings.namespace, &settings.name),
            settings,
            held: Held::default(),
            state: watch::Sender::default(),
        }))
    }

    /// Whether this process leads, for [`Driver::gate`](https://docs.rs/consul-sync-core).
    pub fn gate(&self) -> watch::Receiver<bool> {
        self.0.held.gate()
    }

    /// Which lead it is, while this process leads.
    pub fn term(&self) -> watch::Receiver<Option<Term>> {
        self.0.held.term()
    }

    /// Whether this process leads for sure at this moment: after a pause it does not, before anybody had the time to shut
    /// the gate.
    pub fn is_held(&self) -> bool {
        self.0.held.is_sure()
    }

    /// Where the election stands.
    pub fn state(&self) -> watch::Receiver<ElectionState> {
        self.0.state.subscribe()
    }

    /// The Lease, as `NAMESPACE/NAME`.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// Takes part in the election until `shutdown` is done, then hands over: the Lease names nobody, which the others see
    /// at once.
    ///
    /// Await it no earlier than the driver has stopped, or hand over by `shutdown` when it has.
    ///
    /// # Cancellation
    /// Dropping it shuts the gate at once and hands nothing over: the others wait until the Lease has not changed for long
    /// enough.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        Candidate::new(&self.0).run(shutdown).await;
    }
}

impl Inner {
    fn path(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("settings", &self.0.settings)
            .field("state", &*self.0.state.borrow())
            .finish_non_exhaustive()
    }
}
