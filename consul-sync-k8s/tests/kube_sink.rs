//! The cluster as a destination: the sink against the suite for sinks, and through the faults of a cluster that others
//! write to.

#![allow(clippy::panic, reason = "test code outside a test function")]

#[path = "kube_sink/damage.rs"]
mod damage;
#[path = "kube_sink/faults.rs"]
mod faults;
#[path = "kube_sink/histories.rs"]
mod histories;
#[path = "kube_sink/round.rs"]
mod round;
#[path = "kube_sink/stream.rs"]
mod stream;

use std::time::Duration;

use consul_sync_core::{
    Event, Owner, Settings, Sink, Source,
    testing::{conformance, service},
};
use consul_sync_k8s::{
    ExportSettings, ImportSettings, KubeSink, KubeSource, Mode, Rights, Verb, testing::FakeCluster,
};
use futures::StreamExt;
use serde_json::json;

use round::{Round, critical, instances, requests, settings, sink};

#[tokio::test(start_paused = true)]
async fn the_sink_passes_the_suite_for_sinks_in_every_mode() {
    for mode in Mode::ALL {
        let sink = sink(&FakeCluster::new(), mode);
        let services = [
            service("/web", ["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
            service("/Db_main", ["10.0.0.3"]).also(mode),
        ];
        conformance::sink(&sink, &services).await;
    }
}

/// A name that mode `external-name` takes too.
trait Also {
    fn also(self, mode: Mode) -> Self;
}

impl Also for consul_sync_core::Service {
    fn also(self, mode: Mode) -> Self {
        if mode == Mode::ExternalName {
            service("/db", ["10.0.0.3"])
        } else {
            self
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_appears_changes_its_mode_and_goes() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    let web = service("/web", ["10.0.0.1", "2001:db8::1"]);
    round.list([web.clone()]);
    round.pump().await;
    let object = cluster.get("services", "default", "web").unwrap();
    assert_eq!(object["spec"]["type"], "ClusterIP");
    assert_eq!(cluster.list("endpointslices").len(), 2);
    let uid = object["metadata"]["uid"].clone();
    for mode in [
        "headless",
        "external-name",
        "headless",
        "endpoints",
        "external-name",
        "endpoints",
    ] {
        let mut other = web.clone();
        other.meta = [("kubernetes-mode", mode)].into_iter().collect();
        round.upsert(&other);
        round.pump().await;
        let object = cluster.get("services", "default", "web").unwrap();
        assert_eq!(
            object["metadata"]["uid"], uid,
            "{mode}: it is the same object"
        );
        let expected = match mode {
            "external-name" => json!(null),
            "headless" => json!("None"),
            _ => object["spec"]["clusterIP"].clone(),
        };
        assert_eq!(
            object["spec"].get("clusterIP").cloned().unwrap_or_default(),
            expected,
            "{mode}"
        );
        let slices = if mode == "external-name" { 0 } else { 2 };
        assert_eq!(cluster.list("endpointslices").len(), slices, "{mode}");
        assert_eq!(round.pump().await, 0, "{mode}: nothing is left to do");
    }
    round.list([]);
    round.pump().await;
    assert!(cluster.list("services").is_empty() && cluster.list("endpointslices").is_empty());
}

/// Settings with which no service has slices.
fn aliases() -> ImportSettings {
    let mut aliases = settings(Mode::ExternalName);
    aliases.mode_by_meta = false;
    aliases
}

async fn round_of(cluster: &FakeCluster, settings: ImportSettings) -> Round {
    let sink = KubeSink::new(cluster.client(), settings).expect("the settings are good");
    Round::over(sink, Duration::from_secs(5)).await
}

#[tokio::test(start_paused = true)]
async fn what_another_mode_left_goes_where_no_service_has_slices_any_more() {
    let cluster = FakeCluster::new();
    let services = [
        service("/web", ["10.0.0.1", "2001:db8::1"]),
        service("/db", ["10.0.0.2"]),
    ];
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    round.list(services.clone());
    round.pump().await;
    let mut others = settings(Mode::Endpoints);
    others.owner = Owner::new("others").unwrap();
    let mut other = round_of(&cluster, others).await;
    other.list([service("/their", ["10.0.0.3"])]);
    other.pump().await;
    assert_eq!(cluster.list("endpointslices").len(), 4);
    // Slices whose Service is an alias already, and such whose service is gone.
    for number in 0..2 {
        let mut round = round_of(&cluster, aliases()).await;
        round.list(services.iter().take(1).cloned());
        round.pump().await;
        assert_eq!(round.pump().await, 0, "nothing is left to do");
        assert_eq!(cluster.list("services").len(), 2, "round {number}");
        let left = cluster.list("endpointslices");
        assert_eq!(left.len(), 1, "round {number}");
        let labels = &left[0]["metadata"]["labels"];
        assert_eq!(labels["kubernetes.io/service-name"], "their");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_list_slices_aliases_are_written() {
    let cluster = FakeCluster::new();
    cluster.deny(Verb::List, "endpointslices");
    let mut round = round_of(&cluster, aliases()).await;
    round.list([service("/web", ["10.0.0.1"])]);
    assert_eq!(round.pump().await, 1);
    assert_eq!(round.errors, [""; 0]);
    assert_eq!(cluster.list("services").len(), 1);
    assert_eq!(cluster.open_watches(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_instance_of_ten_thousand_is_one_write_and_a_restart_none() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    let mut web = service("/web", []);
    web.instances = instances(10_000);
    round.list([web.clone()]);
    let slices = round.pump().await - 1;
    assert_eq!(cluster.list("endpointslices").len(), slices);
    assert_eq!(round.pump().await, 0, "idle");
    let last = web.instances.pop().unwrap();
    web.instances.push(critical(last));
    let before = requests(&cluster);
    round.upsert(&web);
    assert_eq!(round.pump().await, 1, "one instance changed");
    assert_eq!(
        requests(&cluster) - before,
        1,
        "and nothing was read for it"
    );
    web.instances.pop();
    round.upsert(&web);
    assert_eq!(round.pump().await, 1, "one instance went");
    let before = requests(&cluster);
    let mut restarted = Round::new(&cluster, Mode::Endpoints).await;
    restarted.list([web]);
    assert_eq!(restarted.pump().await, 0, "a restart");
    assert_eq!(requests(&cluster), before, "no write was sent");
}

#[tokio::test(start_paused = true)]
async fn the_listed_rights_are_enough_and_no_other_verb_is_used() {
    let cluster = FakeCluster::new();
    cluster.grant_only(&Rights::to_import(&settings(Mode::Endpoints), false));
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    round.list([service("/web", ["10.0.0.1"])]);
    round.pump().await;
    round.upsert(&service("/web", ["10.0.0.2"]));
    round.pump().await;
    round.list([]);
    round.pump().await;
    assert!(cluster.list("services").is_empty());
    let verbs: std::collections::BTreeSet<_> = cluster
        .seen()
        .into_iter()
        .map(|seen| (seen.resource, seen.verb.unwrap().as_str(), seen.namespace))
        .collect();
    assert!(
        verbs
            .iter()
            .all(|(_, _, namespace)| namespace.as_deref() == Some("default")),
        "{verbs:?}"
    );
    for verb in [
        Verb::Create,
        Verb::Patch,
        Verb::Delete,
        Verb::List,
        Verb::Watch,
    ] {
        assert!(
            verbs.iter().any(|(_, used, _)| *used == verb.as_str()),
            "{verb}: {verbs:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rule_9_what_is_written_is_never_exported_again() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    round.list([service("/web", ["10.0.0.1"]), service("/db", ["10.0.0.2"])]);
    round.pump().await;
    let mut events = KubeSource::new(cluster.client(), ExportSettings::default()).watch();
    loop {
        match events.next().await {
            Some(Ok(Event::RelistDone)) => break,
            Some(Ok(Event::Upserted(key, _))) => panic!("{key} is exported"),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_a_listing_and_dropping_it_ends_every_watch() {
    let cluster = FakeCluster::new();
    cluster.put(json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": "theirs"}, "spec": {"ports": [{"port": 80}]}}));
    let sink = sink(&cluster, Mode::Endpoints);
    let mut events = sink.watch();
    assert!(matches!(
        events.next().await,
        Some(Ok(Event::RelistStarted))
    ));
    let mut shown = Vec::new();
    loop {
        match events.next().await {
            Some(Ok(Event::RelistDone)) => break,
            Some(Ok(Event::Upserted(slot, _))) => shown.push(slot.to_string()),
            other => assert!(matches!(other, Some(Ok(Event::RelistStarted))), "{other:?}"),
        }
    }
    assert_eq!(shown, ["default/theirs"]);
    drop(events);
    assert_eq!(cluster.open_watches(), 0);
}

#[test]
fn one_namespace_needs_a_role_and_mirrored_ones_a_cluster_role() {
    let mut all = aliases();
    all.events = false;
    let words = |settings: &ImportSettings| -> Vec<String> {
        Rights::to_import(settings, false)
            .iter()
            .map(|right| {
                format!(
                    "{} {} {}",
                    right.namespace.as_deref().unwrap_or("*"),
                    right.verb,
                    right.resource
                )
            })
            .collect()
    };
    assert_eq!(
        words(&all),
        ["get", "list", "watch", "create", "patch", "delete"]
            .map(|verb| format!("default {verb} services"))
    );
    all.mirror_namespaces = Some("consul-".to_owned());
    all.events = true;
    let words = words(&all);
    assert!(words.iter().all(|word| word.starts_with('*')), "{words:?}");
    assert!(words.contains(&"* create events".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn no_delete_before_the_source_was_complete() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    round.list([service("/web", ["10.0.0.1"]), service("/db", ["10.0.0.2"])]);
    round.pump().await;
    let mut restarted = Round::new(&cluster, Mode::Endpoints).await;
    restarted.begin();
    restarted.upsert(&service("/web", ["10.0.0.1"]));
    restarted.pump().await;
    assert_eq!(cluster.list("services").len(), 2);
    restarted.end();
    restarted.pump().await;
    assert_eq!(cluster.list("services").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_collapse_of_the_source_is_held_by_the_brake() {
    let cluster = FakeCluster::new();
    let mut round = Round::new(&cluster, Mode::Endpoints).await;
    let services: Vec<_> = (0..20)
        .map(|at| service(&format!("/web-{at}"), ["10.0.0.1"]))
        .collect();
    round.list(services);
    round.pump().await;
    assert_eq!(cluster.list("services").len(), 20);
    let sink = sink(&cluster, Mode::Endpoints);
    let mut braked = Round::with(sink, Settings::default(), round.still).await;
    braked.list([service("/web-0", ["10.0.0.1"])]);
    assert_eq!(braked.pump().await, 0);
    assert!(braked.engine.status().brake.engaged);
    assert_eq!(cluster.list("services").len(), 20);
}
