//! The Kubernetes source as a whole: from objects in a cluster to services, through every fault that spans kinds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use consul_sync_core::{Address, ErrorKind, Event, Key, Service, Source, SourceError};
use consul_sync_k8s::{
    ExportSettings, KubeSource, NodePorts, Rights, Verb, WatchSettings, owner, preflight,
    testing::{FakeCluster, Fault, On, WatchFault},
};
use futures::{StreamExt, stream::BoxStream};
use serde_json::{Value, json};

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// A source's events, and what they say is there.
struct Told {
    events: BoxStream<'static, Item>,
    /// Each service's addresses; none while it is rejected and nothing good was said of it.
    table: BTreeMap<String, Vec<String>>,
    listing: Option<BTreeMap<String, Vec<String>>>,
    errors: Vec<SourceError>,
    whole: u32,
    rejected: Vec<String>,
}

impl Told {
    fn new(cluster: &FakeCluster, settings: ExportSettings) -> Self {
        Self::of(&KubeSource::new(cluster.client(), settings))
    }

    fn of(source: &KubeSource) -> Self {
        Self {
            events: source.watch(),
            table: BTreeMap::new(),
            listing: None,
            errors: Vec::new(),
            whole: 0,
            rejected: Vec::new(),
        }
    }

    /// Takes events until the source is still for a second of the paused clock.
    async fn settle(&mut self) -> &BTreeMap<String, Vec<String>> {
        self.run(Duration::from_secs(1)).await
    }

    /// Takes events until the source is still for that long.
    async fn run(&mut self, still: Duration) -> &BTreeMap<String, Vec<String>> {
        while let Ok(item) = tokio::time::timeout(still, self.events.next()).await {
            self.take(item.expect("a source never ends"));
        }
        &self.table
    }

    fn take(&mut self, item: Item) {
        match item {
            Ok(Event::RelistStarted) => self.listing = Some(BTreeMap::new()),
            Ok(Event::Upserted(key, service)) => {
                let addresses = service
                    .instances
                    .iter()
                    .map(|instance| match &instance.address {
                        Address::Ip(ip) => ip.to_string(),
                        Address::Host(host) => host.to_string(),
                    });
                let mut addresses: Vec<_> = addresses.collect();
                addresses.sort();
                let table = self.listing.as_mut().unwrap_or(&mut self.table);
                table.insert(key.to_string(), addresses);
            }
            Ok(Event::Removed(key)) => {
                let table = self.listing.as_mut().unwrap_or(&mut self.table);
                table.remove(&key.to_string());
            }
            Ok(Event::Rejected(key, _)) => {
                self.rejected.push(key.to_string());
                // Its last good value stays.
                if let Some(listing) = &mut self.listing
                    && let Some(kept) = self.table.get(&key.to_string())
                {
                    listing.insert(key.to_string(), kept.clone());
                }
            }
            Ok(Event::RelistDone) => {
                self.table = self
                    .listing
                    .take()
                    .expect("a listing begins before it ends");
                self.whole += 1;
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn addresses(&self, key: &str) -> Vec<&str> {
        self.table
            .get(key)
            .map(|addresses| addresses.iter().map(String::as_str).collect())
            .unwrap_or_default()
    }
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"ports": [{"port": 80, "targetPort": 8080}]},
    })
}

fn slice(name: &str, service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true}, "nodeName": "n1"}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default", "name": name,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

fn node(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"addresses": [{"type": "ExternalIP", "address": address}]},
    })
}

/// A Service that is reached at the nodes.
fn node_port(name: &str) -> Value {
    let mut object = service(name);
    object["spec"]["type"] = json!("NodePort");
    object
}

/// Settings that need Services and EndpointSlices alone.
fn without_nodes() -> ExportSettings {
    ExportSettings {
        node_ports: NodePorts::Off,
        ..ExportSettings::default()
    }
}

/// Two services with endpoints.
fn cluster() -> FakeCluster {
    let cluster = FakeCluster::new();
    cluster.put(service("web"));
    cluster.put(service("db"));
    cluster.put(slice("web-1", "web", &["10.1.0.1", "10.1.0.2"]));
    cluster.put(slice("db-1", "db", &["10.1.0.9"]));
    cluster
}

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
async fn fault_k03_a_listing_of_nothing_takes_everything_away_for_the_brake_to_judge() {
    let cluster = cluster();
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    cluster.inject(On::list("services").times(1), Fault::Empty);
    cluster.disturb(Some("services"), WatchFault::Error(410));
    told.settle().await;
    assert!(told.table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn fault_k05_a_forgotten_version_leads_to_the_right_deletes_and_no_ghost() {
    let cluster = cluster();
    cluster.put(service("old"));
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    assert_eq!(told.table.len(), 3);
    // While nobody looks: one is gone, one is new, one has other endpoints; and the history is forgotten.
    cluster.inject(On::watch("services").times(1), Fault::Disconnect);
    cluster.inject(On::watch("endpointslices").times(1), Fault::Disconnect);
    cluster.disturb(None, WatchFault::Close);
    cluster.delete("services", "default", "old");
    cluster.put(service("new"));
    cluster.put(slice("web-1", "web", &["10.1.0.7"]));
    cluster.compact();
    told.run(Duration::from_secs(20)).await;
    let names: Vec<_> = told.table.keys().cloned().collect();
    assert_eq!(names, ["default/db", "default/new", "default/web"]);
    assert_eq!(told.addresses("default/web"), ["10.1.0.7"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k10_events_in_any_order_lead_to_the_final_state() {
    let cluster = FakeCluster::new();
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    // Endpoints before their service, a deletion of what was never seen, and everything twice.
    cluster.put(slice("web-1", "web", &["10.1.0.1"]));
    cluster.put(slice("web-1", "web", &["10.1.0.1"]));
    told.settle().await;
    assert!(told.table.is_empty());
    let mut unknown = service("unknown");
    unknown["metadata"]["resourceVersion"] = json!(cluster.revision().to_string());
    cluster.disturb(
        Some("services"),
        WatchFault::Line(json!({"type": "DELETED", "object": unknown}).to_string()),
    );
    cluster.put(service("web"));
    cluster.put(service("web"));
    told.settle().await;
    assert_eq!(told.addresses("default/web"), ["10.1.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k12_a_service_that_was_made_anew_unseen_is_the_new_one() {
    let cluster = cluster();
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    cluster.inject(On::watch("services").times(1), Fault::Disconnect);
    cluster.disturb(Some("services"), WatchFault::Close);
    cluster.delete("services", "default", "web");
    let mut other = service("web");
    other["spec"]["externalIPs"] = json!(["192.0.2.7"]);
    cluster.put(other);
    cluster.compact();
    told.run(Duration::from_secs(20)).await;
    assert_eq!(told.addresses("default/web"), ["192.0.2.7"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k14_a_service_that_cannot_be_decoded_is_rejected_and_its_last_good_value_stays() {
    let cluster = cluster();
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    let mut bad = service("web");
    bad["spec"]["ports"][0]["port"] = json!("NaN");
    cluster.put(bad);
    cluster.put(service("new"));
    told.settle().await;
    assert_eq!(told.rejected, ["default/web"]);
    assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
    assert!(
        told.table.contains_key("default/new"),
        "its neighbours go on"
    );
    // The same in a listing of a process that never saw it good.
    let mut fresh = Told::new(&cluster, without_nodes());
    fresh.settle().await;
    assert_eq!(
        (fresh.whole, fresh.rejected.as_slice()),
        (1, ["default/web".to_owned()].as_slice())
    );
    cluster.put(service("web"));
    told.settle().await;
    assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k15_a_right_that_is_not_needed_does_not_matter() {
    let cluster = cluster();
    for resource in ["nodes", "ingresses", "namespaces"] {
        for verb in [Verb::Get, Verb::List, Verb::Watch] {
            cluster.deny(verb, resource);
        }
    }
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    assert_eq!((told.whole, told.table.len()), (1, 2));
    assert!(told.errors.is_empty());
}

#[tokio::test(start_paused = true)]
async fn fault_k15_a_right_that_is_needed_and_missing_is_told_with_its_verb_and_nothing_is_complete()
 {
    let cluster = cluster();
    cluster.put(node_port("near"));
    cluster.deny(Verb::List, "nodes");
    let mut told = Told::new(&cluster, ExportSettings::default());
    told.run(Duration::from_secs(120)).await;
    assert_eq!((told.whole, told.table.len()), (0, 0));
    assert_eq!(told.errors.len(), 1, "told once: {:?}", told.errors);
    assert_eq!(told.errors[0].kind(), ErrorKind::Unauthorized);
    let message = told.errors[0].to_string();
    assert!(
        message.ends_with(
            r#"add {apiGroups: [""], resources: ["nodes"], verbs: ["list"]} to a ClusterRole"#
        ),
        "{message}"
    );
    cluster.allow(Verb::List, "nodes");
    told.run(Duration::from_secs(60)).await;
    assert_eq!((told.whole, told.table.len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn fault_k15_a_right_that_is_withdrawn_takes_nothing_away_and_the_others_go_on() {
    let cluster = cluster();
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    cluster.deny(Verb::List, "endpointslices");
    cluster.deny(Verb::Watch, "endpointslices");
    cluster.disturb(Some("endpointslices"), WatchFault::Close);
    cluster.delete("endpointslices", "default", "web-1");
    cluster.put(service("new"));
    told.run(Duration::from_secs(60)).await;
    assert!(
        told.errors
            .iter()
            .all(|error| error.kind() == ErrorKind::Unauthorized && error.kind().weakens())
    );
    assert_eq!(
        told.addresses("default/web"),
        ["10.1.0.1", "10.1.0.2"],
        "what was known stays"
    );
    assert!(
        told.table.contains_key("default/new"),
        "services are still followed"
    );
    cluster.allow(Verb::List, "endpointslices");
    cluster.allow(Verb::Watch, "endpointslices");
    told.run(Duration::from_secs(60)).await;
    assert_eq!(told.addresses("default/web"), [""; 0]);
    assert_eq!(told.whole, 2, "a complete listing makes it whole again");
}

#[tokio::test(start_paused = true)]
async fn fault_k16_nothing_is_told_before_every_kind_was_listed_whatever_comes_last() {
    let kinds = [
        "services",
        "endpointslices",
        "nodes",
        "ingresses",
        "namespaces",
    ];
    let settings = ExportSettings {
        ingress: true,
        namespace_selector: "!hidden".parse().unwrap(),
        ..ExportSettings::default()
    };
    for late in kinds {
        for fault in [Fault::Hang, Fault::status(503), Fault::status(403)] {
            let cluster = cluster();
            cluster.put(node_port("near"));
            let fault = cluster.inject(On::list(late), fault);
            let mut told = Told::new(&cluster, settings.clone());
            told.run(Duration::from_secs(120)).await;
            assert_eq!((told.whole, told.table.len()), (0, 0), "without {late}");
            assert!(
                told.listing.as_ref().is_some_and(BTreeMap::is_empty),
                "nothing before {late}"
            );
            assert!(!told.errors.is_empty(), "{late}");
            cluster.lift(fault);
            told.run(Duration::from_secs(120)).await;
            assert_eq!((told.whole, told.table.len()), (1, 3), "with {late}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k18_endpoints_are_the_union_of_all_slices_over_pages_and_moves() {
    let cluster = FakeCluster::new();
    cluster.put(service("web"));
    for at in 0..7 {
        let address = format!("10.1.0.{at}");
        cluster.put(slice(&format!("web-{at}"), "web", &[&address]));
    }
    // One address stands in two slices.
    cluster.put(slice("web-again", "web", &["10.1.0.0"]));
    let settings = WatchSettings {
        slice_page_size: 2,
        ..WatchSettings::default()
    };
    let source = KubeSource::new(cluster.client(), without_nodes()).with_watch_settings(settings);
    let mut told = Told::of(&source);
    told.settle().await;
    let all: Vec<_> = (0..7).map(|at| format!("10.1.0.{at}")).collect();
    assert_eq!(told.addresses("default/web"), all);
    // An address moves between slices: in neither order may it be missing for good or doubled.
    cluster.put(slice("web-1", "web", &["10.1.0.0", "10.1.0.1"]));
    cluster.delete("endpointslices", "default", "web-0");
    cluster.delete("endpointslices", "default", "web-again");
    told.settle().await;
    assert_eq!(told.addresses("default/web"), all);
    // A page of a later listing fails: nothing is taken away.
    cluster.inject(
        On::list("endpointslices").page(2).times(3),
        Fault::status(500),
    );
    cluster.disturb(Some("endpointslices"), WatchFault::Error(410));
    told.settle().await;
    assert_eq!(told.addresses("default/web"), all);
}

#[tokio::test(start_paused = true)]
async fn fault_k22_a_cluster_that_was_restored_from_a_backup_is_believed_after_a_complete_listing()
{
    let cluster = cluster();
    let backup = cluster.revision();
    let old = cluster.get("services", "default", "web").unwrap();
    let mut told = Told::new(&cluster, without_nodes());
    told.settle().await;
    let mut changed = service("web");
    changed["spec"]["externalIPs"] = json!(["192.0.2.1"]);
    cluster.put(changed);
    cluster.put(service("new"));
    told.settle().await;
    assert_eq!(told.addresses("default/web"), ["192.0.2.1"]);
    let down = cluster.inject(On::any(), Fault::Disconnect);
    cluster.disturb(None, WatchFault::Close);
    told.run(Duration::from_secs(60)).await;
    assert_eq!(
        told.table.len(),
        3,
        "an unreachable server takes nothing away"
    );
    cluster.delete("services", "default", "new");
    cluster.put(old.clone());
    cluster.rewind(backup);
    cluster.restore(old);
    cluster.lift(down);
    told.run(Duration::from_secs(120)).await;
    assert_eq!(
        told.table.keys().collect::<Vec<_>>(),
        ["default/db", "default/web"]
    );
    assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
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
