//! The faults of the list and watch catalogue that span kinds.

use std::{collections::BTreeMap, time::Duration};

use consul_sync_core::{Driver, ErrorKind, testing::MemorySink};
use consul_sync_k8s::{
    ExportSettings, KubeSource, Verb, WatchSettings,
    testing::{FakeCluster, Fault, On, WatchFault},
};
use serde_json::json;

use super::told::{Told, cluster, node_port, service, slice, without_nodes};

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
async fn fault_k03_the_brake_holds_what_a_listing_of_nothing_would_take_away() {
    let cluster = FakeCluster::new();
    for at in 0..40 {
        let name = format!("s{at}");
        cluster.put(service(&name));
        cluster.put(slice(
            &format!("{name}-1"),
            &name,
            &[&format!("10.1.0.{at}")],
        ));
    }
    let sink = MemorySink::default();
    let source = KubeSource::new(cluster.client(), without_nodes());
    let driver = Driver::new(source, sink.clone());
    let running = tokio::spawn(driver.run(std::future::pending()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sink.writes(), (40, 0));
    cluster.inject(On::list("services").times(1), Fault::Empty);
    cluster.disturb(Some("services"), WatchFault::Error(410));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let held = sink.contents().len();
    assert!(held >= 30, "{held} of 40 are left");
    // The next listing is whole again, and nothing more is lost.
    cluster.disturb(Some("services"), WatchFault::Error(410));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sink.contents().len(), 40);
    running.abort();
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
        page_bytes: 0,
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
