//! The Kubernetes source as a whole: from objects in a cluster to services, through every fault that spans kinds.

#[path = "kube_source/collapse.rs"]
mod collapse;
#[path = "kube_source/conformance.rs"]
mod conformance;
#[path = "kube_source/faults.rs"]
mod faults;
#[path = "kube_source/told.rs"]
mod told;

use std::time::Duration;

use consul_sync_core::{ErrorKind, Event, Source};
use consul_sync_k8s::{
    ExportSettings, KubeSource, Rights, Verb, owner, preflight,
    testing::{FakeCluster, Fault, On},
};
use futures::StreamExt;
use serde_json::json;

use told::{Told, cluster, node, node_port, service, slice, without_nodes};

#[tokio::test(start_paused = true)]
async fn services_come_with_their_endpoints_and_follow_every_change() {
    let cluster = cluster();
    let mut told = Told::new(&cluster, ExportSettings::default());
    told.settle().await;
    assert_eq!(told.whole, 1);
    assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
    assert_eq!(told.addresses("default/db"), ["10.1.0.9"]);
    cluster.put(slice("web-1", "web", &["10.1.0.2", "10.1.0.3"]));
    cluster.delete("services", "default", "db");
    told.settle().await;
    assert_eq!(told.addresses("default/web"), ["10.1.0.2", "10.1.0.3"]);
    assert!(!told.table.contains_key("default/db"));
    assert!(told.errors.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_a_listing_and_a_second_one_is_its_own() {
    let cluster = cluster();
    let source = KubeSource::new(cluster.client(), without_nodes());
    for _ in 0..2 {
        let mut events = source.watch();
        assert!(matches!(
            events.next().await,
            Some(Ok(Event::RelistStarted))
        ));
    }
    let mut told = Told::of(&source);
    told.settle().await;
    assert_eq!(told.table.len(), 2);
    drop(told);
    assert_eq!(
        cluster.open_watches(),
        0,
        "dropping the stream ends every watch"
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_the_settings_need_is_asked_for() {
    let cluster = cluster();
    let settings = ExportSettings {
        source_namespace: Some("default".to_owned()),
        ..without_nodes()
    };
    cluster.grant_only(&Rights::needed(&settings, false));
    let mut told = Told::new(&cluster, settings);
    told.settle().await;
    assert_eq!(told.table.len(), 2, "{:?}", told.errors);
    let seen = cluster.seen();
    assert!(!seen.is_empty());
    for seen in seen {
        assert_eq!(seen.namespace.as_deref(), Some("default"));
        assert!(
            matches!(seen.resource.as_str(), "services" | "endpointslices"),
            "{seen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_rights_that_are_listed_are_enough_for_every_kind() {
    let settings = ExportSettings {
        ingress: true,
        namespace_selector: "team=a".parse().unwrap(),
        ..ExportSettings::default()
    };
    let cluster = cluster();
    cluster.put(node_port("near"));
    cluster.merge(
        "namespaces",
        "",
        "default",
        &json!({"metadata": {"labels": {"team": "a"}}}),
    );
    cluster.grant_only(&Rights::needed(&settings, true));
    assert_eq!(
        owner(&cluster.client()).await.unwrap().as_str(),
        cluster.uid()
    );
    let mut told = Told::new(&cluster, settings.clone());
    told.settle().await;
    assert_eq!(told.table.len(), 3);
    assert!(told.errors.is_empty(), "{:?}", told.errors);
    for resource in [
        "services",
        "endpointslices",
        "nodes",
        "ingresses",
        "namespaces",
    ] {
        assert_eq!(cluster.count(Verb::List, resource), 1, "{resource}");
        assert_eq!(cluster.count(Verb::Watch, resource), 1, "{resource}");
    }
    let findings = preflight(&cluster.client(), &settings, true).await;
    assert_eq!(findings.len(), 12);
    assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
}

#[tokio::test(start_paused = true)]
async fn selectors_of_services_are_the_servers_work() {
    let cluster = cluster();
    cluster.merge(
        "services",
        "default",
        "web",
        &json!({"metadata": {"labels": {"tier": "front"}}}),
    );
    let settings = ExportSettings {
        service_selector: "tier=front".parse().unwrap(),
        ..without_nodes()
    };
    let mut told = Told::new(&cluster, settings);
    told.settle().await;
    assert_eq!(told.table.keys().collect::<Vec<_>>(), ["default/web"]);
    let selects =
        |seen: &consul_sync_k8s::testing::Seen, selector: &str| seen.query.contains(selector);
    assert!(
        cluster
            .seen()
            .iter()
            .any(|seen| selects(seen, "labelSelector=tier%3Dfront"))
    );
    cluster.merge(
        "services",
        "default",
        "web",
        &json!({"metadata": {"labels": {"tier": "back"}}}),
    );
    told.settle().await;
    assert!(told.table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn node_ports_follow_their_nodes() {
    let cluster = FakeCluster::new();
    cluster.put(node("n1", "192.0.2.1"));
    cluster.put(node_port("web"));
    cluster.put(slice("web-1", "web", &["10.1.0.1"]));
    let mut told = Told::new(&cluster, ExportSettings::default());
    told.settle().await;
    assert_eq!(told.addresses("default/web"), ["192.0.2.1"]);
    cluster.put(node("n1", "192.0.2.2"));
    told.settle().await;
    assert_eq!(told.addresses("default/web"), ["192.0.2.2"]);
}

#[tokio::test(start_paused = true)]
async fn the_right_to_nodes_does_not_matter_before_a_service_follows_them() {
    let cluster = cluster();
    cluster.put(node("n1", "192.0.2.1"));
    cluster.deny(Verb::List, "nodes");
    let mut told = Told::new(&cluster, ExportSettings::default());
    told.settle().await;
    assert_eq!((told.whole, told.table.len()), (1, 2));
    assert!(told.errors.is_empty(), "{:?}", told.errors);
    assert_eq!(cluster.count(Verb::List, "nodes"), 0);

    cluster.put(node_port("web"));
    cluster.put(service("new"));
    told.run(Duration::from_secs(60)).await;
    assert_eq!(told.errors.len(), 1, "told once: {:?}", told.errors);
    assert_eq!(told.errors[0].kind(), ErrorKind::Unauthorized);
    assert_eq!(
        told.addresses("default/web"),
        ["10.1.0.1", "10.1.0.2"],
        "what was known stays"
    );
    assert!(told.table.contains_key("default/new"), "the others go on");
    cluster.allow(Verb::List, "nodes");
    told.run(Duration::from_secs(60)).await;
    assert_eq!(told.addresses("default/web"), ["192.0.2.1"; 2]);
    assert_eq!(told.whole, 2, "a complete listing makes it whole again");
}

#[tokio::test(start_paused = true)]
async fn the_identity_needs_one_right_and_says_so() {
    let cluster = FakeCluster::new();
    cluster.deny(Verb::Get, "namespaces");
    let error = owner(&cluster.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let message = error.to_string();
    assert!(
        message.ends_with(
            r#"add {apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"]} to a ClusterRole, or name the owner with --owner"#
        ),
        "{message}"
    );
    cluster.inject(On::any(), Fault::Hang);
    assert_eq!(
        owner(&cluster.client()).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

#[tokio::test(start_paused = true)]
async fn the_preflight_names_what_is_missing_and_how_to_add_it() {
    let cluster = FakeCluster::new();
    let settings = ExportSettings {
        source_namespace: Some("shop".to_owned()),
        ..without_nodes()
    };
    cluster.deny(Verb::Watch, "endpointslices");
    let findings = preflight(&cluster.client(), &settings, true).await;
    let bad: Vec<_> = findings.iter().filter(|finding| !finding.good).collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(
        bad[0].message,
        "watch endpointslices.discovery.k8s.io in namespace shop: not allowed"
    );
    assert_eq!(
        bad[0].remedy.as_deref(),
        Some(
            r#"add {apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["watch"]} to a Role in namespace shop"#
        )
    );
    // Nodes matter to NodePort Services alone.
    let cluster = FakeCluster::new();
    cluster.deny(Verb::List, "nodes");
    let findings = preflight(&cluster.client(), &ExportSettings::default(), true).await;
    assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
    let hints: Vec<_> = findings
        .iter()
        .filter(|finding| finding.remedy.is_some())
        .collect();
    assert_eq!(hints.len(), 1, "{findings:?}");
    assert!(
        hints[0]
            .message
            .starts_with("list nodes: not allowed; needed from the first Service of type NodePort")
    );
    for fault in [
        Fault::Hang,
        Fault::Disconnect,
        Fault::text(502, "bad gateway"),
        Fault::status(401),
    ] {
        let cluster = FakeCluster::new();
        cluster.inject(On::any(), fault);
        let findings = preflight(&cluster.client(), &settings, true).await;
        assert_eq!(findings.len(), 1, "no list of consequences: {findings:?}");
        assert!(!findings[0].good && findings[0].remedy.is_some());
    }
}
