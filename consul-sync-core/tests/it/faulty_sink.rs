//! A sink in memory that can be stopped, made to refuse everything, and whose watch can end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use consul_sync_core::{
    Cost, ErrorKind, Held, Layout, Op, Outcomes, Owner, Placed, Rejection, Service, Sink,
    SinkError, Slot, WatchStream,
    testing::{MemoryRecord, MemorySink},
};
use futures::{StreamExt, stream};
use tokio::sync::watch;

/// Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct FaultySink {
    pub(crate) memory: MemorySink,
    switches: Arc<Switches>,
}

#[derive(Debug)]
struct Switches {
    /// Calls of `apply` wait while this is false.
    open: watch::Sender<bool>,
    /// Every call of `apply` fails.
    refuses: AtomicBool,
    applies: AtomicUsize,
    /// Operations of the largest call of `apply`.
    largest: AtomicUsize,
    /// After so many events the watch that is started next ends.
    ends_after: AtomicUsize,
    /// The next read answers for this many slots at most.
    reads_at_most: AtomicUsize,
}

impl FaultySink {
    pub(crate) fn new(memory: MemorySink) -> Self {
        let switches = Switches {
            open: watch::Sender::new(true),
            refuses: AtomicBool::new(false),
            applies: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            ends_after: AtomicUsize::new(usize::MAX),
            reads_at_most: AtomicUsize::new(usize::MAX),
        };
        Self {
            memory,
            switches: Arc::new(switches),
        }
    }

    /// Whether calls of `apply` are answered.
    pub(crate) fn answer(&self, open: bool) {
        self.switches.open.send_replace(open);
    }

    /// Whether calls of `apply` fail.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.switches.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Calls of `apply` so far.
    pub(crate) fn applies(&self) -> usize {
        self.switches.applies.load(Ordering::Relaxed)
    }

    /// The operations of the largest call of `apply` so far.
    pub(crate) fn largest(&self) -> usize {
        self.switches.largest.load(Ordering::Relaxed)
    }

    /// The next read leaves out all slots but this many.
    pub(crate) fn cut_read_to(&self, slots: usize) {
        self.switches.reads_at_most.store(slots, Ordering::Relaxed);
    }

    /// The watch that is started next ends after this many events; those after it list nothing for ever.
    pub(crate) fn end_watch_after(&self, events: usize) {
        self.switches.ends_after.store(events, Ordering::Relaxed);
    }
}

impl Layout for FaultySink {
    type Record = MemoryRecord;

    fn owner(&self) -> &Owner {
        self.memory.owner()
    }

    fn limits(&self) -> Cost {
        self.memory.limits()
    }

    fn cost(&self, op: &Op<MemoryRecord>) -> Cost {
        self.memory.cost(op)
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.memory.place(service)
    }

    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<MemoryRecord> {
        self.memory.records(slot, claims)
    }
}

#[async_trait]
impl Sink for FaultySink {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn watch(&self) -> WatchStream<MemoryRecord> {
        match self.switches.ends_after.swap(0, Ordering::Relaxed) {
            usize::MAX => {
                self.end_watch_after(usize::MAX);
                self.memory.watch()
            }
            0 => stream::pending().boxed(),
            events => self.memory.watch().take(events).boxed(),
        }
    }

    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<MemoryRecord>)>, SinkError> {
        let most = self
            .switches
            .reads_at_most
            .swap(usize::MAX, Ordering::Relaxed);
        self.memory.read(&slots[..most.min(slots.len())]).await
    }

    async fn apply(&self, ops: &[Op<MemoryRecord>]) -> Result<Outcomes<MemoryRecord>, SinkError> {
        self.switches.applies.fetch_add(1, Ordering::Relaxed);
        self.switches
            .largest
            .fetch_max(ops.len(), Ordering::Relaxed);
        // The sender is in this sink.
        let _ = self.switches.open.subscribe().wait_for(|open| *open).await;
        if self.switches.refuses.load(Ordering::Relaxed) {
            let text = "429: too many requests";
            return Err(SinkError::new(ErrorKind::Unavailable, text));
        }
        self.memory.apply(ops).await
    }
}
