use serde_json::{Value, json};

use super::{World, defaults, slice, web};
use crate::{ExportSettings, NodePorts};

const PORTS: &str = "http=30080,admin=30900";

/// Types and addresses of a node.
type Addresses<'a> = &'a [(&'a str, &'a str)];

fn node(name: &str, addresses: &[(&str, &str)]) -> Value {
    let addresses: Vec<_> = addresses
        .iter()
        .map(|(type_, address)| json!({"type": type_, "address": address}))
        .collect();
    json!({"metadata": {"name": name}, "status": {"addresses": addresses}})
}

fn on(address: &str, node: &str) -> Value {
    json!({"addresses": [address], "nodeName": node})
}

fn settings(node_ports: NodePorts) -> ExportSettings {
    ExportSettings {
        node_ports,
        ..defaults()
    }
}

fn world(endpoints: Value, nodes: Vec<Value>) -> World {
    World {
        slices: vec![slice("web-1", endpoints)],
        nodes,
        ..web(json!({"type": "NodePort"}))
    }
}

#[test]
fn each_policy_takes_the_first_matching_address_of_the_node() {
    let both = [
        ("Hostname", "n1"),
        ("InternalIP", "10.1.0.1"),
        ("InternalIP", "10.1.0.9"),
        ("ExternalIP", "192.0.2.1"),
        ("ExternalIP", "192.0.2.9"),
    ];
    let internal = [("InternalIP", "10.1.0.1")];
    let rows: &[(NodePorts, Addresses<'_>, Option<&str>)] = &[
        (NodePorts::ExternalOnly, &both, Some("192.0.2.1")),
        (NodePorts::ExternalOnly, &internal, None),
        (NodePorts::InternalOnly, &both, Some("10.1.0.1")),
        (NodePorts::InternalOnly, &both[3..], None),
        (NodePorts::ExternalFirst, &both, Some("192.0.2.1")),
        (NodePorts::ExternalFirst, &internal, Some("10.1.0.1")),
        (NodePorts::ExternalFirst, &both[..1], None),
    ];
    for (policy, addresses, expected) in rows {
        let world = world(json!([on("10.0.0.1", "n1")]), vec![node("n1", addresses)]);
        let expected: Vec<_> = expected
            .iter()
            .map(|at| format!("{at} {PORTS} passing"))
            .collect();
        assert_eq!(
            world.instances(&settings(*policy)),
            expected,
            "{policy} {addresses:?}"
        );
    }
}

#[test]
fn switched_off_needs_no_node_and_leaves_external_ips() {
    let mut world = world(json!([on("10.0.0.1", "n1")]), vec![]);
    assert_eq!(world.translate(&settings(NodePorts::Off)), Ok(None));
    world.service["spec"]["externalIPs"] = json!(["192.0.2.7"]);
    assert_eq!(
        world.instances(&settings(NodePorts::Off)),
        ["192.0.2.7 http=80,admin=9000 unchecked"]
    );
}

#[test]
fn there_is_one_instance_per_endpoint_identified_by_it() {
    let world = world(
        json!([on("10.0.0.1", "n1"), on("10.0.0.2", "n1"), on("10.0.0.3", "n2"), on("10.0.0.4", "gone"), {"addresses": ["10.0.0.5"]}]),
        vec![
            node("n1", &[("ExternalIP", "192.0.2.1")]),
            node("n2", &[("ExternalIP", "192.0.2.2")]),
        ],
    );
    let service = world.service(&defaults());
    let found: Vec<_> = service
        .instances
        .iter()
        .map(|i| (i.address.to_string(), i.identity().to_string()))
        .collect();
    let expected = [
        ("192.0.2.1", "10.0.0.1"),
        ("192.0.2.1", "10.0.0.2"),
        ("192.0.2.2", "10.0.0.3"),
    ];
    assert_eq!(
        found,
        expected.map(|(at, by)| (at.to_owned(), by.to_owned()))
    );
    assert_eq!(
        service.instances[0].meta.get("external-k8s-node-name"),
        Some("n1")
    );
}

#[test]
fn the_health_of_an_instance_is_that_of_its_endpoint() {
    let world = world(
        json!([on("10.0.0.1", "n1"), {"addresses": ["10.0.0.2"], "nodeName": "n1", "conditions": {"ready": false}}]),
        vec![node("n1", &[("ExternalIP", "192.0.2.1")])],
    );
    let at = |status| format!("192.0.2.1 {PORTS} {status}");
    assert_eq!(
        world.instances(&defaults()),
        [at("passing"), at("critical")]
    );
}

#[test]
fn each_family_is_served_at_the_address_of_its_family() {
    let dual = node(
        "n1",
        &[("ExternalIP", "192.0.2.1"), ("ExternalIP", "2001:db8::1")],
    );
    let mut v6 = slice("web-6", json!([on("fd00::1", "n1")]));
    v6["addressType"] = json!("IPv6");
    let mut world = world(json!([on("10.0.0.1", "n1")]), vec![dual]);
    world.slices.push(v6);
    assert_eq!(
        world.instances(&defaults()),
        [
            format!("192.0.2.1 {PORTS} passing"),
            format!("2001:db8::1 {PORTS} passing")
        ]
    );
    // No address of the family: the port is not reached there.
    world.nodes = vec![node(
        "n1",
        &[("ExternalIP", "192.0.2.1"), ("InternalIP", "fd01::1")],
    )];
    assert_eq!(
        world.instances(&defaults()),
        [format!("192.0.2.1 {PORTS} passing")]
    );
    let first = settings(NodePorts::ExternalFirst);
    assert_eq!(
        world.instances(&first),
        [
            format!("192.0.2.1 {PORTS} passing"),
            format!("fd01::1 {PORTS} passing")
        ]
    );
}

#[test]
fn ports_without_a_node_port_are_not_reached() {
    let mut world = world(
        json!([on("10.0.0.1", "n1")]),
        vec![node("n1", &[("ExternalIP", "192.0.2.1")])],
    );
    world.service["spec"]["ports"] =
        json!([{"name": "http", "port": 80}, {"name": "admin", "port": 9000, "nodePort": 30900}]);
    assert_eq!(
        world.instances(&defaults()),
        ["192.0.2.1 admin=30900 passing"]
    );
    world.service["spec"]["ports"] = json!([{"name": "http", "port": 80, "nodePort": 0}]);
    assert_eq!(world.instances(&defaults()), [] as [String; 0]);
}

#[test]
fn the_annotated_port_is_the_default_by_its_node_port() {
    let world = world(
        json!([on("10.0.0.1", "n1")]),
        vec![node("n1", &[("ExternalIP", "192.0.2.1")])],
    );
    let world = super::annotated(world, "service-port", "admin");
    assert_eq!(
        world.instances(&defaults()),
        ["192.0.2.1 admin=30900,http=30080 passing"]
    );
}
