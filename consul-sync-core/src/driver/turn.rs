//! One turn of the loop: what is done with each thing that arrives.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{Done, Driver, backoff::Backoff};
use crate::{
    AdapterError, BatchId, BatchReport, Engine, ErrorKind, Event, Held, Key, Notice, Observer,
    Outcomes, Service, Side, Sink, SinkError, Slot, Source, SourceError, SyncStatus, WatchStream,
};

/// Events taken in one turn before the next batch is looked at.
const EVENTS_A_TURN: usize = 4096;
/// Slots read again in one call.
const SLOTS_A_READ: usize = 64;
/// Pauses after a call that failed as a whole.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

type SourceItem = Result<Event<Key, Arc<Service>>, SourceError>;
type SourceStream = BoxStream<'static, SourceItem>;
type SinkItem<R> = Result<Event<Slot, Held<R>>, SinkError>;
type ReadAnswer<R> = (Vec<Slot>, Result<Vec<(Slot, Held<R>)>, SinkError>);
type ApplyAnswer<R> = (BatchId, Vec<Reported>, Result<Outcomes<R>, SinkError>);

/// What is under way when an answer comes.
pub(super) struct Answer<T>(T);

/// An operation as observers see it.
pub(super) struct Reported {
    slot: Slot,
    id: crate::RecordId,
    verb: &'static str,
}

pub(super) struct Turn<S: Source, K: Sink> {
    source: Arc<S>,
    sink: Arc<K>,
    engine: Engine<Arc<K>>,
    observer: Arc<dyn Observer>,
    status: watch::Sender<SyncStatus>,
    pub(super) gate: Option<watch::Receiver<bool>>,
    concurrency: usize,
    started: Instant,
    pub(super) source_events: SourceStream,
    pub(super) sink_events: WatchStream<K::Record>,
    pub(super) applies: Done<ApplyAnswer<K::Record>>,
    pub(super) reads: Done<ReadAnswer<K::Record>>,
    backoff: Backoff,
    /// The sink failed: no call before this moment.
    paused_until: Option<Instant>,
}

impl<S: Source, K: Sink> Turn<S, K> {
    pub(super) fn new(driver: Driver<S, K>) -> Self {
        let engine = Engine::new(Arc::clone(&driver.sink), driver.settings);
        Self {
            source_events: driver.source.watch(),
            sink_events: driver.sink.watch(),
            source: driver.source,
            sink: driver.sink,
            engine,
            observer: driver.observer,
            status: driver.status,
            gate: driver.gate,
            concurrency: driver.concurrency,
            started: Instant::now(),
            applies: Done::new(),
            reads: Done::new(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, driver.seed),
            paused_until: None,
        }
    }

    /// Takes the events that are ready, without waiting for one.
    pub(super) fn drain(&mut self) {
        for _ in 0..EVENTS_A_TURN {
            let mut is_idle = true;
            if let Some(event) = self.source_events.next().now_or_never() {
                is_idle = false;
                self.source_event(event);
            }
            if let Some(event) = self.sink_events.next().now_or_never() {
                is_idle = false;
                self.sink_event(event);
            }
            if is_idle {
                return;
            }
        }
    }

    /// Starts what may be started now: reads of doubtful slots, then batches.
    pub(super) fn hand_out(&mut self) {
        if self.is_paused() {
            return;
        }
        if self.reads.is_empty() && self.engine.has_doubtful() {
            let slots = self.engine.take_doubtful(SLOTS_A_READ);
            let sink = Arc::clone(&self.sink);
            let read = async move {
                let answer = sink.read(&slots).await;
                Answer((slots, answer))
            };
            self.reads.push(read.boxed());
        }
        while self.is_open() && self.applies.len() < self.concurrency {
            let Some(batch) = self.engine.next_batch(self.now()) else {
                return;
            };
            let sink = Arc::clone(&self.sink);
            let apply = async move {
                let answer = sink.apply(batch.ops()).await;
                let ops = batch.ops().iter();
                let reported = ops.map(|op| Reported {
                    slot: op.slot.clone(),
                    id: op.id(),
                    verb: op.verb(),
                });
                Answer((batch.id(), reported.collect(), answer))
            };
            self.applies.push(apply.boxed());
        }
    }

    /// Tells observers what changed.
    pub(super) fn publish(&mut self) {
        for notice in self.engine.take_notices() {
            match notice {
                Notice::Rejected(key, rejection) => self.observer.rejected(&key, &rejection),
                Notice::Accepted(key) => self.observer.accepted(&key),
                Notice::Quarantined(slot, id, rejection) => {
                    self.observer.quarantined(&slot, &id, &rejection);
                }
                Notice::Blocked(slot, id) => self.observer.blocked(&slot, &id),
                Notice::Brake(_) => self.observer.brake(&self.engine.status().brake),
            }
        }
        self.status.send_replace(self.engine.status());
    }

    /// When there may be something to do without anything arriving. Never a moment that has passed while nothing
    /// can be done about it: the loop would not sleep at all.
    pub(super) fn wakeup(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        if let Some(until) = self.paused_until.filter(|_| self.is_paused()) {
            return until;
        }
        if !self.is_open() || self.applies.len() >= self.concurrency {
            return far;
        }
        let engine = self.engine.next_wakeup();
        engine.map_or(far, |after| self.started + after)
    }

    pub(super) fn source_event(&mut self, event: Option<SourceItem>) {
        match event {
            Some(Ok(event)) => self.engine.source_event(event, self.now()),
            Some(Err(error)) => self.failed(Side::Source, &error),
            None => {
                self.failed(Side::Source, &ended());
                self.source_events = later(self.source.watch(), self.backoff.next());
            }
        }
    }

    pub(super) fn sink_event(&mut self, event: Option<SinkItem<K::Record>>) {
        match event {
            Some(Ok(event)) => self.engine.sink_event(event, self.now()),
            Some(Err(error)) => self.failed(Side::Sink, &error),
            None => {
                self.failed(Side::Sink, &ended());
                self.sink_events = later(self.sink.watch(), self.backoff.next());
            }
        }
    }

    /// A batch was answered.
    pub(super) fn answer(&mut self, Answer((id, ops, answer)): Answer<ApplyAnswer<K::Record>>) {
        let outcomes = match answer {
            Ok(outcomes) => {
                for (op, outcome) in ops.iter().zip(&outcomes) {
                    let outcome = outcome.as_str();
                    self.observer.operation(&op.slot, &op.id, op.verb, outcome);
                }
                Some(outcomes)
            }
            Err(error) => {
                self.call_failed(&error);
                None
            }
        };
        let report = self.engine.settle(id, outcomes, self.now());
        if needs_pause(&report) {
            self.pause();
        } else {
            self.backoff.reset();
        }
        self.observer.applied(&report);
    }

    /// A read was answered.
    pub(super) fn answer_read(&mut self, Answer((slots, answer)): Answer<ReadAnswer<K::Record>>) {
        match answer {
            Ok(held) => {
                let mut unanswered: std::collections::BTreeSet<Slot> = slots.into_iter().collect();
                for (slot, held) in held {
                    if unanswered.remove(&slot) {
                        self.engine.read(&slot, held);
                    }
                }
                for slot in unanswered {
                    self.engine.read_failed(&slot);
                }
            }
            Err(error) => {
                self.call_failed(&error);
                for slot in &slots {
                    self.engine.read_failed(slot);
                }
                self.pause();
            }
        }
    }

    pub(super) fn release_brake(&mut self, seen: usize) {
        self.engine.release_brake(seen);
        self.observer.brake(&self.engine.status().brake);
    }

    /// Waits until the gate shows something else than it did.
    pub(super) async fn gate_changed(gate: &mut Option<watch::Receiver<bool>>) {
        let Some(receiver) = gate else {
            return std::future::pending().await;
        };
        if receiver.changed().await.is_err() {
            // Nobody can open it any more.
            let (_, shut) = watch::channel(false);
            *receiver = shut;
            std::future::pending::<()>().await;
        }
    }

    fn is_open(&self) -> bool {
        self.gate
            .as_ref()
            .is_none_or(|gate| gate.has_changed().is_ok() && *gate.borrow())
    }

    fn is_paused(&self) -> bool {
        self.paused_until
            .is_some_and(|until| Instant::now() < until)
    }

    fn pause(&mut self) {
        self.paused_until = Some(Instant::now() + self.backoff.next());
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn call_failed(&mut self, error: &AdapterError) {
        self.engine.call_failed(error);
        self.observer.error(Side::Sink, error);
    }

    fn failed(&mut self, side: Side, error: &AdapterError) {
        self.engine.failed(side, error);
        self.observer.error(side, error);
    }
}

/// Whether trying again at once would only repeat a failure. What was refused is not tried again at once.
fn needs_pause(report: &BatchReport) -> bool {
    report.written() + report.refused == 0 && report.unknown + report.skipped + report.stale > 0
}

fn ended() -> AdapterError {
    AdapterError::new(
        ErrorKind::Incomplete,
        "the watch ended; it is started again",
    )
}

fn later<T: Send + 'static>(
    stream: BoxStream<'static, T>,
    pause: Duration,
) -> BoxStream<'static, T> {
    sleep(pause)
        .into_stream()
        .filter_map(|()| async { None })
        .chain(stream)
        .boxed()
}
