//! The safety rules, case by case.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    AdapterError, ErrorKind, Event, Key, Notice, Orphans, Outcome, Reason, Rejection, Service,
    Settings, Side, Standing,
    testing::{Fault, MemorySink, service},
};

use crate::world::{World, unbraked};

fn many(count: u8) -> Service {
    let addresses: Vec<String> = (0..count).map(|n| format!("10.0.1.{n}")).collect();
    service("default/web", addresses.iter().map(String::as_str))
}

fn rejection() -> Rejection {
    Rejection::new(Reason::Undecodable, "port \"NaN\" is not a number")
}

#[test]
fn a_source_that_lost_its_rights_deletes_nothing_until_it_is_listed_again() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    let web = service("default/web", ["10.0.0.1"]);
    world.list([web.clone()]);
    world.pump();
    let error = AdapterError::new(ErrorKind::Unauthorized, "list endpointslices: forbidden");
    world.engine.failed(Side::Source, &error);
    world.source(Event::Removed(web.key.clone()));
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    assert_eq!(world.engine.status().brake.held_deletes, 1);
    world.list([]);
    world.pump();
    assert!(sink.ids("web").is_empty());
}

#[test]
fn a_sink_that_cannot_be_trusted_deletes_nothing_until_it_is_listed_again() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1", "10.0.0.2"])]);
    world.pump();
    let error = AdapterError::new(ErrorKind::Incomplete, "the catalog's index went back");
    world.engine.failed(Side::Sink, &error);
    world.upsert(service("default/web", ["10.0.0.1", "10.0.0.3"]));
    world.pump();
    assert_eq!(
        sink.ids("web"),
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
        "creates go on"
    );
    world.relist_sink();
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1", "10.0.0.3"]);
}

#[test]
fn a_foreign_record_in_the_way_is_reported_and_left_alone() {
    let sink = MemorySink::default();
    sink.plant(&service("other/web", ["10.0.0.1"]), Standing::Foreign);
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1", "10.0.0.2"])]);
    world.pump();
    let status = world.engine.status();
    assert_eq!((status.blocked, status.foreign, status.owned), (1, 1, 1));
    let plan = world.engine.plan(world.now);
    assert_eq!(plan.blocked.len(), 1);
    assert!(plan.is_empty());
}

#[test]
fn what_needs_a_record_that_somebody_else_holds_is_neither_written_nor_left() {
    let sink = MemorySink::default();
    let mut web = service("default/web", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    for instance in &mut web.instances[1..] {
        instance.meta = [("needs", "10.0.0.1")].into_iter().collect();
    }
    let mut world = World::new(&sink, unbraked());
    world.list([web.clone()]);
    world.pump();
    assert_eq!(sink.ids("web").len(), 3);
    world.engine.take_notices();
    // Somebody takes the first one's place.
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Foreign);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"], "what needed it is gone");
    let status = world.engine.status();
    assert_eq!((status.blocked, status.owned), (3, 0));
    let blocked =
        |notice: &Notice| matches!(notice, Notice::Blocked(slot, _) if slot.as_str() == "web");
    assert_eq!(
        world
            .engine
            .take_notices()
            .iter()
            .filter(|n| blocked(n))
            .count(),
        3
    );
    world.upsert(web);
    world.pump();
    assert!(
        !world.engine.take_notices().iter().any(blocked),
        "told once"
    );
    // They leave: everything is written again.
    sink.damage("web", "10.0.0.1");
    world.pump();
    assert_eq!(sink.ids("web").len(), 3);
}

#[test]
fn an_orphan_is_adopted_when_wanted_and_reported_when_not() {
    let sink = MemorySink::default();
    sink.plant(
        &service("default/web", ["10.0.0.1", "10.0.0.9"]),
        Standing::Orphan,
    );
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    assert_eq!(world.engine.plan(world.now).summary().adopt, 1);
    world.pump();
    let status = world.engine.status();
    assert_eq!((status.owned, status.orphans), (1, 1));
    assert_eq!(sink.ids("web"), ["10.0.0.1", "10.0.0.9"]);

    let delete = Settings {
        orphans: Orphans::Delete,
        ..Settings::default()
    };
    let mut world = World::new(&sink, delete);
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
}

#[test]
fn purge_deletes_what_is_ours_and_orphans_only_when_asked() {
    let sink = MemorySink::default();
    sink.plant(&service("a/ours", ["10.0.0.1"]), Standing::Ours);
    sink.plant(&service("a/orphan", ["10.0.0.2"]), Standing::Orphan);
    sink.plant(&service("a/foreign", ["10.0.0.3"]), Standing::Foreign);
    let world = World::new(&sink, Settings::default());
    let slots = |unowned| -> Vec<String> {
        let plan = world.engine.purge(unowned);
        plan.ops.iter().map(|op| op.slot.to_string()).collect()
    };
    assert_eq!(slots(false), ["ours"]);
    assert_eq!(slots(true), ["orphan", "ours"]);
}

#[test]
fn the_brake_stops_a_collapse_and_lets_creates_go_on() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many(100)]);
    world.pump();
    world.list([]);
    world.upsert(service("default/new", ["10.0.9.9"]));
    world.pump();
    assert_eq!(sink.ids("web").len(), 100);
    assert_eq!(sink.ids("new").len(), 1);
    let status = world.engine.status();
    assert!(status.brake.engaged);
    assert_eq!(status.brake.held_deletes, 100);
    assert!(world.engine.take_notices().contains(&Notice::Brake(true)));

    world.list([many(90), service("default/new", ["10.0.9.9"])]);
    world.pump();
    assert_eq!(sink.ids("web").len(), 90, "the source recovered");
    assert!(!world.engine.status().brake.engaged);
    assert!(world.engine.take_notices().contains(&Notice::Brake(false)));
}

#[test]
fn a_confirmed_collapse_goes_through() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many(200)]);
    world.pump();
    world.list([many(3)]);
    world.pump();
    assert_eq!(sink.ids("web").len(), 200);
    world.release_brake();
    world.pump();
    assert_eq!(sink.ids("web").len(), 3);
    assert_eq!(world.engine.status().brake.held_deletes, 0);
}

#[test]
fn replacing_every_instance_one_for_one_never_trips_the_brake() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([many(100)]);
    world.pump();
    let addresses: Vec<String> = (0..100).map(|n| format!("10.0.2.{n}")).collect();
    world.upsert(service("default/web", addresses.iter().map(String::as_str)));
    world.pump();
    assert_eq!(sink.ids("web"), {
        let mut sorted = addresses.clone();
        sorted.sort();
        sorted
    });
}

#[test]
fn deletes_wait_until_the_live_successor_is_there() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    sink.refuse(Some("10.0.0.2"));
    world.upsert(service("default/web", ["10.0.0.2"]));
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"], "the successor was refused");
    sink.refuse(None);
    world.now += Duration::from_secs(400);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.2"]);
}

#[test]
fn an_unclear_answer_is_read_again_before_the_next_step() {
    for fault in [Fault::ApplyLost, Fault::ApplyUnknown, Fault::ApplyHalf] {
        let sink = MemorySink::default();
        let mut world = World::new(&sink, Settings::default());
        sink.inject([fault, Fault::ReadFails]);
        world.list([service("default/web", ["10.0.0.1", "10.0.0.2"])]);
        world.pump();
        assert_eq!(sink.ids("web").len(), 2, "{fault:?}");
        assert!(sink.reads() >= 2, "{fault:?}");
        assert_eq!(sink.writes().0, 2, "{fault:?}: nothing is written twice");
    }
}

#[test]
fn one_refused_record_never_stops_the_others() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    sink.refuse(Some("10.0.0.1"));
    world.list([
        service("default/poison", ["10.0.0.1", "10.0.0.2"]),
        service("default/web", ["10.0.0.3"]),
    ]);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.3"]);
    assert_eq!(sink.ids("poison"), ["10.0.0.2"]);
    assert_eq!(world.engine.status().quarantined, 1);
    let wake = world.engine.next_wakeup().expect("it is tried again");
    assert!(wake > world.now);
    sink.refuse(None);
    world.now = wake;
    world.pump();
    assert_eq!(sink.ids("poison"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(world.engine.status().quarantined, 0);
}

#[test]
fn a_refused_record_with_other_content_is_tried_at_once() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    sink.refuse(Some("10.0.0.1"));
    let mut web = service("default/web", ["10.0.0.1"]);
    world.list([web.clone()]);
    world.pump();
    sink.refuse(None);
    web.tags = vec![Arc::from("mended")].into();
    world.upsert(web);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
}

#[test]
fn a_rejected_service_keeps_its_last_good_registration() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    world.source(Event::RelistStarted);
    world.source(Event::Rejected(Key::new("default", "web"), rejection()));
    world.source(Event::RelistDone);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    assert_eq!(
        world.engine.status().rejected.get(&Reason::Undecodable),
        Some(&1)
    );
}

#[test]
fn a_service_rejected_since_the_start_keeps_what_may_be_its_own() {
    let sink = MemorySink::default();
    sink.plant(&service("default/web", ["10.0.0.1"]), Standing::Ours);
    sink.plant(&service("other/gone", ["10.0.0.2"]), Standing::Ours);
    let mut world = World::new(&sink, Settings::default());
    world.source(Event::RelistStarted);
    world.source(Event::Rejected(Key::new("default", "web"), rejection()));
    world.source(Event::RelistDone);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    assert!(
        sink.ids("gone").is_empty(),
        "another namespace is not held back"
    );
    world.source(Event::Removed(Key::new("default", "web")));
    world.pump();
    assert!(sink.ids("web").is_empty());
}

#[test]
fn a_claim_that_had_no_place_is_reported_until_it_has() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    let mut second = service("other/web", ["10.0.0.1"]);
    second.created = 5;
    world.list([service("default/web", ["10.0.0.1"]), second]);
    world.pump();
    let loser = Key::new("other", "web");
    let notices = world.engine.take_notices();
    assert!(
        matches!(&notices[..], [Notice::Rejected(key, r)] if *key == loser && r.reason() == Reason::Taken)
    );
    world.source(Event::Removed(Key::new("default", "web")));
    world.pump();
    assert_eq!(world.engine.take_notices(), [Notice::Accepted(loser)]);
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
}

#[test]
fn a_batch_is_settled_once_and_missing_outcomes_are_unknown() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    let batch = world.engine.next_batch(world.now).unwrap();
    let report = world.engine.settle(batch.id(), Some(Vec::new()), world.now);
    assert_eq!(report.unknown, 1);
    assert!(world.engine.has_doubtful());
    let again = world
        .engine
        .settle(batch.id(), Some(vec![Outcome::Written(7)]), world.now);
    assert_eq!(again.written(), 0);
}
