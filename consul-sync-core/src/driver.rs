//! The async loop that runs an [`Engine`] between a source and a sink.
//!
//! It feeds events in, carries batches out, reads what is in doubt again, and paces itself when the sink fails.
//! It decides nothing: every rule is the engine's. There is no timer on the way from an event to a write;
//! what arrives while a write is under way joins the next batch.

mod backoff;
mod once;
mod turn;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

pub use once::{carry_out, plan, purge_plan};

use self::turn::{Answer, Turn};
use crate::{Observer, Settings, Silent, Sink, Source, SyncStatus};

/// How long the loop sleeps at most, so that its heartbeat can be watched.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Keeps a sink as a source wants it, until it is told to stop.
///
/// # Examples
/// ```
/// use consul_sync_core::{Driver, testing::{MemorySink, TableSource, service}};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let source = TableSource::default();
/// source.put(service("default/web", ["10.0.0.1", "10.0.0.2"]));
/// let sink = MemorySink::default();
/// let driver = Driver::new(source, sink.clone());
/// let mut status = driver.status();
/// let synced = async move {
///     let _ = status.wait_for(|status| status.is_ready() && status.owned == 2).await;
/// };
/// driver.run(synced).await;
/// assert_eq!(sink.ids("web").len(), 2);
/// # }
/// ```
#[derive(Debug)]
pub struct Driver<S, K> {
    source: Arc<S>,
    sink: Arc<K>,
    settings: Settings,
    observer: Arc<dyn Observer>,
    gate: Option<watch::Receiver<bool>>,
    concurrency: usize,
    seed: Option<u64>,
    status: watch::Sender<SyncStatus>,
    control: Control,
}

/// A person's hand on a running driver. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Control {
    release: watch::Sender<usize>,
}

impl Control {
    /// Confirms as many of the deletes that the brake holds back as a person saw: the
    /// [`held_deletes`](crate::BrakeStatus::held_deletes) of the status that was shown. What is held back besides when the
    /// driver hears of it stays.
    pub fn release_brake(&self, seen: usize) {
        self.release.send_replace(seen);
    }
}

impl<S: Source, K: Sink> Driver<S, K> {
    /// A driver with the default, safe settings.
    pub fn new(source: impl Into<Arc<S>>, sink: impl Into<Arc<K>>) -> Self {
        Self {
            source: source.into(),
            sink: sink.into(),
            settings: Settings::default(),
            observer: Arc::new(Silent),
            gate: None,
            concurrency: 2,
            seed: None,
            status: watch::Sender::new(SyncStatus::default()),
            control: Control::default(),
        }
    }

    /// Other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Where reports go.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Writes only while the gate shows `true`: the place of a leader election. Both tables are filled
    /// meanwhile, so that a standby is warm. A gate whose sender is gone is shut.
    #[must_use]
    pub fn gate(mut self, gate: watch::Receiver<bool>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// How many batches may be under way at once; at least one.
    #[must_use]
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.concurrency = batches.max(1);
        self
    }

    /// Makes the jitter of the pauses reproducible.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The engine's state after each turn of the loop; it is sent at least once a second, which is the loop's heartbeat.
    pub fn status(&self) -> watch::Receiver<SyncStatus> {
        self.status.subscribe()
    }

    /// How long after the last failure, beside the time that the sink takes to answer, everything that may be written is
    /// written (invariant I-L2): the longest pause of a refused record or of a repair, the longest pause after a
    /// failed call, and a heartbeat.
    ///
    /// ```
    /// # use consul_sync_core::{Driver, testing::{MemorySink, TableSource}};
    /// let driver = Driver::new(TableSource::default(), MemorySink::default());
    /// assert_eq!(driver.bound().as_secs(), 300 + 10 + 1);
    /// ```
    pub fn bound(&self) -> Duration {
        self.settings.retry.max + turn::LONGEST_PAUSE + HEARTBEAT
    }

    /// The hand on this driver.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs until `shutdown` is done and the batches under way are answered. Stopping deletes nothing.
    ///
    /// # Cancellation
    /// Dropping it leaves the batches under way without an answer; the next run reads before it writes.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut is_stopping = false;
        let control = self.control.clone();
        let mut released = control.release.subscribe();
        let mut turn = Turn::new(self);
        loop {
            turn.drain();
            if !is_stopping {
                turn.hand_out();
            }
            turn.publish();
            if is_stopping && turn.applies.is_empty() {
                return;
            }
            let wake = turn.wakeup().min(Instant::now() + HEARTBEAT);
            tokio::select! {
                biased;
                () = &mut shutdown, if !is_stopping => is_stopping = true,
                Some(done) = turn.applies.next(), if !turn.applies.is_empty() => turn.answer(done),
                Some(done) = turn.reads.next(), if !turn.reads.is_empty() => turn.answer_read(done),
                // The sender is `control`, which outlives the loop.
                Ok(()) = released.changed() => turn.release_brake(*released.borrow_and_update()),
                () = Turn::<S, K>::gate_changed(&mut turn.gate) => {}
                event = turn.source_events.next() => turn.source_event(event),
                event = turn.sink_events.next() => turn.sink_event(event),
                () = sleep_until(wake) => {}
            }
        }
    }
}

/// What a call of [`Sink::apply`] or [`Sink::read`] answered.
type Done<T> = futures::stream::FuturesUnordered<futures::future::BoxFuture<'static, Answer<T>>>;
