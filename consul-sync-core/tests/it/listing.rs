//! What a listing proves, and what one that has not ended does not.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    AdapterError, Engine, ErrorKind, Event, Key, Reason, Rejection, Settings, Side, SourceError,
    Standing, plan,
    testing::{MemorySink, ScriptedSource, service},
};

use crate::world::{World, unbraked};

#[test]
fn nothing_is_deleted_while_the_source_is_listed_again() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    let (web, db) = (
        service("default/web", ["10.0.0.1"]),
        service("default/db", ["10.0.0.2"]),
    );
    world.list([web.clone(), db.clone()]);
    world.pump();
    world.source(Event::RelistStarted);
    world.source(Event::Removed(web.key.clone()));
    world.pump();
    assert_eq!(
        sink.ids("web"),
        ["10.0.0.1"],
        "what is known is not complete"
    );
    world.upsert(db);
    world.source(Event::RelistDone);
    world.pump();
    assert!(sink.ids("web").is_empty());
}

#[test]
fn nothing_is_deleted_while_the_sink_is_listed_again() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1", "10.0.0.2"])]);
    world.pump();
    world.engine.sink_event(Event::RelistStarted, world.now);
    world.upsert(service("default/web", ["10.0.0.1"]));
    world.pump();
    assert_eq!(sink.ids("web").len(), 2, "what is known is not complete");
    world.show_sink();
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
}

#[test]
fn a_purge_is_empty_until_the_sink_was_listed() {
    let sink = MemorySink::default();
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Ours);
    let mut engine = Engine::new(sink.clone(), Settings::default());
    engine.sink_event(Event::RelistStarted, Duration::ZERO);
    for (slot, held) in sink.contents() {
        engine.sink_event(Event::Upserted(slot, held), Duration::ZERO);
    }
    assert!(engine.purge(true).is_empty(), "the listing has not ended");
    engine.sink_event(Event::RelistDone, Duration::ZERO);
    assert_eq!(engine.purge(true).ops.len(), 1);
}

#[test]
fn a_slot_that_a_listing_could_not_show_keeps_what_was_known_of_it() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    let writes = sink.writes();
    world.engine.sink_event(Event::RelistStarted, world.now);
    for (slot, _) in sink.contents() {
        let rejection = Rejection::new(Reason::Undecodable, "the answer is not JSON");
        world
            .engine
            .sink_event(Event::Rejected(slot, rejection), world.now);
    }
    world.engine.sink_event(Event::RelistDone, world.now);
    assert_eq!(world.engine.status().owned, 1);
    assert!(world.engine.next_batch(world.now).is_none());
    assert_eq!(sink.writes(), writes);
}

#[test]
fn a_service_that_has_no_place_any_more_keeps_its_last_good_registration() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    let mut renamed = service("default/bad-name", ["10.0.0.1"]);
    renamed.key = Key::new("default", "web");
    world.upsert(renamed);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    assert_eq!(
        world.engine.status().rejected.get(&Reason::InvalidName),
        Some(&1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_waits_until_both_sides_are_complete() {
    let sink = MemorySink::default();
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Ours);
    let settings = Settings::default();
    let hour = Duration::from_secs(3600);
    let listing = ScriptedSource::new([Ok(Event::RelistStarted)]);
    let early = tokio::time::timeout(hour, plan(&listing, &sink, &settings)).await;
    assert!(early.is_err(), "a plan from half a listing: {early:?}");

    let lost = SourceError::new(ErrorKind::Unauthorized, "list services: forbidden");
    let failing = ScriptedSource::new([Ok(Event::RelistStarted), Err(lost)]);
    let error = plan(&failing, &sink, &settings).await.expect_err("no plan");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);

    let db = Arc::new(service("default/db", ["10.0.0.2"]));
    let script = [
        Event::RelistStarted,
        Event::Upserted(db.key.clone(), db),
        Event::RelistDone,
    ];
    let whole = ScriptedSource::new(script.map(Ok));
    let plan = plan(&whole, &sink, &settings).await.expect("a plan");
    assert_eq!(
        plan.summary().to_string(),
        "1 to add, 0 to change, 1 to delete"
    );
    assert!(!plan.brake, "one of one is within the floor");
}

#[tokio::test]
async fn a_plan_says_that_the_brake_would_hold_its_deletes() {
    let sink = MemorySink::default();
    let addresses: Vec<String> = (0..50).map(|n| format!("10.0.0.{n}")).collect();
    sink.plant(
        &service("default/web", addresses.iter().map(String::as_str)),
        Standing::Ours,
    );
    let empty = ScriptedSource::new([Ok(Event::RelistStarted), Ok(Event::RelistDone)]);
    let plan = plan(&empty, &sink, &Settings::default())
        .await
        .expect("a plan");
    assert_eq!(plan.summary().delete, 50);
    assert!(plan.brake);
}

#[test]
fn no_batch_is_handed_out_before_the_sink_was_listed() {
    let sink = MemorySink::default();
    let mut engine = consul_sync_core::Engine::new(sink, Settings::default());
    let web = Arc::new(service("default/web", ["10.0.0.1"]));
    engine.source_event(Event::Upserted(web.key.clone(), web), Duration::ZERO);
    assert!(engine.next_batch(Duration::ZERO).is_none());
}

#[test]
fn a_listing_that_started_again_without_ending_removes_nothing() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, unbraked());
    world.list([
        service("default/a", ["10.0.0.1"]),
        service("default/b", ["10.0.0.2"]),
    ]);
    world.pump();
    world.source(Event::RelistStarted);
    world.upsert(service("default/a", ["10.0.0.1"]));
    world.source(Event::RelistStarted);
    world.upsert(service("default/b", ["10.0.0.2"]));
    world.pump();
    assert_eq!(world.ours().len(), 2);
    world.source(Event::RelistDone);
    world.pump();
    assert!(
        sink.ids("a").is_empty(),
        "the second listing ended without it"
    );
    assert_eq!(sink.ids("b"), ["10.0.0.2"]);
}

#[test]
fn a_listing_read_before_a_write_of_ours_does_not_undo_it() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    let old = sink.contents();
    world.engine.sink_event(Event::RelistStarted, world.now);
    world.upsert(service("default/web", ["10.0.0.1", "10.0.0.2"]));
    world.upsert(service("default/db", ["10.0.0.3"]));
    while let Some(batch) = world.engine.next_batch(world.now) {
        world.carry_out(&batch);
    }
    for (slot, held) in old {
        world
            .engine
            .sink_event(Event::Upserted(slot, held), world.now);
    }
    world.engine.sink_event(Event::RelistDone, world.now);
    let (writes, reads) = (sink.writes(), sink.reads());
    let batch = world.engine.next_batch(world.now);
    assert!(
        batch.is_none(),
        "nothing is written before the read: {batch:?}"
    );
    world.pump();
    assert_eq!(sink.writes(), writes, "nothing is written again");
    assert!(
        sink.reads() > reads,
        "what the listing may not have seen is read"
    );
    assert_eq!(world.ours().len(), 3);
}

#[test]
fn a_refused_write_says_nothing_of_what_was_listed() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    let error = AdapterError::new(ErrorKind::Unauthorized, "txn: permission denied");
    let batch = world.engine.next_batch(world.now).unwrap();
    world.engine.call_failed(&error);
    world.engine.settle(batch.id(), None, world.now);
    let status = world.engine.status();
    assert!(status.sink.complete && status.sink.error.is_some());
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    assert_eq!(
        world.engine.status().sink.error,
        None,
        "a write went through"
    );
}

#[test]
fn only_a_whole_listing_or_a_change_after_it_shows_that_a_side_works_again() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    let web = service("default/web", ["10.0.0.1"]);
    let fail = |world: &mut World| {
        let error = AdapterError::new(ErrorKind::Unavailable, "list services: connection refused");
        world.engine.failed(Side::Source, &error);
    };
    let is_failing = |world: &World| world.engine.status().source.error.is_some();

    fail(&mut world);
    world.source(Event::RelistStarted);
    assert!(is_failing(&world), "a try is no success");
    world.source(Event::Upserted(web.key.clone(), Arc::new(web.clone())));
    assert!(is_failing(&world), "a part may be all that comes");
    world.source(Event::RelistDone);
    assert!(!is_failing(&world));
    fail(&mut world);
    world.source(Event::Removed(web.key));
    assert!(!is_failing(&world), "a change came");
}
