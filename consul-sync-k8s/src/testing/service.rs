//! What the API server makes of a Service: defaults, addresses, node ports, and what it refuses.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    kind::Kind,
    status::Failure,
    store::{set, text, unset},
};

/// Hands out cluster IPs and node ports, in order.
#[derive(Debug, Default)]
pub(super) struct Allocator {
    addresses: u32,
    ports: u16,
}

impl Allocator {
    fn address(&mut self) -> String {
        self.addresses += 1;
        let [_, _, high, low] = (self.addresses + 10).to_be_bytes();
        format!("10.0.{high}.{low}")
    }

    fn port(&mut self) -> u16 {
        let port = 30_000 + self.ports;
        self.ports = (self.ports + 1) % 2768;
        port
    }
}

/// Services whose cluster IP a writer gave, by UID: the server remembers who said which field. An update that leaves
/// the address out takes that back, and is a new version though nothing else is new.
#[derive(Debug, Default)]
pub(super) struct Addressed(BTreeSet<String>);

impl Addressed {
    /// Takes note of a write of this object as it will be: `said` is the address that it was sent with, `held` the one from before.
    /// Answers whether that alone is a change.
    pub(super) fn notes(&mut self, object: &Value, said: &str, held: &str) -> bool {
        let uid = text(object, "/metadata/uid");
        if text(object, "/spec/clusterIP").is_empty() {
            // With the address goes who said it.
            self.0.remove(uid);
            false
        } else if said.is_empty() {
            self.0.remove(uid)
        } else if said == held {
            false
        } else {
            self.0.insert(uid.to_owned())
        }
    }
}

fn ports(service: &Value) -> &[Value] {
    service
        .pointer("/spec/ports")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Fills in what the API server fills in. `old`: what is stored now.
pub(super) fn complete(service: &mut Value, old: Option<&Value>, allocator: &mut Allocator) {
    for field in ["ports", "externalIPs", "selector"] {
        let held = service.pointer(&format!("/spec/{field}"));
        if held.is_some_and(|held| held.is_null() || *held == json!([]) || *held == json!({})) {
            unset(service, "/spec", field);
        }
    }
    default(service, "type", json!("ClusterIP"));
    default(service, "sessionAffinity", json!("None"));
    let kind = text(service, "/spec/type").to_owned();
    let was = old.map(|old| text(old, "/spec/type").to_owned());
    if kind == "ExternalName" {
        if was.is_some_and(|was| was != kind) {
            for field in [
                "clusterIP",
                "clusterIPs",
                "ipFamilies",
                "ipFamilyPolicy",
                "internalTrafficPolicy",
            ] {
                unset(service, "/spec", field);
            }
        }
    } else {
        default(service, "internalTrafficPolicy", json!("Cluster"));
        address(service, old, allocator);
    }
    complete_ports(service, old, &kind, allocator);
    let external = service
        .pointer("/spec/externalIPs")
        .and_then(Value::as_array)
        .is_some_and(|addresses| !addresses.is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && external) {
        default(service, "externalTrafficPolicy", json!("Cluster"));
    } else {
        unset(service, "/spec", "externalTrafficPolicy");
    }
    if kind == "LoadBalancer" {
        default(service, "allocateLoadBalancerNodePorts", json!(true));
    } else {
        unset(service, "/spec", "allocateLoadBalancerNodePorts");
    }
    if service
        .pointer("/status/loadBalancer")
        .is_none_or(Value::is_null)
    {
        set(service, "/status", "loadBalancer", json!({}));
    }
    let balancers = service.pointer_mut("/status/loadBalancer/ingress");
    for balancer in balancers
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if !text(balancer, "/ip").is_empty() && text(balancer, "/ipMode").is_empty() {
            set(balancer, "", "ipMode", json!("VIP"));
        }
    }
}

fn default(service: &mut Value, field: &str, value: Value) {
    if service
        .pointer(&format!("/spec/{field}"))
        .is_none_or(|held| held.is_null() || held == "")
    {
        set(service, "/spec", field, value);
    }
}

fn address(service: &mut Value, old: Option<&Value>, allocator: &mut Allocator) {
    let held = old
        .map(|old| text(old, "/spec/clusterIP").to_owned())
        .unwrap_or_default();
    if text(service, "/spec/clusterIP").is_empty() {
        let address = if held.is_empty() {
            allocator.address()
        } else {
            held
        };
        set(service, "/spec", "clusterIP", json!(address));
    }
    let address = text(service, "/spec/clusterIP").to_owned();
    default(service, "clusterIPs", json!([address]));
    if address == "None" && service.pointer("/spec/selector").is_none() {
        // Whoever writes its endpoints may write both families.
        default(service, "ipFamilies", json!(["IPv4", "IPv6"]));
        default(service, "ipFamilyPolicy", json!("RequireDualStack"));
    }
    let family = if address.contains(':') {
        "IPv6"
    } else {
        "IPv4"
    };
    default(service, "ipFamilies", json!([family]));
    default(service, "ipFamilyPolicy", json!("SingleStack"));
}

fn complete_ports(service: &mut Value, old: Option<&Value>, kind: &str, allocator: &mut Allocator) {
    let wants_node_ports = kind == "NodePort"
        || (kind == "LoadBalancer"
            && service.pointer("/spec/allocateLoadBalancerNodePorts") != Some(&json!(false)));
    let held: Vec<Value> = old.map(ports).unwrap_or_default().to_vec();
    let mut taken: Vec<Value> = ports(service)
        .iter()
        .filter_map(|port| port.get("nodePort").cloned())
        .collect();
    let Some(list) = service
        .pointer_mut("/spec/ports")
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    for port in list {
        let Some(fields) = port.as_object_mut() else {
            continue;
        };
        fields.entry("protocol").or_insert_with(|| json!("TCP"));
        let number = fields.get("port").cloned().unwrap_or_default();
        fields.entry("targetPort").or_insert(number);
        if wants_node_ports {
            // Kept by the port's name, whatever else of it changes.
            let name = |port: &Value| text(port, "/name").to_owned();
            let ours = fields
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let before = held
                .iter()
                .rfind(|old| name(old) == ours)
                .and_then(|old| old.get("nodePort"))
                .filter(|port| !taken.contains(*port))
                .cloned();
            taken.extend(before.clone());
            fields
                .entry("nodePort")
                .or_insert_with(|| before.unwrap_or_else(|| json!(allocator.port())));
        } else if !held.is_empty() {
            fields.remove("nodePort");
        }
    }
}

/// What the API server refuses, as far as it matters here.
pub(super) fn validate(service: &Value, old: Option<&Value>, kind: &Kind) -> Result<(), Failure> {
    let name = text(service, "/metadata/name");
    let invalid = |field: &str, problem: &str| Err(Failure::invalid(kind, name, field, problem));
    let service_type = text(service, "/spec/type");
    if !matches!(
        service_type,
        "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName"
    ) {
        return invalid("spec.type", &format!("Unsupported value: {service_type:?}"));
    }
    let headless = text(service, "/spec/clusterIP") == "None";
    if service_type == "ExternalName" {
        if text(service, "/spec/externalName").is_empty() {
            return invalid("spec.externalName", "Required value");
        }
        if !text(service, "/spec/clusterIP").is_empty() {
            return invalid(
                "spec.clusterIPs[0]",
                "Forbidden: may not be set for ExternalName services",
            );
        }
    } else if ports(service).is_empty() && !headless {
        return invalid("spec.ports", "Required value");
    }
    if headless && service_type != "ClusterIP" {
        return invalid(
            "spec.clusterIPs[0]",
            "Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
        );
    }
    let mut names = Vec::new();
    for (at, port) in ports(service).iter().enumerate() {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            return invalid(
                &format!("spec.ports[{at}].port"),
                &format!("Invalid value: {number}: must be between 1 and 65535, inclusive"),
            );
        }
        let port_name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        if port_name.is_empty() && ports(service).len() > 1 {
            return invalid(&format!("spec.ports[{at}].name"), "Required value");
        }
        if names.contains(&port_name) {
            return invalid(
                &format!("spec.ports[{at}].name"),
                &format!("Duplicate value: {port_name:?}"),
            );
        }
        names.push(port_name);
    }
    if let Some(old) = old
        && text(old, "/spec/type") != "ExternalName"
        && service_type != "ExternalName"
        && text(old, "/spec/clusterIP") != text(service, "/spec/clusterIP")
    {
        return invalid(
            "spec.clusterIPs[0]",
            "Invalid value: may not change once set",
        );
    }
    let families = |service: &Value| {
        let list = service
            .pointer("/spec/ipFamilies")
            .and_then(Value::as_array);
        list.map_or(0, Vec::len)
    };
    let selects = service.pointer("/spec/selector").is_some();
    if families(service) > 1 && (selects || !headless) {
        let problem = "Invalid value: this cluster is not configured for dual-stack services";
        return invalid("spec.ipFamilyPolicy", problem);
    }
    if headless
        && service_type != "ExternalName"
        && old.is_some_and(|old| families(old) > families(service))
    {
        let problem =
            "Invalid value: must be 'RequireDualStack' or 'PreferDualStack' to keep both families";
        return invalid("spec.ipFamilyPolicy", problem);
    }
    let balanced = service
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|ingress| !ingress.is_empty());
    if balanced && service_type != "LoadBalancer" {
        return invalid(
            "status.loadBalancer.ingress",
            "Forbidden: may only be used when `spec.type` is \"LoadBalancer\"",
        );
    }
    Ok(())
}
