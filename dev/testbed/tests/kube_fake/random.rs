//! Random sequences over a small world, so that the same objects meet often.
//!
//! Server-side apply is among the steps only for objects that nothing else writes: mixed with other writes it changes
//! who manages what, and with that the version, which the fake does not follow. A whole object is never written to a
//! status, and the fake refuses it: a real server takes the address of a Service away by it and dies of the next
//! change of its type.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    objects,
    side::service,
    step::{At, Kind, Known, Place, Step},
};

/// Steps of one sequence, at least.
const LENGTH: usize = 200;

/// Queries of listings, good and bad.
const QUERIES: [&str; 18] = [
    "limit=2&resourceVersion=0",
    "resourceVersionMatch=Exact",
    "resourceVersionMatch=NotOlderThan",
    "resourceVersion=0&resourceVersionMatch=Exact",
    "resourceVersion=0&resourceVersionMatch=NotOlderThan",
    "resourceVersion=1&resourceVersionMatch=Wat",
    "resourceVersion=x",
    "resourceVersion=-1",
    "limit=x",
    "continue=x",
    "continue=x&resourceVersion=1",
    "limit=1&continue=AAAA",
    "fieldSelector=metadata.name%3Da",
    "fieldSelector=metadata.name%21%3Da",
    "fieldSelector=metadata.namespace%3Dnowhere",
    "fieldSelector=spec.wat%3Da",
    "fieldSelector=metadata.name%3Da&labelSelector=app%3Da",
    "labelSelector=app%3Da%2C",
];

/// A long sequence.
pub(crate) fn sequence() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), LENGTH..LENGTH + 20)
}

/// A long sequence in which the past is forgotten now and then, for a server that answers from its store alone.
pub(crate) fn forgetting() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => plain(),
        6 => (kind(), place(), selector(), at(), 0..3_u32).prop_map(|(kind, place, selector, at, limit)| {
            // Any version, in pages: a cache would answer with the whole.
            let limit = if at == At::Any { 0 } else { limit };
            Step::ListAt(kind, place, selector, at, limit)
        }),
        3 => (kind(), place(), selector(), at()).prop_map(|(kind, place, selector, at)| {
            Step::Watch(kind, place, selector, at)
        }),
        2 => Just(Step::Forget),
    ];
    prop::collection::vec(step, LENGTH..LENGTH + 20)
}

// Boxed, as are the plain ones: a test's stack is too small for trees of trees by value.
fn step() -> BoxedStrategy<Step> {
    prop_oneof![
        60 => plain(),
        3 => (kind(), place(), selector(), at(), 0..3_u32).prop_map(|(kind, place, selector, at, limit)| {
            Step::ListAt(kind, place, selector, at, limit)
        }),
        1 => (kind(), place(), selector(), at()).prop_map(|(kind, place, selector, at)| {
            Step::Watch(kind, place, selector, at)
        }),
        2 => (kind(), prop::sample::select(&QUERIES[..])).prop_map(|(kind, query)| Step::Query(kind, Place::A, query)),
        2 => plain().prop_map(|step| Step::Denied(Box::new(step))),
        2 => (applied_name(), labels()).prop_map(|(name, labels)| {
            let object = json!({"metadata": {"labels": labels}, "addressType": "IPv4"});
            Step::Apply(Kind::Slice, Place::A, name, object)
        }),
        1 => applied_name().prop_map(|name| {
            Step::Delete(Kind::Slice, Place::A, name, Known::Nothing, Known::Nothing)
        }),
    ]
    .boxed()
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![1 => Just(At::Any), 2 => Just(At::Latest), 2 => (0..100_u8).prop_map(At::Exactly)]
}

/// Names of objects that are written by server-side apply alone.
fn applied_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("applied-a"), Just("applied-b")]
}

fn plain() -> BoxedStrategy<Step> {
    prop_oneof![
        6 => (kind(), place()).prop_flat_map(|(kind, place)| {
            object(kind).prop_map(move |object| Step::Create(kind, place, object))
        }),
        4 => (kind(), place(), name(), known(), known()).prop_flat_map(|(kind, place, name, version, uid)| {
            object(kind).prop_map(move |object| Step::Update(kind, place, name, object, version, uid))
        }),
        4 => (kind(), place(), name(), change()).prop_map(|(kind, place, name, change)| {
            Step::Merge(kind, place, name, change)
        }),
        2 => (place(), name(), spec_change()).prop_map(|(place, name, change)| {
            Step::Merge(Kind::Service, place, name, change)
        }),
        3 => (kind(), place(), name()).prop_flat_map(|(kind, place, name)| {
            status(kind).prop_map(move |status| Step::MergeStatus(kind, place, name, status))
        }),
        3 => (kind(), place(), name(), known(), known()).prop_map(|(kind, place, name, version, uid)| {
            Step::Delete(kind, place, name, version, uid)
        }),
        1 => (kind(), place(), name()).prop_map(|(kind, place, name)| Step::Get(kind, place, name)),
        1 => (kind(), place(), selector()).prop_map(|(kind, place, selector)| Step::List(kind, place, selector)),
    ]
    .boxed()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Service), 4 => Just(Kind::Slice), 2 => Just(Kind::Ingress), 2 => Just(Kind::Node),
        1 => Just(Kind::Lease),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![12 => Just(Place::A), 2 => Just(Place::B), 1 => Just(Place::Missing)]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("a"), 3 => Just("b"), 1 => Just("c")]
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![20 => name(), 1 => Just("Bad_Name"), 1 => Just(""), 1 => Just("-a"), 1 => Just("1a")]
}

fn known() -> impl Strategy<Value = Known> {
    prop_oneof![4 => Just(Known::Nothing), 4 => Just(Known::Current), 1 => Just(Known::First), 1 => Just(Known::Wrong)]
}

fn labels() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"app": "a"})),
        Just(json!({"app": "b"})),
        Just(json!({"app": "a", "extra": "x"})),
    ]
}

fn selector() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just("app%3Da"),
        Just("app%20in%20%28a%2Cb%29"),
        Just("%21app"),
        Just("app%3D"),
        Just("a%20b"),
        Just("app%20in%20%28%29"),
    ]
}

fn object(kind: Kind) -> BoxedStrategy<Value> {
    let named = |name: &str, labels: Value, rest: Value| {
        let mut object = rest;
        object["metadata"] = json!({"name": name, "labels": labels});
        object
    };
    match kind {
        Kind::Service => (any_name(), prop::sample::select(objects::service_specs()))
            .prop_map(|(name, spec)| service(name, &spec))
            .boxed(),
        Kind::Slice => (
            any_name(),
            labels(),
            prop::sample::select(objects::slices()),
        )
            .prop_map(move |(name, labels, slice)| named(name, labels, slice))
            .boxed(),
        Kind::Ingress => (
            any_name(),
            labels(),
            prop_oneof![Just("x.example.com"), Just("y.example.com")],
        )
            .prop_map(move |(name, labels, host)| named(name, labels, objects::ingress(host)))
            .boxed(),
        Kind::Node | Kind::Namespace | Kind::Lease => (name(), labels())
            .prop_map(move |(name, labels)| named(name, labels, json!({})))
            .boxed(),
    }
}

/// A change of metadata, which every kind takes.
fn change() -> impl Strategy<Value = Value> {
    prop_oneof![
        labels().prop_map(|labels| json!({"metadata": {"labels": labels}})),
        Just(json!({"metadata": {"labels": null}})),
        Just(json!({"metadata": {"labels": {"app": null}}})),
        Just(json!({"metadata": {"annotations": {"note": "x"}}})),
        Just(json!({"metadata": {"annotations": {"note": null}}})),
        Just(json!({})),
        Just(json!({"metadata": {"uid": "11111111-1111-4111-8111-111111111111"}})),
        Just(json!({"metadata": {"resourceVersion": "1"}})),
        Just(json!({"metadata": {"name": "other"}})),
    ]
}

fn spec_change() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"spec": {"type": "ClusterIP"}})),
        Just(json!({"spec": {"type": "NodePort"}})),
        Just(json!({"spec": {"type": "LoadBalancer"}})),
        Just(json!({"spec": {"type": "ExternalName", "externalName": "x.example.com"}})),
        Just(json!({"spec": {"ports": [{"port": 8080}]}})),
        Just(json!({"spec": {"ports": null}})),
        Just(json!({"spec": {"clusterIP": "10.0.7.7"}})),
        Just(json!({"spec": {"externalIPs": ["192.0.2.9"]}})),
        Just(json!({"spec": {"selector": {"app": "z"}}})),
        Just(json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.3"}]}}})),
    ]
}

/// A change of a status; that of a kind without one is refused.
fn status(kind: Kind) -> BoxedStrategy<Value> {
    let balanced = |ingress: Value| json!({"status": {"loadBalancer": {"ingress": ingress}}});
    let at = |addresses: Value| json!({"status": {"addresses": addresses}});
    let changes = match kind {
        Kind::Node => vec![
            at(json!([{"type": "InternalIP", "address": "192.0.2.7"}])),
            at(json!([
                {"type": "InternalIP", "address": "192.0.2.7"}, {"type": "Hostname", "address": "a.example.com"},
            ])),
            at(json!(null)),
        ],
        Kind::Ingress => vec![
            balanced(json!([{"ip": "192.0.2.3"}])),
            balanced(json!([{"hostname": "lb.example.com"}])),
            balanced(json!(null)),
        ],
        _ => vec![
            balanced(json!([{"ip": "192.0.2.3", "ipMode": "VIP"}])),
            balanced(json!([{"hostname": "lb.example.com"}])),
            balanced(json!(null)),
        ],
    };
    prop::sample::select(changes).boxed()
}
