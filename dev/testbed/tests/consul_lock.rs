//! The lock and its fence on real Consul servers.
#![allow(clippy::unwrap_used, clippy::panic)] // tests and what they share

#[path = "../../../consul-sync-consul/tests/lock/replica.rs"]
#[allow(dead_code, reason = "some of it is for a Consul in memory")]
mod replica;

use std::{sync::Arc, time::Duration};

use consul_sync_consul::{ConsulSink, LockSettings, Registration};
use consul_sync_core::{Action, Layout, Op, Outcome, Sink, testing::service};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Program, Programs};
use serde_json::{Value, json};
use tokio::time::Instant;

use replica::{KEY, NODE, Replica};

/// Runs a test on each version that is built.
macro_rules! on_each_version {
    ($($name:ident)*) => {
        mod on_1_21 { $(
            #[tokio::test]
            async fn $name() { super::run(super::ConsulVersion::V1_21, async |consul| super::$name(consul).await).await }
        )* }
        mod on_1_22 { $(
            #[tokio::test]
            async fn $name() { super::run(super::ConsulVersion::V1_22, async |consul| super::$name(consul).await).await }
        )* }
    };
}

on_each_version! {
    fault_p04_the_writes_of_an_older_leader_are_refused_by_a_real_consul
    fault_p06_the_lock_of_a_dead_leader_is_taken_over_on_a_real_consul
    a_lead_is_handed_over_on_a_real_consul
    a_node_that_somebody_deletes_is_registered_again_with_a_new_session
}

async fn run(version: ConsulVersion, test: impl AsyncFnOnce(&Consul)) {
    if !Programs::locate().all_or_skip(&[Program::Consul(version)]) {
        return;
    }
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.config = json!({ "session_ttl_min": "1s" });
    let consul = Consul::start_with(settings).await.unwrap();
    test(&consul).await;
}

fn long(settings: &mut LockSettings) {
    settings.ttl = Duration::from_secs(600);
}

async fn get(consul: &Consul, path: &str) -> Value {
    let answer = consul.client().get(path).await.unwrap();
    answer.json().unwrap()
}

async fn session(consul: &Consul) -> String {
    let entry = get(consul, &format!("/v1/kv/{KEY}?consistent")).await;
    entry[0]["Session"].as_str().unwrap_or_default().to_owned()
}

async fn instances(consul: &Consul) -> usize {
    let listing = get(
        consul,
        &format!("/v1/catalog/node-services/{NODE}?consistent"),
    )
    .await;
    listing["Services"].as_array().map_or(0, Vec::len)
}

fn creates(sink: &ConsulSink) -> Vec<Op<Registration>> {
    let service = service("ns/web", ["10.0.0.1", "10.0.0.2"]);
    let slot = sink.place(&service).unwrap();
    let placed = sink.records(&slot, &[Arc::new(service)]);
    let create = |record| Op {
        slot: slot.clone(),
        action: Action::Create(record),
    };
    placed.records.into_iter().map(create).collect()
}

async fn fault_p04_the_writes_of_an_older_leader_are_refused_by_a_real_consul(consul: &Consul) {
    let old = Replica::with(consul.url(), "old-leader", false, long);
    old.until_leading().await;
    let new = Replica::with(consul.url(), "new-leader", false, long);
    new.until_standing_by().await;
    old.stop();
    let ended = session(consul).await;
    let path = format!("/v1/session/destroy/{ended}");
    consul
        .client()
        .put(&path, &json!({}))
        .await
        .unwrap()
        .success()
        .unwrap();
    new.until_leading().await;
    assert!(old.is_open(), "it believes that it leads");
    let outcomes = old.sink.apply(&creates(&old.sink)).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Skipped; 2]);
    assert_eq!(instances(consul).await, 0);
    assert!(!old.is_open());
    let outcomes = new.sink.apply(&creates(&new.sink)).await.unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Written(_))),
        "{outcomes:?}"
    );
    assert_eq!(instances(consul).await, 2);
}

async fn fault_p06_the_lock_of_a_dead_leader_is_taken_over_on_a_real_consul(consul: &Consul) {
    let dead = Replica::elected(consul.url(), "dead-leader");
    dead.until_leading().await;
    let heir = Replica::elected(consul.url(), "heir");
    heir.until_standing_by().await;
    let died = Instant::now();
    drop(dead);
    heir.until_leading().await;
    println!("takeover with a TTL of 1 s: {:?}", died.elapsed());
}

async fn a_lead_is_handed_over_on_a_real_consul(consul: &Consul) {
    let first = Replica::with(consul.url(), "first", false, |settings| {
        long(settings);
        settings.lock_delay = Duration::from_secs(60);
    });
    first.until_leading().await;
    let second = Replica::with(consul.url(), "second", false, long);
    second.until_standing_by().await;
    let asked = Instant::now();
    first.end().await;
    second.until_leading().await;
    println!("hand-over: {:?}", asked.elapsed());
    let sessions = get(consul, "/v1/session/list").await;
    assert_eq!(sessions.as_array().map(Vec::len), Some(1), "{sessions}");
}

async fn a_node_that_somebody_deletes_is_registered_again_with_a_new_session(consul: &Consul) {
    let only = Replica::with(consul.url(), "only", false, long);
    only.until_leading().await;
    let before = session(consul).await;
    let node = json!({ "Node": NODE });
    consul
        .client()
        .put("/v1/catalog/deregister", &node)
        .await
        .unwrap()
        .success()
        .unwrap();
    only.until(|state| !state.is_leading()).await;
    only.until_leading().await;
    assert_ne!(session(consul).await, before);
    only.sink.apply(&creates(&only.sink)).await.unwrap();
    assert_eq!(instances(consul).await, 2);
}
