use consul_sync_core::Status;
use serde_json::{Value, json};

use super::{World, defaults, slice, web};
use crate::ExportSettings;

const PORTS: &str = "http=8080,admin=9001";

fn with_slices(slices: Vec<Value>) -> World {
    World {
        slices,
        ..web(json!({}))
    }
}

#[test]
fn an_endpoint_carries_what_it_stands_for_and_a_check() {
    let world = with_slices(vec![slice(
        "web-1",
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "nodeName": "n1", "zone": "z1",
                "targetRef": {"kind": "Pod", "name": "web-abc", "namespace": "shop"}}]),
    )]);
    let service = world.service(&defaults());
    let [instance] = service.instances.as_slice() else {
        panic!("{service:?}")
    };
    let meta: Vec<_> = instance
        .meta
        .iter()
        .map(|(key, value)| (key.as_ref(), value))
        .collect();
    let expected = [
        ("external-k8s-node-name", "n1"),
        ("external-k8s-ref-kind", "Pod"),
        ("external-k8s-ref-name", "web-abc"),
        ("external-k8s-topology-zone", "z1"),
    ];
    assert_eq!(meta, expected);
    let check = instance.check.as_ref().unwrap();
    assert_eq!(check.scope.as_ref(), "shop");
    assert_eq!(check.name.as_ref(), "Kubernetes Readiness Check");
    assert_eq!(check.kind.as_ref(), "kubernetes-readiness");
    assert_eq!(check.status, Status::Passing);
    assert_eq!(check.output.as_ref(), "Kubernetes health checks passing");
    assert_eq!(instance.identity(), &instance.address);
}

#[test]
fn an_endpoint_without_references_carries_no_pairs() {
    let world = with_slices(vec![slice("web-1", json!([{"addresses": ["10.0.0.1"]}]))]);
    assert!(world.service(&defaults()).instances[0].meta.is_empty());
}

/// ready, serving, terminating, alone in its Service: status by default, status when the terminating may serve.
#[test]
fn every_combination_of_conditions_has_its_status() {
    const T: Option<bool> = Some(true);
    const F: Option<bool> = Some(false);
    const N: Option<bool> = None;
    let (passing, critical) = ("passing", "critical");
    let rows = [
        (T, T, F, passing, passing),
        (T, N, N, passing, passing),
        (N, N, N, passing, passing),
        (N, F, F, passing, passing),
        // A Service that publishes addresses that are not ready.
        (T, F, T, passing, passing),
        (T, T, T, passing, passing),
        (F, T, F, critical, critical),
        (F, F, F, critical, critical),
        (F, N, N, critical, critical),
        (F, T, T, critical, passing),
        (N, T, T, critical, passing),
        (N, N, T, critical, passing),
        (F, F, T, critical, critical),
        (F, N, T, critical, critical),
        (N, F, T, critical, critical),
    ];
    let serve = ExportSettings {
        serve_terminating: true,
        ..defaults()
    };
    for (ready, serving, terminating, by_default, when_served) in rows {
        let conditions = json!({"ready": ready, "serving": serving, "terminating": terminating});
        let world = with_slices(vec![slice(
            "web-1",
            json!([{"addresses": ["10.0.0.1"], "conditions": conditions}]),
        )]);
        assert_eq!(
            world.instances(&defaults()),
            [format!("10.0.0.1 {PORTS} {by_default}")],
            "{conditions}"
        );
        assert_eq!(
            world.instances(&serve),
            [format!("10.0.0.1 {PORTS} {when_served}")],
            "{conditions}"
        );
    }
}

#[test]
fn a_critical_check_says_that_it_fails() {
    let world = with_slices(vec![slice(
        "web-1",
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]),
    )]);
    let service = world.service(&defaults());
    assert_eq!(
        service.instances[0].check.as_ref().unwrap().output.as_ref(),
        "Kubernetes health checks failing"
    );
}

#[test]
fn the_terminating_serve_only_while_no_endpoint_is_ready() {
    let draining = json!({"addresses": ["10.0.0.1"], "conditions": {"ready": false, "serving": true, "terminating": true}});
    let fresh = |ready: bool| json!({"addresses": ["10.0.0.2"], "conditions": {"ready": ready}});
    let serve = ExportSettings {
        serve_terminating: true,
        ..defaults()
    };
    for (ready, first, second) in [
        (false, "passing", "critical"),
        (true, "critical", "passing"),
    ] {
        // Also when the ready one is in another slice.
        let world = with_slices(vec![
            slice("web-1", json!([draining])),
            slice("web-2", json!([fresh(ready)])),
        ]);
        let expected = [
            format!("10.0.0.1 {PORTS} {first}"),
            format!("10.0.0.2 {PORTS} {second}"),
        ];
        assert_eq!(world.instances(&serve), expected);
    }
}

#[test]
fn instances_are_the_union_of_all_slices_and_both_families() {
    let mut v6 = slice("web-6", json!([{"addresses": ["fd00::1"]}]));
    v6["addressType"] = json!("IPv6");
    let mut names = slice("web-n", json!([{"addresses": ["db.example.com"]}]));
    names["addressType"] = json!("FQDN");
    let world = with_slices(vec![
        v6,
        slice(
            "web-2",
            json!([{"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.3"]}]),
        ),
        slice("web-1", json!([{"addresses": ["10.0.0.1", "10.0.0.4"]}])),
        names,
        slice("web-0", json!(null)),
    ]);
    let addresses = [
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.4",
        "fd00::1",
        "db.example.com",
    ];
    assert_eq!(
        world.instances(&defaults()),
        addresses.map(|address| format!("{address} {PORTS} passing"))
    );
}

#[test]
fn slices_of_other_services_and_namespaces_do_not_count() {
    let mut other = slice("x", json!([{"addresses": ["10.0.0.9"]}]));
    other["metadata"]["labels"] = json!({"kubernetes.io/service-name": "api"});
    let mut elsewhere = slice("x", json!([{"addresses": ["10.0.0.9"]}]));
    elsewhere["metadata"]["namespace"] = json!("other");
    let mut nobody = slice("x", json!([{"addresses": ["10.0.0.9"]}]));
    nobody["metadata"]["labels"] = json!({});
    assert_eq!(
        with_slices(vec![other, elsewhere, nobody]).instances(&defaults()),
        [] as [String; 0]
    );
}

/// Fault catalogue K18: an address moves between slices, and is in both for a while.
#[test]
fn fault_k18_an_address_in_two_slices_is_one_instance_and_ready_wins() {
    let endpoint = |ready: bool| json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "nodeName": "n1"}]);
    for (first, second, status) in [
        (true, false, "passing"),
        (false, true, "passing"),
        (false, false, "critical"),
    ] {
        let world = with_slices(vec![
            slice("web-1", endpoint(first)),
            slice("web-2", endpoint(second)),
        ]);
        assert_eq!(
            world.instances(&defaults()),
            [format!("10.0.0.1 {PORTS} {status}")]
        );
    }
}

#[test]
fn two_pods_of_one_address_and_other_ports_are_two_instances() {
    let mut second = slice(
        "web-2",
        json!([{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "b"}}]),
    );
    second["ports"] = json!([{"name": "http", "port": 8081}]);
    let world = with_slices(vec![
        slice(
            "web-1",
            json!([{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "a"}}]),
        ),
        second,
    ]);
    assert_eq!(
        world.instances(&defaults()),
        [
            "10.0.0.1 http=8080,admin=9001 passing",
            "10.0.0.1 http=8081 passing"
        ]
    );
}

#[test]
fn ports_stand_in_the_order_of_the_service_whatever_the_slice_says() {
    let mut reversed = slice("web-1", json!([{"addresses": ["10.0.0.1"]}]));
    reversed["ports"] = json!([{"name": "extra", "port": 1}, {"name": "admin", "port": 9001}, {"name": "http", "port": 8080}]);
    assert_eq!(
        with_slices(vec![reversed]).instances(&defaults()),
        ["10.0.0.1 http=8080,admin=9001,extra=1 passing"]
    );
}

#[test]
fn a_slice_without_the_default_port_starts_with_the_next() {
    let mut one = slice("web-1", json!([{"addresses": ["10.0.0.1"]}]));
    one["ports"] = json!([{"name": "admin", "port": 9001}]);
    assert_eq!(
        with_slices(vec![one]).instances(&defaults()),
        ["10.0.0.1 admin=9001 passing"]
    );
}

#[test]
fn unnamed_ports_are_numbered_from_one() {
    let mut world = web(json!({"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}));
    assert_eq!(
        world.instances(&defaults()),
        ["192.0.2.1 port1=80 unchecked"]
    );
    // As Kubernetes names it: not at all.
    assert_eq!(world.service(&defaults()).meta.get("port-"), Some("80"));
    let mut unnamed = slice("web-1", json!([{"addresses": ["10.0.0.1"]}]));
    unnamed["ports"] = json!([{"name": "", "port": 8080}]);
    world.slices = vec![unnamed.clone()];
    world.service["spec"]["externalIPs"] = json!([]);
    assert_eq!(
        world.instances(&defaults()),
        ["10.0.0.1 port1=8080 passing"]
    );
    // A port that only the slice knows.
    world.service["spec"]["ports"] = json!([]);
    assert_eq!(
        world.instances(&defaults()),
        ["10.0.0.1 port1=8080 passing"]
    );
}

#[test]
fn a_headless_service_without_ports_has_instances_without_ports() {
    let mut world = web(json!({"clusterIP": "None", "ports": null}));
    let mut bare = slice("web-1", json!([{"addresses": ["10.0.0.1"]}]));
    bare["ports"] = json!(null);
    world.slices = vec![bare];
    assert_eq!(world.instances(&defaults()), ["10.0.0.1  passing"]);
}

#[test]
fn an_undecodable_slice_of_the_service_rejects_it() {
    let world = with_slices(vec![
        slice("web-1", json!([{"addresses": ["10.0.0.1"]}])),
        slice("web-2", json!([{"addresses": ["x"]}])),
    ]);
    let rejection = world.translate(&defaults()).unwrap_err();
    assert_eq!(
        rejection.message(),
        "EndpointSlice shop/web-2: endpoints[0].addresses: \"x\" is not an IPv4 address"
    );
}
