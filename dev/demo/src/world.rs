//! The cluster that the demo shows: a shop with a Service of every type.
//!
//! There are no controllers and no kubelets behind the API server, so the demo writes what they would: EndpointSlices
//! with the pods of each Service, the addresses of nodes and load balancers.

mod exposed;
mod services;
mod workload;

use serde_json::{Value, json};

pub(crate) use exposed::{Expected, Exposed};
pub(crate) use services::{later, services};
pub(crate) use workload::Workload;

/// The namespace that everything is in.
pub(crate) const NAMESPACE: &str = "shop";
/// What the annotations begin with.
const ANNOTATION: &str = "consul.hashicorp.com/";
/// The nodes and their external addresses.
const NODES: [(&str, &str); 2] = [("node-a", "203.0.113.11"), ("node-b", "203.0.113.12")];

/// The namespace and the nodes.
pub(crate) fn surroundings() -> Vec<Value> {
    let mut objects = vec![json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": NAMESPACE },
    })];
    for (number, (name, external)) in NODES.into_iter().enumerate() {
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": name },
            "status": {
                "addresses": [
                    { "type": "InternalIP", "address": format!("10.0.1.{}", number + 1) },
                    { "type": "ExternalIP", "address": external },
                ],
            },
        }));
    }
    objects
}

/// A change of one annotation.
pub(crate) fn annotation(key: &str, value: &str) -> Value {
    json!({ "metadata": { "annotations": { format!("{ANNOTATION}{key}"): value } } })
}

/// The status of a load balancer at one place.
pub(crate) fn balanced_at(ingress: &Value) -> Value {
    json!({ "status": { "loadBalancer": { "ingress": [ingress] } } })
}
