//! What others do to our objects, and to their labels.

use std::time::Duration;

use consul_sync_core::{Notice, Reason, testing::service};
use consul_sync_k8s::{Mode, testing::FakeCluster};
use serde_json::json;

use super::{
    faults::{OURS, held, with_web},
    round::{Round, requests, settings},
};

#[tokio::test(start_paused = true)]
async fn fault_w05_a_webhook_that_adds_its_own_causes_no_write() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    let before = requests(&cluster);
    let added = json!({"metadata": {"labels": {"mesh": "on"}, "annotations": {"hook": "1"}},
        "spec": {"sessionAffinity": "ClientIP"}});
    cluster.merge("services", "default", "web", &added);
    let slice = cluster.list("endpointslices")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.merge(
        "endpointslices",
        "default",
        &slice,
        &json!({"metadata": {"labels": {"mesh": "on"}}}),
    );
    assert_eq!(round.pump().await, 0);
    assert_eq!(requests(&cluster), before);
}

#[tokio::test(start_paused = true)]
async fn fault_t15_what_others_change_or_delete_is_repaired() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    let slice = cluster.list("endpointslices")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    for change in [
        json!({"spec": {"selector": {"app": "theirs"}}}),
        json!({"spec": {"externalIPs": ["192.0.2.1"]}}),
        json!({"spec": {"ports": [{"name": "http", "port": 80}, {"name": "theirs", "port": 81}]}}),
        json!({"spec": {"type": "LoadBalancer"}}),
        json!({"spec": {"ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}}),
        json!({"spec": {"type": "ExternalName", "externalName": "theirs.example", "clusterIP": null,
            "clusterIPs": null, "ports": null}}),
        json!({"metadata": {"labels": {"consul": "no"}}}),
        json!({"metadata": {"annotations": {"consul.hashicorp.com/service-sync": "true"}}}),
        json!({"metadata": {"annotations": {"consul-sync.io/object": null}}}),
        json!({"metadata": {"labels": {OURS: null}}}),
    ] {
        cluster.merge("services", "default", "web", &change);
        assert_eq!(round.pump().await, 1, "{change}");
        let web = held(&cluster, "web");
        assert_eq!(web["spec"]["type"], "ClusterIP", "{change}");
        assert_eq!(
            web["spec"]["ports"].as_array().map(Vec::len),
            Some(1),
            "{change}"
        );
        assert!(
            web["spec"].get("selector").is_none() && web["spec"].get("externalIPs").is_none(),
            "{change}"
        );
        assert_eq!(
            web["metadata"]["labels"],
            json!({"consul": "true", OURS: "us"}),
            "{change}"
        );
        assert_eq!(
            web["metadata"]["annotations"]["consul.hashicorp.com/service-sync"], "false",
            "{change}"
        );
        assert_eq!(
            web["metadata"]["annotations"]["consul-sync.io/object"], "default/web",
            "{change}"
        );
        assert_eq!(round.pump().await, 0, "{change}");
    }
    for change in [
        json!({"endpoints": []}),
        json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]}),
        json!({"ports": [{"name": "http", "port": 81, "protocol": "TCP"}]}),
        json!({"ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}),
        json!({"metadata": {"annotations": {"consul-sync.io/object": null}}}),
    ] {
        cluster.merge("endpointslices", "default", &slice, &change);
        assert_eq!(round.pump().await, 1, "{change}");
        assert_eq!(round.pump().await, 0, "{change}");
    }
    cluster.delete("services", "default", "web");
    assert_eq!(round.pump().await, 1);
    cluster.delete("endpointslices", "default", &slice);
    assert_eq!(round.pump().await, 1);
    assert_eq!(
        cluster.list("endpointslices")[0]["endpoints"][0]["conditions"]["ready"],
        true
    );
}

#[tokio::test(start_paused = true)]
async fn fault_t15_a_slice_that_lost_a_label_is_written_anew_or_told() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    let slice = cluster.list("endpointslices")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    // Given to another Service: taken from there, and made again.
    let other = json!({"metadata": {"labels": {"kubernetes.io/service-name": "other"}}});
    cluster.merge("endpointslices", "default", &slice, &other);
    round.pump().await;
    round.pump().await;
    let labels = &cluster.list("endpointslices")[0]["metadata"]["labels"];
    assert_eq!(labels["kubernetes.io/service-name"], "web");
    // Out of sight: told, and tried no faster than any refused object.
    let hidden = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": null}}});
    cluster.merge("endpointslices", "default", &slice, &hidden);
    round.pump().await;
    let told = |notice: &&Notice| matches!(notice, Notice::Quarantined(_, _, rejection) if rejection.reason() == Reason::Taken);
    assert!(
        round.notices.iter().any(|notice| told(&notice)),
        "{:?}",
        round.notices
    );
    cluster.delete("endpointslices", "default", &slice);
    round.pump().await;
    assert_eq!(cluster.list("endpointslices").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_w07_a_copy_of_ours_under_another_name_is_its_makers() {
    let cluster = FakeCluster::new();
    let mut round = with_web(&cluster).await;
    let mut copy = held(&cluster, "web");
    copy["metadata"]["name"] = json!("copy");
    copy["metadata"].as_object_mut().unwrap().remove("uid");
    cluster.put(copy);
    round.pump().await;
    assert_eq!(cluster.list("services").len(), 2);
    round.upsert(&service("/copy", ["10.0.0.5"]));
    round.pump().await;
    assert_eq!(
        round.engine.status().blocked,
        2,
        "its Service and the slice below it"
    );
}

#[tokio::test(start_paused = true)]
async fn fault_w07_the_incumbents_service_is_adopted_where_it_is_wanted_and_else_left() {
    let cluster = FakeCluster::new();
    for name in ["web", "old"] {
        cluster.put(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "default", "name": name, "labels": {"consul": "true"},
                "annotations": {"consul.hashicorp.com/service-sync": "false"}},
            "spec": {"type": "ExternalName", "externalName": format!("{name}.service.consul")}}));
    }
    let uid = held(&cluster, "web")["metadata"]["uid"].clone();
    let mut round = Round::new(&cluster, Mode::ExternalName).await;
    round.list([service("/web", [])]);
    assert_eq!(round.pump().await, 1);
    assert_eq!(held(&cluster, "web")["metadata"]["labels"][OURS], "us");
    assert_eq!(held(&cluster, "web")["metadata"]["uid"], uid);
    assert_eq!(
        held(&cluster, "old")["metadata"]["labels"],
        json!({"consul": "true"})
    );
    assert_eq!(round.engine.status().orphans, 1);
}

#[tokio::test(start_paused = true)]
async fn fault_w07_objects_of_another_installation_are_left_alone() {
    let cluster = FakeCluster::new();
    let mut other = settings(Mode::Endpoints);
    other.owner = consul_sync_core::Owner::new("them").unwrap();
    let them = consul_sync_k8s::KubeSink::new(cluster.client(), other).unwrap();
    let mut theirs = Round::over(them, Duration::from_secs(1)).await;
    theirs.list([service("/web", ["10.0.0.1"])]);
    theirs.pump().await;
    let mut ours = Round::new(&cluster, Mode::Endpoints).await;
    ours.list([service("/web", ["10.0.0.2"])]);
    assert_eq!(ours.pump().await, 0);
    ours.list([]);
    assert_eq!(ours.pump().await, 0);
    assert_eq!(
        cluster.list("endpointslices")[0]["endpoints"][0]["addresses"][0],
        "10.0.0.1"
    );
}
