//! Laws of the diff and the engine, for all inputs.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{
    Event, Key, Owner, Policy, Service, Standing,
    testing::{Fault, MemoryLayout, MemorySink, any_history, any_service},
};
use proptest::{collection::vec, prelude::*};

use crate::world::{World, unbraked};

/// What a history ends in.
fn last_values(history: &[Event<Key, Arc<Service>>]) -> BTreeMap<Key, Service> {
    let mut values = BTreeMap::new();
    for event in history {
        match event {
            Event::Upserted(key, service) => {
                values.insert(key.clone(), (**service).clone());
            }
            Event::Removed(key) => {
                values.remove(key);
            }
            _ => {}
        }
    }
    values
}

fn any_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Ours),
        Just(Standing::Orphan),
        Just(Standing::Foreign)
    ]
}

fn any_sink() -> impl Strategy<Value = MemorySink> {
    let planted = vec((any_service(), any_standing()), 0..6);
    (planted, 1..12_usize).prop_map(|(planted, ops)| {
        let owner = Owner::new("us").unwrap();
        let sink = MemorySink::new(MemoryLayout::new(owner, ops));
        for (service, standing) in planted {
            sink.plant(&service, standing);
        }
        sink
    })
}

fn any_faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        Just(Fault::None),
        Just(Fault::ApplyLost),
        Just(Fault::ApplyUnknown),
        Just(Fault::ApplyHalf),
        Just(Fault::ReadFails),
    ];
    vec(fault, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_ours_becomes_what_is_wanted_whatever_was_there(
        sink in any_sink(), history in any_history(), faults in any_faults()
    ) {
        let wanted = last_values(&history);
        let mut world = World::new(&sink, unbraked());
        sink.inject(faults);
        world.source(Event::RelistStarted);
        for event in history {
            world.source(event);
            if let Some(batch) = world.engine.next_batch(world.now) {
                world.carry_out(&batch);
            }
        }
        // Deletes of what was rejected and never seen good are held back: end with a clean listing.
        world.list(wanted.values().cloned());
        world.pump();
        prop_assert_eq!(world.ours(), world.wanted(wanted.values()));
        let status = world.engine.status();
        prop_assert_eq!(status.pending_slots, 0);
        prop_assert_eq!(status.in_flight, 0);
        prop_assert_eq!(status.brake.held_deletes, 0);
        prop_assert_eq!(status.owned, world.ours().len());
    }

    #[test]
    fn a_restart_with_nothing_changed_writes_nothing(sink in any_sink(), services in vec(any_service(), 0..12)) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let mut first = World::new(&sink, unbraked());
        first.list(services.values().cloned());
        first.pump();
        let mut second = World::new(&sink, unbraked());
        second.list(services.values().cloned());
        prop_assert!(second.engine.plan(second.now).is_empty());
        prop_assert!(second.engine.next_batch(second.now).is_none());
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        services in vec(any_service(), 0..12), seed in any::<u64>()
    ) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let mut shuffled: Vec<Service> = services.values().cloned().collect();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        let (a, b) = (MemorySink::default(), MemorySink::default());
        let mut sorted = World::new(&a, unbraked());
        sorted.list(services.into_values());
        sorted.pump();
        let mut other = World::new(&b, unbraked());
        other.source(Event::RelistStarted);
        for service in shuffled {
            other.upsert(service);
            other.pump();
        }
        other.source(Event::RelistDone);
        other.pump();
        prop_assert_eq!(sorted.ours(), other.ours());
        let rejected = |world: &World| -> Vec<_> {
            world.engine.rejections().map(|(k, r)| (k.clone(), r.clone())).collect()
        };
        prop_assert_eq!(rejected(&sorted), rejected(&other));
    }

    #[test]
    fn a_relist_with_the_same_content_does_nothing(sink in any_sink(), services in vec(any_service(), 0..12)) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let mut world = World::new(&sink, unbraked());
        world.list(services.values().cloned());
        world.pump();
        let work = world.engine.work();
        world.list(services.values().cloned());
        prop_assert!(world.engine.next_batch(world.now).is_none());
        prop_assert_eq!(world.engine.work(), work);
    }

    #[test]
    fn nothing_is_deleted_before_both_sides_are_complete(sink in any_sink(), history in any_history()) {
        let mut world = World::new(&sink, unbraked());
        world.source(Event::RelistStarted);
        for event in history {
            world.source(event);
            world.pump();
        }
        prop_assert_eq!(world.deletes, 0);
        prop_assert_eq!(sink.writes().1, 0);
    }

    #[test]
    fn any_batch_size_ends_in_the_same_state(services in vec(any_service(), 0..12), ops in 1..=64_usize) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let small = MemorySink::new(MemoryLayout::new(Owner::new("us").unwrap(), ops));
        let large = MemorySink::default();
        let mut ends = Vec::new();
        for sink in [&small, &large] {
            let mut world = World::new(sink, unbraked());
            world.list(services.values().cloned());
            world.pump();
            ends.push(world.ours());
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    #[test]
    fn a_plan_names_exactly_what_is_then_written(sink in any_sink(), services in vec(any_service(), 0..12)) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let mut world = World::new(&sink, unbraked());
        world.list(services.values().cloned());
        let summary = world.engine.plan(world.now).summary();
        let (writes, deletes) = sink.writes();
        world.pump();
        let done = sink.writes();
        prop_assert_eq!((summary.create + summary.update + summary.adopt) as u64, done.0 - writes);
        prop_assert_eq!(summary.delete as u64, done.1 - deletes);
    }

    #[test]
    fn policies_filter_operations(sink in any_sink(), services in vec(any_service(), 0..12)) {
        for policy in [Policy::UpsertOnly, Policy::CreateOnly] {
            let mut settings = unbraked();
            settings.policy = policy;
            let world = {
                let mut world = World::new(&sink, settings);
                world.list(services.clone());
                world
            };
            let summary = world.engine.plan(world.now).summary();
            prop_assert_eq!(summary.delete, 0);
            if policy == Policy::CreateOnly {
                prop_assert_eq!(summary.update + summary.adopt, 0);
            }
        }
    }
}
