//! Sinks, services, operations and events in one line; for the tests on the in-process catalog and on real servers.

use std::{sync::Arc, time::Duration};

use consul_sync_consul::{Client, ClientSettings, ConsulSink, Registration, SinkSettings};
use consul_sync_core::{
    Action, Address, Check, Driver, Engine, Event, Held, Instance, Key, Layout, Op, Outcome, Owner,
    Record, Service, ServiceName, Settings, Sink, SinkError, Slot, Status, SyncStatus, WatchStream,
    testing::TableSource,
};
use futures::StreamExt;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

pub(crate) const NODE: &str = "k8s-sync";

/// The settings of a sink of the owner `cluster-a`, whose blocking queries are held for a short time.
pub(crate) fn settings() -> SinkSettings {
    let mut settings = SinkSettings::new(Owner::new("cluster-a").expect("a constant"));
    settings.wait = Duration::from_secs(2);
    settings
}

pub(crate) fn sink(url: &str) -> ConsulSink {
    sink_with(url, |_| ())
}

pub(crate) fn sink_with(url: &str, change: impl Fn(&mut ClientSettings)) -> ConsulSink {
    sink_of(url, change, settings())
}

pub(crate) fn sink_of(
    url: &str,
    change: impl Fn(&mut ClientSettings),
    sink: SinkSettings,
) -> ConsulSink {
    let mut settings = ClientSettings::new(url);
    change(&mut settings);
    ConsulSink::new(Client::new(settings).expect("settings of a test"), sink)
}

/// A sink that writes lists of ports.
pub(crate) fn sink_with_ports(url: &str) -> ConsulSink {
    let mut settings = settings();
    settings.named_ports = true;
    sink_of(url, |_| (), settings)
}

/// A service of so many instances, as Kubernetes would give it.
pub(crate) fn service(name: &str, count: u8) -> Service {
    let wanted = ServiceName::new(name).expect("names of tests are not empty");
    let mut service = Service::new(Key::new("ns", name), wanted);
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
            instance.check = Some(check(true).into());
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
    Slot::new(name).expect("names of tests are not empty")
}

/// The records of a service, whether or not it could be placed.
pub(crate) fn records(sink: &ConsulSink, service: &Service) -> (Slot, Vec<Arc<Registration>>) {
    let slot = slot(&service.name.as_str().to_lowercase());
    let placed = sink.records(&slot, &[Arc::new(service.clone())]);
    (slot, placed.records)
}

/// Creates of all instances.
pub(crate) fn creates(sink: &ConsulSink, service: &Service) -> Vec<Op<Registration>> {
    let (slot, records) = records(sink, service);
    let create = |record| Op {
        slot: slot.clone(),
        action: Action::Create(record),
    };
    records.into_iter().map(create).collect()
}

/// What an engine with full knowledge of both sides would do first for these services alone, everything else being
/// unwanted.
pub(crate) async fn planned(sink: &ConsulSink, services: &[Service]) -> Vec<Op<Registration>> {
    let mut settings = Settings::default();
    settings.brake.share = 100;
    let mut engine = Engine::new(sink.clone(), settings);
    let mut events = Events::of(sink);
    while !engine.status().sink.complete {
        let event = events.next().await.expect("the listing succeeds");
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

/// Makes these services all that is there.
pub(crate) async fn write(sink: &ConsulSink, services: &[Service]) {
    loop {
        let ops = planned(sink, services).await;
        if ops.is_empty() {
            return;
        }
        for outcome in sink.apply(&ops).await.expect("apply answers") {
            let is_done = matches!(outcome, Outcome::Written(_) | Outcome::Deleted);
            assert!(is_done, "{outcome:?}");
        }
    }
}

/// A driver under way, and its source.
pub(crate) struct Running {
    pub(crate) source: TableSource,
    pub(crate) status: watch::Receiver<SyncStatus>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(sink: ConsulSink, services: &[Service]) -> Self {
        let source = TableSource::default();
        for service in services {
            source.put(service.clone());
        }
        let driver = Driver::new(source.clone(), sink);
        let status = driver.status();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            driver
                .run(async move {
                    let _ = stopped.await;
                })
                .await;
        });
        Self {
            source,
            status,
            stop,
            task,
        }
    }

    /// Waits until something holds of the status.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&SyncStatus) -> bool) {
        let reached = timeout(Duration::from_secs(120), self.status.wait_for(is_it)).await;
        let reached = reached.map(|status| status.map(drop));
        assert!(matches!(reached, Ok(Ok(()))), "{:?}", self.status.borrow());
    }

    /// Waits until everything is written and so many records are ours.
    pub(crate) async fn until_owned(&mut self, owned: usize) {
        let is_done = |status: &SyncStatus| status.is_ready() && status.owned == owned;
        self.until(is_done).await;
    }

    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the driver ends");
    }
}

/// What each operation came to, in a word.
pub(crate) fn kinds<V: std::fmt::Debug>(outcomes: &[Outcome<V>]) -> Vec<&'static str> {
    outcomes.iter().map(Outcome::as_str).collect()
}

/// The IDs of what is held.
pub(crate) fn ids(held: &Held<Registration>) -> Vec<String> {
    let ids = held.records.iter().map(|held| held.record.id().to_string());
    ids.collect()
}

type Item = Result<Event<Slot, Held<Registration>>, SinkError>;

/// A watch and its next items, within a time that only a broken one needs.
pub(crate) struct Events(WatchStream<Registration>);

impl Events {
    pub(crate) fn of(sink: &ConsulSink) -> Self {
        Self(sink.watch())
    }

    /// The next item, or none within a while.
    pub(crate) async fn poll(&mut self, time: Duration) -> Option<Item> {
        let item = timeout(time, self.0.next()).await.ok()?;
        Some(item.expect("a watch does not end"))
    }

    pub(crate) async fn next(&mut self) -> Item {
        let item = self.poll(Duration::from_secs(60)).await;
        item.expect("something is shown within a minute")
    }

    pub(crate) async fn error(&mut self) -> SinkError {
        match self.next().await {
            Err(error) => error,
            Ok(event) => panic!("{event:?} is no error"),
        }
    }

    /// The error of a listing, of which nothing may have been shown.
    pub(crate) async fn refused_listing(&mut self) -> SinkError {
        let begun = self.next().await;
        assert!(matches!(begun, Ok(Event::RelistStarted)), "{begun:?}");
        self.error().await
    }

    /// A listing to its end, or none where it failed.
    pub(crate) async fn try_listing(&mut self) -> Option<Vec<(Slot, Held<Registration>)>> {
        let mut shown = Vec::new();
        loop {
            match self.next().await.ok()? {
                Event::RelistStarted => {}
                Event::Upserted(slot, held) => shown.push((slot, held)),
                Event::RelistDone => return Some(shown),
                other => panic!("{other:?} in a listing"),
            }
        }
    }

    pub(crate) async fn listing(&mut self) -> Vec<(Slot, Held<Registration>)> {
        self.try_listing().await.expect("the listing succeeds")
    }

    /// The next change.
    pub(crate) async fn change(&mut self) -> (String, Held<Registration>) {
        match self.next().await {
            Ok(Event::Upserted(slot, held)) => (slot.to_string(), held),
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
        self.poll(time).await.is_none()
    }
}
