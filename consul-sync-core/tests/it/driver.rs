//! The loop: what arrives is written without a timer, failures are paced, stopping deletes nothing.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Driver, ErrorKind, Key, Pending, Settings, SourceError, Standing, SyncStatus,
    testing::{Fault, MemorySink, TableSource, service},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

struct Running {
    source: TableSource,
    sink: MemorySink,
    status: watch::Receiver<SyncStatus>,
    control: consul_sync_core::Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn start(
    sink: MemorySink,
    change: impl FnOnce(Driver<TableSource, MemorySink>) -> Driver<TableSource, MemorySink>,
) -> Running {
    let source = TableSource::default();
    let driver = change(Driver::new(source.clone(), sink.clone()).seed(7));
    let (stop, stopped) = oneshot::channel();
    let (status, control) = (driver.status(), driver.control());
    let task = tokio::spawn(driver.run(async move {
        let _ = stopped.await;
    }));
    Running {
        source,
        sink,
        status,
        control,
        stop,
        task,
    }
}

impl Running {
    async fn until(&mut self, done: impl Fn(&SyncStatus) -> bool) -> SyncStatus {
        let status = timeout(Duration::from_secs(60), self.status.wait_for(done)).await;
        status.expect("in time").expect("the driver runs").clone()
    }

    async fn stop(self) -> MemorySink {
        self.stop.send(()).expect("the driver runs");
        self.task.await.expect("the driver ends");
        self.sink
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_written_without_waiting_for_a_timer() {
    let mut world = start(MemorySink::default(), |driver| driver);
    world.until(SyncStatus::is_ready).await;
    let before = Instant::now();
    world.source.put(service("default/web", ["10.0.0.1"]));
    world.until(|status| status.owned == 1).await;
    assert_eq!(Instant::now(), before, "the paused clock did not move");
    let sink = world.stop().await;
    assert_eq!(sink.ids("web"), ["10.0.0.1"], "stopping deletes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_is_tried_again_with_growing_pauses() {
    let sink = MemorySink::default();
    sink.inject([
        Fault::ApplyLost,
        Fault::ReadFails,
        Fault::ReadFails,
        Fault::ApplyUnknown,
    ]);
    let mut world = start(sink, |driver| driver);
    let before = Instant::now();
    world.source.put(service("default/web", ["10.0.0.1"]));
    world
        .until(|status| status.owned == 1 && status.pending_slots == 0)
        .await;
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_millis(350),
        "{waited:?} for four failures"
    );
    assert!(
        waited <= Duration::from_secs(3),
        "{waited:?} for four failures"
    );
    assert_eq!(world.stop().await.writes().0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_shut_gate_keeps_a_warm_standby() {
    let (gate, shut) = watch::channel(false);
    let mut world = start(MemorySink::default(), |driver| driver.gate(shut));
    world.source.put(service("default/web", ["10.0.0.1"]));
    let status = world
        .until(|status| status.services == 1 && status.is_ready())
        .await;
    assert!(status.pending().contains(&Pending::Slots));
    assert_eq!(world.sink.writes(), (0, 0));
    gate.send_replace(true);
    world.until(|status| status.owned == 1).await;
    gate.send_replace(false);
    world.source.put(service("default/db", ["10.0.0.2"]));
    world
        .until(|status| status.services == 2 && status.pending_slots == 1)
        .await;
    assert_eq!(world.sink.writes(), (1, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_releases_the_brake() {
    let sink = MemorySink::default();
    let addresses: Vec<String> = (0..50).map(|n| format!("10.0.0.{n}")).collect();
    sink.plant(
        &service("default/web", addresses.iter().map(String::as_str)),
        Standing::Ours,
    );
    let mut world = start(sink, |driver| driver);
    let status = world.until(|status| status.brake.engaged).await;
    assert_eq!(status.brake.held_deletes, 50);
    assert_eq!(status.pending(), [Pending::Brake]);
    world.control.release_brake(status.brake.held_deletes);
    world
        .until(|status| status.owned == 0 && !status.brake.engaged)
        .await;
    assert!(world.stop().await.ids("web").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_source_is_in_the_status_until_an_event_comes() {
    let mut world = start(MemorySink::default(), |driver| {
        driver.settings(Settings::default())
    });
    world.source.put(service("default/web", ["10.0.0.1"]));
    world.until(|status| status.owned == 1).await;
    world
        .source
        .fail(|| SourceError::new(ErrorKind::Unauthorized, "list services: forbidden"));
    let status = world.until(|status| status.source.error.is_some()).await;
    assert!(status.source.listed && !status.source.complete);
    world.source.remove(&Key::new("default", "web"));
    world.until(|status| status.brake.held_deletes == 1).await;
    world.source.relist();
    world
        .until(|status| status.owned == 0 && status.source.error.is_none())
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn observers_hear_of_batches_and_rejections() {
    #[derive(Debug, Default)]
    struct Heard(std::sync::Mutex<Vec<String>>);
    impl consul_sync_core::Observer for Heard {
        fn rejected(&self, key: &Key, rejection: &consul_sync_core::Rejection) {
            self.0.lock().unwrap().push(format!("{key}: {rejection}"));
        }
        fn applied(&self, report: &consul_sync_core::BatchReport) {
            self.0
                .lock()
                .unwrap()
                .push(format!("{} created", report.created));
        }
    }
    let heard = Arc::new(Heard::default());
    let observer: Arc<dyn consul_sync_core::Observer> = Arc::clone(&heard) as _;
    let mut world = start(MemorySink::default(), |driver| driver.observer(observer));
    world.source.put(service("default/bad-name", ["10.0.0.1"]));
    world.source.put(service("default/web", ["10.0.0.1"]));
    world.until(|status| status.owned == 1).await;
    world.stop().await;
    let heard = heard.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard.contains(&"1 created".to_owned()), "{heard:?}");
    assert!(
        heard.iter().any(|h| h.starts_with("default/bad-name: ")),
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shut_gate_sleeps_though_a_refused_record_is_due() {
    let (gate, shut) = watch::channel(true);
    let sink = MemorySink::default();
    sink.refuse(Some("10.0.0.1"));
    let mut world = start(sink, |driver| driver.gate(shut));
    world.source.put(service("default/web", ["10.0.0.1"]));
    world.until(|status| status.quarantined == 1).await;
    gate.send_replace(false);
    // A loop that does not sleep would never let this hour pass.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    world.sink.refuse(None);
    gate.send_replace(true);
    world.until(|status| status.owned == 1).await;
    world.stop().await;
}
