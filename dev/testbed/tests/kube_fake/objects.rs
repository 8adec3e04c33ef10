//! The objects that the steps write.

use serde_json::{Value, json};

/// A plain Service.
pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}]},
    })
}

/// A Service with this spec.
pub(crate) fn service_of(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// Specs of Services, good and bad.
pub(crate) fn service_specs() -> Vec<Value> {
    vec![
        json!({"ports": [{"port": 80}]}),
        json!({"ports": [{"port": 80, "targetPort": "http"}], "selector": {"app": "a"}}),
        json!({"ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]}),
        // Unlike any other: a write that says less and changes nothing else changes who manages what, and with that
        // the version, which the fake does not follow.
        json!({"clusterIP": "None", "ports": [{"port": 8053}]}),
        json!({"clusterIP": "None", "publishNotReadyAddresses": true}),
        json!({"type": "NodePort", "ports": [{"port": 80}]}),
        json!({"type": "LoadBalancer", "ports": [{"port": 443}]}),
        json!({"type": "LoadBalancer", "ports": [{"port": 443}], "allocateLoadBalancerNodePorts": false}),
        json!({"type": "ExternalName", "externalName": "db.example.com"}),
        json!({"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}),
        // Bad ones.
        json!({"type": "ExternalName"}),
        json!({"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80}]}),
        json!({}),
        json!({"ports": []}),
        json!({"ports": [{"port": 0}]}),
        json!({"ports": [{"port": 70000}]}),
        json!({"ports": [{"port": 80}, {"port": 81}]}),
        json!({"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]}),
        json!({"type": "Wat", "ports": [{"port": 80}]}),
    ]
}

/// EndpointSlices, good and bad, without their names.
pub(crate) fn slices() -> Vec<Value> {
    vec![
        json!({"addressType": "IPv4", "endpoints": []}),
        json!({
            "addressType": "IPv4", "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": true}, "nodeName": "n1"}],
        }),
        json!({"addressType": "IPv4", "ports": [{"port": 81}], "endpoints": [{"addresses": ["10.1.0.2"]}]}),
        json!({"addressType": "IPv6", "endpoints": [{"addresses": ["2001:db8::1"], "conditions": {"ready": false}}]}),
        // Bad ones.
        json!({"endpoints": []}),
        json!({"addressType": "Wat", "endpoints": []}),
    ]
}

/// An Ingress of one host.
pub(crate) fn ingress(host: &str) -> Value {
    json!({"spec": {"rules": [{"host": host, "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}},
    ]}}]}})
}
