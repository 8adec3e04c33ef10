//! A sink that fails.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use consul_sync_core::{
    AdapterError, Cost, ErrorKind, Event, Held, Layout, Op, Outcome, Outcomes, Owner, Placed,
    Reason, Rejection, Service, Sink, SinkError, Slot, WatchStream, testing::MemoryRecord,
};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    check::Handed,
    fault::Fault,
    stream::{Listing, Side, Told, minutes_from_now, watch},
    world::{State, World},
};

#[derive(Debug)]
pub(crate) struct SimSink(pub(crate) World);

struct Actual;

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
        watch::<Actual>(&self.0)
    }

    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<MemoryRecord>)>, SinkError> {
        self.0.point().await;
        let answer: Vec<_> = {
            let mut state = self.0.lock();
            if state.faults.strikes(Fault::ReadFails).is_some() {
                return Err(trouble(ErrorKind::Unavailable));
            }
            let is_cut = state.faults.strikes(Fault::ReadIsCut).is_some();
            let count = slots.len() / if is_cut { 2 } else { 1 };
            let read = slots.iter().take(count);
            read.map(|slot| (slot.clone(), state.catalog.held(slot)))
                .collect()
        };
        self.0.dawdle(Fault::ReadDawdles, 500).await;
        self.0.point().await;
        let mut state = self.0.lock();
        state.tick();
        for (slot, held) in &answer {
            state.oracle.read(slot, held);
        }
        state.note(|| format!("read of {slots:?}: {answer:?}"));
        Ok(answer)
    }

    async fn apply(&self, ops: &[Op<MemoryRecord>]) -> Result<Outcomes<MemoryRecord>, SinkError> {
        let (handed, is_broken) = {
            let mut state = self.0.lock();
            state.tick();
            let handed = state.check_batch(ops, self.0.layout.limits().ops);
            (handed, !state.oracle.violations.is_empty())
        };
        if is_broken {
            // A story that broke a rule has said enough; it must also come to an end.
            sleep(Duration::from_secs(1)).await;
        }
        self.0.point().await;
        let (answer, answered) = oneshot::channel();
        let server = Server {
            world: self.0.clone(),
            ops: ops.to_vec(),
            handed,
        };
        let is_zombie = {
            let mut state = self.0.lock();
            state.requests += 1;
            state.faults.strikes(Fault::WriteIsAZombie).is_some()
        };
        if self.0.has_points() {
            // Whoever counts points wants them in this very task.
            let _ = answer.send(server.serve().await);
        } else {
            tokio::spawn(async move {
                let _ = answer.send(server.serve().await);
            });
        }
        let outcomes = if is_zombie {
            self.0.dawdle(Fault::WriteDawdles, 100).await;
            Err(trouble(ErrorKind::Timeout))
        } else {
            let answer = answered.await;
            answer.unwrap_or_else(|_| Err(trouble(ErrorKind::Unavailable)))
        };
        self.0.point().await;
        let mut state = self.0.lock();
        state.tick();
        state.answered(ops, outcomes.as_ref().ok());
        state.note(|| {
            let ops: Vec<_> = ops.iter().map(name).collect();
            format!("answer to {ops:?}: {outcomes:?}")
        });
        outcomes
    }
}

/// A request on the other side of the wire: it goes on when whoever sent it is dead.
struct Server {
    world: World,
    ops: Vec<Op<MemoryRecord>>,
    handed: Handed,
}

impl Server {
    async fn serve(self) -> Result<Outcomes<MemoryRecord>, SinkError> {
        let Self { world, ops, handed } = self;
        let answer = Self::carry_out(&world, &ops, &handed).await;
        world.lock().requests -= 1;
        answer
    }

    async fn carry_out(
        world: &World,
        ops: &[Op<MemoryRecord>],
        handed: &Handed,
    ) -> Result<Outcomes<MemoryRecord>, SinkError> {
        hang(world).await;
        world.dawdle(Fault::WriteDawdles, 500).await;
        let (order, applied) = {
            let mut state = world.lock();
            let mut applied = ops.len();
            if state.faults.strikes(Fault::WriteIsLost).is_some() {
                applied = 0;
            } else if state.faults.strikes(Fault::WriteIsCut).is_some() {
                applied /= 2;
            }
            (order(&mut state, ops), applied)
        };
        let mut outcomes: Vec<Outcome<u64>> = vec![Outcome::Unknown; ops.len()];
        let mut failed: BTreeSet<Slot> = BTreeSet::new();
        for at in order.into_iter().take(applied) {
            world.point().await;
            let op = &ops[at];
            let outcome = one(&mut world.lock(), op, handed, failed.contains(&op.slot));
            if !matches!(outcome, Outcome::Written(_) | Outcome::Deleted) {
                failed.insert(op.slot.clone());
            }
            outcomes[at] = outcome;
        }
        world.changed();
        let is_unanswered = {
            let mut state = world.lock();
            applied < ops.len() || state.faults.strikes(Fault::WriteIsUnanswered).is_some()
        };
        world.point().await;
        world.dawdle(Fault::WriteDawdles, 500).await;
        hang(world).await;
        if is_unanswered {
            Err(trouble(ErrorKind::Timeout))
        } else {
            Ok(outcomes)
        }
    }
}

/// In which order the operations are applied: within a slot always in theirs.
fn order(state: &mut State, ops: &[Op<MemoryRecord>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ops.len()).collect();
    if let Some(rng) = state.faults.strikes(Fault::WriteIsShuffled) {
        let mut slots: Vec<&Slot> = ops.iter().map(|op| &op.slot).collect();
        rng.shuffle(&mut slots);
        order.sort_by_key(|at| slots.iter().position(|slot| **slot == ops[*at].slot));
    }
    order
}

async fn hang(world: &World) {
    let minutes = {
        let mut state = world.lock();
        let hangs = state.faults.strikes(Fault::WriteHangs);
        hangs.map(|rng| rng.below(200))
    };
    if let Some(seconds) = minutes {
        sleep(Duration::from_secs(seconds)).await;
    }
}

fn one(
    state: &mut State,
    op: &Op<MemoryRecord>,
    handed: &Handed,
    is_after_failure: bool,
) -> Outcome<u64> {
    if is_after_failure || state.faults.strikes(Fault::OpIsSkipped).is_some() {
        return Outcome::Skipped;
    }
    if state.poison.contains(&op.id()) {
        return Outcome::Refused(Rejection::new(Reason::Refused, "poison"));
    }
    state.tick();
    state.check_op(op, handed);
    let outcome = state.catalog.apply(op);
    state.note(|| format!("{}: {outcome:?}", name(op)));
    let change = state.catalog.journal.len();
    state.applied.insert(op.slot.clone(), change);
    state.check_step();
    if state.faults.strikes(Fault::OpIsUnclear).is_some() {
        return Outcome::Unknown;
    }
    outcome
}

impl Side for Actual {
    type Key = Slot;
    type Value = Held<MemoryRecord>;
    const FAULTS: [Fault; 5] = [
        Fault::SinkBreaksOff,
        Fault::SinkForbidden,
        Fault::SinkEnds,
        Fault::SinkTrouble,
        Fault::SinkDawdles,
    ];

    fn list(state: &mut State) -> Listing<Told<Self>> {
        let mut upto = state.catalog.journal.len();
        if let Some(rng) = state.faults.strikes(Fault::SinkIsStale) {
            upto = usize::try_from(rng.below(upto as u64 + 1)).unwrap();
        }
        let mut slots: Vec<_> = state.catalog.at(upto).into_iter().collect();
        state.rng.shuffle(&mut slots);
        let told = |(slot, held)| Told {
            event: Event::Upserted(slot, held),
            change: upto,
            is_listing: true,
            after: None,
        };
        Listing {
            events: slots.into_iter().map(told).collect(),
            upto,
            mended: None,
        }
    }

    fn follow(state: &mut State, from: usize) -> (Vec<Told<Self>>, usize) {
        let Some((slot, held)) = state.catalog.journal.get(from).cloned() else {
            return (Vec::new(), from);
        };
        let late = state.faults.strikes(Fault::SinkIsLate);
        let told = Told {
            event: Event::Upserted(slot, held),
            change: from + 1,
            is_listing: false,
            after: late.map(|rng| minutes_from_now(rng.below(400))),
        };
        (vec![told], from + 1)
    }

    fn deliver(world: &World, told: Told<Self>) -> Event<Slot, Held<MemoryRecord>> {
        let mut state = world.lock();
        state.tick();
        let mut event = told.event;
        if let Event::Upserted(slot, held) = &mut event
            && !told.is_listing
            && state.answered.get(slot).is_some_and(|at| told.change < *at)
        {
            // Outside a listing no sink shows a slot older than the last outcome that it returned.
            *held = state.catalog.held(slot);
        }
        let State {
            oracle, catalog, ..
        } = &mut *state;
        oracle.sink_said(&event, catalog);
        state.note(|| format!("sink: {event:?}"));
        event
    }

    fn lose(state: &mut State) {
        state.oracle.sink.lose();
    }
}

/// An operation for people.
pub(crate) fn name(op: &Op<MemoryRecord>) -> String {
    format!("{} {}/{}", op.verb(), op.slot, op.id())
}

fn trouble(kind: ErrorKind) -> SinkError {
    AdapterError::new(kind, "made by the story")
}
