//! What the sink's stream shows, and what its reads say.

use std::time::Duration;

use consul_sync_core::{
    Driver, Layout, Sink, Slot, Standing,
    testing::{TableSource, service},
};
use consul_sync_k8s::{
    Mode, Verb,
    testing::{FakeCluster, Fault, On, WatchFault},
};

use super::{
    faults::{theirs, with_web},
    round::{critical, instances, requests, sink},
};

#[tokio::test(start_paused = true)]
async fn the_stream_never_shows_a_slot_from_before_a_write_that_was_answered() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    // The watches fall silent, and the writes go on.
    cluster.disturb(None, WatchFault::Silence);
    let mut web = service("/web", []);
    web.instances = instances(300);
    round.upsert(&web);
    round.pump().await;
    web.instances = instances(50).into_iter().map(critical).collect();
    round.upsert(&web);
    round.pump().await;
    let before = requests(&cluster);
    cluster.disturb(None, WatchFault::Close);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(round.pump().await, 0);
    assert_eq!(requests(&cluster), before, "{:?}", round.errors);
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_wrote_is_not_read_because_the_watch_is_faster_than_the_rest_of_the_batch() {
    let cluster = FakeCluster::new();
    let source = TableSource::default();
    for at in 0..40 {
        source.put(service(&format!("/web-{at}"), ["10.0.0.1"]));
    }
    // One has to wait, and the batch with it.
    let busy = On::new(Verb::Create, "services").skip(3).times(1);
    cluster.inject(busy, Fault::too_many_requests(Some(2)));
    let sink = sink(&cluster, Mode::Endpoints);
    let driver = Driver::new(source, sink).run(tokio::time::sleep(Duration::from_secs(10)));
    driver.await;
    assert_eq!(cluster.list("services").len(), 40);
    assert_eq!(cluster.list("endpointslices").len(), 40);
    assert_eq!(cluster.count(Verb::Create, "services"), 41);
    assert_eq!(cluster.count(Verb::Get, "services"), 0);
    assert_eq!(cluster.count(Verb::List, "endpointslices"), 1);
}

#[tokio::test(start_paused = true)]
async fn after_every_watch_was_lost_everything_is_listed_anew() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    cluster.compact();
    cluster.disturb(None, WatchFault::Close);
    cluster.delete("services", "default", "web");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(round.pump().await, 1);
    assert_eq!(cluster.list("services").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_what_the_stream_shows() {
    let cluster = FakeCluster::new();
    let _round = with_web(&cluster).await;
    cluster.put(theirs("db"));
    let sink = sink(&cluster, Mode::Endpoints);
    let slots = ["default/web", "default/db", "default/none"].map(|slot| Slot::new(slot).unwrap());
    let read = sink.read(&slots).await.unwrap();
    let standings: Vec<Vec<Standing>> = read
        .iter()
        .map(|(_, held)| held.records.iter().map(|held| held.standing).collect())
        .collect();
    assert_eq!(
        standings,
        [vec![Standing::Ours; 2], vec![Standing::Foreign], vec![]]
    );
    assert_eq!(sink.owner().as_str(), "us");
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_right_nothing_is_deleted_before_everything_was_listed_anew() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    for verb in [Verb::List, Verb::Watch] {
        cluster.deny(verb, "endpointslices");
    }
    cluster.disturb(Some("endpointslices"), WatchFault::Close);
    round.pump().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    round.list([]);
    assert_eq!(round.pump().await, 0);
    assert!(!round.engine.status().sink.complete);
    assert!(
        round.errors[0].contains("resources: [\"endpointslices\"]"),
        "{:?}",
        round.errors
    );
    for verb in [Verb::List, Verb::Watch] {
        cluster.allow(verb, "endpointslices");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(round.pump().await, 2);
    assert!(cluster.list("services").is_empty());
}
