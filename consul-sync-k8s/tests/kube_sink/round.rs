//! An engine over a sink, driven until nothing is left to do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use consul_sync_core::{
    Address, Batch, Engine, Event, Held, Instance, Key, Notice, Outcome, Owner, Record, RecordId,
    Service, Settings, Sink, Slot, Status, WatchStream, testing::check,
};
use consul_sync_k8s::{
    ImportSettings, KubeSink, Manifest, Mode, ObjectVersion, Verb, testing::FakeCluster,
};
use futures::StreamExt;

/// An engine, its sink, and what the sink's stream tells it.
pub(crate) struct Round {
    pub(crate) engine: Engine<KubeSink>,
    pub(crate) sink: KubeSink,
    pub(crate) notices: Vec<Notice>,
    pub(crate) errors: Vec<String>,
    pub(crate) now: Duration,
    /// The version of the last write to each object whose outcome was answered, while it was not deleted since.
    answered: BTreeMap<(Slot, RecordId), ObjectVersion>,
    /// Whether a listing of the sink is under way.
    is_listing: bool,
    /// How long the stream is silent before it has said everything.
    pub(crate) still: Duration,
    events: WatchStream<Manifest>,
}

pub(crate) fn settings(mode: Mode) -> ImportSettings {
    let mut settings = ImportSettings::new(Owner::new("us").expect("not empty"));
    settings.mode = mode;
    settings
}

pub(crate) fn sink(cluster: &FakeCluster, mode: Mode) -> KubeSink {
    KubeSink::new(cluster.client(), settings(mode)).expect("the settings are good")
}

pub(crate) fn instances(count: u16) -> Vec<Instance> {
    (0..count)
        .map(|at| {
            let [high, low] = at.to_be_bytes();
            Instance::new(Address::Ip([10, 1, high, low].into())).port("http", 80)
        })
        .collect()
}

pub(crate) fn critical(mut instance: Instance) -> Instance {
    instance.check = Some(check(Status::Critical).into());
    instance
}

impl Round {
    /// An engine that has listed the cluster and not yet the source. Its brake is off.
    pub(crate) async fn new(cluster: &FakeCluster, mode: Mode) -> Self {
        // A second of the paused clock.
        Self::over(sink(cluster, mode), Duration::from_secs(1)).await
    }

    pub(crate) async fn over(sink: KubeSink, still: Duration) -> Self {
        let mut settings = Settings::default();
        settings.brake.share = 100;
        Self::with(sink, settings, still).await
    }

    pub(crate) async fn with(sink: KubeSink, settings: Settings, still: Duration) -> Self {
        let mut round = Self {
            engine: Engine::new(sink.clone(), settings),
            events: sink.watch(),
            sink,
            notices: Vec::new(),
            errors: Vec::new(),
            now: Duration::ZERO,
            answered: BTreeMap::new(),
            is_listing: true,
            still,
        };
        round.hear().await;
        round
    }

    /// Takes what the stream shows until it is still.
    pub(crate) async fn hear(&mut self) {
        while let Ok(event) = tokio::time::timeout(self.still, self.events.next()).await {
            match event.expect("a sink's stream never ends") {
                Ok(event) => {
                    self.check(&event);
                    self.engine.sink_event(event, self.now);
                }
                Err(error) => {
                    self.engine.failed(consul_sync_core::Side::Sink, &error);
                    self.errors.push(error.to_string());
                }
            }
        }
    }

    /// Outside a listing no object is shown as it was before the last write that was answered.
    fn check(&mut self, event: &Event<Slot, Held<Manifest>>) {
        match event {
            Event::RelistStarted => self.is_listing = true,
            Event::RelistDone => self.is_listing = false,
            Event::Upserted(slot, held) if !self.is_listing => {
                for held in &held.records {
                    let key = (slot.clone(), held.record.id().clone());
                    let Some(answered) = self.answered.get(&key) else {
                        continue;
                    };
                    let number =
                        |version: &ObjectVersion| version.resource_version.parse::<u64>().ok();
                    assert!(
                        number(&held.version) >= number(answered),
                        "{slot}: {held:?} is older than {answered:?}"
                    );
                }
            }
            _ => {}
        }
    }

    /// Carries one batch out. Answers how many objects were written.
    pub(crate) async fn carry_out(&mut self, batch: &Batch<Manifest>) -> usize {
        let answer = self.sink.apply(batch.ops()).await;
        match &answer {
            Ok(outcomes) => {
                for (op, outcome) in batch.ops().iter().zip(outcomes) {
                    let key = (op.slot.clone(), op.id().clone());
                    match outcome {
                        Outcome::Written(version) => {
                            self.answered.insert(key, version.clone());
                        }
                        Outcome::Deleted => drop(self.answered.remove(&key)),
                        _ => {}
                    }
                }
            }
            Err(error) => self.errors.push(error.to_string()),
        }
        let report = self.engine.settle(batch.id(), answer.ok(), self.now);
        self.notices.extend(self.engine.take_notices());
        report.written()
    }

    pub(crate) fn begin(&mut self) {
        self.engine.source_event(Event::RelistStarted, self.now);
    }

    pub(crate) fn end(&mut self) {
        self.engine.source_event(Event::RelistDone, self.now);
    }

    pub(crate) fn upsert(&mut self, service: &Service) {
        let event = Event::Upserted(service.key.clone(), Arc::new(service.clone()));
        self.engine.source_event(event, self.now);
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.engine
            .source_event(Event::Removed(key.clone()), self.now);
    }

    /// Lists exactly these services.
    pub(crate) fn list(&mut self, services: impl IntoIterator<Item = Service>) {
        self.begin();
        for service in services {
            self.upsert(&service);
        }
        self.end();
    }

    /// One turn: what the stream says, one read of what is in doubt, one batch. Answers the objects written.
    pub(crate) async fn turn(&mut self) -> Option<usize> {
        self.hear().await;
        let doubtful = self.engine.take_doubtful(10);
        match self.sink.read(&doubtful).await {
            Ok(read) => read
                .into_iter()
                .for_each(|(slot, held)| self.engine.read(&slot, held)),
            Err(_) => doubtful
                .iter()
                .for_each(|slot| self.engine.read_failed(slot)),
        }
        self.notices.extend(self.engine.take_notices());
        match self.engine.next_batch(self.now) {
            Some(batch) => Some(self.carry_out(&batch).await),
            None if doubtful.is_empty() && !self.engine.has_doubtful() => None,
            None => Some(0),
        }
    }

    /// Carries batches out until nothing is left to do, an hour after the last time: whatever waits for another try
    /// is tried once. Answers how many objects were written.
    pub(crate) async fn pump(&mut self) -> usize {
        let mut written = 0;
        self.now += Duration::from_secs(3600);
        for _ in 0..1_000 {
            match self.turn().await {
                Some(more) => written += more,
                None => return written,
            }
        }
        panic!("no end: {:?} {:?}", self.engine.status(), self.errors);
    }
}

/// Requests that write, tried or done.
pub(crate) fn requests(cluster: &FakeCluster) -> u64 {
    let writes = [Verb::Create, Verb::Patch, Verb::Update, Verb::Delete];
    let count = |resource: &str| -> u64 {
        let each = writes.iter().map(|verb| cluster.count(*verb, resource));
        each.sum()
    };
    count("services") + count("endpointslices")
}
