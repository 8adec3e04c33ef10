//! One event among many: it must cost the same at any size of the tables.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Engine, Event, Service, Settings, Sink,
    testing::{MemoryLayout, MemorySink, service},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures::FutureExt;

const NOW: Duration = Duration::ZERO;
const INSTANCES: usize = 10;

fn web(number: usize, instances: usize) -> Arc<Service> {
    let addresses: Vec<String> = (0..instances).map(|n| format!("10.0.0.{n}")).collect();
    let addresses = addresses.iter().map(String::as_str);
    Arc::new(service(&format!("default/web{number}"), addresses))
}

fn settle(engine: &mut Engine<MemoryLayout>, sink: &MemorySink) {
    while let Some(batch) = engine.next_batch(NOW) {
        let outcomes = sink.apply(batch.ops()).now_or_never().unwrap().unwrap();
        engine.settle(batch.id(), Some(outcomes), NOW);
    }
}

fn filled(instances: usize) -> (Engine<MemoryLayout>, MemorySink) {
    let sink = MemorySink::default();
    let mut engine = Engine::new(MemoryLayout::default(), Settings::default());
    engine.sink_event(Event::RelistStarted, NOW);
    engine.sink_event(Event::RelistDone, NOW);
    engine.source_event(Event::RelistStarted, NOW);
    for number in 0..instances / INSTANCES {
        let service = web(number, INSTANCES);
        engine.source_event(Event::Upserted(service.key.clone(), service), NOW);
    }
    engine.source_event(Event::RelistDone, NOW);
    settle(&mut engine, &sink);
    (engine, sink)
}

fn one_event(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one event");
    for instances in [1_000, 10_000, 100_000] {
        let (mut engine, sink) = filled(instances);
        let mut size = INSTANCES;
        group.bench_function(format!("{instances} instances"), |bencher| {
            bencher.iter_batched(
                || {
                    // Scale one service down and up again, so that every event has one write.
                    size = if size == INSTANCES {
                        INSTANCES - 1
                    } else {
                        INSTANCES
                    };
                    web(7, size)
                },
                |service| {
                    engine.source_event(Event::Upserted(service.key.clone(), service), NOW);
                    settle(&mut engine, &sink);
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, one_event);
criterion_main!(benches);
