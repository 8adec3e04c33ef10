//! One event costs work in the size of its service, never in the size of the tables.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Engine, Event, Settings, Sink, Work,
    testing::{MemorySink, service},
};
use futures::FutureExt;

/// The work of scaling one service of ten instances among `services` like it.
fn work_of_one_event(services: usize) -> Work {
    let sink = MemorySink::default();
    let mut engine = Engine::new(sink.clone(), Settings::default());
    let now = Duration::ZERO;
    let mut events = sink.watch();
    while let Some(Some(event)) = futures::StreamExt::next(&mut events).now_or_never() {
        engine.sink_event(event.unwrap(), now);
    }
    let addresses: Vec<String> = (0..10).map(|n| format!("10.0.0.{n}")).collect();
    let make = |n: usize, instances: usize| {
        let addresses = addresses.iter().take(instances).map(String::as_str);
        Arc::new(service(&format!("default/web{n}"), addresses))
    };
    let settle = |engine: &mut Engine<MemorySink>| {
        while let Some(batch) = engine.next_batch(now) {
            let outcomes = sink.apply(batch.ops()).now_or_never().unwrap().unwrap();
            engine.settle(batch.id(), Some(outcomes), now);
        }
    };
    engine.source_event(Event::RelistStarted, now);
    for n in 0..services {
        let service = make(n, 10);
        engine.source_event(Event::Upserted(service.key.clone(), service), now);
    }
    engine.source_event(Event::RelistDone, now);
    settle(&mut engine);
    let before = engine.work();
    let scaled = make(services / 2, 9);
    engine.source_event(Event::Upserted(scaled.key.clone(), scaled), now);
    settle(&mut engine);
    let after = engine.work();
    assert_eq!(engine.status().owned, services * 10 - 1);
    Work {
        slots: after.slots - before.slots,
        comparisons: after.comparisons - before.comparisons,
        records: after.records - before.records,
    }
}

#[test]
fn one_event_costs_the_size_of_its_service_at_any_size_of_the_tables() {
    let small = work_of_one_event(100);
    let large = work_of_one_event(1_000);
    assert_eq!(small, large);
    assert_eq!((small.slots, small.records, small.comparisons), (1, 9, 10));
}
