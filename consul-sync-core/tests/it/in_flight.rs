//! What comes while a write or a read is under way.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Batch, Event, Held, Outcome, Outcomes, Service, Settings, Sink, Slot, Standing,
    testing::{Fault, MemoryRecord, MemorySink, service},
};
use futures::FutureExt;

use crate::world::World;

/// A world in which this service is written.
fn synced(sink: &MemorySink, web: Service) -> World {
    let mut world = World::new(sink, Settings::default());
    world.list([web]);
    world.pump();
    world
}

fn tagged(tag: &str) -> Service {
    let mut web = service("default/web", ["10.0.0.1"]);
    web.tags = vec![Arc::from(tag)].into();
    web
}

/// A second instance is wanted and written, and the engine has not heard of the answer.
fn scale(world: &mut World) -> (Service, Batch<MemoryRecord>, Outcomes<MemoryRecord>) {
    let scaled = service("default/web", ["10.0.0.1", "10.0.0.2"]);
    world.upsert(scaled.clone());
    let batch = world.engine.next_batch(world.now).expect("a create");
    let answer = world.sink.apply(batch.ops()).now_or_never();
    (scaled, batch, answer.unwrap().unwrap())
}

fn read(sink: &MemorySink, slots: &[Slot]) -> Vec<(Slot, Held<MemoryRecord>)> {
    sink.read(slots).now_or_never().unwrap().unwrap()
}

#[test]
fn a_slot_has_one_write_under_way() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, tagged("one"));
    world.upsert(tagged("two"));
    let first = world.engine.next_batch(world.now).expect("an update");
    world.upsert(tagged("three"));
    let second = world.engine.next_batch(world.now);
    assert!(second.is_none(), "the slot is busy: {second:?}");
    world.carry_out(&first);
    let third = world.engine.next_batch(world.now).expect("what came since");
    world.carry_out(&third);
    assert_eq!(world.ours(), world.wanted([&tagged("three")]));
    assert_eq!(sink.writes().0, 3, "no write was stale");
}

#[test]
fn fault_t05_a_stale_slot_is_not_tried_again_without_a_read() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, tagged("one"));
    // Somebody changes the record, and the event that shows it is late.
    sink.plant(&tagged("theirs"), Standing::Ours);
    world.upsert(tagged("two"));
    let batch = world.engine.next_batch(world.now).expect("an update");
    let answer = sink.apply(batch.ops()).now_or_never().unwrap().unwrap();
    assert_eq!(answer, [Outcome::Stale]);
    world.engine.settle(batch.id(), Some(answer), world.now);
    let again = world.engine.next_batch(world.now);
    assert!(again.is_none(), "it was not read: {again:?}");
    // The source has more to say, which is no knowledge of the sink either.
    world.upsert(tagged("three"));
    assert!(world.engine.next_batch(world.now).is_none());
    let slots = world.engine.take_doubtful(8);
    assert_eq!(slots.len(), 1);
    assert!(
        world.engine.next_batch(world.now).is_none(),
        "not while it is read"
    );
    for (slot, held) in read(&sink, &slots) {
        world.engine.read(&slot, held);
    }
    let batch = world
        .engine
        .next_batch(world.now)
        .expect("an update of what was read");
    world.carry_out(&batch);
    assert_eq!(world.ours(), world.wanted([&tagged("three")]));
}

#[test]
fn what_an_event_shows_while_a_write_is_under_way_is_read_again() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, service("default/web", ["10.0.0.1"]));
    let (scaled, batch, answer) = scale(&mut world);
    // Somebody undoes the write, and that is seen before the write's answer.
    sink.damage("web", "10.0.0.2");
    world.take_sink_events();
    world.engine.settle(batch.id(), Some(answer), world.now);
    world.pump();
    assert_eq!(world.ours(), world.wanted([&scaled]));
}

#[test]
fn what_a_listing_shows_while_a_write_is_under_way_is_read_again() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, service("default/web", ["10.0.0.1"]));
    let (scaled, batch, answer) = scale(&mut world);
    // Everything is gone, and a listing shows that before the write's answer.
    sink.damage("web", "10.0.0.1");
    sink.damage("web", "10.0.0.2");
    world.engine.sink_event(Event::RelistStarted, world.now);
    world.engine.sink_event(Event::RelistDone, world.now);
    world.engine.settle(batch.id(), Some(answer), world.now);
    assert!(
        world.engine.next_batch(world.now).is_none(),
        "it was not read"
    );
    world.pump();
    assert_eq!(world.ours(), world.wanted([&scaled]));
}

#[test]
fn a_read_does_not_undo_what_an_event_showed_while_it_was_under_way() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, tagged("one"));
    sink.inject([Fault::ApplyUnknown]);
    world.upsert(tagged("two"));
    let batch = world.engine.next_batch(world.now).expect("an update");
    world.carry_out(&batch);
    let slots = world.engine.take_doubtful(8);
    let answer = read(&sink, &slots);
    // Somebody deletes the record after the read and before its answer is here.
    sink.damage("web", "10.0.0.1");
    world.take_sink_events();
    for (slot, held) in answer {
        world.engine.read(&slot, held);
    }
    world.pump();
    world.now += Duration::from_secs(10);
    world.pump();
    assert_eq!(world.ours(), world.wanted([&tagged("two")]));
}

#[test]
fn a_read_that_nobody_asked_for_changes_nothing() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, service("default/web", ["10.0.0.1", "10.0.0.2"]));
    world.upsert(service("default/web", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    let batch = world.engine.next_batch(world.now).expect("a create");
    let slot = batch.ops()[0].slot.clone();
    world.engine.read(&slot, Held::empty());
    assert_eq!(world.engine.status().owned, 2, "the slot is busy");
    world.carry_out(&batch);
    world.engine.read(&slot, Held::empty());
    assert_eq!(world.engine.status().owned, 3, "the slot is idle");
    assert!(world.engine.next_batch(world.now).is_none());
}

#[test]
fn an_unclear_answer_is_read_though_the_source_had_more_to_say_meanwhile() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, tagged("one"));
    world.upsert(tagged("two"));
    let batch = world.engine.next_batch(world.now).expect("an update");
    world.upsert(tagged("three"));
    sink.inject([Fault::ApplyUnknown]);
    world.carry_out(&batch);
    let again = world.engine.next_batch(world.now);
    assert!(again.is_none(), "it was not read: {again:?}");
    world.pump();
    assert_eq!(world.ours(), world.wanted([&tagged("three")]));
}

/// A world in which a slot is being read: its last write has no clear answer. Returns the read's answer.
fn reading(sink: &MemorySink) -> (World, Vec<(Slot, Held<MemoryRecord>)>) {
    let mut world = synced(sink, tagged("one"));
    world.engine.sink_event(Event::RelistStarted, world.now);
    sink.inject([Fault::ApplyUnknown]);
    world.upsert(tagged("two"));
    let batch = world.engine.next_batch(world.now).expect("an update");
    world.carry_out(&batch);
    let slots = world.engine.take_doubtful(8);
    let answer = read(sink, &slots);
    (world, answer)
}

#[test]
fn a_read_does_not_undo_what_a_listing_showed_while_it_was_under_way() {
    let sink = MemorySink::default();
    let (mut world, answer) = reading(&sink);
    // The record vanishes after the read and before the listing, whose end comes before the read's answer.
    sink.damage("web", "10.0.0.1");
    world.engine.sink_event(Event::RelistDone, world.now);
    for (slot, held) in answer {
        world.engine.read(&slot, held);
    }
    // No other event will tell of it.
    world.read_doubtful();
    let batch = world.engine.next_batch(world.now).expect("a repair");
    world.carry_out(&batch);
    assert_eq!(world.ours(), world.wanted([&tagged("two")]));
}

#[test]
fn a_listing_does_not_undo_a_read_that_is_newer() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, tagged("one"));
    sink.inject([Fault::ApplyLost]);
    world.upsert(tagged("two"));
    let batch = world.engine.next_batch(world.now).expect("an update");
    world.carry_out(&batch);
    // A listing begins, and its page, read now, is late.
    world.engine.sink_event(Event::RelistStarted, world.now);
    let page = sink.contents();
    sink.damage("web", "10.0.0.1");
    world.read_doubtful();
    for (slot, held) in page {
        world
            .engine
            .sink_event(Event::Upserted(slot, held), world.now);
    }
    let again = world.engine.next_batch(world.now);
    assert!(again.is_none(), "nothing is done by an old page: {again:?}");
    world.engine.sink_event(Event::RelistDone, world.now);
    world.pump();
    assert_eq!(world.ours(), world.wanted([&tagged("two")]));
}

#[test]
fn a_listing_that_does_not_show_a_slot_does_not_undo_a_write_that_came_after_it() {
    let sink = MemorySink::default();
    let mut world = synced(&sink, service("default/web", ["10.0.0.1"]));
    // Somebody empties the slot, a listing begins that does not show it, and then a create is written there.
    sink.damage("web", "10.0.0.1");
    world.engine.sink_event(Event::RelistStarted, world.now);
    let scaled = service("default/web", ["10.0.0.1", "10.0.0.2"]);
    world.upsert(scaled.clone());
    let batch = world.engine.next_batch(world.now).expect("a create");
    world.carry_out(&batch);
    world.engine.sink_event(Event::RelistDone, world.now);
    let again = world.engine.next_batch(world.now);
    assert!(again.is_none(), "it is read first: {again:?}");
    world.pump();
    assert_eq!(world.ours(), world.wanted([&scaled]));
}
