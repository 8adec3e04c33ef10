//! One tenant's work does not hold up another's.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use consul_sync_core::{
    Batch, Engine, Event, Outcome, Service, Settings, Sink,
    testing::{MemoryRecord, MemorySink, service},
};
use futures::FutureExt;
use proptest::{collection::vec, prelude::*};

use crate::world::{World, unbraked};

const NOW: Duration = Duration::ZERO;

/// An engine that has listed an empty sink, and a source in which one tenant wants so many services.
fn crowded(services: usize) -> Engine<MemorySink> {
    let mut engine = Engine::new(MemorySink::default(), Settings::default());
    engine.sink_event(Event::RelistStarted, NOW);
    engine.sink_event(Event::RelistDone, NOW);
    engine.source_event(Event::RelistStarted, NOW);
    for n in 0..services {
        upsert(&mut engine, service(&format!("crowd/web{n}"), ["10.0.0.1"]));
    }
    engine.source_event(Event::RelistDone, NOW);
    engine
}

fn upsert(engine: &mut Engine<MemorySink>, service: Service) {
    let event = Event::Upserted(service.key.clone(), Arc::new(service));
    engine.source_event(event, NOW);
}

/// Where in a batch the operations on a slot are.
fn places(batch: &Batch<MemoryRecord>, slot: &str) -> Vec<usize> {
    let ops = batch.ops().iter().enumerate();
    ops.filter(|(_, op)| op.slot.as_str() == slot)
        .map(|(at, _)| at)
        .collect()
}

/// Slots that are compared until another tenant's single change is handed out, with so many due before it.
fn slots_before_a_single_change(crowd: usize) -> u64 {
    let mut engine = crowded(crowd);
    assert!(engine.next_batch(NOW).is_some(), "the crowd's");
    upsert(&mut engine, service("other/one", ["10.0.0.2"]));
    let before = engine.work().slots;
    let batch = engine.next_batch(NOW).expect("the next one");
    // After the slot that did not fit into the first batch, and one of the crowd.
    assert_eq!(places(&batch, "one"), [2]);
    // The crowd goes on behind it.
    assert_eq!(batch.ops().len(), 64);
    engine.work().slots - before
}

#[test]
fn fault_p13_n09_a_single_change_waits_for_no_more_than_a_batch_whatever_another_tenant_has_due() {
    let work = slots_before_a_single_change(1_000);
    // A batch, and the slot that did not fit.
    assert_eq!(work, 65);
    assert_eq!(slots_before_a_single_change(100_000), work);
}

#[test]
fn fault_p13_reads_of_one_tenants_slots_do_not_hold_up_anothers() {
    let mut engine = crowded(300);
    upsert(&mut engine, service("other/one", ["10.0.0.2"]));
    // Every write of everybody is lost.
    let mut lost = Vec::new();
    while let Some(batch) = engine.next_batch(NOW) {
        lost.push(batch.id());
    }
    // The other's is the last that is in doubt.
    for id in lost.into_iter().rev() {
        engine.settle(id, None, NOW);
    }
    let read = engine.take_doubtful(2);
    assert!(read.iter().any(|slot| slot.as_str() == "one"), "{read:?}");
}

#[test]
fn fault_p13_a_slot_that_two_tenants_share_is_served_in_the_turn_of_either() {
    let mut engine = crowded(1_000);
    // The crowd's last slot is the other's, too.
    let mut shared = service("other/web999", ["10.0.0.2"]);
    shared.created = 7;
    upsert(&mut engine, shared);
    let batch = engine.next_batch(NOW).expect("a batch");
    assert_eq!(places(&batch, "web999"), [1, 2]);
}

#[test]
fn fault_p13_what_a_tenant_removes_is_deleted_when_the_others_were_compared() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, unbraked());
    world.list([service("other/one", ["10.0.0.2"])]);
    world.pump();
    for n in 0..500 {
        world.upsert(service(&format!("crowd/web{n}"), ["10.0.0.1"]));
    }
    world.source(Event::Removed(consul_sync_core::Key::new("other", "one")));
    world.pump();
    assert!(sink.ids("one").is_empty());
    assert_eq!(sink.contents().len(), 500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// In every round of the batches each tenant that has something due is served, whatever the others do.
    #[test]
    fn fault_p13_every_tenant_is_served_in_every_round(
        crowds in vec(0..40_usize, 2..6), ops in 1..20_usize, changes in vec(0..6_usize, 0..40)
    ) {
        let owner = consul_sync_core::Owner::new("us").unwrap();
        let sink = MemorySink::new(consul_sync_core::testing::MemoryLayout::new(owner, ops));
        let mut engine = Engine::new(sink.clone(), Settings::default());
        engine.sink_event(Event::RelistStarted, NOW);
        engine.sink_event(Event::RelistDone, NOW);
        // How many slots of each tenant wait, and the changes that come between batches.
        let mut waiting: BTreeMap<String, usize> = BTreeMap::new();
        for (tenant, services) in crowds.iter().enumerate() {
            for n in 0..*services {
                upsert(&mut engine, service(&format!("ns{tenant}/t{tenant}-{n}"), ["10.0.0.1"]));
                *waiting.entry(format!("t{tenant}")).or_default() += 1;
            }
        }
        let mut changes = changes.into_iter().enumerate();
        // Operations that were handed out since each tenant was served last.
        let mut since: BTreeMap<String, usize> = BTreeMap::new();
        while let Some(batch) = engine.next_batch(NOW) {
            for op in batch.ops() {
                let tenant = op.slot.as_str().split('-').next().unwrap().to_owned();
                for (other, count) in &waiting {
                    if *count > 0 && *other != tenant {
                        let waited = since.entry(other.clone()).or_default();
                        *waited += 1;
                        // Those of all others, once; and the one that did not fit into the last batch.
                        prop_assert!(*waited <= crowds.len(), "{} waits for {}", other, waited);
                    }
                }
                since.insert(tenant.clone(), 0);
                *waiting.get_mut(&tenant).unwrap() -= 1;
            }
            let outcomes: Vec<Outcome<u64>> = sink.apply(batch.ops()).now_or_never().unwrap().unwrap();
            engine.settle(batch.id(), Some(outcomes), NOW);
            if let Some((n, tenant)) = changes.next() {
                let tenant = tenant % crowds.len();
                upsert(&mut engine, service(&format!("ns{tenant}/t{tenant}-more{n}"), ["10.0.0.1"]));
                let count = waiting.entry(format!("t{tenant}")).or_default();
                // Its own wait begins now.
                if *count == 0 {
                    since.insert(format!("t{tenant}"), 0);
                }
                *count += 1;
            }
        }
        prop_assert!(waiting.values().all(|count| *count == 0), "{:?}", waiting);
    }
}
