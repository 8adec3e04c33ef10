//! The requests that are made of both servers.

use serde_json::{Value, json};

use super::requests::{How, Step};

const SERVICES: &str = "/api/v1/namespaces/requests/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/requests/endpointslices";
const EVENTS: &str = "/api/v1/namespaces/requests/events";
const APPLY: &str = "?fieldManager=consul-sync.io&force=true";
const MANAGER: &str = "?fieldManager=consul-sync.io";

/// All of them, in their order.
pub(crate) fn steps() -> Vec<Step> {
    let parts = [of_services(), of_slices(), of_events()];
    parts.into_iter().flatten().collect()
}

fn step(what: &'static str, how: How, path: String, body: Value) -> Step {
    Step(what, how, path, body)
}

/// A body with another value in one place.
fn with(mut object: Value, pointer: &str, value: &str) -> Value {
    if let Some(field) = object.pointer_mut(pointer) {
        *field = json!(value);
    }
    object
}

fn metadata(name: &str, versions: bool) -> Value {
    let mut metadata = json!({
        "name": name, "namespace": "requests",
        "labels": {"consul-sync.io/owner": "us"},
        "annotations": {"consul-sync.io/object": format!("requests/{name}")},
    });
    if versions {
        metadata["uid"] = json!("$uid");
        metadata["resourceVersion"] = json!("$version");
    }
    metadata
}

fn service(versions: bool, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata("web", versions), "spec": spec})
}

fn cluster_ip(ports: &[(&str, u16)]) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|(name, port)| json!({"name": name, "port": port, "protocol": "TCP"}))
        .collect();
    json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack", "ports": ports})
}

fn slice(versions: bool, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true, "serving": true}}))
        .collect();
    let mut metadata = metadata("web.ipv4", versions);
    metadata["labels"]["kubernetes.io/service-name"] = json!("web");
    metadata["labels"]["endpointslice.kubernetes.io/managed-by"] = json!("consul-sync.io");
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}], "endpoints": endpoints})
}

fn conditions(uid: &str, version: &str) -> Value {
    json!({"preconditions": {"uid": uid, "resourceVersion": version}})
}

#[expect(clippy::too_many_lines, reason = "a list, and nothing else")]
fn of_services() -> Vec<Step> {
    use How::{Apply, Create, Delete, Get, Merge};
    let web = || format!("{SERVICES}/web");
    let apply = || format!("{SERVICES}/web{APPLY}");
    let merge = || format!("{SERVICES}/web{MANAGER}");
    let one = cluster_ip(&[("http", 80)]);
    let two = cluster_ip(&[("http", 80), ("admin", 81)]);
    let nothing = |mut spec: Value, fields: &[&str]| {
        for field in fields {
            spec[*field] = Value::Null;
        }
        spec
    };
    let external = json!({"type": "ExternalName", "externalName": "web.service.consul"});
    let no_address = [
        "selector",
        "externalIPs",
        "ports",
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
    ];
    let headless = json!({"type": "ClusterIP", "clusterIP": "None", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "selector": null, "externalIPs": null, "externalName": null});
    vec![
        step(
            "an apply of what is not there, by its UID",
            Apply,
            apply(),
            with(
                with(service(true, &one), "/metadata/uid", "some"),
                "/metadata/resourceVersion",
                "1",
            ),
        ),
        step(
            "a merge of what is not there",
            Merge,
            merge(),
            service(false, &one),
        ),
        step(
            "a delete of what is not there",
            Delete,
            web(),
            conditions("some", "1"),
        ),
        step(
            "a create in no namespace",
            Create,
            SERVICES.replace("requests", "missing"),
            with(service(false, &one), "/metadata/namespace", "missing"),
        ),
        step(
            "a create",
            Create,
            format!("{SERVICES}{MANAGER}"),
            service(false, &one),
        ),
        step(
            "a second create",
            Create,
            format!("{SERVICES}{MANAGER}"),
            service(false, &one),
        ),
        step(
            "an apply of one port more",
            Apply,
            apply(),
            service(true, &two),
        ),
        step(
            "an apply of an old version",
            Apply,
            apply(),
            with(service(true, &one), "/metadata/resourceVersion", "$old"),
        ),
        step(
            "an apply to another object",
            Apply,
            apply(),
            with(service(true, &one), "/metadata/uid", "other"),
        ),
        step(
            "a merge of an old version",
            Merge,
            merge(),
            with(service(true, &one), "/metadata/resourceVersion", "$old"),
        ),
        step(
            "a merge of one port less",
            Merge,
            merge(),
            service(
                true,
                &nothing(one.clone(), &["selector", "externalIPs", "externalName"]),
            ),
        ),
        step(
            "somebody adds a selector",
            Merge,
            web(),
            json!({"spec": {"selector": {"app": "theirs"}, "externalIPs": ["192.0.2.1"]}}),
        ),
        step(
            "a merge takes it away",
            Merge,
            merge(),
            service(
                true,
                &nothing(one.clone(), &["selector", "externalIPs", "externalName"]),
            ),
        ),
        step(
            "the address goes with the type",
            Merge,
            merge(),
            service(true, &nothing(external, &no_address)),
        ),
        step(
            "a Service without an address",
            Merge,
            merge(),
            service(true, &headless),
        ),
        step(
            "its address again, by way of no address",
            Merge,
            merge(),
            service(
                true,
                &nothing(
                    json!({"type": "ExternalName", "externalName": "consul-sync.invalid"}),
                    &no_address,
                ),
            ),
        ),
        step(
            "and with one",
            Merge,
            merge(),
            service(
                true,
                &nothing(one.clone(), &["selector", "externalIPs", "externalName"]),
            ),
        ),
        step(
            "an apply that changes nothing",
            Apply,
            apply(),
            service(true, &one),
        ),
        step(
            "a delete of an old version",
            Delete,
            web(),
            conditions("$uid", "$old"),
        ),
        step(
            "a delete of another object",
            Delete,
            web(),
            conditions("other", "$version"),
        ),
        step(
            "a finalizer",
            Merge,
            web(),
            json!({"metadata": {"finalizers": ["example.com/wait"]}}),
        ),
        step(
            "a delete that it holds",
            Delete,
            web(),
            conditions("$uid", "$version"),
        ),
        step("it is there", Get, web(), json!({})),
        step("a second delete", Delete, web(), json!({})),
        step(
            "a create meanwhile",
            Create,
            format!("{SERVICES}{MANAGER}"),
            service(false, &one),
        ),
        step(
            "the finalizer goes",
            Merge,
            web(),
            json!({"metadata": {"finalizers": null}}),
        ),
        step("it is gone", Get, web(), json!({})),
        step(
            "a create again",
            Create,
            format!("{SERVICES}{MANAGER}"),
            service(false, &one),
        ),
        step("a delete", Delete, web(), conditions("$uid", "$version")),
    ]
}

fn of_slices() -> Vec<Step> {
    use How::{Apply, Create, Delete, Merge};
    let slices = || format!("{SLICES}/web.ipv4");
    let special = [
        "0.0.0.0",
        "127.0.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "224.0.1.1",
        "255.255.255.255",
    ];
    let more = special.map(|address| {
        let path = format!("{}{APPLY}", slices());
        step(
            "an address of its own kind",
            Apply,
            path,
            slice(true, &[address]),
        )
    });
    let mut steps = vec![
        step(
            "a slice",
            Create,
            format!("{SLICES}{MANAGER}"),
            slice(false, &["10.0.0.1", "10.0.0.2"]),
        ),
        step(
            "a second one",
            Create,
            format!("{SLICES}{MANAGER}"),
            slice(false, &["10.0.0.1"]),
        ),
        step(
            "an apply of other endpoints",
            Apply,
            format!("{}{APPLY}", slices()),
            slice(true, &["10.0.0.3"]),
        ),
        step(
            "an apply of an old slice",
            Apply,
            format!("{}{APPLY}", slices()),
            with(
                slice(true, &["10.0.0.4"]),
                "/metadata/resourceVersion",
                "$old",
            ),
        ),
        step(
            "somebody labels it",
            Merge,
            slices(),
            json!({"metadata": {"labels": {"service.kubernetes.io/headless": ""}}}),
        ),
        step(
            "a merge takes the label away",
            Merge,
            format!("{}{MANAGER}", slices()),
            {
                let mut slice = slice(true, &["10.0.0.3", "10.0.0.5"]);
                slice["metadata"]["labels"]["service.kubernetes.io/headless"] = Value::Null;
                slice
            },
        ),
    ];
    steps.extend(more);
    steps.extend([
        step(
            "a delete of an old slice",
            Delete,
            slices(),
            conditions("$uid", "$old"),
        ),
        step(
            "a delete of the slice",
            Delete,
            slices(),
            conditions("$uid", "$version"),
        ),
    ]);
    steps
}

fn of_events() -> Vec<Step> {
    use How::Create;
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1", "namespace": "requests"},
        "involvedObject": {"apiVersion": "v1", "kind": "Service", "namespace": "requests", "name": "web", "uid": "u"},
        "type": "Warning", "reason": "NameTaken", "message": "said", "source": {"component": "consul-sync.io"},
        "reportingComponent": "consul-sync.io", "reportingInstance": "us", "count": 1,
        "firstTimestamp": "2026-12-01T09:00:00Z", "lastTimestamp": "2026-12-01T09:00:00Z"});
    vec![
        step("an Event", Create, EVENTS.to_owned(), event.clone()),
        step("the same Event", Create, EVENTS.to_owned(), event),
    ]
}
