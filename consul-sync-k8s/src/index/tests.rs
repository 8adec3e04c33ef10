mod damage;
mod faults;
mod laws;
mod losses;
mod names;
mod work;
mod world;

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{Key, Service};
use serde_json::{Value, json};

use super::{Change, Index, Update};
use crate::{ExportSettings, slim};
use world::{
    Reader, all_kinds, cluster_ip, decode, endpoints, ingress, lean, list, listed, namespace, node,
    node_port, on_node, service, slice,
};

#[test]
fn afterwards_only_what_changed_is_said() {
    let slices = vec![
        slice("a-1", "a", 1, endpoints(&["10.0.0.1"])),
        slice("b-1", "b", 1, endpoints(&["10.0.0.2"])),
    ];
    let (mut index, mut reader) = listed(lean(), vec![cluster_ip("a"), cluster_ip("b")], slices);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
    assert_eq!(reader.read(&mut index), [] as [String; 0]);

    index.apply(Change::Upserted(slice(
        "a-1",
        "a",
        2,
        endpoints(&["10.0.0.1", "10.0.0.3"]),
    )));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(
        reader.instances("shop", "a"),
        ["10.0.0.1 passing", "10.0.0.3 passing"]
    );

    index.apply(Change::Deleted(cluster_ip("b")));
    assert_eq!(reader.read(&mut index), ["-shop/b"]);

    // There and back again before anybody looked: nothing happened.
    index.apply(Change::Upserted(slice("a-1", "a", 3, endpoints(&[]))));
    index.apply(Change::Upserted(slice(
        "a-1",
        "a",
        4,
        endpoints(&["10.0.0.3", "10.0.0.1"]),
    )));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
}

#[test]
fn deleting_one_slice_keeps_the_other_slices_instances() {
    let slices = vec![
        slice("a-1", "a", 1, endpoints(&["10.0.0.1"])),
        slice("a-2", "a", 1, endpoints(&["10.0.0.2"])),
    ];
    let (mut index, mut reader) = listed(lean(), vec![cluster_ip("a")], slices);
    index.apply(Change::Deleted(slice("a-1", "a", 2, endpoints(&[]))));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.2 passing"]);
}

#[test]
fn a_listing_with_the_same_content_says_nothing_and_translates_nothing() {
    let services = || vec![cluster_ip("a"), cluster_ip("b")];
    let slices = || vec![slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))];
    let (mut index, mut reader) = listed(lean(), services(), slices());
    let before = index.work();
    list(&mut index, services());
    list(&mut index, slices());
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(index.work(), before);
}

#[test]
fn a_listing_removes_what_it_does_not_show() {
    let slices = vec![
        slice("a-1", "a", 1, endpoints(&["10.0.0.1"])),
        slice("b-1", "b", 1, endpoints(&["10.0.0.2"])),
    ];
    let (mut index, mut reader) = listed(lean(), vec![cluster_ip("a"), cluster_ip("b")], slices);
    index.apply(Change::<slim::Service>::RelistStarted);
    index.apply(Change::Upserted(cluster_ip("a")));
    assert_eq!(
        reader.read(&mut index),
        [] as [String; 0],
        "not before the listing is complete"
    );
    index.apply(Change::<slim::Service>::RelistDone);
    assert_eq!(reader.read(&mut index), ["-shop/b"]);
    list(&mut index, [slice("b-1", "b", 1, endpoints(&["10.0.0.2"]))]);
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), [] as [String; 0]);
}

#[test]
fn a_slice_that_comes_before_its_service_counts_when_the_service_comes() {
    let (mut index, mut reader) = listed(lean(), vec![], vec![]);
    index.apply(Change::Upserted(slice(
        "a-1",
        "a",
        1,
        endpoints(&["10.0.0.1"]),
    )));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    index.apply(Change::Upserted(cluster_ip("a")));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
}

#[test]
fn a_slice_that_moves_to_another_service_moves_its_instances() {
    let slices = vec![slice("s", "a", 1, endpoints(&["10.0.0.1"]))];
    let (mut index, mut reader) = listed(lean(), vec![cluster_ip("a"), cluster_ip("b")], slices);
    index.apply(Change::Upserted(slice(
        "s",
        "b",
        2,
        endpoints(&["10.0.0.1"]),
    )));
    assert_eq!(reader.read(&mut index), ["+shop/a", "+shop/b"]);
    assert_eq!(reader.instances("shop", "a"), [] as [String; 0]);
    assert_eq!(reader.instances("shop", "b"), ["10.0.0.1 passing"]);
}

#[test]
fn a_service_that_is_no_longer_exported_is_removed_and_comes_back() {
    let (mut index, mut reader) = listed(lean(), vec![cluster_ip("a")], vec![]);
    let mut off = cluster_ip("a");
    off.metadata.annotations = Some(
        [(
            "consul.hashicorp.com/service-sync".to_owned(),
            "false".to_owned(),
        )]
        .into(),
    );
    off.metadata.resource_version = Some("2".to_owned());
    index.apply(Change::Upserted(off));
    assert_eq!(reader.read(&mut index), ["-shop/a"]);
    index.apply(Change::Upserted(service("a", 3, json!({}))));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
}

#[test]
fn instances_follow_the_addresses_of_their_nodes() {
    let slices = vec![slice("a-1", "a", 1, on_node("n1", &["10.0.0.1"]))];
    let (mut index, mut reader) = listed(ExportSettings::default(), vec![node_port("a")], slices);
    assert_eq!(
        reader.instances("shop", "a"),
        [] as [String; 0],
        "its node is not known"
    );
    index.apply(Change::Upserted(node("n1", 1, "192.0.2.1")));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["192.0.2.1 passing"]);
    index.apply(Change::Upserted(node("n1", 2, "192.0.2.9")));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["192.0.2.9 passing"]);
    index.apply(Change::Deleted(node("n1", 3, "192.0.2.9")));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), [] as [String; 0]);
}

#[test]
fn labels_of_a_namespace_select_all_services_in_it() {
    let (mut index, mut reader) =
        listed(all_kinds(), vec![cluster_ip("a"), cluster_ip("b")], vec![]);
    assert_eq!(reader.services.len(), 2);
    index.apply(Change::Upserted(namespace(
        "shop",
        2,
        json!({"sync": "no"}),
    )));
    assert_eq!(reader.read(&mut index), ["-shop/a", "-shop/b"]);
    index.apply(Change::Upserted(namespace(
        "shop",
        3,
        json!({"sync": "yes", "other": "x"}),
    )));
    assert_eq!(reader.read(&mut index), ["+shop/a", "+shop/b"]);
    let before = index.work();
    index.apply(Change::Upserted(namespace(
        "shop",
        4,
        json!({"sync": "yes"}),
    )));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(index.work(), before, "selected as before");
    index.apply(Change::Deleted(namespace("shop", 5, json!({}))));
    assert_eq!(reader.read(&mut index), ["-shop/a", "-shop/b"]);
}

#[test]
fn deleting_an_ingress_restores_the_services_own_addresses() {
    let slices = vec![slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))];
    let (mut index, mut reader) =
        listed(all_kinds(), vec![cluster_ip("a"), cluster_ip("b")], slices);
    index.apply(Change::Upserted(ingress("i", 1, "a.example.com", "a")));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["a.example.com passing"]);
    index.apply(Change::Upserted(ingress("i", 2, "a.example.com", "b")));
    assert_eq!(
        reader.read(&mut index),
        ["+shop/a"],
        "b has no endpoints, with or without an Ingress"
    );
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
    index.apply(Change::Upserted(ingress("i", 3, "a.example.com", "a")));
    reader.read(&mut index);
    index.apply(Change::Deleted(ingress("i", 4, "a.example.com", "a")));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
}

#[test]
fn kinds_that_are_not_needed_are_ignored() {
    let (mut index, mut reader) = listed(lean(), vec![cluster_ip("a")], vec![]);
    index.apply(Change::<slim::Node>::Lost);
    index.apply(Change::Upserted(ingress("i", 1, "a.example.com", "a")));
    index.apply(Change::Upserted(namespace("shop", 2, json!({}))));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(index.incomplete(), [] as [&str; 0]);
}

#[test]
fn objects_of_namespaces_that_are_not_exported_leave_no_trace() {
    let settings = ExportSettings {
        deny_namespaces: ["shop".to_owned()].into(),
        ..lean()
    };
    let (index, reader) = listed(
        settings,
        vec![cluster_ip("a")],
        vec![slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))],
    );
    assert!(reader.services.is_empty());
    assert!(index.records.is_empty());
    assert_eq!(
        index.services.iter().count() + index.slices.iter().count(),
        0
    );
}

#[test]
fn what_is_gone_leaves_no_trace() {
    let slices = vec![slice("a-1", "a", 1, on_node("n1", &["10.0.0.1"]))];
    let (mut index, mut reader) = listed(all_kinds(), vec![node_port("a")], slices);
    index.apply(Change::Upserted(ingress("i", 1, "a.example.com", "a")));
    reader.read(&mut index);
    assert_eq!(index.by_node.len(), 1);
    list::<slim::Service>(&mut index, []);
    list::<slim::EndpointSlice>(&mut index, []);
    list::<slim::Ingress>(&mut index, []);
    assert_eq!(reader.read(&mut index), ["-shop/a"]);
    assert!(index.records.is_empty() && index.by_node.is_empty() && index.due.is_empty());
}

#[test]
fn the_name_of_a_service_is_held_once() {
    let (index, reader) = listed(
        lean(),
        vec![cluster_ip("a")],
        vec![slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))],
    );
    let held = index.services.iter().map(|(key, _)| key);
    let names: Vec<Arc<str>> = held
        .chain(index.records.keys())
        .chain(reader.services.values().map(|service| &service.key))
        .map(|key| Arc::clone(key.name()))
        .chain(
            reader
                .services
                .values()
                .map(|service| service.name.shared()),
        )
        .chain(
            index
                .slices
                .iter()
                .filter_map(|(_, slice)| slice.service.clone()),
        )
        .collect();
    assert_eq!(names.len(), 5);
    assert!(names.iter().all(|name| Arc::ptr_eq(name, &names[0])));
}

#[test]
fn nodes_are_needed_from_the_first_exported_node_port_service_on() {
    let mut index = Index::new(Arc::new(ExportSettings::default()));
    let mut reader = Reader::default();
    assert!(!index.needs().nodes);
    let mut unexported = node_port("x");
    unexported.metadata.annotations = Some(
        [(
            "consul.hashicorp.com/service-sync".to_owned(),
            "false".to_owned(),
        )]
        .into(),
    );
    let external = service(
        "y",
        1,
        json!({"type": "NodePort", "externalIPs": ["192.0.2.1"]}),
    );
    list(&mut index, [cluster_ip("a"), unexported, external]);
    list(
        &mut index,
        [slice("a-1", "a", 1, on_node("n1", &["10.0.0.1"]))],
    );
    assert!(!index.needs().nodes);
    assert_eq!(reader.read(&mut index), ["<", "+shop/a", "+shop/y", ">"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);

    // It becomes a NodePort Service: what was said of it stays until nodes are listed, and the others go on.
    index.apply(Change::Upserted(service(
        "a",
        2,
        json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}),
    )));
    assert!(index.needs().nodes);
    assert_eq!(index.incomplete(), ["nodes"]);
    index.apply(Change::Upserted(cluster_ip("b")));
    assert_eq!(reader.read(&mut index), ["+shop/b"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
    index.apply(Change::<slim::Node>::Lost);
    index.apply(Change::<slim::EndpointSlice>::Lost);
    list(
        &mut index,
        [slice("a-1", "a", 1, on_node("n1", &["10.0.0.1"]))],
    );
    assert_eq!(
        reader.read(&mut index),
        [] as [String; 0],
        "whole only with nodes"
    );
    list(&mut index, [node("n1", 1, "192.0.2.1")]);
    assert_eq!(
        reader.read(&mut index),
        ["<", "+shop/a", "+shop/b", "+shop/y", ">"]
    );
    assert_eq!(reader.instances("shop", "a"), ["192.0.2.1 passing"]);

    // What is needed once stays so.
    index.apply(Change::Deleted(node_port("a")));
    assert!(index.needs().nodes);
}

#[test]
fn a_service_that_waits_for_nodes_may_change_its_mind_or_go() {
    let (slices, services) = (
        vec![slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))],
        vec![cluster_ip("a"), cluster_ip("b")],
    );
    let mut index = Index::new(Arc::new(ExportSettings::default()));
    let mut reader = Reader::default();
    list(&mut index, services);
    list(&mut index, slices);
    reader.read(&mut index);
    for name in ["a", "b"] {
        let spec = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
        index.apply(Change::Upserted(service(name, 2, spec)));
    }
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    index.apply(Change::Upserted(service(
        "a",
        3,
        json!({"ports": [{"port": 80}]}),
    )));
    index.apply(Change::Deleted(service("b", 3, json!({}))));
    assert_eq!(reader.read(&mut index), ["-shop/b"]);
    list(&mut index, [node("n1", 1, "192.0.2.1")]);
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
}
