//! Damage to records of ours by somebody else.

use std::time::Duration;

use consul_sync_core::{
    Settings,
    testing::{MemorySink, service},
};

use crate::world::World;

#[test]
fn damage_to_a_record_of_ours_is_repaired() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1", "10.0.0.2"])]);
    world.pump();
    sink.damage("web", "10.0.0.1");
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn damage_that_comes_back_at_once_is_not_fought_at_full_speed() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, Settings::default());
    world.list([service("default/web", ["10.0.0.1"])]);
    world.pump();
    let before = sink.writes().0;
    for _ in 0..60 {
        sink.damage("web", "10.0.0.1");
        world.pump();
        world.now += Duration::from_secs(1);
    }
    let repairs = sink.writes().0 - before;
    assert!((2..=7).contains(&repairs), "{repairs} repairs in a minute");
    world.upsert(service("default/web", ["10.0.0.1", "10.0.0.2"]));
    world.pump();
    assert_eq!(
        sink.ids("web").len(),
        2,
        "a change of the source does not wait"
    );
    sink.damage("web", "10.0.0.1");
    world.pump();
    world.now += Duration::from_secs(600);
    world.pump();
    assert_eq!(
        sink.ids("web").len(),
        2,
        "the last damage is repaired in the end"
    );
}
