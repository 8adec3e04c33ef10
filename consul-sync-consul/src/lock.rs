//! One writer: a lock on a key of Consul's key/value store, and the fence that goes with it.
//!
//! Of several processes with one owner only the one that holds the lock may write. The lock is a key held by a
//! session; the session ends when it was not renewed for a while, and the key is free again. That alone makes one
//! leader at a time *as far as each of them knows*: a process that was stopped for minutes believes that it leads
//! until it looks. So every transaction of a sink that has the lock's [`Fence`] begins with a check, made by Consul
//! itself and in the same transaction, that the key is still held by this session. What an old leader sends is
//! refused, however late it arrives.
//!
//! The session stands on the node that holds the instances, so that it depends on no agent's life and needs one
//! narrow right; where that node is missing it is registered, which can only happen while nobody holds the lock.
//!
//! It does not know what is synchronised. [`Lock::gate`] is what a driver takes
//! ([`Driver::gate`](https://docs.rs/consul-sync-core)), and any other election can drive such a gate.

mod fence;
mod lead;
mod mandate;
mod requests;
mod run;
mod settings;

use std::{fmt, future::Future, sync::Arc};

use consul_sync_core::{ElectionState, Holder};
use tokio::sync::watch;

pub(crate) use self::fence::Grant;
pub use self::{fence::Fence, mandate::Mandate, settings::LockSettings};
use crate::{Client, NodeName};

/// The lock that one process of several holds. Cheap to clone; clones are the same lock.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSink, Lock, LockSettings, SinkSettings};
/// use consul_sync_consul::testing::FakeConsul;
/// use consul_sync_core::{Driver, Owner, testing::{TableSource, service}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// let owner = Owner::new("cluster-a")?;
/// // A client of its own, so that a renewal never waits behind a listing.
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let lock = Lock::new(client.clone(), LockSettings::new(&owner));
/// let mut settings = SinkSettings::new(owner);
/// settings.fence = Some(lock.fence());
/// let source = TableSource::default();
/// source.put(service("default/web", ["10.0.0.1"]));
/// let driver = Driver::new(source, ConsulSink::new(client, settings)).gate(lock.gate());
/// let written = consul.until(|consul| !consul.instances_of_service("web").is_empty());
/// let running = async { tokio::join!(driver.run(std::future::pending()), lock.run(std::future::pending())) };
/// tokio::select! {
///     _ = running => {}
///     () = written => {}
/// }
/// let key = consul.key("consul-sync/cluster-a/leader").ok_or("no key")?;
/// assert_eq!(key.session, consul.sessions()[0].id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lock(Arc<Inner>);

struct Inner {
    client: Client,
    settings: LockSettings,
    fence: Fence,
    state: watch::Sender<ElectionState>,
}

// === impl Lock ===

impl Lock {
    /// A lock; nothing is sent before it [runs](Self::run).
    pub fn new(client: Client, settings: LockSettings) -> Self {
        Self(Arc::new(Inner {
            fence: Fence::new(&settings.key(), client.partition()),
            client,
            settings,
            state: watch::Sender::new(ElectionState::default()),
        }))
    }

    /// Whether this process may write, for [`Driver::gate`](https://docs.rs/consul-sync-core). It is shut until the
    /// lock is held, and again from the moment on that it is not, or cannot be known to be.
    pub fn gate(&self) -> watch::Receiver<bool> {
        self.0.fence.gate()
    }

    /// What makes Consul refuse the writes of a process that lost the lock, for
    /// [`SinkSettings::fence`](crate::SinkSettings::fence).
    pub fn fence(&self) -> Fence {
        self.0.fence.clone()
    }

    /// Where the election stands.
    pub fn state(&self) -> watch::Receiver<ElectionState> {
        self.0.state.subscribe()
    }

    /// The key.
    pub fn key(&self) -> &str {
        self.0.fence.key()
    }

    /// Who this process is.
    pub fn holder(&self) -> &Holder {
        &self.0.settings.holder
    }

    /// The client that it speaks through.
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The node that its session stands on.
    pub(crate) fn node(&self) -> &NodeName {
        &self.0.settings.node
    }

    /// Takes part in the election until `shutdown` is done, then hands over: the key is released and the session
    /// ended, within a second.
    ///
    /// Await it no earlier than the driver has stopped, or hand over by `shutdown` when it has.
    ///
    /// # Cancellation
    /// Dropping it shuts the gate at once and hands nothing over: the others wait until the session ends.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        run::Candidate::new(&self.0, None).run(shutdown).await;
    }

    /// The same for a process that was elected elsewhere, until `over`: that it leads no more, or stops. The lock is taken at
    /// once from whoever holds it by an earlier mandate, dead or alive; anybody else is waited for.
    ///
    /// # Cancellation
    /// As of [`run`](Self::run).
    ///
    /// ```
    /// use consul_sync_consul::{Client, ClientSettings, Lock, LockSettings, Mandate, testing::FakeConsul};
    /// use consul_sync_core::{ElectionState, Owner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let consul = FakeConsul::start().await?;
    /// let lock = Lock::new(Client::new(ClientSettings::new(consul.url()))?, LockSettings::new(&Owner::new("cluster-a")?));
    /// let mut state = lock.state();
    /// let led = async move { state.wait_for(ElectionState::is_leading).await.map(drop) };
    /// let mandate = Mandate { authority: "a lease's uid".into(), term: 3 };
    /// lock.run_under(mandate, async { led.await.unwrap_or_default() }).await;
    /// assert!(!*lock.gate().borrow(), "handed over");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_under(&self, mandate: Mandate, over: impl Future<Output = ()>) {
        run::Candidate::new(&self.0, Some(mandate)).run(over).await;
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("settings", &self.0.settings)
            .field("state", &*self.0.state.borrow())
            .finish_non_exhaustive()
    }
}
