//! Sequences with a name: rules that matter, and what was once different.

use serde_json::json;

use super::{
    changes::{address, nothing},
    listings::{comma, fields, forgotten, matches, pages, selection},
    objects,
    side::service,
    step::{Kind, Known, Place, Step},
};

/// A name, and the steps that it stands for.
pub(crate) type Case = (&'static str, fn() -> Vec<Step>);

const A: Place = Place::A;

pub(crate) const CASES: [Case; 16] = [
    (
        "every shape of Service is made, read and removed",
        every_service,
    ),
    (
        "every shape of Service becomes every other",
        every_change_of_type,
    ),
    (
        "every shape of EndpointSlice is made and replaced",
        every_slice,
    ),
    ("writes hold to what they say they know", conditions),
    ("a change that changes nothing is none", nothing),
    (
        "an address that was given and is left out is a change",
        address,
    ),
    ("an object enters and leaves a selection", selection),
    ("load balancer status stands with its type alone", balancer),
    ("server-side apply makes, changes and takes back", apply),
    ("a namespace that ends takes nothing new", ending),
    (
        "a way to match versions goes with the rest of the query",
        matches,
    ),
    (
        "a refusal for lack of rights tells what it is about",
        denied,
    ),
    (
        "a comma at the end of a label selector promises another label",
        comma,
    ),
    ("a status is a part of the kinds that have one", statuses),
    ("a listing in pages may end with an empty one", pages),
    (
        "what lives in no namespace has no field of that name",
        fields,
    ),
];

/// Those for a server that answers from its store alone.
pub(crate) const OF_THE_STORE: [Case; 2] = [
    ("a listing in pages may end with an empty one", pages),
    (
        "what was forgotten is gone for listings and watches",
        forgotten,
    ),
];

fn every_service() -> Vec<Step> {
    let mut steps = Vec::new();
    for spec in objects::service_specs() {
        steps.push(Step::Create(Kind::Service, A, service("a", &spec)));
        steps.push(Step::Get(Kind::Service, A, "a"));
        steps.push(Step::Delete(
            Kind::Service,
            A,
            "a",
            Known::Nothing,
            Known::Nothing,
        ));
    }
    steps
}

fn every_change_of_type() -> Vec<Step> {
    let types = [
        json!({"type": "ClusterIP", "ports": [{"port": 80}]}),
        json!({"type": "NodePort", "ports": [{"port": 80}]}),
        json!({"type": "LoadBalancer", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName", "externalName": "x.example.com"}),
        json!({"clusterIP": "None", "ports": [{"port": 80}]}),
    ];
    let mut steps = Vec::new();
    for from in &types {
        for to in &types {
            // A write that says less than the one before changes who manages what, which the fake does not keep.
            if from["clusterIP"] == "None" && to["clusterIP"].is_null() && to["type"] == "ClusterIP"
            {
                continue;
            }
            steps.push(Step::Create(Kind::Service, A, service("a", from)));
            steps.push(Step::Update(
                Kind::Service,
                A,
                "a",
                service("a", to),
                Known::Nothing,
                Known::Nothing,
            ));
            steps.push(Step::Delete(
                Kind::Service,
                A,
                "a",
                Known::Nothing,
                Known::Nothing,
            ));
            steps.push(Step::Create(Kind::Service, A, service("a", from)));
            steps.push(Step::Merge(Kind::Service, A, "a", json!({"spec": to})));
            steps.push(Step::Delete(
                Kind::Service,
                A,
                "a",
                Known::Nothing,
                Known::Nothing,
            ));
        }
    }
    steps
}

fn every_slice() -> Vec<Step> {
    let mut steps = Vec::new();
    for slice in objects::slices() {
        let mut slice = slice;
        slice["metadata"] = json!({"name": "s", "labels": {"kubernetes.io/service-name": "a"}});
        steps.push(Step::Create(Kind::Slice, A, slice.clone()));
        steps.push(Step::Update(
            Kind::Slice,
            A,
            "s",
            slice,
            Known::Nothing,
            Known::Nothing,
        ));
    }
    steps
}

fn conditions() -> Vec<Step> {
    let mut steps = Vec::new();
    for kind in [
        Kind::Service,
        Kind::Slice,
        Kind::Ingress,
        Kind::Node,
        Kind::Lease,
    ] {
        let object = match kind {
            Kind::Service => json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
            Kind::Slice => {
                json!({"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": []})
            }
            Kind::Ingress => {
                let mut ingress = objects::ingress("x.example.com");
                ingress["metadata"] = json!({"name": "a"});
                ingress
            }
            _ => json!({"metadata": {"name": "a"}}),
        };
        steps.push(Step::Create(kind, A, object.clone()));
        steps.push(Step::Create(kind, A, object.clone()));
        steps.push(Step::Merge(
            kind,
            A,
            "a",
            json!({"metadata": {"labels": {"x": "1"}}}),
        ));
        for version in [Known::Wrong, Known::First, Known::Current, Known::Nothing] {
            for uid in [Known::Wrong, Known::Current, Known::Nothing] {
                let mut changed = object.clone();
                changed["metadata"]["labels"] = json!({"step": steps.len().to_string()});
                steps.push(Step::Update(kind, A, "a", changed, version, uid));
            }
        }
        for version in [Known::Wrong, Known::First, Known::Current] {
            steps.push(Step::Delete(kind, A, "a", version, Known::Wrong));
        }
        steps.push(Step::Delete(kind, A, "a", Known::First, Known::Current));
        steps.push(Step::Delete(kind, A, "a", Known::Current, Known::Current));
        steps.push(Step::Delete(kind, A, "a", Known::Nothing, Known::Nothing));
        steps.push(Step::Update(
            kind,
            A,
            "a",
            object,
            Known::Nothing,
            Known::Nothing,
        ));
    }
    steps
}

fn balancer() -> Vec<Step> {
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.3"}]}}});
    vec![
        Step::Create(
            Kind::Service,
            A,
            service(
                "a",
                &json!({"type": "LoadBalancer", "ports": [{"port": 80}]}),
            ),
        ),
        Step::Merge(Kind::Service, A, "a", status.clone()),
        Step::MergeStatus(Kind::Service, A, "a", status.clone()),
        Step::Merge(
            Kind::Service,
            A,
            "a",
            json!({"metadata": {"labels": {"x": "1"}}}),
        ),
        Step::MergeStatus(
            Kind::Service,
            A,
            "a",
            json!({"spec": {"externalIPs": ["192.0.2.4"]}}),
        ),
        Step::Merge(
            Kind::Service,
            A,
            "a",
            json!({"spec": {"type": "ClusterIP"}}),
        ),
        Step::MergeStatus(Kind::Service, A, "a", status.clone()),
        Step::MergeStatus(Kind::Service, A, "none", status),
    ]
}

fn ending() -> Vec<Step> {
    vec![
        Step::Create(
            Kind::Service,
            Place::B,
            service("a", &json!({"ports": [{"port": 80}]})),
        ),
        Step::Delete(Kind::Namespace, A, "b", Known::Nothing, Known::Wrong),
        Step::Delete(Kind::Namespace, A, "b", Known::Nothing, Known::Nothing),
        Step::Get(Kind::Namespace, A, "b"),
        Step::Create(
            Kind::Service,
            Place::B,
            service("b", &json!({"ports": [{"port": 80}]})),
        ),
        Step::Merge(
            Kind::Service,
            Place::B,
            "a",
            json!({"metadata": {"labels": {"x": "1"}}}),
        ),
        Step::Delete(Kind::Service, Place::B, "a", Known::Nothing, Known::Nothing),
        Step::Create(
            Kind::Service,
            Place::Missing,
            service("b", &json!({"ports": [{"port": 80}]})),
        ),
        Step::List(Kind::Service, Place::Missing, ""),
    ]
}

fn apply() -> Vec<Step> {
    let labels =
        |labels: serde_json::Value| json!({"metadata": {"labels": labels}, "addressType": "IPv4"});
    let applied = |value| Step::Apply(Kind::Slice, A, "a", labels(value));
    vec![
        applied(json!({"mine": "1", "also": "2"})),
        applied(json!({"mine": "1", "also": "2"})),
        Step::Merge(
            Kind::Slice,
            A,
            "a",
            json!({"metadata": {"labels": {"theirs": "3"}}}),
        ),
        applied(json!({"mine": "2"})),
        Step::Get(Kind::Slice, A, "a"),
        Step::Delete(Kind::Slice, A, "a", Known::Nothing, Known::Nothing),
        applied(json!({"mine": "1"})),
        Step::Apply(Kind::Slice, Place::Missing, "a", labels(json!({}))),
    ]
}

fn denied() -> Vec<Step> {
    let name = "a";
    let slice = || objects::slices().swap_remove(0);
    let node = json!({"metadata": {"name": name}});
    [
        Step::Create(Kind::Service, A, objects::service(name)),
        Step::Update(
            Kind::Slice,
            A,
            name,
            slice(),
            Known::Nothing,
            Known::Nothing,
        ),
        Step::Merge(Kind::Ingress, A, name, json!({})),
        Step::Delete(Kind::Node, A, name, Known::Nothing, Known::Nothing),
        Step::Create(Kind::Node, A, node),
        Step::Get(Kind::Lease, A, name),
        Step::List(Kind::Service, A, ""),
    ]
    .map(|step| Step::Denied(Box::new(step)))
    .to_vec()
}

/// Not a closure: Rust 1.95 with optimisation frees the argument of two equal calls of one twice
/// (rust-lang/rust#158830).
fn named(mut object: serde_json::Value) -> serde_json::Value {
    object["metadata"] = json!({"name": "a"});
    object
}

fn statuses() -> Vec<Step> {
    let balanced =
        json!({"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}});
    let at = json!({"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}]}});
    let label = json!({"metadata": {"labels": {"x": "1"}}});
    let mut steps = Vec::new();
    for (kind, object, status) in [
        (
            Kind::Ingress,
            named(objects::ingress("x.example.com")),
            &balanced,
        ),
        (Kind::Node, named(json!({})), &at),
        (
            Kind::Slice,
            named(objects::slices().swap_remove(0)),
            &balanced,
        ),
        (Kind::Lease, named(json!({})), &balanced),
    ] {
        steps.push(Step::MergeStatus(kind, A, "a", status.clone()));
        steps.push(Step::Create(kind, A, object.clone()));
        // A plain write leaves it as it is.
        steps.push(Step::Merge(kind, A, "a", status.clone()));
        steps.push(Step::MergeStatus(kind, A, "a", status.clone()));
        steps.push(Step::MergeStatus(kind, A, "a", status.clone()));
        steps.push(Step::MergeStatus(kind, A, "a", label.clone()));
        steps.push(Step::Update(
            kind,
            A,
            "a",
            object,
            Known::Current,
            Known::Nothing,
        ));
        steps.push(Step::Get(kind, A, "a"));
    }
    steps
}
