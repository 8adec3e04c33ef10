//! One case or more for every row of the tables in the module's documentation, from JSON as a server sends it.
#![expect(
    clippy::needless_pass_by_value,
    reason = "JSON is written where it is passed"
)]

mod annotations;
mod endpoints;
mod ingress;
mod laws;
mod node_ports;

use consul_sync_core::{Rejection, Service};
use serde_json::{Value, json};

use super::{Objects, translate};
use crate::{ExportSettings, slim};

/// Objects of a test, as JSON.
#[derive(Clone, Debug, Default)]
struct World {
    service: Value,
    slices: Vec<Value>,
    nodes: Vec<Value>,
    ingresses: Vec<Value>,
}

fn decode<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"))
}

impl World {
    fn translate(&self, settings: &ExportSettings) -> Result<Option<Service>, Rejection> {
        let service: slim::Service = decode(&self.service);
        let slices: Vec<slim::EndpointSlice> = self.slices.iter().map(decode).collect();
        let nodes: Vec<slim::Node> = self.nodes.iter().map(decode).collect();
        let ingresses: Vec<slim::Ingress> = self.ingresses.iter().map(decode).collect();
        let objects = Objects {
            service: &service,
            slices: &slices,
            nodes: &nodes,
            ingresses: &ingresses,
        };
        translate(settings, &objects)
    }

    fn service(&self, settings: &ExportSettings) -> Service {
        self.translate(settings)
            .expect("not rejected")
            .expect("exported")
    }

    /// Each instance as `address:port,port check`.
    fn instances(&self, settings: &ExportSettings) -> Vec<String> {
        self.service(settings).instances.iter().map(line).collect()
    }
}

fn line(instance: &consul_sync_core::Instance) -> String {
    let ports: Vec<_> = instance
        .ports
        .iter()
        .map(|port| format!("{}={}", port.name, port.number))
        .collect();
    let check = instance
        .check
        .as_ref()
        .map_or("unchecked", |check| check.status.as_str());
    format!("{} {} {check}", instance.address, ports.join(","))
}

fn defaults() -> ExportSettings {
    ExportSettings::default()
}

/// A Service `shop/web` of ports http 80 and admin 9000.
fn web(spec: Value) -> World {
    let mut full = json!({"ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "admin", "port": 9000, "nodePort": 30900}]});
    merge(&mut full, spec);
    World {
        service: json!({
            "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-01-02T03:04:05Z"},
            "spec": full,
        }),
        ..World::default()
    }
}

fn annotated(mut world: World, name: &str, value: &str) -> World {
    world.service["metadata"]["annotations"][format!("consul.hashicorp.com/{name}")] = json!(value);
    world
}

/// A slice of `shop/web` with the ports http 8080 and admin 9001.
fn slice(name: &str, endpoints: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}, {"name": "admin", "port": 9001}],
        "endpoints": endpoints,
    })
}

fn merge(target: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        panic!("{more}")
    };
    for (key, value) in more {
        target[key] = value;
    }
}

const BOTH: &str = "http=80,admin=9000";

#[test]
fn external_ips_win_over_every_type_and_are_at_the_service_ports() {
    for type_ in ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] {
        let mut world =
            web(json!({"type": type_, "externalIPs": ["192.0.2.2", "192.0.2.1", "192.0.2.2"]}));
        world.service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}});
        world.slices = vec![slice(
            "web-1",
            json!([{"addresses": ["10.0.0.1"], "nodeName": "n1"}]),
        )];
        let expected = ["192.0.2.1", "192.0.2.2"].map(|ip| format!("{ip} {BOTH} unchecked"));
        assert_eq!(world.instances(&defaults()), expected, "{type_}");
    }
}

#[test]
fn a_load_balancer_is_at_each_distinct_ip_else_host_name() {
    let mut world = web(json!({"type": "LoadBalancer"}));
    assert_eq!(
        world.instances(&defaults()),
        [] as [String; 0],
        "no address yet"
    );
    world.service["status"] = json!({"loadBalancer": {"ingress": [
        {"hostname": "lb.example.com"}, {"ip": "198.51.100.1", "hostname": "unused.example.com"},
        {"ip": "198.51.100.1"}, {"hostname": "lb.example.com"}, {"ip": "2001:db8::1"},
    ]}});
    let expected = ["198.51.100.1", "2001:db8::1", "lb.example.com"]
        .map(|at| format!("{at} {BOTH} unchecked"));
    assert_eq!(world.instances(&defaults()), expected);
    // Its endpoints do not matter.
    world.slices = vec![slice("web-1", json!([{"addresses": ["10.0.0.1"]}]))];
    assert_eq!(world.instances(&defaults()), expected);
}

#[test]
fn a_load_balancer_by_endpoints_is_at_its_endpoints() {
    let mut world = web(json!({"type": "LoadBalancer"}));
    world.service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}});
    world.slices = vec![slice(
        "web-1",
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]),
    )];
    let settings = ExportSettings {
        load_balancer_endpoints: true,
        ..defaults()
    };
    assert_eq!(
        world.instances(&settings),
        ["10.0.0.1 http=8080,admin=9001 critical"]
    );
}

#[test]
fn an_external_name_is_not_exported() {
    assert_eq!(
        web(json!({"type": "ExternalName", "externalName": "x.example.com"}))
            .translate(&defaults()),
        Ok(None)
    );
}

#[test]
fn cluster_ip_can_be_switched_off_and_then_nothing_brings_it_back() {
    let off = ExportSettings {
        cluster_ip: false,
        ..defaults()
    };
    let world = web(json!({"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}));
    assert_eq!(
        annotated(world, "service-sync", "true").translate(&off),
        Ok(None)
    );
    assert!(
        web(json!({"type": "NodePort"}))
            .translate(&off)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_service_is_named_by_prefix_name_and_suffix() {
    let rows = [
        ("", false, "web"),
        ("k8s-", false, "k8s-web"),
        ("", true, "web-shop"),
        ("k8s-", true, "k8s-web-shop"),
    ];
    for (prefix, namespace_suffix, name) in rows {
        let settings = ExportSettings {
            prefix: prefix.to_owned(),
            namespace_suffix,
            ..defaults()
        };
        assert_eq!(web(json!({})).service(&settings).name.as_str(), name);
        let annotated = annotated(web(json!({})), "service-name", " exact ");
        assert_eq!(annotated.service(&settings).name.as_str(), "exact");
    }
}

#[test]
fn a_service_carries_key_age_tag_and_meta() {
    let service = web(json!({})).service(&defaults());
    assert_eq!(service.key.to_string(), "shop/web");
    assert_eq!(service.created, 1_767_323_045);
    assert_eq!(*service.tags, ["k8s".into()]);
    assert_eq!(service.weight, None);
    assert_eq!(service.namespace, None);
    let expected = [
        ("external-k8s-ns", "shop"),
        ("external-source", "kubernetes"),
        ("port-admin", "9000"),
        ("port-http", "80"),
    ];
    let meta: Vec<_> = service
        .meta
        .iter()
        .map(|(key, value)| (key.as_ref(), value))
        .collect();
    assert_eq!(meta, expected);
}

#[test]
fn the_tag_can_be_another_or_none() {
    for (tag, tags) in [("dc", vec!["dc", "a"]), ("", vec!["a"])] {
        let settings = ExportSettings {
            tag: tag.to_owned(),
            ..defaults()
        };
        let service = annotated(web(json!({})), "service-tags", "a").service(&settings);
        assert_eq!(
            service
                .tags
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<&str>>(),
            tags
        );
    }
}

#[test]
fn consul_namespaces_follow_the_settings() {
    use crate::ConsulNamespaces;
    let rows = [
        (ConsulNamespaces::Single("default".to_owned()), "default"),
        (
            ConsulNamespaces::Mirrored {
                prefix: String::new(),
            },
            "shop",
        ),
        (
            ConsulNamespaces::Mirrored {
                prefix: "k-".to_owned(),
            },
            "k-shop",
        ),
    ];
    for (consul_namespaces, name) in rows {
        let settings = ExportSettings {
            consul_namespaces,
            ..defaults()
        };
        assert_eq!(
            web(json!({})).service(&settings).namespace.as_deref(),
            Some(name)
        );
    }
}

#[test]
fn only_allowed_namespaces_are_exported() {
    let denied = ExportSettings {
        deny_namespaces: ["shop".to_owned()].into(),
        ..defaults()
    };
    assert_eq!(
        annotated(web(json!({})), "service-sync", "true").translate(&denied),
        Ok(None)
    );
    let other = ExportSettings {
        allow_namespaces: ["other".to_owned()].into(),
        ..defaults()
    };
    assert_eq!(web(json!({})).translate(&other), Ok(None));
    let only = ExportSettings {
        source_namespace: Some("shop".to_owned()),
        ..other
    };
    assert!(web(json!({})).translate(&only).unwrap().is_some());
}

#[test]
fn only_services_with_selected_labels_are_exported() {
    let settings = ExportSettings {
        service_selector: "team=a,!internal".parse().unwrap(),
        ..defaults()
    };
    let mut world = web(json!({}));
    assert_eq!(world.translate(&settings), Ok(None));
    world.service["metadata"]["labels"] = json!({"team": "a"});
    assert!(world.translate(&settings).unwrap().is_some());
    world.service["metadata"]["labels"] = json!({"team": "a", "internal": ""});
    assert_eq!(world.translate(&settings), Ok(None));
}

#[test]
fn a_service_under_deletion_is_exported_until_it_is_gone() {
    let mut world = web(json!({"externalIPs": ["192.0.2.1"]}));
    world.service["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    assert_eq!(world.instances(&defaults()).len(), 1);
}

#[test]
fn an_undecodable_service_is_rejected_unless_it_is_not_exported_anyway() {
    let world = web(json!({"ports": 7}));
    let rejection = world.translate(&defaults()).unwrap_err();
    assert_eq!(rejection.reason(), consul_sync_core::Reason::Undecodable);
    assert!(
        rejection
            .message()
            .starts_with("Service shop/web: spec.ports: invalid type"),
        "{rejection}"
    );
    let denied = ExportSettings {
        deny_namespaces: ["shop".to_owned()].into(),
        ..defaults()
    };
    assert_eq!(world.translate(&denied), Ok(None));
    assert_eq!(
        annotated(world.clone(), "service-sync", "0").translate(&defaults()),
        Ok(None)
    );

    // Labels that are bad themselves do not deselect it.
    let selected = ExportSettings {
        service_selector: "team=a".parse().unwrap(),
        ..defaults()
    };
    let mut bad_labels = web(json!({}));
    bad_labels.service["metadata"]["labels"] = json!({"team": ["a"]});
    assert!(bad_labels.translate(&selected).is_err());
    let mut good_labels = world;
    good_labels.service["metadata"]["labels"] = json!({"team": "b"});
    assert_eq!(good_labels.translate(&selected), Ok(None));
}
