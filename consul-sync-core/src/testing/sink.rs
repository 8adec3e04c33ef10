//! A destination in memory, with versions, owners and faults.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedSender, unbounded},
};

use super::{MemoryLayout, MemoryRecord};
use crate::{
    Action, Cost, ErrorKind, Event, Held, HeldRecord, Layout, Op, Outcome, Outcomes, Owner, Placed,
    Reason, Record, RecordId, Rejection, Service, Sink, SinkError, Slot, Standing, WatchStream,
};

type Item = Result<Event<Slot, Held<MemoryRecord>>, SinkError>;
type Contents = BTreeMap<Slot, BTreeMap<RecordId, HeldRecord<MemoryRecord>>>;

/// A sink that keeps records in memory. Clones share them.
///
/// ```
/// use consul_sync_core::{Standing, testing::{MemorySink, service}};
/// let sink = MemorySink::default();
/// sink.plant(&service("default/web", ["10.0.0.9"]), Standing::Foreign);
/// assert_eq!(sink.ids("web"), ["10.0.0.9"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    layout: MemoryLayout,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    contents: Contents,
    version: u64,
    watchers: Vec<UnboundedSender<Item>>,
    faults: VecDeque<Fault>,
    refused: Vec<String>,
    writes: u64,
    deletes: u64,
    reads: u64,
}

/// What goes wrong in one of the next calls, one fault a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// [`Sink::apply`] fails, and nothing was applied.
    ApplyLost,
    /// [`Sink::apply`] fails, and everything was applied.
    ApplyUnknown,
    /// [`Sink::apply`] fails, and the first half was applied.
    ApplyHalf,
    /// [`Sink::read`] fails.
    ReadFails,
}

impl MemorySink {
    /// A sink with this layout.
    pub fn new(layout: MemoryLayout) -> Self {
        let state = Arc::default();
        Self { layout, state }
    }

    /// Writes a service's records as somebody else would, behind the sink's back, and shows them to whoever watches.
    pub fn plant(&self, service: &Service, standing: Standing) {
        let mut state = self.lock();
        let Ok(slot) = self.layout.place(service) else {
            return;
        };
        for instance in &service.instances {
            let record = Arc::new(MemoryRecord::new(service, instance));
            state.set(&slot, record, standing);
        }
        state.show(&slot);
    }

    /// Removes one record as somebody else would.
    pub fn damage(&self, slot: &str, id: &str) {
        let mut state = self.lock();
        let Ok(slot) = Slot::new(slot) else { return };
        if let Some(records) = state.contents.get_mut(&slot) {
            records.retain(|known, _| known.cmp_text(id).is_ne());
        }
        state.show(&slot);
    }

    /// The ids that a slot holds.
    pub fn ids(&self, slot: &str) -> Vec<String> {
        let state = self.lock();
        let records = state.contents.get(slot).into_iter().flatten();
        records.map(|(id, _)| id.to_string()).collect()
    }

    /// Everything held.
    pub fn contents(&self) -> BTreeMap<Slot, Held<MemoryRecord>> {
        let state = self.lock();
        let slots = state
            .contents
            .keys()
            .filter(|slot| !state.held(slot).records.is_empty());
        slots.map(|slot| (slot.clone(), state.held(slot))).collect()
    }

    /// Makes the next calls go wrong, in this order.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// Refuses records with this id from now on; `None` ends it.
    pub fn refuse(&self, id: Option<&str>) {
        self.lock().refused = id.into_iter().map(str::to_owned).collect();
    }

    /// Records written and records deleted so far.
    pub fn writes(&self) -> (u64, u64) {
        let state = self.lock();
        (state.writes, state.deletes)
    }

    /// Calls of [`Sink::read`] so far.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&self, slot: &Slot) -> Held<MemoryRecord> {
        let records = self.contents.get(slot).into_iter().flatten();
        Held {
            records: records.map(|(_, held)| held.clone()).collect(),
        }
    }

    fn set(&mut self, slot: &Slot, record: Arc<MemoryRecord>, standing: Standing) -> u64 {
        self.version += 1;
        let version = self.version;
        let held = HeldRecord {
            record,
            version,
            standing,
        };
        let records = self.contents.entry(slot.clone()).or_default();
        records.insert(held.record.id(), held);
        version
    }

    fn show(&mut self, slot: &Slot) {
        let held = self.held(slot);
        self.watchers.retain(|watcher| {
            let event = Event::Upserted(slot.clone(), held.clone());
            watcher.unbounded_send(Ok(event)).is_ok()
        });
    }

    fn fault(&mut self, is_mine: impl Fn(Fault) -> bool) -> Option<Fault> {
        let fault = *self.faults.front()?;
        if fault == Fault::None || is_mine(fault) {
            self.faults.pop_front();
        }
        is_mine(fault).then_some(fault)
    }

    fn apply(&mut self, op: &Op<MemoryRecord>) -> Outcome<u64> {
        let records = self.contents.get(&op.slot);
        let held = records.and_then(|records| records.get(&op.id()));
        let is_foreign = held.is_some_and(|held| held.standing == Standing::Foreign);
        let version = held.map(|held| held.version);
        let expected = match &op.action {
            Action::Create(_) => None,
            Action::Update { expected, .. } => Some(*expected),
            Action::Delete(deletion) => Some(*deletion.expected()),
        };
        if op.is_delete() && version.is_none() {
            return Outcome::Deleted;
        }
        if version != expected || is_foreign {
            return Outcome::Stale;
        }
        if self.refused.iter().any(|id| *id == op.id().text()) {
            return Outcome::Refused(Rejection::new(Reason::Refused, "refused by the test"));
        }
        if op.is_delete() {
            self.deletes += 1;
            if let Some(records) = self.contents.get_mut(&op.slot) {
                records.remove(&op.id());
            }
            Outcome::Deleted
        } else {
            self.writes += 1;
            Outcome::Written(self.set(&op.slot, Arc::clone(op.record()), Standing::Ours))
        }
    }
}

impl Layout for MemorySink {
    type Record = MemoryRecord;

    fn owner(&self) -> &Owner {
        self.layout.owner()
    }

    fn limits(&self) -> Cost {
        self.layout.limits()
    }

    fn cost(&self, op: &Op<MemoryRecord>) -> Cost {
        self.layout.cost(op)
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.layout.place(service)
    }

    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<MemoryRecord> {
        self.layout.records(slot, claims)
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn watch(&self) -> WatchStream<MemoryRecord> {
        let (sender, receiver) = unbounded();
        let mut state = self.lock();
        let slots: Vec<Slot> = state.contents.keys().cloned().collect();
        let upserts = slots.into_iter().map(|slot| {
            let held = state.held(&slot);
            Event::Upserted(slot, held)
        });
        let listing = std::iter::once(Event::RelistStarted)
            .chain(upserts)
            .chain([Event::RelistDone]);
        for event in listing {
            // The receiver is in this function: it cannot be gone.
            let _ = sender.unbounded_send(Ok(event));
        }
        state.watchers.push(sender);
        receiver.boxed()
    }

    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<MemoryRecord>)>, SinkError> {
        let mut state = self.lock();
        state.reads += 1;
        if state.fault(|fault| fault == Fault::ReadFails).is_some() {
            return Err(SinkError::new(
                ErrorKind::Unavailable,
                "the test fails reads",
            ));
        }
        Ok(slots
            .iter()
            .map(|slot| (slot.clone(), state.held(slot)))
            .collect())
    }

    async fn apply(&self, ops: &[Op<MemoryRecord>]) -> Result<Outcomes<MemoryRecord>, SinkError> {
        let mut state = self.lock();
        let fault = state
            .fault(|fault| fault != Fault::ReadFails)
            .unwrap_or(Fault::None);
        let applied = match fault {
            Fault::ApplyLost => 0,
            Fault::ApplyHalf => ops.len() / 2,
            _ => ops.len(),
        };
        let mut failed: Vec<&Slot> = Vec::new();
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops.iter().take(applied) {
            if failed.contains(&&op.slot) {
                outcomes.push(Outcome::Skipped);
                continue;
            }
            let outcome = state.apply(op);
            if !matches!(outcome, Outcome::Written(_) | Outcome::Deleted) {
                failed.push(&op.slot);
            }
            outcomes.push(outcome);
        }
        if fault == Fault::None {
            Ok(outcomes)
        } else {
            Err(SinkError::new(
                ErrorKind::Timeout,
                "the test cuts the answer",
            ))
        }
    }
}
