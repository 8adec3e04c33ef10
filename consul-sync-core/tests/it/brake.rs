//! The brake over everything that an engine does, beside the arithmetic that is tested with it.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Cost, Engine, Event, Layout, Op, Outcome, Owner, Placed, Rejection, Service, Settings, Slot,
    Standing,
    testing::{MemoryLayout, MemoryRecord, MemorySink, service},
};

use proptest::prelude::*;

use crate::world::World;

/// A service with this many instances, at addresses of its own.
fn many(name: &str, network: u8, count: u8) -> Service {
    let addresses: Vec<String> = (0..count).map(|n| format!("10.0.{network}.{n}")).collect();
    service(name, addresses.iter().map(String::as_str))
}

fn of(ops: usize) -> MemorySink {
    MemorySink::new(MemoryLayout::new(Owner::new("us").unwrap(), ops))
}

#[test]
fn deletes_under_way_count_for_the_brake() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many("default/a", 1, 50), many("default/b", 2, 50)]);
    world.pump();
    world.upsert(many("default/a", 1, 40));
    let first = world
        .engine
        .next_batch(world.now)
        .expect("ten of a hundred may go");
    assert_eq!(first.ops().len(), 10);
    world.upsert(many("default/b", 2, 40));
    let second = world.engine.next_batch(world.now);
    assert!(
        second.is_none(),
        "with those under way they are twenty: {second:?}"
    );
    assert!(world.engine.status().brake.engaged);
    world.carry_out(&first);
    world.pump();
    assert_eq!(sink.ids("b").len(), 50, "the window still holds a hundred");
}

#[test]
fn a_confirmation_is_for_the_deletes_that_a_person_saw() {
    let sink = of(30);
    let mut world = World::new(&sink, Settings::default());
    world.list([many("default/a", 1, 50), many("default/b", 2, 50)]);
    world.pump();
    world.upsert(many("default/a", 1, 10));
    world.pump();
    assert_eq!(world.engine.status().brake.held_deletes, 40);
    world.release_brake();
    let batch = world
        .engine
        .next_batch(world.now)
        .expect("thirty of the forty");
    world.carry_out(&batch);
    // More vanishes than what is left of the confirmation.
    world.upsert(many("default/b", 2, 30));
    world.pump();
    assert_eq!(sink.ids("b").len(), 50);
    assert!(world.engine.status().brake.engaged);
}

#[test]
fn what_is_held_since_a_person_looked_is_not_confirmed() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many("default/a", 1, 50), many("default/b", 2, 50)]);
    world.pump();
    world.upsert(many("default/a", 1, 10));
    world.pump();
    let seen = world.engine.status().brake.held_deletes;
    assert_eq!(seen, 40);
    world.upsert(many("default/b", 2, 10));
    world.pump();
    assert_eq!(world.engine.status().brake.held_deletes, 80);
    world.engine.release_brake(seen);
    world.pump();
    let left = sink.ids("a").len() + sink.ids("b").len();
    assert_eq!(left, 100, "eighty are more than the forty that were seen");
    assert!(world.engine.status().brake.engaged);
    world.upsert(many("default/b", 2, 50));
    world.pump();
    assert_eq!(sink.ids("a").len(), 10, "the forty are confirmed");
}

#[test]
fn a_confirmation_ends_when_its_deletes_are_wanted_no_more() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many("default/a", 1, 100)]);
    world.pump();
    world.upsert(many("default/a", 1, 20));
    world.pump();
    assert_eq!(world.engine.status().brake.held_deletes, 80);
    world.release_brake();
    world.upsert(many("default/a", 1, 100));
    world.pump();
    world.upsert(many("default/a", 1, 30));
    world.pump();
    assert_eq!(sink.ids("a").len(), 100, "nobody confirmed these seventy");
}

#[test]
fn a_confirmation_of_nothing_is_no_licence() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many("default/a", 1, 100)]);
    world.pump();
    world.upsert(many("default/a", 1, 90));
    world.pump();
    assert_eq!(sink.ids("a").len(), 90);
    world.release_brake();
    world.upsert(many("default/a", 1, 80));
    world.pump();
    assert_eq!(sink.ids("a").len(), 90, "twenty of the window's hundred");
}

/// Deletes are smaller than creates, as where a request is limited in bytes.
#[derive(Debug)]
struct Uneven(MemoryLayout);

impl Layout for Uneven {
    type Record = MemoryRecord;

    fn owner(&self) -> &Owner {
        self.0.owner()
    }

    fn limits(&self) -> Cost {
        self.0.limits()
    }

    fn cost(&self, op: &Op<MemoryRecord>) -> Cost {
        let ops = if op.is_delete() { 1 } else { 2 };
        Cost { ops, bytes: 1 }
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.0.place(service)
    }

    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<MemoryRecord> {
        self.0.records(slot, claims)
    }
}

#[test]
fn nothing_is_deleted_before_every_due_slot_was_compared() {
    let now = Duration::ZERO;
    let layout = MemoryLayout::new(Owner::new("us").unwrap(), 3);
    let mut engine = Engine::new(Uneven(layout), Settings::default());
    let sink = of(64);
    let names: Vec<String> = (0..30).map(|n| format!("default/old{n:02}")).collect();
    let old = || names.iter().map(|name| service(name, ["10.0.0.1"]));
    let mut source = |event| engine.source_event(event, now);
    source(Event::RelistStarted);
    for wanted in old() {
        sink.plant(&wanted, Standing::Ours);
        source(Event::Upserted(wanted.key.clone(), Arc::new(wanted)));
    }
    source(Event::RelistDone);
    engine.sink_event(Event::RelistStarted, now);
    for (slot, held) in sink.contents() {
        engine.sink_event(Event::Upserted(slot, held), now);
    }
    engine.sink_event(Event::RelistDone, now);
    assert!(engine.next_batch(now).is_none(), "all is as it should be");
    // One service goes, one comes whose two creates do not fit into a batch, and then all others go.
    let mut gone = old().map(|wanted| Event::Removed(wanted.key));
    let new = service("default/new", ["10.0.9.1", "10.0.9.2"]);
    engine.source_event(gone.next().unwrap(), now);
    engine.source_event(Event::Upserted(new.key.clone(), Arc::new(new)), now);
    gone.for_each(|event| engine.source_event(event, now));
    // A delete would still fit beside the first create, and nobody knows yet that all thirty would go.
    while let Some(batch) = engine.next_batch(now) {
        assert!(!batch.ops().iter().any(Op::is_delete), "{:?}", batch.ops());
        let written = batch.ops().iter().map(|_| Outcome::Written(1));
        engine.settle(batch.id(), Some(written.collect()), now);
    }
    assert_eq!(engine.status().brake.held_deletes, 30);
}

/// What happens to a world: a service of a few has so many instances now, time passes, a person confirms.
#[derive(Clone, Copy, Debug)]
enum Step {
    Scale(u8, u8),
    Wait(u64),
    Confirm,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 0..60_u8).prop_map(|(name, count)| Step::Scale(name, count)),
        3 => (1..200_u64).prop_map(Step::Wait),
        1 => Just(Step::Confirm),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The highest count of the window is kept apart from the engine (invariant I-S6), and a confirmed loss completes.
    #[test]
    fn no_collapse_takes_more_than_the_share_of_the_windows_highest_count(
        steps in prop::collection::vec(any_step(), 1..25), ops in 5..64_usize
    ) {
        let sink = of(ops);
        let settings = Settings::default();
        let mut world = World::new(&sink, settings.clone());
        world.list([]);
        let mut wanted = [0_usize; 4];
        // Counts at rest, and since when each has been the count.
        let mut levels: Vec<(Duration, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Scale(name, count) => {
                    world.upsert(many(&format!("default/web{name}"), name, count));
                    wanted[usize::from(name)] = usize::from(count);
                }
                Step::Wait(seconds) => world.now += Duration::from_secs(seconds),
                Step::Confirm => {
                    let brake = world.engine.status().brake;
                    if brake.engaged {
                        levels = vec![(world.now, world.ours().len() - brake.held_deletes)];
                    }
                    world.release_brake();
                }
            }
            // A count is over when the next one has lasted for the whole window.
            let window = settings.brake.window;
            let over = levels.iter().skip(1).filter(|(since, _)| world.now.saturating_sub(*since) >= window).count();
            let highest = levels.iter().skip(over).map(|(_, count)| *count).max().unwrap_or(0);
            let share = highest * usize::from(settings.brake.share) / 100;
            let least = highest.saturating_sub(share.max(settings.brake.floor));
            while let Some(batch) = world.engine.next_batch(world.now) {
                world.carry_out(&batch);
                world.take_sink_events();
                if batch.ops().iter().any(Op::is_delete) {
                    let left = world.ours().len();
                    prop_assert!(left >= least, "{} of {} are left", left, highest);
                }
            }
            let level = world.ours().len().min(wanted.iter().sum());
            levels.push((world.now, level));
        }
        world.release_brake();
        world.pump();
        prop_assert_eq!(world.ours().len(), wanted.iter().sum::<usize>());
    }
}
