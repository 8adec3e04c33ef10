use serde_json::{Value, json};

use super::{World, defaults, slice, web};
use crate::ExportSettings;

const OWN: &str = "10.0.0.1 http=8080,admin=9001 passing";

fn on() -> ExportSettings {
    ExportSettings {
        ingress: true,
        ..defaults()
    }
}

fn by_ip() -> ExportSettings {
    ExportSettings {
        ingress: true,
        ingress_load_balancer_ips: true,
        ..defaults()
    }
}

fn path(path: &str, service: &str) -> Value {
    json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}})
}

fn rule(host: &str, paths: &[Value]) -> Value {
    json!({"host": host, "http": {"paths": paths}})
}

fn ingress(rules: Vec<Value>) -> Value {
    json!({"metadata": {"name": "front", "namespace": "shop"}, "spec": {"rules": rules}})
}

fn behind(ingresses: Vec<Value>) -> World {
    World {
        slices: vec![slice("web-1", json!([{"addresses": ["10.0.0.1"]}]))],
        ingresses,
        ..web(json!({}))
    }
}

#[test]
fn the_host_of_a_root_rule_takes_the_place_of_the_endpoints() {
    let world = behind(vec![ingress(vec![rule(
        "a.example.com",
        &[path("/", "web")],
    )])]);
    assert_eq!(world.instances(&on()), ["a.example.com http=80 passing"]);
    assert_eq!(
        world.instances(&defaults()),
        [OWN],
        "not unless the settings say so"
    );
}

#[test]
fn a_host_under_tls_is_at_port_443() {
    let mut front = ingress(vec![
        rule("a.example.com", &[path("/", "web")]),
        rule("b.example.com", &[path("/", "web")]),
    ]);
    front["spec"]["tls"] = json!([{"hosts": ["x.example.com", "b.example.com"]}]);
    assert_eq!(
        behind(vec![front]).instances(&on()),
        [
            "a.example.com http=80 passing",
            "b.example.com https=443 passing"
        ]
    );
}

#[test]
fn a_host_of_two_rules_is_one_instance_and_tls_wins() {
    let plain = ingress(vec![rule(
        "a.example.com",
        &[path("/", "web"), path("/", "web")],
    )]);
    let mut secured = plain.clone();
    secured["spec"]["tls"] = json!([{"hosts": ["a.example.com"]}]);
    for ingresses in [vec![plain.clone(), secured.clone()], vec![secured, plain]] {
        assert_eq!(
            behind(ingresses).instances(&on()),
            ["a.example.com https=443 passing"]
        );
    }
}

#[test]
fn rules_that_name_no_host_for_the_service_leave_its_own_addresses() {
    let fronts = [
        ingress(vec![]),
        ingress(vec![json!({"host": "a.example.com"})]),
        ingress(vec![json!({"host": "a.example.com", "http": null})]),
        ingress(vec![rule("a.example.com", &[path("/api", "web")])]),
        ingress(vec![rule("a.example.com", &[path("/", "other")])]),
        ingress(vec![rule("", &[path("/", "web")])]),
        ingress(vec![rule("*.example.com", &[path("/", "web")])]),
        ingress(vec![rule(
            "a.example.com",
            &[json!({"path": "/", "backend": {"resource": {"kind": "B", "name": "b"}}})],
        )]),
    ];
    for front in fronts {
        assert_eq!(
            behind(vec![front.clone()]).instances(&on()),
            [OWN],
            "{front}"
        );
    }
    let mut elsewhere = ingress(vec![rule("a.example.com", &[path("/", "web")])]);
    elsewhere["metadata"]["namespace"] = json!("other");
    assert_eq!(behind(vec![elsewhere]).instances(&on()), [OWN]);
}

#[test]
fn the_ip_of_the_balancer_takes_the_place_of_the_host() {
    let mut front = ingress(vec![rule("", &[path("/", "web")])]);
    for status in [
        json!(null),
        json!({}),
        json!({"loadBalancer": {}}),
        json!({"loadBalancer": {"ingress": []}}),
        json!({"loadBalancer": {"ingress": [{"hostname": "lb"}]}}),
    ] {
        front["status"] = status;
        assert_eq!(
            behind(vec![front.clone()]).instances(&by_ip()),
            [OWN],
            "{front}"
        );
    }
    front["status"] =
        json!({"loadBalancer": {"ingress": [{"hostname": "lb"}, {"ip": "192.0.2.5"}]}});
    assert_eq!(
        behind(vec![front]).instances(&by_ip()),
        ["192.0.2.5 http=80 passing"]
    );
}

#[test]
fn a_host_passes_when_any_endpoint_passes_and_is_nowhere_without_endpoints() {
    let mut world = behind(vec![ingress(vec![rule(
        "a.example.com",
        &[path("/", "web")],
    )])]);
    let down = json!({"addresses": ["10.0.0.2"], "conditions": {"ready": false}});
    world.slices.push(slice("web-2", json!([down])));
    assert_eq!(world.instances(&on()), ["a.example.com http=80 passing"]);
    world.slices.remove(0);
    assert_eq!(world.instances(&on()), ["a.example.com http=80 critical"]);
    world.slices.clear();
    assert_eq!(world.instances(&on()), [] as [String; 0]);
}

#[test]
fn other_types_do_not_follow_an_ingress() {
    let front = ingress(vec![rule("a.example.com", &[path("/", "web")])]);
    let external = World {
        ingresses: vec![front.clone()],
        ..web(json!({"externalIPs": ["192.0.2.1"]}))
    };
    assert_eq!(
        external.instances(&on()),
        ["192.0.2.1 http=80,admin=9000 unchecked"]
    );
    let mut balanced = behind(vec![front]);
    balanced.service["spec"]["type"] = json!("LoadBalancer");
    assert_eq!(
        balanced.instances(&ExportSettings {
            load_balancer_endpoints: true,
            ..on()
        }),
        [OWN]
    );
}
