//! Faults of the catalogue: writes to a cluster that others write to as well.

use std::time::Duration;

use consul_sync_core::{Notice, Outcome, Sink, testing::service};
use consul_sync_k8s::{
    Mode, Verb,
    testing::{FakeCluster, Fault, On},
};
use serde_json::{Value, json};

use super::round::{Round, requests, settings};

pub(crate) const OURS: &str = "consul-sync.io/owner";

pub(crate) fn theirs(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": name, "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}})
}

pub(crate) fn held(cluster: &FakeCluster, name: &str) -> Value {
    cluster
        .get("services", "default", name)
        .expect("it is there")
}

/// A round in which `web` is written.
pub(crate) async fn with_web(cluster: &FakeCluster) -> Round {
    let mut round = Round::new(cluster, Mode::Endpoints).await;
    round.list([service("/web", ["10.0.0.1"])]);
    assert_eq!(round.pump().await, 2);
    round
}

#[tokio::test(start_paused = true)]
async fn fault_w01_a_service_of_theirs_is_never_written_and_nothing_of_ours_stands_below_it() {
    let cluster = FakeCluster::new();
    cluster.put(theirs("web"));
    let before = held(&cluster, "web");
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    round.list([service("/web", ["10.0.0.1"]), service("/db", ["10.0.0.2"])]);
    round.pump().await;
    assert_eq!(held(&cluster, "web"), before);
    let slices = cluster.list("endpointslices");
    assert_eq!(
        slices.len(),
        1,
        "a slice of ours would take the traffic of their Service"
    );
    assert_eq!(
        slices[0]["metadata"]["labels"]["kubernetes.io/service-name"],
        "db"
    );
    let blocked = |notice: &&Notice| matches!(notice, Notice::Blocked(slot, id) if slot.as_str() == "default/web" && id.whole() == Some("service"));
    assert_eq!(round.notices.iter().filter(blocked).count(), 1, "told once");
    // They leave, and ours comes.
    cluster.delete("services", "default", "web");
    round.pump().await;
    assert_eq!(held(&cluster, "web")["metadata"]["labels"][OURS], "us");
    assert_eq!(cluster.list("endpointslices").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn fault_w01_a_service_that_they_put_in_place_of_ours_takes_our_slices_with_it() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    cluster.delete("services", "default", "web");
    cluster.put(theirs("web"));
    round.pump().await;
    assert!(cluster.list("endpointslices").is_empty());
    assert_eq!(held(&cluster, "web")["spec"]["selector"]["app"], "web");
}

#[tokio::test(start_paused = true)]
async fn fault_w01_a_create_that_comes_second_is_stale_and_what_follows_it_is_left_out() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    round.list([service("/web", ["10.0.0.1"])]);
    let batch = round
        .engine
        .next_batch(Duration::ZERO)
        .expect("there is work");
    cluster.put(theirs("web"));
    let outcomes = round.sink.apply(batch.ops()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Stale, Outcome::Skipped]);
    assert!(cluster.list("endpointslices").is_empty());
}

#[tokio::test(start_paused = true)]
async fn fault_w02_a_change_in_between_is_read_and_what_they_added_stays() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    let mut web = service("/web", ["10.0.0.1"]);
    web.instances = vec![web.instances[0].clone().port("admin", 81)];
    round.upsert(&web);
    let batch = round
        .engine
        .next_batch(Duration::from_secs(1))
        .expect("there is work");
    let note = json!({"metadata": {"annotations": {"theirs": "1"}}});
    cluster.merge("services", "default", "web", &note);
    let outcomes = round.sink.apply(batch.ops()).await.unwrap();
    assert_eq!(outcomes[0], Outcome::Stale);
    round
        .engine
        .settle(batch.id(), Some(outcomes), Duration::from_secs(1));
    round.pump().await;
    let web = held(&cluster, "web");
    assert_eq!(web["spec"]["ports"].as_array().unwrap().len(), 2);
    assert_eq!(web["metadata"]["annotations"]["theirs"], "1");
}

#[tokio::test(start_paused = true)]
async fn fault_w03_a_delete_of_what_changed_or_is_another_object_deletes_nothing() {
    for is_new in [false, true] {
        let cluster = FakeCluster::new();
        let mut round = with_web(&cluster).await;
        round.list([]);
        let batch = round
            .engine
            .next_batch(Duration::from_secs(1))
            .expect("there is work");
        assert!(batch.ops()[0].is_delete());
        if is_new {
            cluster.delete("services", "default", "web");
            cluster.put(theirs("web"));
        } else {
            let note = json!({"metadata": {"annotations": {"theirs": "1"}}});
            cluster.merge("services", "default", "web", &note);
        }
        let outcomes = round.sink.apply(batch.ops()).await.unwrap();
        assert_eq!(outcomes[0], Outcome::Stale, "{is_new}");
        assert_eq!(outcomes[1], Outcome::Skipped, "{is_new}");
        assert_eq!(cluster.list("services").len(), 1);
        round
            .engine
            .settle(batch.id(), Some(outcomes), Duration::from_secs(1));
        round.pump().await;
        assert_eq!(
            cluster.list("services").len(),
            usize::from(is_new),
            "ours goes, theirs stays"
        );
        assert!(cluster.list("endpointslices").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn fault_w03_after_a_restored_backup_the_same_version_of_another_object_is_not_deleted() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    round.list([]);
    let batch = round
        .engine
        .next_batch(Duration::from_secs(1))
        .expect("there is work");
    let mut other = held(&cluster, "web");
    other["metadata"]["uid"] = json!("another");
    cluster.restore(other);
    let outcomes = round.sink.apply(batch.ops()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Stale, Outcome::Skipped]);
    assert_eq!(cluster.list("services").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_w04_a_write_without_an_answer_is_read_before_anything_else() {
    for (verb, resource) in [
        (Verb::Create, "services"),
        (Verb::Create, "endpointslices"),
        (Verb::Patch, "endpointslices"),
    ] {
        let cluster = FakeCluster::new();
        let mut round = Round::new(&cluster, Mode::Endpoints).await;
        if verb == Verb::Patch {
            round.list([service("/web", ["10.0.0.9"])]);
            round.pump().await;
        }
        // It is done, and the answer breaks off.
        cluster.inject(
            On::default().verb(verb).resource(resource).times(1),
            Fault::Cut { after: 0 },
        );
        round.list([service("/web", ["10.0.0.1"])]);
        let before = requests(&cluster);
        round.pump().await;
        assert_eq!(cluster.list("services").len(), 1);
        let slices = cluster.list("endpointslices");
        assert_eq!(slices[0]["endpoints"][0]["addresses"][0], "10.0.0.1");
        let needed = if verb == Verb::Patch { 1 } else { 2 };
        assert_eq!(
            requests(&cluster) - before,
            needed,
            "nothing was written twice: {verb} {resource}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fault_w04_no_answer_in_time_is_an_error_of_the_whole_when_nothing_else_was_answered() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::ExternalName).await;
    cluster.inject(On::default().verb(Verb::Create).times(1), Fault::Hang);
    round.list([service("/web", [])]);
    round.pump().await;
    assert_eq!(cluster.list("services").len(), 1);
    assert_eq!(round.errors.len(), 1, "{:?}", round.errors);
}

#[tokio::test(start_paused = true)]
async fn fault_w06_what_the_server_refuses_holds_nobody_else_up() {
    for code in [422, 403, 400] {
        let cluster = FakeCluster::new();
        let mut round = Round::new(&cluster, Mode::ExternalName).await;
        let fault = cluster.inject(
            On::default().verb(Verb::Create).times(1),
            Fault::status(code),
        );
        round.list([service("/db", []), service("/web", [])]);
        round.pump().await;
        cluster.lift(fault);
        round.pump().await;
        assert_eq!(cluster.list("services").len(), 2, "{code}");
        let refused = round.notices.iter().filter_map(|notice| match notice {
            Notice::Quarantined(_, _, rejection) => Some(rejection.to_string()),
            _ => None,
        });
        let refused: Vec<String> = refused.collect();
        assert_eq!(refused.len(), 1, "{code}: {refused:?}");
        assert!(
            refused[0].starts_with("create services in namespace default"),
            "{refused:?}"
        );
        if code == 403 {
            assert!(refused[0].contains("verbs: [\"create\"]"), "{refused:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fault_w08_between_headless_and_not_the_object_stays_and_is_safe_at_every_step() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    let uid = held(&cluster, "web")["metadata"]["uid"].clone();
    // The first step is done, the second is lost.
    cluster.inject(
        On::default()
            .verb(Verb::Patch)
            .resource("services")
            .skip(1)
            .times(1),
        Fault::status(500),
    );
    let mut web = service("/web", ["10.0.0.1"]);
    web.meta = [("kubernetes-mode", "headless")].into_iter().collect();
    round.upsert(&web);
    round.pump().await;
    let service = held(&cluster, "web");
    assert_eq!(
        (&service["spec"]["clusterIP"], &service["metadata"]["uid"]),
        (&json!("None"), &uid)
    );
    assert!(service["spec"].get("externalName").is_none());
}

#[tokio::test(start_paused = true)]
async fn fault_w09_a_namespace_that_is_missing_or_ending_is_waited_for() {
    let cluster = FakeCluster::new();
    let mut all = settings(Mode::ExternalName);
    all.namespace = "shop".to_owned();
    let sink = consul_sync_k8s::KubeSink::new(cluster.client(), all).unwrap();
    let mut round = Round::over(sink, Duration::from_secs(1)).await;
    round.list([service("/web", [])]);
    round.pump().await;
    let refused = round.notices.iter().any(|notice| {
        matches!(notice, Notice::Quarantined(_, _, rejection)
        if rejection.message().contains("namespace shop does not exist"))
    });
    assert!(refused, "{:?}", round.notices);
    cluster.put(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"},
        "status": {"phase": "Terminating"}}),
    );
    round.pump().await;
    assert!(cluster.list("services").is_empty());
    cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    round.pump().await;
    assert_eq!(cluster.list("services").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_w10_what_a_finalizer_holds_is_neither_made_nor_deleted_again() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    cluster.merge(
        "services",
        "default",
        "web",
        &json!({"metadata": {"finalizers": ["example.com/wait"]}}),
    );
    round.list([]);
    round.pump().await;
    let before = cluster.count(Verb::Delete, "services");
    assert!(held(&cluster, "web")["metadata"]["deletionTimestamp"].is_string());
    round.list([service("/web", ["10.0.0.1"])]);
    assert_eq!(round.pump().await, 0, "wanted again, and waits");
    round.list([]);
    round.pump().await;
    assert_eq!(cluster.count(Verb::Delete, "services"), before);
    cluster.delete("services", "default", "web");
    round.list([service("/web", ["10.0.0.1"])]);
    assert_eq!(round.pump().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_no_time_is_asked_again_and_a_lost_right_is_told() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::ExternalName).await;
    cluster.inject(
        On::default().verb(Verb::Create).times(2),
        Fault::too_many_requests(Some(1)),
    );
    round.list([service("/web", [])]);
    assert_eq!(round.pump().await, 1);
    assert!(round.errors.is_empty(), "{:?}", round.errors);
    cluster.inject(
        On::default().verb(Verb::Create).times(1),
        Fault::status(401),
    );
    round.upsert(&service("/db", []));
    assert_eq!(round.pump().await, 1);
    assert!(
        round.errors[0].contains("credentials"),
        "{:?}",
        round.errors
    );
}
