//! A sink that fails.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use consul_sync_core::{
    Cost, ErrorKind, Event, Held, Layout, Op, Outcome, Outcomes, Owner, Placed, Reason, Rejection,
    Service, Sink, SinkError, Slot, WatchStream, testing::MemoryRecord,
};
use futures::{StreamExt, stream};
use tokio::sync::watch;

use crate::world::{State, World};

type Item = Result<Event<Slot, Held<MemoryRecord>>, SinkError>;

#[derive(Debug)]
pub(crate) struct SimSink(pub(crate) World);

struct Stream {
    world: World,
    changes: watch::Receiver<u64>,
    queue: VecDeque<Item>,
    phase: Phase,
}

enum Phase {
    Start,
    Listing,
    /// Followed up to this change.
    Live(usize),
}

impl Layout for SimSink {
    type Record = MemoryRecord;

    fn owner(&self) -> &Owner {
        self.0.layout.owner()
    }

    fn limits(&self) -> Cost {
        self.0.layout.limits()
    }

    fn cost(&self, op: &Op<MemoryRecord>) -> Cost {
        self.0.layout.cost(op)
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.0.layout.place(service)
    }

    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<MemoryRecord> {
        self.0.layout.records(slot, claims)
    }
}

#[async_trait]
impl Sink for SimSink {
    fn name(&self) -> &'static str {
        "simulation"
    }

    fn watch(&self) -> WatchStream<MemoryRecord> {
        let stream = Stream {
            world: self.0.clone(),
            changes: self.0.changes.subscribe(),
            queue: VecDeque::new(),
            phase: Phase::Start,
        };
        stream::unfold(stream, |mut stream| async move {
            let item = stream.next().await;
            Some((item, stream))
        })
        .boxed()
    }

    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<MemoryRecord>)>, SinkError> {
        self.0.dawdle(30, 500).await;
        let answer = {
            let mut state = self.0.lock();
            if state.goes_wrong(15) {
                return Err(trouble(ErrorKind::Unavailable));
            }
            let known = usize::try_from(state.rng.below(10)).unwrap();
            let count = if state.faults && known == 0 {
                slots.len() / 2
            } else {
                slots.len()
            };
            for slot in slots.iter().take(count) {
                state.oracle.unclear.remove(slot);
            }
            slots
                .iter()
                .take(count)
                .map(|slot| (slot.clone(), state.catalog.held(slot)))
                .collect()
        };
        Ok(answer)
    }

    async fn apply(&self, ops: &[Op<MemoryRecord>]) -> Result<Outcomes<MemoryRecord>, SinkError> {
        let known = self.0.lock().check_batch(ops, &self.0);
        self.0.dawdle(30, 500).await;
        let (outcomes, is_answered) = {
            let mut state = self.0.lock();
            let applied = match state.rng.below(100) {
                0..6 if state.faults => 0,
                6..12 if state.faults => ops.len() / 2,
                _ => ops.len(),
            };
            let is_answered = applied == ops.len() && !state.goes_wrong(8);
            let mut outcomes = Vec::new();
            let mut failed: Vec<Slot> = Vec::new();
            for op in ops.iter().take(applied) {
                let outcome = one(&mut state, op, &known, &failed);
                if !matches!(outcome, Outcome::Written(_) | Outcome::Deleted) {
                    failed.push(op.slot.clone());
                }
                outcomes.push(outcome);
            }
            for (at, op) in ops.iter().enumerate() {
                let is_unclear =
                    matches!(outcomes.get(at), Some(Outcome::Stale | Outcome::Unknown));
                if !is_answered || is_unclear {
                    state.oracle.unclear.insert(op.slot.clone());
                }
            }
            (outcomes, is_answered)
        };
        self.0.changed();
        self.0.dawdle(30, 500).await;
        if is_answered {
            Ok(outcomes)
        } else {
            Err(trouble(ErrorKind::Timeout))
        }
    }
}

fn one(
    state: &mut State,
    op: &Op<MemoryRecord>,
    known: &crate::oracle::Known,
    failed: &[Slot],
) -> Outcome<u64> {
    if failed.contains(&op.slot) {
        return Outcome::Skipped;
    }
    if !op.is_delete() && state.faults && state.poison.as_ref() == Some(op.id()) {
        return Outcome::Refused(Rejection::new(Reason::Refused, "poison"));
    }
    if state.goes_wrong(3) {
        return Outcome::Skipped;
    }
    state.check_op(op, known);
    let outcome = state.catalog.apply(op);
    if state.goes_wrong(3) {
        return Outcome::Unknown;
    }
    outcome
}

impl Stream {
    async fn next(&mut self) -> Item {
        loop {
            self.world.dawdle(5, 300).await;
            if let Some(item) = self.queue.pop_front() {
                let mut state = self.world.lock();
                match &item {
                    Ok(Event::RelistStarted) => state.oracle.sink.lose(),
                    Ok(Event::RelistDone) => state.oracle.sink.gain(),
                    Err(error) if error.kind().weakens() => state.oracle.sink.lose(),
                    _ => {}
                }
                return item;
            }
            self.changes.borrow_and_update();
            let is_news = {
                let world = self.world.clone();
                let mut state = world.lock();
                self.fill(&mut state)
            };
            if !is_news {
                // The sender lives in the world, which this stream holds.
                let _ = self.changes.changed().await;
            }
        }
    }

    fn fill(&mut self, state: &mut State) -> bool {
        match self.phase {
            Phase::Start => {
                self.queue.push_back(Ok(Event::RelistStarted));
                self.phase = Phase::Listing;
                true
            }
            Phase::Listing => {
                let from = state.catalog.changed.len();
                let mut slots: Vec<Slot> = state.catalog.slots.keys().cloned().collect();
                state.rng.shuffle(&mut slots);
                let breaks_off = state.goes_wrong(15);
                if breaks_off {
                    let left = usize::try_from(state.rng.below(slots.len() as u64 + 1)).unwrap();
                    slots.truncate(left);
                }
                for slot in slots {
                    let held = state.catalog.held(&slot);
                    if !held.records.is_empty() {
                        self.queue.push_back(Ok(Event::Upserted(slot, held)));
                    }
                }
                if breaks_off {
                    self.queue.push_back(Err(trouble(ErrorKind::Incomplete)));
                    self.phase = Phase::Start;
                } else {
                    self.queue.push_back(Ok(Event::RelistDone));
                    self.phase = Phase::Live(from);
                }
                true
            }
            Phase::Live(from) => {
                if state.goes_wrong(2) {
                    self.queue.push_back(Err(trouble(ErrorKind::Unauthorized)));
                    self.phase = Phase::Start;
                    return true;
                }
                let Some(slot) = state.catalog.changed.get(from).cloned() else {
                    return false;
                };
                self.phase = Phase::Live(from + 1);
                let held = state.catalog.held(&slot);
                self.queue.push_back(Ok(Event::Upserted(slot, held)));
                true
            }
        }
    }
}

fn trouble(kind: ErrorKind) -> SinkError {
    SinkError::new(kind, "made by the story")
}
