//! Laws of the diff and the engine, for all inputs.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{
    Event, Instance, Key, Layout, Owner, Policy, Reason, Record, Service, Standing,
    testing::{Fault, MemoryLayout, MemoryRecord, MemorySink, any_history, any_service, service},
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

    /// Counted apart from the diff: what is missing, what is other, what is too much.
    #[test]
    fn there_is_one_operation_for_each_thing_that_differs(sink in any_sink(), services in vec(any_service(), 0..12)) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let mut world = World::new(&sink, unbraked());
        world.list(services.values().cloned());
        let wanted = world.wanted(services.values());
        let (mut create, mut update, mut adopt, mut delete) = (0, 0, 0, 0);
        let contents = sink.contents();
        let there: Vec<_> = contents
            .iter()
            .flat_map(|(slot, held)| held.records.iter().map(move |held| (slot, held)))
            .collect();
        for (slot, record) in &wanted {
            let held = there.iter().find(|(there, held)| *there == slot && held.record.id() == record.id());
            match held.map(|(_, held)| (held.standing, held.record == *record)) {
                None => create += 1,
                Some((Standing::Ours, true)) => {}
                Some((Standing::Ours, false)) => update += 1,
                // Those in the way are not among the wanted.
                Some((Standing::Orphan | Standing::Foreign, _)) => adopt += 1,
            }
        }
        for (slot, held) in &there {
            let is_wanted = wanted.iter().any(|(want, record)| want == *slot && record.id() == held.record.id());
            if held.standing == Standing::Ours && !is_wanted {
                delete += 1;
            }
        }
        let summary = world.engine.plan(world.now).summary();
        prop_assert_eq!((summary.create, summary.update, summary.adopt, summary.delete), (create, update, adopt, delete));
        let before = sink.writes();
        world.pump();
        let after = sink.writes();
        prop_assert_eq!(after.0 - before.0, (create + update + adopt) as u64);
        prop_assert_eq!(after.1 - before.1, delete as u64);
    }

    /// Services with a record that is refused, among others.
    #[test]
    fn what_is_set_aside_delays_the_others_by_no_more_than_one_batch(
        poisoned in vec(any::<bool>(), 1..40), ops in 1..10_usize
    ) {
        let rounds = |refused: Option<&str>| {
            let sink = MemorySink::new(MemoryLayout::new(Owner::new("us").unwrap(), ops));
            sink.refuse(refused);
            let mut world = World::new(&sink, unbraked());
            world.list(poisoned.iter().enumerate().map(|(n, is_poisoned)| {
                let address = if *is_poisoned { "10.0.0.66" } else { "10.0.0.1" };
                service(&format!("ns{}/web{n}", n % 3), [address])
            }));
            let healthy = poisoned.iter().filter(|is_poisoned| !**is_poisoned).count();
            let mut rounds = 0;
            while sink.contents().values().flat_map(|held| &held.records)
                .filter(|held| held.record.id().text() == "10.0.0.1").count() < healthy
            {
                rounds += 1;
                assert!(rounds < 100, "the others are never served");
                let batch = world.engine.next_batch(world.now).expect("something healthy is left");
                world.carry_out(&batch);
            }
            rounds
        };
        let (alone, beside) = (rounds(None), rounds(Some("10.0.0.66")));
        prop_assert!(beside <= alone + 1, "{} instead of {}", beside, alone);
    }

    /// Each claim on an id is there, or its service is reported: never both, never neither.
    #[test]
    fn of_two_things_with_one_name_one_is_the_declared_winner(services in vec(any_service(), 0..12)) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let sink = MemorySink::default();
        let mut world = World::new(&sink, unbraked());
        world.list(services.values().cloned());
        world.pump();
        let contents = sink.contents();
        for service in services.values() {
            let slot = sink.place(service).unwrap();
            let is_there = |instance: &Instance| {
                let record = MemoryRecord::new(service, instance);
                let mut held = contents.get(&slot).into_iter().flat_map(|held| &held.records);
                held.any(|held| held.record.id() == record.id() && held.record.fields() == record.fields())
            };
            // Of two instances of one service at one address the first counts, and is no conflict.
            let firsts = service.instances.iter().enumerate().filter(|(at, one)| {
                !service.instances[..*at].iter().any(|other| other.address == one.address)
            });
            let are_there = firsts.into_iter().all(|(_, one)| is_there(one));
            let is_reported = world.engine.rejections().any(|(key, r)| *key == service.key && r.reason() == Reason::Taken);
            prop_assert!(are_there || is_reported, "{} is not there and not reported", service.key);
            if !is_reported {
                continue;
            }
            let others: Vec<&Service> = services.values().filter(|other| {
                sink.place(other).unwrap() == slot && other.precedence() < service.precedence()
            }).collect();
            let is_taken = service.instances.iter().any(|one| {
                others.iter().flat_map(|other| &other.instances).any(|other| other.address == one.address)
            });
            prop_assert!(is_taken, "{} is reported, and nothing that comes before it takes its name", service.key);
        }
    }
}
