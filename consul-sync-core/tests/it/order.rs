//! Register before deregister, where the successor does not come.

use std::sync::Arc;

use consul_sync_core::{
    Check, Cost, Engine, Event, Layout, Op, Outcome, Owner, Placed, Rejection, Service, Settings,
    Slot, Standing, Status,
    testing::{MemoryLayout, MemoryRecord, MemorySink, service},
};

use crate::world::World;

fn with_status(address: &str, status: Status) -> Service {
    let mut web = service("default/web", [address]);
    web.instances[0].check = Some(
        Check {
            scope: Arc::from("default"),
            name: Arc::from("readiness"),
            kind: Arc::from("readiness"),
            status,
            output: Arc::from(""),
        }
        .into(),
    );
    web
}

#[test]
fn a_successor_that_is_not_live_yet_is_no_successor() {
    let sink = MemorySink::default();
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Ours);
    sink.plant(&with_status("10.0.0.2", Status::Critical), Standing::Ours);
    // That it is live now is refused.
    sink.refuse(Some("10.0.0.2"));
    let mut world = World::new(&sink, Settings::default());
    world.list([with_status("10.0.0.2", Status::Passing)]);
    world.pump();
    assert_eq!(
        sink.ids("web"),
        ["10.0.0.1", "10.0.0.2"],
        "nothing live would be left"
    );
    sink.refuse(None);
    world.now = world.engine.next_wakeup().expect("it is tried again");
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.2"]);
}

#[test]
fn nothing_waits_for_a_successor_that_somebody_else_blocks() {
    let sink = MemorySink::default();
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Ours);
    sink.plant(&service("default/web", ["10.0.0.2"]), Standing::Foreign);
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.2"])]);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.2"]);
}

/// Requests of so many bytes, of which a record takes as many as its address has digits, a hundred times over if
/// that ends with a nine.
#[derive(Debug)]
struct Narrow(MemoryLayout);

impl Layout for Narrow {
    type Record = MemoryRecord;

    fn owner(&self) -> &Owner {
        self.0.owner()
    }

    fn limits(&self) -> Cost {
        Cost { ops: 8, bytes: 50 }
    }

    fn cost(&self, op: &Op<MemoryRecord>) -> Cost {
        let bytes = if op.id().text().ends_with('9') {
            100
        } else {
            10
        };
        Cost { ops: 1, bytes }
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.0.place(service)
    }

    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<MemoryRecord> {
        self.0.records(slot, claims)
    }
}

#[test]
fn a_record_too_large_for_any_request_is_set_aside_and_its_predecessor_stays() {
    let now = std::time::Duration::ZERO;
    let sink = MemorySink::default();
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Ours);
    let mut engine = Engine::new(Narrow(MemoryLayout::default()), Settings::default());
    engine.sink_event(Event::RelistStarted, now);
    for (slot, held) in sink.contents() {
        engine.sink_event(Event::Upserted(slot, held), now);
    }
    engine.sink_event(Event::RelistDone, now);
    engine.source_event(Event::RelistStarted, now);
    for wanted in [
        service("default/web", ["10.0.0.9"]),
        service("default/db", ["10.0.0.2"]),
    ] {
        engine.source_event(Event::Upserted(wanted.key.clone(), Arc::new(wanted)), now);
    }
    engine.source_event(Event::RelistDone, now);
    let mut ops = Vec::new();
    for _ in 0..8 {
        let Some(batch) = engine.next_batch(now) else {
            break;
        };
        ops.extend(
            batch
                .ops()
                .iter()
                .map(|op| format!("{} {}", op.verb(), op.id())),
        );
        let written = batch.ops().iter().map(|_| Outcome::Written(7)).collect();
        engine.settle(batch.id(), Some(written), now);
    }
    assert_eq!(ops, ["create 10.0.0.2"]);
    assert_eq!(engine.status().quarantined, 1);
}

#[test]
fn a_delete_that_was_refused_waits_like_a_write() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1", "10.0.0.2"])]);
    world.pump();
    sink.refuse(Some("10.0.0.2"));
    world.upsert(service("default/web", ["10.0.0.1"]));
    let batch = world.engine.next_batch(world.now).expect("a delete");
    world.carry_out(&batch);
    assert!(
        world.engine.next_batch(world.now).is_none(),
        "it would be refused again"
    );
    sink.refuse(None);
    world.now = world.engine.next_wakeup().expect("it is tried again");
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
}
