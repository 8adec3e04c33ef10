//! The cluster as a destination, on a real API server in RBAC mode, with the rights that the sink says it needs.

#![allow(clippy::panic, reason = "test code outside a test function")]

#[path = "kube_source/cluster.rs"]
#[allow(dead_code, reason = "made for another test")]
mod cluster;
#[path = "kube_sink/place.rs"]
mod place;
#[path = "kube_sink/requests.rs"]
mod requests;
#[path = "../../../consul-sync-k8s/tests/kube_sink/round.rs"]
#[allow(dead_code, reason = "made for another test")]
mod round;
#[path = "kube_sink/steps.rs"]
mod steps;

use consul_sync_core::{
    Instance, Notice, Service, Slot,
    testing::{conformance, service},
};
use consul_sync_k8s::{KubeSink, Mode};
use consul_sync_testbed::{ApiServer, Result};
use serde_json::{Value, json};

use cluster::{client, is_there};
use place::{Place, STILL};
use round::{Round, critical, instances};

#[tokio::test]
async fn the_sink_passes_the_suite_for_sinks_on_a_real_server() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    for (namespace, mode) in [
        ("suite-alias", Mode::ExternalName),
        ("suite-endpoints", Mode::Endpoints),
        ("suite-headless", Mode::Headless),
    ] {
        let place = Place::new(namespace, mode).await?;
        let services = [
            service("/web", ["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
            service("/db", ["10.0.0.3"]),
        ];
        conformance::sink(&place.sink, &services).await;
        assert!(place.list(&place.services()).await?.is_empty(), "{mode}");
        assert!(place.list(&place.slices()).await?.is_empty(), "{mode}");
    }
    Ok(())
}

#[tokio::test]
async fn fault_w08_every_mode_becomes_every_other_and_the_object_stays() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let place = Place::new("modes", Mode::Endpoints).await?;
    let mut round = place.round().await;
    let web = service("/web", ["10.0.0.1", "2001:db8::1"]);
    round.list([web.clone()]);
    round.pump().await;
    let uid = place.service("web").await?["metadata"]["uid"].clone();
    for mode in [
        "headless",
        "external-name",
        "headless",
        "endpoints",
        "external-name",
        "endpoints",
    ] {
        let mut other: Service = web.clone();
        other.meta = [("kubernetes-mode", mode)].into_iter().collect();
        round.upsert(&other);
        round.pump().await;
        assert_eq!(round.pump().await, 0, "{mode}: nothing is left to do");
        let object = place.service("web").await?;
        assert_eq!(object["metadata"]["uid"], uid, "{mode}");
        let (address, host) = (
            &object["spec"]["clusterIP"],
            &object["spec"]["externalName"],
        );
        match mode {
            "external-name" => {
                assert_eq!(
                    (address, host),
                    (&Value::Null, &json!("web.service.consul"))
                );
            }
            "headless" => assert_eq!((address, host), (&json!("None"), &Value::Null)),
            _ => assert!(
                address.as_str().is_some_and(|ip| ip.starts_with("10.")) && host.is_null(),
                "{object}"
            ),
        }
        let slices = if mode == "external-name" { 0 } else { 2 };
        assert_eq!(place.list(&place.slices()).await?.len(), slices, "{mode}");
    }
    assert!(round.errors.is_empty(), "{:?}", round.errors);
    assert!(
        !round
            .notices
            .iter()
            .any(|notice| matches!(notice, Notice::Quarantined(..)))
    );
    Ok(())
}

#[tokio::test]
async fn fault_t15_what_others_change_or_delete_is_repaired_and_what_they_add_stays() -> Result<()>
{
    if !is_there() {
        return Ok(());
    }
    let place = Place::new("repairs", Mode::Endpoints).await?;
    let mut round = place.round().await;
    round.list([service("/web", ["10.0.0.1"])]);
    assert_eq!(round.pump().await, 2);
    let web = format!("{}/web", place.services());
    place
        .merge(&web, &json!({"metadata": {"annotations": {"theirs": "1"}}}))
        .await?;
    assert_eq!(round.pump().await, 0);
    for change in [
        json!({"spec": {"selector": {"app": "theirs"}}}),
        json!({"spec": {"externalIPs": ["192.0.2.1"]}}),
        json!({"spec": {"ports": [{"name": "http", "port": 80}, {"name": "theirs", "port": 81}]}}),
        json!({"spec": {"ports": [{"name": "http", "port": 8080}]}}),
        json!({"spec": {"type": "NodePort"}}),
        json!({"spec": {"type": "LoadBalancer"}}),
        json!({"spec": {"ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}}),
        json!({"spec": {"type": "ExternalName", "externalName": "theirs.example"}}),
        json!({"metadata": {"labels": {"consul": "no"}}}),
        json!({"metadata": {"annotations": {"consul.hashicorp.com/service-sync": "true"}}}),
        json!({"metadata": {"annotations": {"consul-sync.io/object": null}}}),
        json!({"metadata": {"labels": {"consul-sync.io/owner": null}}}),
    ] {
        place.merge(&web, &change).await?;
        assert_eq!(round.pump().await, 1, "{change}: {:?}", round.notices);
        assert_eq!(round.pump().await, 0, "{change}");
        let object = place.service("web").await?;
        let spec = &object["spec"];
        assert_eq!(spec["type"], "ClusterIP", "{change}");
        assert!(
            spec["clusterIP"].as_str().is_some_and(|ip| ip != "None"),
            "{change}"
        );
        let ports = spec["ports"].as_array().expect("a list");
        assert_eq!(ports[0]["protocol"], "TCP", "{change}");
        assert_eq!(
            (ports.len(), &ports[0]["port"]),
            (1, &json!(80)),
            "{change}"
        );
        for field in ["selector", "externalIPs", "externalName"] {
            assert!(spec.get(field).is_none(), "{change}: {field}");
        }
        let labels = json!({"consul": "true", "consul-sync.io/owner": "us"});
        assert_eq!(object["metadata"]["labels"], labels, "{change}");
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["theirs"], "1", "{change}");
        assert_eq!(
            annotations["consul.hashicorp.com/service-sync"], "false",
            "{change}"
        );
        assert_eq!(
            annotations["consul-sync.io/object"], "repairs/web",
            "{change}"
        );
    }
    let name = place.list(&place.slices()).await?[0]["metadata"]["name"].clone();
    let slice = format!("{}/{}", place.slices(), name.as_str().expect("a name"));
    for change in [
        json!({"endpoints": []}),
        json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]}),
        json!({"ports": [{"name": "http", "port": 81}]}),
        json!({"ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}),
        json!({"metadata": {"annotations": {"consul-sync.io/object": null}}}),
        json!({"metadata": {"labels": {"service.kubernetes.io/headless": ""}}}),
    ] {
        place.merge(&slice, &change).await?;
        assert_eq!(round.pump().await, 1, "{change}");
        assert_eq!(round.pump().await, 0, "{change}");
    }
    for path in [&web, &slice] {
        place.api.client().delete(path).await?.success()?;
        assert_eq!(round.pump().await, 1, "{path}");
    }
    assert!(round.errors.is_empty(), "{:?}", round.errors);
    Ok(())
}

#[tokio::test]
async fn fault_w01_a_service_of_theirs_is_left_alone_and_told_once_with_an_event() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let place = Place::new("theirs", Mode::Endpoints).await?;
    let theirs = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    place
        .api
        .client()
        .post(&place.services(), &theirs)
        .await?
        .success()?;
    let before = place.service("web").await?;
    let mut round = place.round().await;
    round.list([service("/web", ["10.0.0.1"])]);
    assert_eq!(round.pump().await, 0);
    assert_eq!(place.service("web").await?, before);
    let slot = Slot::new("theirs/web").expect("not empty");
    for is_new in [true, false] {
        let told = place.sink.tell_in_the_way(&slot).await;
        assert_eq!(told.expect("the right is there"), is_new);
    }
    // Another process tells it no second time.
    let restarted = place.sink.clone().with_watch_settings(cluster::brisk());
    assert!(
        !restarted
            .tell_in_the_way(&slot)
            .await
            .expect("the right is there")
    );
    let mut events = place.list("/api/v1/namespaces/theirs/events").await?;
    // The server has something to say of addresses now and then.
    events.retain(|event| event["reason"] == "NameTaken");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        events[0]["involvedObject"]["uid"],
        before["metadata"]["uid"]
    );
    // By the server's own clock.
    let made = events[0]["metadata"]["creationTimestamp"].as_str();
    let said = events[0]["firstTimestamp"].as_str();
    assert_eq!(made.map(|time| &time[..16]), said.map(|time| &time[..16]));
    Ok(())
}

#[tokio::test]
async fn a_restart_writes_nothing_and_one_instance_of_a_thousand_one_slice() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let place = Place::new("thousand", Mode::Endpoints).await?;
    let mut round = place.round().await;
    let mut web = service("/web", []);
    web.instances = instances(1_000);
    round.list([web.clone()]);
    round.pump().await;
    let versions = |objects: &[Value]| -> Vec<Value> {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        objects.iter().map(version).collect()
    };
    let before = place.list(&place.slices()).await?;
    let mut restarted = place.round().await;
    restarted.list([web.clone()]);
    assert_eq!(restarted.pump().await, 0, "a restart");
    assert_eq!(
        versions(&place.list(&place.slices()).await?),
        versions(&before)
    );
    let last: Instance = web.instances.pop().expect("there are many");
    web.instances.push(critical(last));
    restarted.upsert(&web);
    assert_eq!(restarted.pump().await, 1, "one instance changed");
    let after = place.list(&place.slices()).await?;
    let pairs = versions(&before).into_iter().zip(versions(&after));
    assert_eq!(pairs.filter(|(one, other)| one != other).count(), 1);
    Ok(())
}

#[tokio::test]
async fn fault_w06_and_w09_refusals_are_told_and_hold_nobody_up() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let place = Place::new("quota", Mode::ExternalName).await?;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"count/services": "1"}}});
    let path = "/api/v1/namespaces/quota/resourcequotas";
    place.api.client().post(path, &quota).await?.success()?;
    // Nothing counts without a controller manager, so the count is written by hand: one is used.
    let used =
        json!({"status": {"hard": {"count/services": "1"}, "used": {"count/services": "1"}}});
    place.merge(&format!("{path}/few/status"), &used).await?;
    let mut round = place.round().await;
    round.list([service("/web", [])]);
    assert_eq!(round.pump().await, 0);
    let refused = |round: &Round, said: &str| {
        round.notices.iter().any(|notice| {
            matches!(notice, Notice::Quarantined(_, _, rejection) if rejection.message().contains(said))
        })
    };
    assert!(refused(&round, "exceeded quota"), "{:?}", round.notices);
    place
        .api
        .client()
        .delete(&format!("{path}/few"))
        .await?
        .success()?;
    let mut written = 0;
    // The server's own view of quotas follows a deletion by and by.
    for _ in 0..50 {
        written += round.pump().await;
        if written > 0 {
            break;
        }
    }
    assert_eq!(written, 1);
    // A namespace that ends takes nothing new.
    place
        .api
        .client()
        .delete("/api/v1/namespaces/quota")
        .await?
        .success()?;
    round.upsert(&service("/db", []));
    assert_eq!(round.pump().await, 0);
    assert!(refused(&round, "being terminated"), "{:?}", round.notices);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_is_written_to_again_when_it_is_back() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = round::settings(Mode::Endpoints);
    let client = client(api.kubeconfig()).await;
    let sink = KubeSink::new(client, settings).expect("the settings are good");
    let sink = sink.with_watch_settings(cluster::brisk());
    let mut round = Round::over(sink.clone(), STILL).await;
    let mut web = service("/web", []);
    web.instances = instances(400);
    round.list([web.clone(), service("/db", ["10.0.0.1"])]);
    let batch = round.engine.next_batch(round.now).expect("there is work");
    round.carry_out(&batch).await;
    // Everything changes, and nobody is there.
    web.instances = instances(300).into_iter().map(critical).collect();
    round.list([web.clone()]);
    api.kill()?;
    let batch = round.engine.next_batch(round.now).expect("there is work");
    assert_eq!(round.carry_out(&batch).await, 0);
    assert!(!round.errors.is_empty());
    api.restart().await?;
    for _ in 0..100 {
        round.pump().await;
        let status = round.engine.status();
        if status.sink.complete && status.pending_slots == 0 {
            break;
        }
    }
    let mut fresh = Round::over(sink, STILL).await;
    fresh.list([web]);
    let plan = fresh.engine.plan(fresh.now);
    assert!(plan.ops.is_empty(), "{plan:?}");
    Ok(())
}
