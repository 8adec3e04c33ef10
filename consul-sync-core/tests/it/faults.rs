//! The driver where a side ends or fails: a watch, the gate's sender, the sink's calls, the driver itself.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Driver, Event, Key, Service, Source, Standing, SyncStatus,
    testing::{Fault, MemorySink, TableSource, service},
};
use futures::{StreamExt, stream};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::faulty_sink::FaultySink;

async fn until(
    status: &mut watch::Receiver<SyncStatus>,
    done: impl Fn(&SyncStatus) -> bool,
) -> SyncStatus {
    let status = timeout(Duration::from_secs(60), status.wait_for(done)).await;
    status.expect("in time").expect("the driver runs").clone()
}

/// A source whose first watch lists one service and ends, and whose others list nothing, for ever.
#[derive(Debug)]
struct Ending(std::sync::Mutex<Option<Service>>);

impl Source for Ending {
    fn name(&self) -> &'static str {
        "ending"
    }

    fn watch(
        &self,
    ) -> stream::BoxStream<'static, Result<Event<Key, Arc<Service>>, consul_sync_core::SourceError>>
    {
        let Some(service) = self.0.lock().unwrap().take() else {
            return stream::pending().boxed();
        };
        let upsert = Event::Upserted(service.key.clone(), Arc::new(service));
        stream::iter([Event::RelistStarted, upsert, Event::RelistDone].map(Ok)).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_after_the_sources_watch_ended() {
    let sink = MemorySink::default();
    let web = service("default/web", ["10.0.0.1"]);
    let driver = Driver::new(Ending(Some(web).into()), sink.clone()).seed(7);
    let mut status = driver.status();
    let task = tokio::spawn(driver.run(std::future::pending()));
    until(&mut status, |status| {
        status.owned == 1 && status.source.error.is_some()
    })
    .await;
    // Nobody wants it, as far as anybody knew when the watch ended.
    sink.plant(&service("default/web", ["10.0.0.9"]), Standing::Ours);
    let seen = until(&mut status, |status| status.brake.held_deletes == 1).await;
    assert!(!seen.source.complete);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(sink.ids("web"), ["10.0.0.1", "10.0.0.9"]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_after_the_sinks_watch_ended() {
    let sink = FaultySink::new(MemorySink::default());
    // The start of the listing and its end: the sink holds nothing.
    sink.end_watch_after(2);
    let source = TableSource::default();
    source.put(service("default/web", ["10.0.0.1", "10.0.0.2"]));
    let driver = Driver::new(source.clone(), sink.clone()).seed(7);
    let mut status = driver.status();
    let task = tokio::spawn(driver.run(std::future::pending()));
    until(&mut status, |status| {
        status.owned == 2 && status.sink.listed && !status.sink.complete
    })
    .await;
    source.put(service("default/web", ["10.0.0.1"]));
    let seen = until(&mut status, |status| status.brake.held_deletes == 1).await;
    assert!(!seen.sink.complete);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(sink.memory.ids("web"), ["10.0.0.1", "10.0.0.2"]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_shut_when_its_sender_is_gone() {
    let (gate, open) = watch::channel(true);
    let (source, sink) = (TableSource::default(), MemorySink::default());
    let driver = Driver::new(source.clone(), sink.clone()).gate(open).seed(7);
    let mut status = driver.status();
    let task = tokio::spawn(driver.run(std::future::pending()));
    source.put(service("default/web", ["10.0.0.1"]));
    until(&mut status, |status| status.owned == 1).await;
    drop(gate);
    source.put(service("default/db", ["10.0.0.2"]));
    until(&mut status, |status| status.services == 2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(sink.writes(), (1, 0));
    assert_eq!(status.borrow().pending_slots, 1);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn no_batch_is_handed_out_once_it_stops() {
    let source = TableSource::default();
    let sink = FaultySink::new(MemorySink::default());
    let driver = Driver::new(source.clone(), sink.clone())
        .concurrency(1)
        .seed(7);
    let mut status = driver.status();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(driver.run(async move {
        let _ = stopped.await;
    }));
    until(&mut status, SyncStatus::is_ready).await;
    sink.answer(false);
    source.put(service("default/web", ["10.0.0.1"]));
    until(&mut status, |status| status.in_flight == 1).await;
    source.put(service("default/db", ["10.0.0.2"]));
    until(&mut status, |status| status.pending_slots == 2).await;
    stop.send(()).unwrap();
    // The loop has seen it before the batch under way is answered.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!task.is_finished(), "the batch under way is waited for");
    sink.answer(true);
    task.await.unwrap();
    assert_eq!(sink.memory.ids("web"), ["10.0.0.1"]);
    assert!(sink.memory.ids("db").is_empty(), "a batch after the end");
}

#[tokio::test(start_paused = true)]
async fn fault_t16_a_sink_that_refuses_for_minutes_gets_the_newest_state_and_no_queue_grows() {
    let source = TableSource::default();
    let sink = FaultySink::new(MemorySink::default());
    sink.refuse(true);
    let driver = Driver::new(source.clone(), sink.clone()).seed(7);
    let mut status = driver.status();
    let task = tokio::spawn(driver.run(std::future::pending()));
    until(&mut status, SyncStatus::is_ready).await;
    let names: Vec<String> = (0..20).map(|n| format!("default/web{n}")).collect();
    // Ten minutes of changes, ten a second, of twenty services.
    for tick in 0..6_000_u32 {
        let name = &names[tick as usize % names.len()];
        let mut web = service(name, ["10.0.0.1", "10.0.0.2"]);
        web.tags = vec![Arc::from(format!("tick{tick}"))].into();
        source.put(web);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = status.borrow();
        assert!(status.pending_slots <= names.len(), "{status:?}");
        assert!(status.in_flight <= 2 * 64, "{status:?}");
    }
    assert!(sink.largest() <= 64, "batches grew to {}", sink.largest());
    // A pause is at most ten seconds, and at least half of that once it has grown.
    assert!(
        sink.applies() < 300,
        "{} calls in ten minutes",
        sink.applies()
    );
    assert_eq!(sink.memory.writes(), (0, 0));
    sink.refuse(false);
    until(&mut status, |status| {
        status.owned == 40 && status.pending_slots == 0
    })
    .await;
    assert_eq!(
        sink.memory.writes(),
        (40, 0),
        "what was overtaken was never written"
    );
    for held in sink.memory.contents().values() {
        for record in &held.records {
            let text = format!("{:?}", record.record);
            let is_last = (5_980..6_000).any(|tick| text.contains(&format!("\"tick{tick}\"")));
            assert!(is_last, "{text}");
        }
    }
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_a_read_left_out_is_read_again() {
    let source = TableSource::default();
    let sink = FaultySink::new(MemorySink::default());
    sink.memory.inject([Fault::ApplyLost]);
    sink.cut_read_to(1);
    source.put(service("default/web", ["10.0.0.1"]));
    source.put(service("default/db", ["10.0.0.2"]));
    let driver = Driver::new(source, sink.clone()).seed(7);
    let mut status = driver.status();
    let task = tokio::spawn(driver.run(std::future::pending()));
    until(&mut status, |status| {
        status.owned == 2 && status.pending_slots == 0
    })
    .await;
    assert_eq!(sink.memory.writes(), (2, 0));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn no_more_batches_are_under_way_than_allowed() {
    let source = TableSource::default();
    for n in 0..500 {
        source.put(service(&format!("default/web{n}"), ["10.0.0.1"]));
    }
    let sink = FaultySink::new(MemorySink::default());
    sink.answer(false);
    let driver = Driver::new(source, sink.clone()).concurrency(3).seed(7);
    let mut status = driver.status();
    let task = tokio::spawn(driver.run(std::future::pending()));
    until(&mut status, |status| {
        status.services == 500 && status.in_flight > 0
    })
    .await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(sink.applies(), 3);
    assert_eq!(status.borrow().in_flight, 3 * 64);
    task.abort();
}
