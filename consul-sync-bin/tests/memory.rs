//! What each instance takes of memory, in every table that the program holds: bytes that were asked for and not given
//! back. In a test of its own, so that nobody else allocates meanwhile.

use std::{alloc::System, sync::Arc, time::Duration};

use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings, testing::FakeConsul};
use consul_sync_core::{
    Engine, Event, Key, Owner, Service, Settings, Sink, carry_out, plan, testing::TableSource,
};
use consul_sync_k8s::{Change, ExportSettings, Index, NodePorts, slim};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVICES: usize = 1000;
const ENDPOINTS: usize = 10;
const INSTANCES: usize = SERVICES * ENDPOINTS;

/// The most that an instance may take, with its share of its service.
mod most {
    /// What is known of the cluster, and what was said of it.
    pub(super) const SOURCE: usize = 140;
    /// What Consul holds, as it was read, and the engine's two tables.
    pub(super) const SINK: usize = 315;
}

#[tokio::test(flavor = "current_thread")]
async fn an_instance_is_held_once_and_packed() {
    let consul = FakeConsul::start().await.unwrap();
    let wanted = TableSource::default();
    for event in drained(&mut filled()) {
        if let Event::Upserted(_, service) = event {
            wanted.put((*service).clone());
        }
    }
    let sink = sink(&consul);
    let plan = plan(&wanted, &sink, &Settings::default()).await.unwrap();
    let report = carry_out(&sink, plan).await.unwrap();
    assert_eq!(report.created, INSTANCES);
    drop((wanted, sink));

    let before = allocated();
    let mut index = filled();
    let events = drained(&mut index);

    // The first look at a Consul that is as it should be: a restart.
    let sink = self::sink(&consul);
    let mut engine = Engine::new(&sink, Settings::default());
    let mut stream = sink.watch();
    while !engine.status().sink.complete {
        engine.sink_event(stream.next().await.unwrap().unwrap(), Duration::ZERO);
    }
    for event in events {
        engine.source_event(event, Duration::ZERO);
    }
    assert!(engine.next_batch(Duration::ZERO).is_none(), "nothing to do");
    assert_eq!(engine.status().owned, INSTANCES);

    let all = (allocated() - before) / INSTANCES;
    drop((engine, stream));
    drop(sink);
    let source = (allocated() - before) / INSTANCES;
    let held = all - source;
    drop(index);

    println!("bytes an instance: {source} of the source, {held} of the sink and the engine");
    assert!(source <= most::SOURCE, "the source: {source} bytes");
    assert!(held <= most::SINK, "the sink and the engine: {held} bytes");
}

fn sink(consul: &FakeConsul) -> ConsulSink {
    let client = Client::new(ClientSettings::new(consul.url())).expect("plain settings");
    let owner = Owner::new("cluster-a").expect("a plain owner");
    ConsulSink::new(client, SinkSettings::new(owner))
}

/// Live bytes. What was asked for to make something longer counts among what was asked for.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn drained(index: &mut Index) -> Vec<Event<Key, Arc<Service>>> {
    let events = index.drain();
    assert_eq!(events.len(), SERVICES + 2);
    events
}

/// An index that has heard of everything.
fn filled() -> Index {
    let settings = ExportSettings {
        node_ports: NodePorts::Off,
        ..ExportSettings::default()
    };
    let mut index = Index::new(Arc::new(settings));
    index.apply(Change::<slim::Service>::RelistStarted);
    index.apply(Change::<slim::EndpointSlice>::RelistStarted);
    for number in 0..SERVICES {
        let (service, slice) = objects(number);
        index.apply(Change::<slim::Service>::Upserted(read(service)));
        index.apply(Change::<slim::EndpointSlice>::Upserted(read(slice)));
    }
    index.apply(Change::<slim::Service>::RelistDone);
    index.apply(Change::<slim::EndpointSlice>::RelistDone);
    index
}

fn read<T: DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("an object as the API server has it")
}

/// A Service and its slice, with the texts that real ones have.
fn objects(number: usize) -> (Value, Value) {
    let name = format!("service-{number:05}");
    let metadata = json!({
        "name": name, "namespace": format!("team-{}", number % 10),
        "uid": format!("0f6b1f0e-4a4b-4a7e-9d58-{number:012}"),
        "resourceVersion": (1000 + number).to_string(),
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "annotations": { "consul.hashicorp.com/service-tags": "blue" },
        "labels": { "kubernetes.io/service-name": name },
    });
    let endpoints: Vec<Value> = (0..ENDPOINTS)
        .map(|at| {
            let host = number * ENDPOINTS + at;
            json!({
                "addresses": [format!("10.{}.{}.{}", host >> 16, (host >> 8) & 255, host & 255)],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "nodeName": format!("node-{}", host % 50),
                "targetRef": { "kind": "Pod", "name": format!("{name}-7d9c6f5b8-x{at:04}") },
            })
        })
        .collect();
    let service = json!({
        "metadata": metadata,
        "spec": { "type": "ClusterIP", "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
    });
    let slice = json!({
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
        "endpoints": endpoints,
    });
    (service, slice)
}
