//! A Service and its EndpointSlice, as a user and a controller would write them.

use serde_json::{Value, json};

/// Where Services of a namespace are.
pub(crate) fn services(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services")
}

/// Where EndpointSlices of a namespace are.
pub(crate) fn slices(namespace: &str) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
}

/// A ClusterIP Service on port 80 without an address of its own.
pub(crate) fn service(name: &str, target_port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name },
        "spec": { "clusterIP": "None", "ports": [{ "name": "http", "port": 80, "targetPort": target_port }] },
    })
}

/// The one slice of a Service: addresses and whether each is ready, all at a port named `http`.
pub(crate) fn slice(
    name: &str,
    port: u16,
    endpoints: impl IntoIterator<Item = (impl ToString, bool)>,
) -> Value {
    let endpoints = endpoints.into_iter().map(
        |(address, ready)| json!({ "addresses": [address.to_string()], "conditions": { "ready": ready } }),
    );
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": format!("{name}-1"), "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "endpoints": endpoints.collect::<Vec<_>>(),
        "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
    })
}
