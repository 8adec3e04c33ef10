//! Services, operations and events in one line.

use std::{sync::Arc, time::Duration};

use consul_sync_consul::{
    Client, ClientSettings, ConsulSink, Registration, SinkSettings,
    testing::{FakeConsul, Instance as Held1, Node},
};
use consul_sync_core::{
    Action, Address, Check, Engine, Event, Held, Instance, Key, Layout, Op, Outcome, Owner, Record,
    Service, ServiceName, Settings, Sink, SinkError, Slot, Status, WatchStream,
};
use futures::StreamExt;
use tokio::time::timeout;

pub(crate) const NODE: &str = "k8s-sync";

pub(crate) fn sink(consul: &FakeConsul) -> ConsulSink {
    sink_with(consul, |_| ())
}

pub(crate) fn sink_with(consul: &FakeConsul, change: impl Fn(&mut ClientSettings)) -> ConsulSink {
    let mut settings = ClientSettings::new(consul.url());
    settings.timeout = Duration::from_secs(5);
    change(&mut settings);
    let client = Client::new(settings).unwrap();
    ConsulSink::new(client, settings_of_sink())
}

pub(crate) fn settings_of_sink() -> SinkSettings {
    let mut settings = SinkSettings::new(Owner::new("cluster-a").unwrap());
    settings.wait = Duration::from_secs(2);
    settings
}

/// A sink that writes lists of ports.
pub(crate) fn sink_with_ports(consul: &FakeConsul) -> ConsulSink {
    let client = Client::new(ClientSettings::new(consul.url())).unwrap();
    let mut settings = settings_of_sink();
    settings.named_ports = true;
    ConsulSink::new(client, settings)
}

/// A service of so many instances, as Kubernetes would give it.
pub(crate) fn service(name: &str, count: u8) -> Service {
    let mut service = Service::new(Key::new("ns", name), ServiceName::new(name).unwrap());
    service.tags = ["k8s".into()].into();
    service.meta = [("external-source", "kubernetes"), ("external-k8s-ns", "ns")]
        .into_iter()
        .collect();
    service.instances = (1..=count)
        .map(|n| {
            let mut instance = Instance::new(Address::Ip([10, 0, 0, n].into())).port("http", 80);
            instance.meta = [("external-k8s-ref-name", format!("pod-{n}"))]
                .into_iter()
                .collect();
            instance.check = Some(check(true));
            instance
        })
        .collect();
    service
}

pub(crate) fn check(is_ready: bool) -> Check {
    let (status, output) = if is_ready {
        (Status::Passing, "Kubernetes health checks passing")
    } else {
        (Status::Critical, "Kubernetes health checks failing")
    };
    Check {
        scope: "ns".into(),
        name: "Kubernetes Readiness Check".into(),
        kind: "kubernetes-readiness".into(),
        status,
        output: output.into(),
    }
}

pub(crate) fn slot(name: &str) -> Slot {
    Slot::new(name).unwrap()
}

/// The records of a service.
pub(crate) fn records(sink: &ConsulSink, service: &Service) -> (Slot, Vec<Arc<Registration>>) {
    let slot = sink.place(service).unwrap();
    let placed = sink.records(&slot, &[Arc::new(service.clone())]);
    (slot, placed.records)
}

/// Creates of all instances.
pub(crate) fn creates(sink: &ConsulSink, service: &Service) -> Vec<Op<Registration>> {
    let (slot, records) = records(sink, service);
    records
        .into_iter()
        .map(|record| Op {
            slot: slot.clone(),
            action: Action::Create(record),
        })
        .collect()
}

/// What an engine with full knowledge of both sides would do for these services alone, everything else being
/// unwanted.
pub(crate) async fn planned(sink: &ConsulSink, services: &[Service]) -> Vec<Op<Registration>> {
    let mut settings = Settings::default();
    settings.brake.share = 100;
    let mut engine = Engine::new(sink.clone(), settings);
    let mut events = sink.watch();
    while !engine.status().sink.complete {
        let event = events.next().await.unwrap().unwrap();
        engine.sink_event(event, Duration::ZERO);
    }
    engine.source_event(Event::RelistStarted, Duration::ZERO);
    for service in services {
        let event = Event::Upserted(service.key.clone(), Arc::new(service.clone()));
        engine.source_event(event, Duration::ZERO);
    }
    engine.source_event(Event::RelistDone, Duration::ZERO);
    let mut ops = Vec::new();
    while let Some(batch) = engine.next_batch(Duration::ZERO) {
        ops.extend(batch.ops().iter().cloned());
    }
    ops
}

/// Writes a service as it is.
pub(crate) async fn write(sink: &ConsulSink, services: &[Service]) {
    let ops = planned(sink, services).await;
    for outcome in sink.apply(&ops).await.unwrap() {
        assert!(
            matches!(outcome, Outcome::Written(_) | Outcome::Deleted),
            "{outcome:?}"
        );
    }
}

/// A foreign instance.
pub(crate) fn instance(id: &str, service: &str) -> Held1 {
    Held1 {
        node: NODE.into(),
        id: id.into(),
        service: service.into(),
        address: "192.0.2.1".into(),
        ..Held1::default()
    }
}

pub(crate) fn node() -> Node {
    Node {
        node: NODE.into(),
        address: "127.0.0.1".into(),
        ..Node::default()
    }
}

/// A watch and its next items, within a time that only a broken one needs.
pub(crate) struct Events(WatchStream<Registration>);

impl Events {
    pub(crate) fn of(sink: &ConsulSink) -> Self {
        Self(sink.watch())
    }

    pub(crate) async fn next(&mut self) -> Result<Event<Slot, Held<Registration>>, SinkError> {
        timeout(Duration::from_secs(20), self.0.next())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn error(&mut self) -> SinkError {
        self.next().await.unwrap_err()
    }

    /// Reads a listing to its end, and returns what it showed.
    pub(crate) async fn listing(&mut self) -> Vec<(Slot, Held<Registration>)> {
        assert!(matches!(self.next().await, Ok(Event::RelistStarted)));
        let mut shown = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Event::Upserted(slot, held) => shown.push((slot, held)),
                Event::RelistDone => return shown,
                other => panic!("{other:?} in a listing"),
            }
        }
    }

    /// The next change.
    pub(crate) async fn change(&mut self) -> (String, Held<Registration>) {
        match self.next().await.unwrap() {
            Event::Upserted(slot, held) => (slot.to_string(), held),
            other => panic!("{other:?} is no change"),
        }
    }

    /// Reads changes until one is as it should be. A slot may be shown several times on the way.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&str, &Held<Registration>) -> bool) {
        loop {
            let (name, held) = self.change().await;
            if is_it(&name, &held) {
                return;
            }
        }
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_quiet(&mut self, time: Duration) -> bool {
        timeout(time, self.0.next()).await.is_err()
    }
}

/// The IDs of what is held.
pub(crate) fn ids(held: &Held<Registration>) -> Vec<String> {
    held.records
        .iter()
        .map(|held| held.record.id().to_string())
        .collect()
}
