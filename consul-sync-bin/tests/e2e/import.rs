//! Services of Consul in Kubernetes: a day in the life of a program that does nothing else.

use consul_sync_testbed::Client;
use serde_json::{Value, json};

use crate::{
    objects::services,
    program::{Program, run},
    registered::{Cluster, NAMESPACE, Registered},
    servers::{Servers, scenarios},
    until::until,
};

scenarios! {
    each_mode_appears_follows_health_scales_and_goes
    a_crash_and_a_start_write_no_object
    what_is_in_the_way_is_left_and_told
    what_somebody_breaks_in_the_cluster_is_mended
    a_mass_deregistration_waits_for_a_person
    plan_check_and_purge_know_what_is_imported
}

/// From Consul to Kubernetes alone, in each mode by the name.
pub(crate) const IMPORT: [&str; 4] = [
    "--to-k8s",
    "--to-consul=false",
    "--k8s-mode-for=alias*=external-name,web*=endpoints,db*=headless",
    // Consul's own service is on real servers alone.
    "--import-deny-names=consul",
];

pub(crate) async fn until_idle(program: &Program, direction: &str) {
    until(
        "nothing pending",
        async || {
            let pending = "consul_sync_pending_slots";
            program.metric_of(direction, pending).await
        },
        |pending| pending.as_deref() == Some("0"),
    )
    .await;
}

pub(crate) async fn each_mode_appears_follows_health_scales_and_goes(servers: &Servers) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let program = Program::ready(servers, &IMPORT).await;
    for name in ["alias", "web", "db"] {
        consul.put(name, &["10.2.0.1", "10.2.0.2"]).await;
    }

    let alias = cluster.until_service("alias", true).await;
    assert_eq!(
        (&alias["spec"]["type"], &alias["spec"]["externalName"]),
        (&json!("ExternalName"), &json!("alias.service.consul"))
    );
    let both = [("10.2.0.1", true), ("10.2.0.2", true)];
    cluster.until_endpoints("web", &both).await;
    cluster.until_endpoints("db", &both).await;
    let (web, db) = (
        cluster.until_service("web", true).await,
        cluster.until_service("db", true).await,
    );
    assert_eq!(web["spec"]["type"], "ClusterIP");
    assert_ne!(web["spec"]["clusterIP"], "None");
    assert_eq!(db["spec"]["clusterIP"], "None");
    for object in [&alias, &web, &db] {
        assert_eq!(object["metadata"]["labels"]["consul"], "true", "{object}");
        assert_eq!(
            object["metadata"]["annotations"]["consul.hashicorp.com/service-sync"], "false",
            "{object}"
        );
    }

    for name in ["alias", "web", "db"] {
        consul.put_as(name, "10.2.0.1", "critical").await;
    }
    let sick = [("10.2.0.1", false), ("10.2.0.2", true)];
    cluster.until_endpoints("web", &sick).await;
    cluster.until_endpoints("db", &sick).await;

    consul.put("web", &["10.2.0.3"]).await;
    consul.remove("web", "10.2.0.1").await;
    let scaled = [("10.2.0.2", true), ("10.2.0.3", true)];
    cluster.until_endpoints("web", &scaled).await;

    for name in ["alias", "web", "db"] {
        for address in ["10.2.0.1", "10.2.0.2", "10.2.0.3"] {
            consul.remove(name, address).await;
        }
    }
    for name in ["alias", "web", "db"] {
        cluster.until_service(name, false).await;
        cluster.until_endpoints(name, &[]).await;
    }
    assert!(!program.log().contains("WARN"), "{}", program.log());
}

async fn a_crash_and_a_start_write_no_object(servers: &Servers) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    for name in ["alias", "web", "db"] {
        consul.put(name, &["10.2.0.1", "10.2.0.2"]).await;
    }
    let mut program = Program::ready(servers, &IMPORT).await;
    let both = [("10.2.0.1", true), ("10.2.0.2", true)];
    cluster.until_endpoints("web", &both).await;
    cluster.until_endpoints("db", &both).await;
    cluster.until_service("alias", true).await;
    until_idle(&program, "to_k8s").await;
    let before = cluster.ours().await;
    assert_eq!(before.len(), 5, "{before:?}");

    program.kill();
    assert_eq!(cluster.ours().await, before);
    let program = Program::ready(servers, &IMPORT).await;
    until_idle(&program, "to_k8s").await;
    assert_eq!(cluster.ours().await, before);
    let metric = async |series| program.metric_of("to_k8s", series).await;
    assert_eq!(
        metric("consul_sync_batches_total").await.as_deref(),
        Some("0")
    );
    assert_eq!(
        metric("consul_sync_records{standing=\"owned\"}")
            .await
            .as_deref(),
        Some("5")
    );
}

/// A Service that somebody made by hand.
async fn make(client: &Client, name: &str) -> Value {
    let object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "clusterIP": "None", "ports": [{ "name": "http", "port": 80 }] },
    });
    let made = client.post(&services(NAMESPACE), &object).await.unwrap();
    made.json().unwrap()
}

async fn what_is_in_the_way_is_left_and_told(servers: &Servers) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let theirs = make(&servers.kubernetes, "web").await;
    let program = Program::ready(servers, &IMPORT).await;
    consul.put("web", &["10.2.0.1"]).await;

    let events = format!("/api/v1/namespaces/{NAMESPACE}/events");
    let told = until(
        "the event",
        async || {
            let mut events = cluster.list(&events).await;
            events.retain(|event| event["reason"] == "NameTaken");
            events
        },
        |events| !events.is_empty(),
    )
    .await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["involvedObject"]["uid"], theirs["metadata"]["uid"]);
    program.until_logged("an Event on it says so").await;
    // What comes later shows that the first was left alone for good.
    consul.put("web2", &["10.2.0.2"]).await;
    cluster.until_endpoints("web2", &[("10.2.0.2", true)]).await;
    assert_eq!(cluster.service("web").await.unwrap(), theirs);
    assert!(cluster.endpoints("web").await.is_empty());
    let blocked = program
        .metric_of("to_k8s", "consul_sync_blocked_records")
        .await;
    assert!(blocked.is_some_and(|blocked| blocked != "0"));

    let path = format!("{}/web", services(NAMESPACE));
    servers
        .kubernetes
        .delete(&path)
        .await
        .unwrap()
        .success()
        .unwrap();
    cluster.until_endpoints("web", &[("10.2.0.1", true)]).await;
}

async fn what_somebody_breaks_in_the_cluster_is_mended(servers: &Servers) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let _program = Program::ready(servers, &IMPORT).await;
    consul.put("web", &["10.2.0.1"]).await;
    cluster.until_endpoints("web", &[("10.2.0.1", true)]).await;
    let web = format!("{}/web", services(NAMESPACE));

    let selector = json!({ "spec": { "selector": { "app": "theirs" } } });
    let changed = servers.kubernetes.merge(&web, &selector).await.unwrap();
    changed.success().unwrap();
    until(
        "no selector",
        async || cluster.service("web").await,
        |seen| {
            seen.as_ref()
                .is_some_and(|web| web["spec"]["selector"].is_null())
        },
    )
    .await;
    let before = cluster.service("web").await.unwrap();
    let deleted = servers.kubernetes.delete(&web).await.unwrap();
    deleted.success().unwrap();
    until(
        "another web",
        async || cluster.service("web").await,
        |seen| {
            seen.as_ref()
                .is_some_and(|web| web["metadata"]["uid"] != before["metadata"]["uid"])
        },
    )
    .await;
    cluster.until_endpoints("web", &[("10.2.0.1", true)]).await;
}

async fn a_mass_deregistration_waits_for_a_person(servers: &Servers) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let names: Vec<String> = (0..40).map(|n| format!("alias-{n:02}")).collect();
    for name in &names {
        consul.put(name, &["10.2.0.1"]).await;
    }
    let program = Program::ready(servers, &IMPORT).await;
    until(
        "all Services",
        async || cluster.names().await,
        |seen| *seen == names,
    )
    .await;
    until_idle(&program, "to_k8s").await;
    for name in &names[1..] {
        consul.remove(name, "10.2.0.1").await;
    }
    let engaged = async || {
        program
            .metric_of("to_k8s", "consul_sync_brake_engaged")
            .await
    };
    until("the brake", engaged, |seen| seen.as_deref() == Some("1")).await;
    program.until_logged("too many objects would vanish").await;
    // Creates go on.
    consul.put("web", &["10.2.0.1"]).await;
    cluster.until_endpoints("web", &[("10.2.0.1", true)]).await;
    let left = cluster.names().await.len();
    assert!(left >= 30, "{left} of 41 are left");

    let listen = program.admin_address().await.to_string();
    let release = ["release-brake", "--listen", &listen];
    let other = run(
        servers,
        &[&release[..], &["--direction=to-consul"]].concat(),
    )
    .await;
    assert!(
        other.code == Some(1) && other.err.contains("to_consul"),
        "{other:?}"
    );
    let released = run(servers, &release).await;
    assert_eq!(released.code, Some(0), "{released:?}");
    until(
        "two Services",
        async || cluster.names().await,
        |seen| *seen == ["alias-00", "web"],
    )
    .await;
}

async fn plan_check_and_purge_know_what_is_imported(servers: &Servers) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let command =
        async |name, more: &[&str]| run(servers, &[&[name], &IMPORT[..], more].concat()).await;
    make(&servers.kubernetes, "theirs").await;
    consul.put("web", &["10.2.0.1"]).await;
    consul.put("alias", &["10.2.0.1"]).await;

    let checked = command("check", &[]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("create services"), "{checked:?}");

    let planned = command("plan", &[]).await;
    assert_eq!(planned.code, Some(2), "{planned:?}");
    assert!(
        planned.out.contains("would do in namespace default")
            && planned.out.contains("Plan: 3 to add")
            && planned.out.contains("default/web"),
        "{planned:?}"
    );
    let json = command("plan", &["--json"]).await;
    let plan: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&plan["direction"], &plan["summary"]["create"]),
        (&json!("to_k8s"), &json!(3))
    );
    assert!(cluster.ours().await.is_empty());

    {
        let program = Program::ready(servers, &IMPORT).await;
        cluster.until_endpoints("web", &[("10.2.0.1", true)]).await;
        cluster.until_service("alias", true).await;
        until_idle(&program, "to_k8s").await;
    }
    let nothing = command("plan", &[]).await;
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    assert!(
        nothing
            .out
            .contains("No changes: the cluster is as the catalog wants it. 3 unchanged."),
        "{nothing:?}"
    );

    let registered = consul.all().await;
    let refused = command("purge", &[]).await;
    assert!(
        refused.code == Some(1) && refused.err.contains("--yes"),
        "{refused:?}"
    );
    assert_eq!(cluster.ours().await.len(), 3);
    let purged = command("purge", &["--yes"]).await;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    assert!(purged.out.contains("3 deleted."), "{purged:?}");
    assert!(cluster.ours().await.is_empty());
    assert!(cluster.service("theirs").await.is_some());
    assert_eq!(consul.all().await, registered);
}
