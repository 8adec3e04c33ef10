//! Random sequences over a small world, so that the same objects meet often, with seldom more than one thing wrong.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::step::{Step, check, node, service};

/// Operations in a sequence, at least.
pub(crate) const LENGTH: usize = 200;

/// One operation, and what is looked at after it where it writes.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) step: Step,
    pub(crate) looks: Vec<usize>,
}

/// A long sequence: writes of every kind, reads as the adapters make them, and what is rare. Half of them spell every
/// name in one way, so that views can be compared as well.
pub(crate) fn sequence() -> impl Strategy<Value = Vec<Turn>> {
    let looks = prop::collection::vec(any::<u16>().prop_map(usize::from), 0..3);
    let turn = (step(), looks).prop_map(|(step, looks)| Turn { step, looks });
    let turns = prop::collection::vec(turn, LENGTH..LENGTH + 20);
    (turns, any::<bool>()).prop_map(|(mut turns, respells)| {
        if !respells {
            for turn in &mut turns {
                turn.step.spell_alike();
            }
        }
        turns
    })
}

/// Up to a dozen writes, for a look at everything after each.
pub(crate) fn short() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(op(), 1..5).prop_map(Step::txn),
        3 => registration().prop_map(Step::register),
        1 => deregistration().prop_map(Step::deregister),
    ];
    prop::collection::vec(step, 3..14)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        90 => prop::collection::vec(op(), 1..5).prop_map(Step::txn),
        2 => prop::collection::vec(op(), 20..129).prop_map(Step::txn),
        25 => registration().prop_map(Step::register),
        8 => deregistration().prop_map(Step::deregister),
        75 => super::reads::read(),
        2 => super::reads::too_much(),
        1 => super::reads::unreadable(),
    ]
}

fn op() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => (verb(), node_object()).prop_map(|(verb, object)| node(verb, asked_by(verb, object))),
        5 => (verb(), node_name(), service_object()).prop_map(|(verb, at, object)| service(verb, at, object)),
        3 => (verb(), check_object()).prop_map(|(verb, object)| check(verb, object)),
    ]
}

/// A node is looked up by the start of an ID; what that may look like is not the fake's concern.
fn asked_by(verb: &str, mut object: Value) -> Value {
    if verb == "get" && object["ID"] == "not-a-uuid" {
        object["ID"] = Value::Null;
    }
    object
}

// ---- names ----

fn node_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![60 => Just("~n1"), 30 => Just("~n2"), 8 => Just("~N1"), 2 => Just("~none"), 1 => Just("")]
}

fn service_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![60 => Just("~web"), 30 => Just("~api"), 10 => Just("~Web"), 1 => Just("")]
}

fn instance_id() -> impl Strategy<Value = &'static str> {
    prop_oneof![50 => Just("~web-1"), 30 => Just("~web-2"), 8 => Just("~WEB-1"), 20 => Just("~api-1"), 3 => Just("")]
}

fn verb() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        60 => Just("set"), 20 => Just("cas"), 12 => Just("delete"), 8 => Just("delete-cas"), 8 => Just("get"),
        1 => Just("wat"),
    ]
}

fn index() -> impl Strategy<Value = Value> {
    prop_oneof![16 => Just(json!("current")), 3 => Just(json!(0)), 1 => Just(json!("stale"))]
}

// ---- objects ----

fn meta() -> impl Strategy<Value = Value> {
    let many: Value = (0..65)
        .map(|n| (format!("k{n}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    prop_oneof![
        40 => Just(json!({ "k": "v" })),
        30 => Just(Value::Null),
        20 => Just(json!({})),
        20 => Just(json!({ "external-source": "kubernetes" })),
        2 => prop_oneof![
            Just(json!({ "bad key": "v" })),
            Just(json!({ "consul-x": "v" })),
            Just(json!({ "": "v" })),
            Just(json!({ "k": "v".repeat(513) })),
            Just(json!({ "k".repeat(129): "v" })),
            Just(many),
        ],
    ]
}

fn tags() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!(["k8s"])),
        Just(json!(["k8s", "v1"])),
        Just(json!(["v1", "k8s"])),
    ]
}

fn tagged() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => Just(Value::Null),
        1 => Just(json!({})),
        1 => Just(json!({ "lan": { "Address": "10.0.0.1", "Port": 80 } })),
    ]
}

fn weights() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => Just(Value::Null),
        1 => Just(json!({ "Passing": 5, "Warning": 1 })),
        1 => Just(json!({ "Passing": 0, "Warning": 0 })),
        1 => Just(json!({ "Passing": 70000, "Warning": 1 })),
        1 => Just(json!({ "Passing": 3 })),
    ]
}

fn address() -> impl Strategy<Value = &'static str> {
    prop_oneof![50 => Just("10.0.0.1"), 30 => Just("10.0.0.2"), 10 => Just(""), 1 => Just("0.0.0.0"), 1 => Just("::")]
}

fn node_id() -> impl Strategy<Value = Value> {
    prop_oneof![
        40 => Just(Value::Null),
        2 => Just(json!("aaaaaaaa-1111-2222-3333-#")),
        2 => Just(json!("bbbbbbbb-1111-2222-3333-#")),
        1 => Just(json!("not-a-uuid")),
    ]
}

fn node_object() -> impl Strategy<Value = Value> {
    let tagged = prop_oneof![3 => Just(Value::Null), 1 => Just(json!({})), 1 => Just(json!({ "lan": "10.0.0.9" }))];
    let address = prop_oneof![Just("127.0.0.2"), Just("127.0.0.3")];
    (node_name(), address, meta(), tagged, index(), node_id()).prop_map(
        |(name, address, meta, tagged, index, id)| {
            json!({
                "ID": id, "Node": name, "Address": address, "Meta": meta, "TaggedAddresses": tagged,
                "ModifyIndex": index,
            })
        },
    )
}

fn service_object() -> impl Strategy<Value = Value> {
    let port = prop_oneof![4 => Just(80), 2 => Just(8080), 1 => Just(0)];
    (
        (instance_id(), service_name(), tags(), address()),
        (meta(), port, weights(), tagged()),
        (index(), prop::bool::weighted(0.1)),
    )
        .prop_map(|((id, name, tags, address), (meta, port, weights, tagged), (index, over))| {
            json!({
                "ID": id, "Service": name, "Tags": tags, "Address": address, "Meta": meta, "Port": port,
                "Weights": weights, "TaggedAddresses": tagged, "EnableTagOverride": over, "ModifyIndex": index,
            })
        })
}

fn check_object() -> impl Strategy<Value = Value> {
    let status = prop_oneof![
        4 => Just("passing"), 3 => Just("critical"), 1 => Just("warning"), 1 => Just(""), 1 => Just("wat"),
    ];
    let id = prop_oneof![4 => Just("~ns/web-1"), 2 => Just("~node-check"), 1 => Just("~NS/web-1"), 1 => Just("")];
    let owner =
        prop_oneof![5 => Just("~web-1"), 2 => Just("~web-2"), 2 => Just(""), 1 => Just("~WEB-1")];
    let name = prop_oneof![3 => Just("Kubernetes Readiness Check"), 1 => Just("")];
    (node_name(), id, name, status, owner, service_name(), tags(), index()).prop_map(
        |(node, id, name, status, owner, service, tags, index)| {
            json!({
                "Node": node, "CheckID": id, "Name": name, "Status": status, "ServiceID": owner,
                "ServiceName": service, "ServiceTags": tags, "Output": status, "Type": "kubernetes-readiness",
                "Notes": "", "ModifyIndex": index,
            })
        },
    )
}

// ---- single registrations ----

fn without_index(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("ModifyIndex");
    }
    object
}

/// What a registration knows and a transaction does not.
fn extra() -> impl Strategy<Value = Option<(&'static str, Value)>> {
    let one = json!([{ "Name": "http", "Port": 80, "Default": true }]);
    let two =
        json!([{ "Name": "http", "Port": 80, "Default": true }, { "Name": "admin", "Port": 81 }]);
    prop_oneof![
        8 => Just(None),
        1 => Just(Some(("SocketPath", json!("/run/web.sock")))),
        1 => Just(Some(("Ports", one))),
        1 => Just(Some(("Ports", two))),
    ]
}

fn registration() -> impl Strategy<Value = Value> {
    let checks = prop::collection::vec(check_object().prop_map(without_index), 0..3);
    (
        node_object(),
        prop::option::of(service_object()),
        checks,
        prop::bool::ANY,
        extra(),
    )
        .prop_map(|(node, service, checks, skip, extra)| {
            let mut body = json!({
                "ID": node["ID"], "Node": node["Node"], "Address": node["Address"], "NodeMeta": node["Meta"],
                "TaggedAddresses": node["TaggedAddresses"], "SkipNodeUpdate": skip,
            });
            if let Some(service) = service {
                body["Service"] = without_index(service);
                if let Some((field, value)) = extra {
                    body["Service"][field] = value;
                }
            }
            if !checks.is_empty() {
                body["Checks"] = checks.into();
            }
            body
        })
}

fn deregistration() -> impl Strategy<Value = Value> {
    let id = prop_oneof![
        2 => Just("~web-1"), 1 => Just("~WEB-1"), 1 => Just("~web-2"), 1 => Just("~api-1"), 2 => Just(""),
    ];
    let check = prop_oneof![Just(""), Just("~ns/web-1"), Just("~node-check")];
    let node = prop_oneof![9 => node_name(), 1 => Just("")];
    (node, id, check)
        .prop_map(|(node, id, check)| json!({ "Node": node, "ServiceID": id, "CheckID": check }))
}
