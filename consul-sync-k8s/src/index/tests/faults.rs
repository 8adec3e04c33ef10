//! Faults of the catalogue that the index alone must stand.

use super::*;

pub(super) fn bad_service(name: &str, version: u32) -> slim::Service {
    service(name, version, json!({"ports": "NaN"}))
}

fn bad_slice(name: &str, of: &str, version: u32) -> slim::EndpointSlice {
    slice(name, of, version, json!([{"addresses": ["10.0.0.300"]}]))
}

pub(super) fn web() -> (Index, Reader) {
    listed(
        lean(),
        vec![cluster_ip("a"), cluster_ip("b")],
        vec![slice("a-1", "a", 5, endpoints(&["10.0.0.1"]))],
    )
}

/// Every order in which the kinds can become complete.
#[test]
fn fault_k16_nothing_is_said_before_every_needed_kind_is_listed() {
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    for kind in 0..5 {
        orders = orders
            .into_iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |at| {
                    let mut o = order.clone();
                    o.insert(at, kind);
                    o
                })
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut index = Index::new(Arc::new(all_kinds()));
        let mut reader = Reader::default();
        for kind in order {
            assert_eq!(reader.read(&mut index), [] as [String; 0]);
            match kind {
                0 => list(&mut index, [node_port("a")]),
                1 => list(
                    &mut index,
                    [slice("a-1", "a", 1, on_node("n1", &["10.0.0.1"]))],
                ),
                2 => list(&mut index, [node("n1", 1, "192.0.2.1")]),
                3 => list::<slim::Ingress>(&mut index, []),
                _ => list(&mut index, [namespace("shop", 1, json!({"sync": "yes"}))]),
            }
        }
        assert_eq!(reader.read(&mut index), ["<", "+shop/a", ">"]);
        assert_eq!(reader.instances("shop", "a"), ["192.0.2.1 passing"]);
    }
}

#[test]
fn fault_k01_a_listing_that_breaks_off_removes_nothing_and_starts_anew() {
    let (mut index, mut reader) = web();
    index.apply(Change::<slim::Service>::RelistStarted);
    index.apply(Change::Upserted(cluster_ip("b")));
    index.apply(Change::<slim::Service>::RelistStarted);
    index.apply(Change::Upserted(cluster_ip("a")));
    index.apply(Change::<slim::Service>::RelistDone);
    assert_eq!(
        reader.read(&mut index),
        ["-shop/b"],
        "only the second listing counts"
    );
}

#[test]
fn fault_k10_repeated_and_disordered_events_change_nothing() {
    let (mut index, mut reader) = web();
    index.apply(Change::Deleted(cluster_ip("never")));
    index.apply(Change::Deleted(slice("never", "a", 1, json!([]))));
    index.apply(Change::Upserted(cluster_ip("a")));
    index.apply(Change::Upserted(cluster_ip("a")));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    index.apply(Change::Deleted(cluster_ip("b")));
    index.apply(Change::Deleted(cluster_ip("b")));
    assert_eq!(reader.read(&mut index), ["-shop/b"]);
}

#[test]
fn fault_k11_an_older_version_of_an_object_is_ignored_in_events_and_listings() {
    let (mut index, mut reader) = web();
    let old = || slice("a-1", "a", 4, endpoints(&["10.0.0.9"]));
    index.apply(Change::Upserted(old()));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    list(&mut index, [old()]);
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
}

#[test]
fn fault_k22_an_older_version_holds_when_two_listings_in_a_row_show_it() {
    let (mut index, mut reader) = web();
    let restored = || slice("a-1", "a", 4, endpoints(&["10.0.0.9"]));
    list(&mut index, [restored()]);
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    list(&mut index, [restored()]);
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.9 passing"]);
}

#[test]
fn fault_k12_a_new_uid_under_an_old_name_replaces_the_object() {
    let (mut index, mut reader) = web();
    let mut again = slice("a-1", "a", 2, endpoints(&["10.0.0.2"]));
    again.metadata.uid = Some("another".to_owned());
    index.apply(Change::Upserted(again));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.2 passing"]);
    // The delete of the former one comes late.
    index.apply(Change::Deleted(slice("a-1", "a", 6, json!([]))));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
}

#[test]
fn fault_k14_an_undecodable_service_is_rejected_and_its_last_good_value_stays() {
    let (mut index, mut reader) = web();
    index.apply(Change::Upserted(bad_service("a", 6)));
    assert_eq!(reader.read(&mut index), ["!shop/a"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
    assert_eq!(index.undecodable().count(), 1);
    index.apply(Change::Upserted(bad_service("a", 7)));
    assert_eq!(reader.read(&mut index), [] as [String; 0], "said once");
    index.apply(Change::Upserted(slice(
        "a-2",
        "a",
        1,
        endpoints(&["10.0.0.2"]),
    )));
    assert_eq!(
        reader.read(&mut index),
        [] as [String; 0],
        "whatever else changes"
    );
    index.apply(Change::Deleted(slice("a-2", "a", 2, json!([]))));
    index.apply(Change::Upserted(service(
        "a",
        8,
        json!({"ports": [{"port": 80}]}),
    )));
    assert_eq!(
        reader.read(&mut index),
        ["+shop/a"],
        "good again, though equal"
    );
    assert!(reader.rejected.is_empty());
    assert_eq!(index.undecodable().count(), 0);
}

#[test]
fn fault_k14_an_undecodable_slice_rejects_its_service_alone() {
    let (mut index, mut reader) = web();
    index.apply(Change::Upserted(bad_slice("a-2", "a", 1)));
    index.apply(Change::Upserted(slice(
        "b-1",
        "b",
        1,
        endpoints(&["10.0.0.2"]),
    )));
    assert_eq!(reader.read(&mut index), ["!shop/a", "+shop/b"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
    assert!(reader.rejected[&Key::new("shop", "a")].starts_with("EndpointSlice shop/a-2: "));
    index.apply(Change::Deleted(bad_slice("a-2", "a", 2)));
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
}

#[test]
fn fault_k14_what_is_undecodable_in_a_listing_is_not_gone() {
    let mut index = Index::new(Arc::new(lean()));
    let mut reader = Reader::default();
    list(
        &mut index,
        [bad_service("a", 1), cluster_ip("b"), cluster_ip("c")],
    );
    list(&mut index, [bad_slice("b-1", "b", 1)]);
    assert_eq!(
        reader.read(&mut index),
        ["<", "!shop/a", "!shop/b", "+shop/c", ">"]
    );
    index.apply(Change::Deleted(bad_service("a", 2)));
    assert_eq!(reader.read(&mut index), ["-shop/a"]);
}

#[test]
fn fault_k14_an_undecodable_ingress_rejects_the_services_it_names_or_named() {
    let slices = vec![slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))];
    let (mut index, mut reader) = listed(
        all_kinds(),
        vec![cluster_ip("a"), cluster_ip("b"), cluster_ip("c")],
        slices,
    );
    index.apply(Change::Upserted(ingress("i", 1, "a.example.com", "a")));
    reader.read(&mut index);
    let mut bad = json!({"metadata": {"name": "i", "namespace": "shop", "uid": "u-i", "resourceVersion": "2"}, "spec": {"tls": 1, "rules": [
        {"http": {"paths": [{"path": "/", "backend": {"service": {"name": "b"}}}]}}]}});
    index.apply(Change::<slim::Ingress>::Upserted(decode(bad.clone())));
    assert_eq!(reader.read(&mut index), ["!shop/a", "!shop/b"]);
    assert_eq!(reader.instances("shop", "a"), ["a.example.com passing"]);
    // Bad beyond reading: it still stands before what it stood before.
    bad["spec"] = json!("gone");
    bad["metadata"]["resourceVersion"] = json!("3");
    index.apply(Change::<slim::Ingress>::Upserted(decode(bad)));
    assert_eq!(
        reader.read(&mut index),
        ["!shop/a", "!shop/b"],
        "for another reason now"
    );
    index.apply(Change::Upserted(ingress("i", 4, "a.example.com", "a")));
    assert_eq!(reader.read(&mut index), ["+shop/a", "+shop/b"]);
}

#[test]
fn fault_k14_an_undecodable_node_keeps_its_last_good_addresses() {
    let slices = vec![
        slice("a-1", "a", 1, on_node("n1", &["10.0.0.1"])),
        slice("b-1", "b", 1, on_node("n2", &["10.0.0.2"])),
    ];
    let (mut index, mut reader) = listed(
        ExportSettings::default(),
        vec![node_port("a"), node_port("b")],
        slices,
    );
    index.apply(Change::Upserted(node("n1", 1, "192.0.2.1")));
    reader.read(&mut index);
    let bad = |name: &str| -> slim::Node {
        decode(
            json!({"metadata": {"name": name, "uid": format!("u-{name}"), "resourceVersion": "2"}, "status": {"addresses": {}}}),
        )
    };
    index.apply(Change::Upserted(bad("n1")));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(reader.instances("shop", "a"), ["192.0.2.1 passing"]);
    // Without a last good state its services are rejected.
    index.apply(Change::Upserted(bad("n2")));
    assert_eq!(reader.read(&mut index), ["!shop/b"]);
    assert_eq!(
        reader.rejected[&Key::new("shop", "b")],
        "Node n2: status.addresses: invalid type: map, expected a sequence"
    );
    index.apply(Change::Upserted(node("n2", 3, "192.0.2.2")));
    assert_eq!(reader.read(&mut index), ["+shop/b"]);
    assert_eq!(index.undecodable().count(), 1);
}

#[test]
fn fault_k14_an_undecodable_namespace_keeps_its_last_good_selection() {
    let (mut index, mut reader) = listed(all_kinds(), vec![cluster_ip("a")], vec![]);
    index.apply(Change::Upserted(namespace("shop", 2, json!({"sync": 1}))));
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(reader.services.len(), 1);
    // Never good: its services are rejected, not removed.
    index.apply(Change::Deleted(namespace("shop", 3, json!({}))));
    assert_eq!(reader.read(&mut index), ["-shop/a"]);
    index.apply(Change::Upserted(namespace("shop", 4, json!({"sync": 1}))));
    assert_eq!(reader.read(&mut index), ["!shop/a"]);
}

#[test]
fn fault_k14_an_undecodable_ingress_that_names_no_service_is_told_once() {
    let (mut index, mut reader) = listed(all_kinds(), vec![cluster_ip("a")], vec![]);
    let bad = |version: &str, spec: serde_json::Value| {
        let metadata =
            json!({"name": "i", "namespace": "shop", "uid": "u-i", "resourceVersion": version});
        Change::<slim::Ingress>::Upserted(decode(json!({"metadata": metadata, "spec": spec})))
    };
    for version in ["1", "2"] {
        index.apply(bad(version, json!("gone")));
    }
    assert_eq!(
        reader.read(&mut index),
        [] as [String; 0],
        "no service shows it"
    );
    let told = index.take_problems();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message().contains("Ingress shop/i"), "{told:?}");
    assert!(index.take_problems().is_empty());
    index.apply(Change::Upserted(ingress("i", 3, "a.example.com", "a")));
    index.apply(bad("4", json!("gone")));
    assert_eq!(index.take_problems().len(), 1, "bad again");
}
