//! What the API server fills in and leaves out, beside what it does to Services.

use serde_json::{Value, json};

use super::store::{set, text, unset};

/// An EndpointSlice: lists that are empty are none, and every endpoint has conditions.
pub(super) fn slice(slice: &mut Value) {
    for field in ["endpoints", "ports"] {
        let list = slice.get(field).and_then(Value::as_array);
        if list.is_none_or(Vec::is_empty) {
            set(slice, "", field, Value::Null);
        }
    }
    let each = |slice: &mut Value, field: &str, fill: &dyn Fn(&mut Value)| {
        let list = slice.get_mut(field).and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(fill);
    };
    each(slice, "endpoints", &|endpoint| {
        if endpoint.get("conditions").is_none_or(Value::is_null) {
            set(endpoint, "", "conditions", json!({}));
        }
    });
    each(slice, "ports", &|port| {
        for (field, value) in [("name", ""), ("protocol", "TCP")] {
            if port.get(field).is_none_or(Value::is_null) {
                set(port, "", field, json!(value));
            }
        }
    });
}

/// An Ingress.
pub(super) fn ingress(ingress: &mut Value) {
    let balancer = ingress.pointer("/status/loadBalancer");
    if balancer.is_none_or(Value::is_null) {
        set(ingress, "/status", "loadBalancer", json!({}));
    }
}

/// A Node that is new: nothing is scheduled on it before it says that it is ready.
pub(super) fn new_node(node: &mut Value) {
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let taints = node
        .pointer_mut("/spec/taints")
        .and_then(Value::as_array_mut);
    match taints {
        Some(taints) if taints.contains(&taint) => {}
        Some(taints) => taints.push(taint),
        None => set(node, "/spec", "taints", json!([taint])),
    }
}

/// A Node: its status is there from the first.
pub(super) fn node(node: &mut Value) {
    if node.get("status").is_none_or(Value::is_null) {
        set(node, "", "status", json!({}));
    }
}

/// A Lease.
pub(super) fn lease(lease: &mut Value) {
    if lease.get("spec").is_none_or(Value::is_null) {
        set(lease, "", "spec", json!({}));
    }
}

/// An Event, whose time is another field in newer ones.
pub(super) fn event(event: &mut Value) {
    if event.get("eventTime").is_none() {
        set(event, "", "eventTime", Value::Null);
    }
}

/// A Namespace.
pub(super) fn namespace(namespace: &mut Value) {
    if namespace.pointer("/status/phase").is_none() {
        set(namespace, "/status", "phase", json!("Active"));
    }
    let name = text(namespace, "/metadata/name").to_owned();
    set(
        namespace,
        "/metadata/labels",
        "kubernetes.io/metadata.name",
        json!(name),
    );
    set(namespace, "/spec", "finalizers", json!(["kubernetes"]));
}

/// Leaves out maps and lists of the metadata that are empty.
pub(super) fn prune(object: &mut Value) {
    for field in ["labels", "annotations", "ownerReferences", "finalizers"] {
        let held = object.pointer(&format!("/metadata/{field}"));
        let is_empty = held.is_some_and(|held| {
            held.is_null()
                || held.as_object().is_some_and(serde_json::Map::is_empty)
                || *held == json!([])
        });
        if is_empty {
            unset(object, "/metadata", field);
        }
    }
}
