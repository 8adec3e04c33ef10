//! What becomes of a destination when much of a cluster goes away, or is not seen: source and driver together.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use consul_sync_core::{
    BatchReport, Control, Driver, Layout, Observer, SyncStatus, testing::MemorySink,
};
use consul_sync_k8s::{
    KubeSource,
    testing::{FakeCluster, Fault, On, WatchFault},
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::told::{service, slice, without_nodes};

/// Longer than anything here takes, by the paused clock, and shorter than the brake's window.
const A_WHILE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Batches(Mutex<Vec<BatchReport>>);

impl Observer for Batches {
    fn applied(&self, report: &BatchReport) {
        self.0
            .lock()
            .expect("no test panics while it holds it")
            .push(*report);
    }
}

/// A driver between a cluster and a destination in memory.
struct Sync {
    sink: MemorySink,
    status: watch::Receiver<SyncStatus>,
    control: Control,
    batches: Arc<Batches>,
    running: JoinHandle<()>,
}

impl Sync {
    async fn of(cluster: &FakeCluster) -> Self {
        let sink = MemorySink::default();
        let source = KubeSource::new(cluster.client(), without_nodes());
        let batches = Arc::new(Batches::default());
        let driver = Driver::new(source, sink.clone()).observer(Arc::<Batches>::clone(&batches));
        let (status, control) = (driver.status(), driver.control());
        let running = tokio::spawn(driver.run(std::future::pending()));
        sleep(A_WHILE).await;
        Self {
            sink,
            status,
            control,
            batches,
            running,
        }
    }

    fn names(&self) -> Vec<String> {
        self.sink
            .contents()
            .keys()
            .map(ToString::to_string)
            .collect()
    }

    fn records(&self) -> usize {
        let contents = self.sink.contents();
        contents.values().map(|held| held.records.len()).sum()
    }

    fn status(&self) -> SyncStatus {
        self.status.borrow().clone()
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A service with that many endpoints, in a namespace.
fn put(cluster: &FakeCluster, namespace: &str, name: &str, endpoints: u8) {
    let digest = name
        .bytes()
        .fold(0_u16, |sum, byte| sum.wrapping_mul(31) + u16::from(byte));
    let [high, low] = digest.to_be_bytes();
    let addresses: Vec<String> = (1..=endpoints)
        .map(|last| format!("10.{high}.{low}.{last}"))
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    for mut object in [service(name), slice(&format!("{name}-1"), name, &addresses)] {
        object["metadata"]["namespace"] = json!(namespace);
        cluster.put(object);
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k02_after_a_listing_that_broke_off_deletes_go_on() {
    let cluster = FakeCluster::new();
    for name in ["a", "b", "c"] {
        put(&cluster, "shop", name, 1);
    }
    let sync = Sync::of(&cluster).await;
    assert_eq!(sync.names(), ["a", "b", "c"]);
    cluster.inject(On::list("services").times(1), Fault::Truncate { after: 90 });
    cluster.disturb(Some("services"), WatchFault::Error(410));
    sleep(A_WHILE).await;
    assert!(sync.status().source.complete, "{:?}", sync.status());
    cluster.delete("services", "shop", "b");
    sleep(A_WHILE).await;
    assert_eq!(sync.names(), ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k17_the_last_endpoint_goes_and_comes_within_the_brakes_floor() {
    let cluster = FakeCluster::new();
    for name in ["web", "db"] {
        put(&cluster, "shop", name, 2);
    }
    let sync = Sync::of(&cluster).await;
    assert_eq!(sync.records(), 4);
    // Fewer than the floor: nobody is asked, and no instance stays that nothing answers at.
    put(&cluster, "shop", "web", 0);
    sleep(A_WHILE).await;
    assert_eq!(sync.names(), ["db"]);
    assert!(!sync.status().brake.engaged);
    put(&cluster, "shop", "web", 1);
    sleep(A_WHILE).await;
    assert_eq!(sync.names(), ["db", "web"]);
    assert_eq!(sync.records(), 3);
}

#[tokio::test(start_paused = true)]
async fn fault_k17_the_brake_counts_instances_that_lose_their_endpoints_not_services() {
    let cluster = FakeCluster::new();
    for name in ["web", "db"] {
        put(&cluster, "shop", name, 20);
    }
    let sync = Sync::of(&cluster).await;
    // No service is gone, and half of the instances are.
    put(&cluster, "shop", "web", 0);
    sleep(A_WHILE).await;
    assert!(sync.status().brake.engaged);
    assert_eq!(sync.records(), 40);
    // A rolling restart that is over takes them back.
    put(&cluster, "shop", "web", 20);
    sleep(A_WHILE).await;
    assert!(!sync.status().brake.engaged);
    assert_eq!(sync.records(), 40);
}

#[tokio::test(start_paused = true)]
async fn fault_k19_a_namespace_that_ends_with_thousands_of_services_goes_by_a_persons_word() {
    const ENDING: usize = 2_000;
    const STAYING: usize = 300;
    let cluster = FakeCluster::new();
    for at in 0..ENDING {
        put(&cluster, "ending", &format!("e{at}"), 1);
    }
    for at in 0..STAYING {
        put(&cluster, "staying", &format!("s{at}"), 1);
    }
    let sync = Sync::of(&cluster).await;
    assert_eq!(sync.records(), ENDING + STAYING);
    sync.batches.0.lock().unwrap().clear();
    // As the namespace's controller does it: a mark, then object by object in no order of ours.
    cluster.merge(
        "namespaces",
        "",
        "ending",
        &json!({"status": {"phase": "Terminating"}}),
    );
    for at in 0..ENDING {
        cluster.delete("endpointslices", "ending", &format!("e{at}-1"));
        cluster.delete("services", "ending", &format!("e{at}"));
        if at % 100 == 0 {
            sleep(Duration::from_millis(100)).await;
        }
    }
    sleep(A_WHILE).await;
    let status = sync.status();
    assert!(status.brake.engaged, "{status:?}");
    assert!(sync.records() >= status.brake.least, "{status:?}");
    assert!(
        sync.records() * 100 >= (ENDING + STAYING) * 85,
        "{}",
        sync.records()
    );
    // What is new meanwhile is registered.
    put(&cluster, "staying", "new", 1);
    sleep(A_WHILE).await;
    assert!(sync.names().contains(&"new".to_owned()));
    sync.control.release_brake(sync.status().brake.held_deletes);
    sleep(A_WHILE).await;
    assert!(!sync.status().brake.engaged);
    assert_eq!(sync.records(), STAYING + 1);
    assert!(sync.names().iter().all(|name| !name.starts_with('e')));
    // Many at a time, and never more than the destination takes at once.
    let batches = sync.batches.0.lock().unwrap().clone();
    let most = sync.sink.limits().ops;
    let deleting: Vec<usize> = batches
        .iter()
        .map(|batch| batch.deleted)
        .filter(|deleted| *deleted > 0)
        .collect();
    assert_eq!(deleting.iter().sum::<usize>(), ENDING);
    assert!(
        deleting.iter().all(|deleted| *deleted <= most),
        "{deleting:?}"
    );
    // What the brake's share let through came in twenty parts, the rest in full batches.
    assert!(deleting.len() <= ENDING / most + 40, "{deleting:?}");
}
