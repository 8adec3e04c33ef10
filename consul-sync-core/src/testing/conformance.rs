//! What every sink and every source must do, whatever is behind it.

mod source;

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;

pub use source::{
    Disturbance, Report, Rule, Violation, World, check_histories, check_source, source, source_over,
};

use crate::{Engine, Event, Held, Outcome, Record, Service, Settings, Sink, Slot, Standing};

/// Fails with the name of the first rule that the sink breaks. Run it on an empty destination.
///
/// # Panics
/// When a rule is broken: the message names the rule and what was answered.
///
/// # Examples
/// ```
/// use consul_sync_core::testing::{MemorySink, conformance, service};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let services = [service("default/web", ["10.0.0.1", "10.0.0.2"]), service("default/db", ["10.0.0.3"])];
/// conformance::sink(&MemorySink::default(), &services).await;
/// # }
/// ```
#[allow(clippy::panic, clippy::expect_used)]
pub async fn sink<K: Sink>(sink: &K, services: &[Service]) {
    let mut suite = Suite::new(sink).await;
    assert_eq!(
        suite.engine.status().owned,
        0,
        "the destination must be empty of ours"
    );

    for service in services {
        suite.upsert(service);
    }
    suite.source_done();
    let written = suite.settle_all("creates are written").await;
    assert!(written > 0, "the services must have instances");

    // Reading back what was written shows the same records, ours, under the versions that were returned.
    let before = suite.read_all(services).await;
    for (slot, held) in &before {
        for record in &held.records {
            assert_eq!(
                record.standing,
                Standing::Ours,
                "{slot}: what we write is ours"
            );
        }
    }
    let mut second = Suite::new(sink).await;
    for service in services {
        second.upsert(service);
    }
    second.source_done();
    let again = second.engine.next_batch(std::time::Duration::ZERO);
    assert!(
        again.is_none(),
        "what is read back equals what was written, but a restart would do {again:?}"
    );

    // A write computed from an old version changes nothing.
    let mut old = Suite::new(sink).await;
    for service in services {
        let mut changed = service.clone();
        changed.tags = vec![Arc::from("changed")].into();
        suite.upsert(&changed);
        let mut other = service.clone();
        other.tags = vec![Arc::from("other")].into();
        old.upsert(&other);
    }
    suite.settle_all("updates are written").await;
    while let Some(batch) = old.engine.next_batch(std::time::Duration::ZERO) {
        let outcomes = sink.apply(batch.ops()).await.expect("apply answers");
        for (op, outcome) in batch.ops().iter().zip(&outcomes) {
            assert!(
                matches!(outcome, Outcome::Stale | Outcome::Skipped),
                "{}: a write with an old version answered {outcome:?}",
                op.id()
            );
        }
        old.engine
            .settle(batch.id(), Some(outcomes), std::time::Duration::ZERO);
    }

    // Deletes delete, and a slot that holds nothing is answered as empty.
    for service in services {
        suite.remove(service);
    }
    suite.settle_all("deletes are done").await;
    for (slot, held) in suite.read_all(services).await {
        assert!(held.records.is_empty(), "{slot} still holds {held:?}");
    }
}

struct Suite<'a, K: Sink> {
    sink: &'a K,
    engine: Engine<&'a K>,
}

impl<'a, K: Sink> Suite<'a, K> {
    async fn new(sink: &'a K) -> Self {
        let mut settings = Settings::default();
        settings.brake.share = 100;
        let mut engine = Engine::new(sink, settings);
        let mut events = sink.watch();
        while !engine.status().sink.complete {
            match events.next().await {
                Some(Ok(event)) => engine.sink_event(event, std::time::Duration::ZERO),
                other => assert!(other.is_none(), "the first listing failed: {other:?}"),
            }
        }
        engine.source_event(Event::RelistStarted, std::time::Duration::ZERO);
        Self { sink, engine }
    }

    fn upsert(&mut self, service: &Service) {
        let event = Event::Upserted(service.key.clone(), Arc::new(service.clone()));
        self.engine.source_event(event, std::time::Duration::ZERO);
    }

    fn remove(&mut self, service: &Service) {
        let event = Event::Removed(service.key.clone());
        self.engine.source_event(event, std::time::Duration::ZERO);
    }

    fn source_done(&mut self) {
        self.engine
            .source_event(Event::RelistDone, std::time::Duration::ZERO);
    }

    #[allow(clippy::expect_used)]
    async fn settle_all(&mut self, rule: &str) -> usize {
        let mut written = 0;
        while let Some(batch) = self.engine.next_batch(std::time::Duration::ZERO) {
            let outcomes = self.sink.apply(batch.ops()).await.expect("apply answers");
            assert_eq!(
                outcomes.len(),
                batch.ops().len(),
                "one outcome per operation"
            );
            for (op, outcome) in batch.ops().iter().zip(&outcomes) {
                let is_done = matches!(outcome, Outcome::Written(_) | Outcome::Deleted);
                assert!(
                    is_done,
                    "{rule}: {} {} answered {outcome:?}",
                    op.verb(),
                    op.id()
                );
            }
            let report = self
                .engine
                .settle(batch.id(), Some(outcomes), std::time::Duration::ZERO);
            written += report.written();
        }
        written
    }

    #[allow(clippy::expect_used)]
    async fn read_all(&self, services: &[Service]) -> BTreeMap<Slot, Held<K::Record>> {
        let slots: Vec<Slot> = services
            .iter()
            .map(|service| {
                self.sink
                    .place(service)
                    .expect("the suite's services have a place")
            })
            .collect();
        let held = self.sink.read(&slots).await.expect("read answers");
        let held: BTreeMap<Slot, Held<K::Record>> = held.into_iter().collect();
        for slot in &slots {
            let records = &held.get(slot).expect("every slot is answered").records;
            assert!(
                records.is_sorted_by(|a, b| a.record.id() < b.record.id()),
                "{slot}: records are sorted by id, each once"
            );
        }
        held
    }
}
