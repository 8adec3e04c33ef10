//! Sequences with a name: each is a rule of Consul that the fake has to know.

use serde_json::{Value, json};

use super::locks;
use super::requests;
use super::step::{Step, check, node, service};

type Case = (&'static str, fn() -> Vec<Step>);

pub(crate) const CASES: &[Case] = &[
    ("a world of two nodes", world),
    (
        "equal content moves nothing, null and empty are not equal",
        equal_content,
    ),
    ("conditional writes", conditional),
    (
        "a failed operation takes its transaction with it",
        all_or_nothing,
    ),
    (
        "names and IDs fold case and keep the last spelling",
        folding,
    ),
    (
        "an instance in another case stays while its check has the old one",
        respelled,
    ),
    (
        "an instance under a new name leaves the old one's index",
        renamed,
    ),
    ("checks of a node move all that stands on it", node_checks),
    ("a node goes with everything on it", node_goes),
    ("requests that are no requests", requests::malformed),
    ("queries", requests::queries),
    ("limits of a transaction", requests::limits),
    ("named ports", requests::named_ports),
    ("namespaces are of another edition", requests::namespaces),
    ("gzip", requests::gzip),
    ("a failed cas of a check is no error", failed_check_cas),
    ("reading a node in the UI writes into it", ui_writes),
    ("checks without a node or an ID", nameless_checks),
    ("a lock is taken, kept and given back", locks::lock_case),
    ("sessions that cannot be", locks::sessions),
    ("keys, read and written on conditions", locks::keys),
    ("a session that is not renewed ends", locks::expiry),
    ("a lock delay holds a key back", locks::delay),
    ("sessions go with their node", locks::node_goes),
];

pub(crate) fn n1() -> Value {
    json!({ "Node": "~n1", "Address": "127.0.0.2" })
}

pub(crate) fn web(id: &str) -> Value {
    json!({ "ID": id, "Service": "~web", "Port": 80, "Address": "10.0.0.1", "Tags": ["k8s"], "Meta": { "external-source": "kubernetes" } })
}

pub(crate) fn readiness(id: &str, owner: &str, status: &str) -> Value {
    json!({ "Node": "~n1", "CheckID": id, "Name": "Kubernetes Readiness Check", "Status": status, "ServiceID": owner })
}

/// Nodes, instances and checks of both, by transaction.
pub(crate) fn world() -> Vec<Step> {
    vec![
        Step::txn(vec![
            node("set", n1()),
            node(
                "set",
                json!({ "Node": "~n2", "Address": "127.0.0.3", "Meta": { "k": "v" } }),
            ),
        ]),
        Step::txn(vec![
            service("set", "~n1", web("~web-1")),
            service("set", "~n1", web("~web-2")),
            service("cas", "~n2", web("~web-3")),
            service("set", "~n2", json!({ "ID": "~api-1", "Service": "~api" })),
            check("set", readiness("~ns/web-1", "~web-1", "passing")),
            check("set", readiness("~ns/web-2", "~web-2", "critical")),
        ]),
    ]
}

fn equal_content() -> Vec<Step> {
    let with = |tags: Value, meta: Value| {
        let object = json!({ "ID": "~web-1", "Service": "~web", "Tags": tags, "Meta": meta });
        Step::txn(vec![service("set", "~n1", object)])
    };
    let mut steps = world();
    for (tags, meta) in [
        (Value::Null, Value::Null),
        (json!([]), Value::Null),
        (json!([]), json!({})),
    ] {
        steps.extend([with(tags.clone(), meta.clone()), with(tags, meta)]);
    }
    let same = json!({ "ID": "~web-1", "Service": "~web", "Tags": [], "Meta": {}, "Weights": { "Passing": 1, "Warning": 1 } });
    steps.push(Step::txn(vec![service("set", "~n1", same.clone())]));
    steps.push(Step::register(
        json!({ "Node": "~n1", "Address": "127.0.0.2", "Service": same }),
    ));
    steps.push(Step::txn(vec![check(
        "set",
        readiness("~ns/web-1", "~web-1", "passing"),
    )]));
    steps.push(Step::txn(vec![check(
        "set",
        readiness("~ns/web-1", "~web-1", "passing"),
    )]));
    steps
}

fn conditional() -> Vec<Step> {
    let mut steps = world();
    for index in [json!(0), json!("stale"), json!("current")] {
        let with = |mut object: Value| {
            object["ModifyIndex"] = index.clone();
            object
        };
        steps.push(Step::txn(vec![service("cas", "~n1", with(web("~web-1")))]));
        steps.push(Step::txn(vec![service("cas", "~n1", with(web("~new")))]));
        steps.push(Step::txn(vec![node(
            "cas",
            with(json!({ "Node": "~n1", "Address": "127.0.0.9" })),
        )]));
        steps.push(Step::txn(vec![check(
            "cas",
            with(readiness("~ns/web-1", "~web-1", "critical")),
        )]));
        steps.push(Step::txn(vec![check(
            "delete-cas",
            with(readiness("~ns/web-2", "~web-2", "")),
        )]));
        steps.push(Step::txn(vec![service(
            "delete-cas",
            "~n1",
            with(web("~web-2")),
        )]));
        steps.push(Step::txn(vec![node(
            "delete-cas",
            with(json!({ "Node": "~n2" })),
        )]));
    }
    steps
}

fn all_or_nothing() -> Vec<Step> {
    let mut steps = world();
    let bad = json!({ "ID": "~bad", "Service": "~web", "Meta": { "not good": "v" } });
    steps.push(Step::txn(vec![
        service("set", "~n1", web("~web-9")),
        service("set", "~n1", bad.clone()),
        service("delete", "~n1", web("~web-1")),
        node("delete", json!({ "Node": "~n2" })),
        service("set", "~none", web("~web-9")),
        check("set", readiness("~c", "~gone", "passing")),
    ]));
    // Refused before it is tried, so that the others are not even looked at.
    steps.push(Step::txn(vec![
        service("set", "~n1", bad),
        service("wat", "~n1", web("~web-9")),
    ]));
    // Seen by those after it.
    steps.push(Step::txn(vec![
        node("set", json!({ "Node": "~n3", "Address": "127.0.0.4" })),
        service("set", "~n3", web("~web-9")),
        check(
            "set",
            json!({ "Node": "~n3", "CheckID": "~c", "Name": "c", "ServiceID": "~web-9" }),
        ),
        check("get", json!({ "Node": "~n3", "CheckID": "~c" })),
        service("delete", "~n3", web("~web-9")),
    ]));
    steps
}

fn folding() -> Vec<Step> {
    let mut steps = world();
    steps.extend([
        Step::txn(vec![service(
            "set",
            "~N1",
            json!({ "ID": "~WEB-1", "Service": "~WEB" }),
        )]),
        Step::txn(vec![service("get", "~n1", json!({ "ID": "~web-1" }))]),
        Step::txn(vec![node(
            "set",
            json!({ "Node": "~N1", "Address": "127.0.0.2" }),
        )]),
        Step::txn(vec![node(
            "set",
            json!({ "Node": "~N1", "Address": "127.0.0.9" }),
        )]),
        Step::txn(vec![check(
            "set",
            json!({ "Node": "~N1", "CheckID": "~NS/WEB-1", "Name": "c", "ServiceID": "~WEB-1" }),
        )]),
        Step::txn(vec![service(
            "delete",
            "~N1",
            json!({ "ID": "~Web-1", "Service": "x" }),
        )]),
        Step::deregister(json!({ "Node": "~N1", "ServiceID": "~WEB-2" })),
    ]);
    // Letter by letter, each to one: a sigma at a word's end is as any other, and a capital I with a dot is an i.
    for (id, name) in [
        ("~ΑΣ", "~ασ"),
        ("~ας", "~x"),
        ("~ασ", "~y"),
        ("~İ", "~i"),
        ("~I", "~z"),
        ("~É", "~é"),
        ("~é", "~z"),
    ] {
        let instance = json!({ "ID": id, "Service": name });
        steps.push(Step::txn(vec![service("set", "~n1", instance)]));
    }
    for id in ["~ασ", "~ας", "~i", "~é"] {
        steps.push(Step::txn(vec![service("get", "~n1", json!({ "ID": id }))]));
    }
    steps
}

/// Consul cannot tell anyone of the check of an instance that went under another spelling.
fn respelled() -> Vec<Step> {
    let mut steps = world();
    let again = || service("set", "~n1", json!({ "ID": "~WEB-1", "Service": "~web" }));
    let node_check = |status: &str| check("set", readiness("~of-node", "", status));
    steps.extend([
        Step::txn(vec![again()]),
        Step::deregister(json!({ "Node": "~n1", "ServiceID": "~web-1" })),
        Step::deregister(json!({ "Node": "~n1", "ServiceID": "~WEB-1" })),
        Step::txn(vec![
            service("set", "~n1", web("~web-2")),
            service("delete", "~n1", web("~web-1")),
        ]),
        // What changed on the node as a whole hides it, and so does an instance that is there again.
        Step::txn(vec![
            service("delete", "~n1", web("~web-1")),
            service("set", "~n1", web("~web-1")),
        ]),
        Step::txn(vec![check(
            "set",
            readiness("~ns/web-1", "~WEB-1", "passing"),
        )]),
        Step::txn(vec![service("delete", "~n1", web("~WEB-1"))]),
        Step::txn(vec![
            again(),
            check("set", readiness("~ns/web-1", "~web-1", "passing")),
        ]),
        Step::txn(vec![
            service("delete", "~n1", web("~WEB-1")),
            node_check("passing"),
        ]),
        Step::txn(vec![
            again(),
            check("set", readiness("~ns/web-1", "~web-1", "passing")),
        ]),
        Step::deregister(json!({ "Node": "~n1", "CheckID": "~ns/web-1" })),
        Step::deregister(json!({ "Node": "~n1", "ServiceID": "~WEB-1" })),
        Step::txn(vec![
            again(),
            check("set", readiness("~ns/web-1", "~web-1", "passing")),
        ]),
        Step::deregister(json!({ "Node": "~n1" })),
    ]);
    steps
}

fn renamed() -> Vec<Step> {
    let mut steps = world();
    let to = |name: &str| {
        Step::txn(vec![service(
            "set",
            "~n2",
            json!({ "ID": "~api-1", "Service": name }),
        )])
    };
    steps.extend([to("~web"), to("~other"), to("~api")]);
    steps.push(Step::txn(vec![service(
        "delete",
        "~n2",
        json!({ "ID": "~api-1", "Service": "~api" }),
    )]));
    steps.push(to("~api"));
    steps
}

fn node_checks() -> Vec<Step> {
    let mut steps = world();
    for status in ["critical", "passing", "passing"] {
        steps.push(Step::txn(vec![check(
            "set",
            readiness("~of-node", "", status),
        )]));
    }
    steps.push(Step::txn(vec![check(
        "set",
        readiness("~of-node", "~web-1", "passing"),
    )]));
    steps.push(Step::txn(vec![check(
        "set",
        readiness("~of-node", "", "passing"),
    )]));
    steps.push(Step::txn(vec![check(
        "delete",
        readiness("~of-node", "", ""),
    )]));
    steps
}

fn node_goes() -> Vec<Step> {
    let mut steps = world();
    steps.push(Step::txn(vec![check(
        "set",
        readiness("~of-node", "", "passing"),
    )]));
    steps.push(Step::txn(vec![node("delete", n1())]));
    steps.push(Step::txn(vec![node("delete", n1())]));
    steps.push(Step::deregister(json!({ "Node": "~n2" })));
    steps.extend(world());
    steps
}

/// Consul forgets why the check could not be written, and answers 200 with the check as it was.
fn failed_check_cas() -> Vec<Step> {
    let at = |node: &str, owner: &str, index: Value| {
        check(
            "cas",
            json!({ "Node": node, "CheckID": "~ns/web-1", "Name": "c", "Status": "passing", "ServiceID": owner, "ModifyIndex": index }),
        )
    };
    vec![
        Step::txn(vec![at("~none", "~web-1", json!(0))]),
        Step::txn(vec![node("set", n1())]),
        Step::txn(vec![at("~n1", "~web-1", json!(0))]),
        Step::txn(vec![
            service("set", "~n1", web("~web-1")),
            at("~n1", "~web-1", json!(0)),
        ]),
        Step::txn(vec![at("~n1", "~gone", json!("current"))]),
        Step::txn(vec![at("~n1", "~web-1", json!(0))]),
        Step::txn(vec![at("~n1", "~web-1", json!("stale"))]),
        Step::txn(vec![at("~n1", "~web-1", json!("current"))]),
    ]
}

/// The node that the sync makes has the address of a server that runs beside it. Reading such a
/// node in the UI puts a key into its meta without moving an index; the next write of the node then
/// is a change.
fn ui_writes() -> Vec<Step> {
    let set = |meta: Value| {
        let object = json!({ "Node": "~n1", "Address": "127.0.0.1", "Meta": meta });
        Step::txn(vec![node("set", object)])
    };
    let read = || {
        [
            "/v1/internal/ui/node/~n1",
            "/v1/catalog/node/~n1",
            "/v1/catalog/nodes",
        ]
        .map(Step::get)
    };
    let mut steps = Vec::new();
    for meta in [
        Value::Null,
        json!({}),
        json!({ "external-source": "kubernetes" }),
    ] {
        steps.push(set(meta.clone()));
        steps.extend(read());
        steps.push(set(meta));
    }
    steps
}

fn nameless_checks() -> Vec<Step> {
    let mut steps = world();
    for verb in ["get", "set", "cas", "delete", "delete-cas"] {
        for (at, id) in [("", "~c"), ("~n1", "")] {
            let object =
                json!({ "Node": at, "CheckID": id, "Status": "passing", "ModifyIndex": 0 });
            steps.push(Step::txn(vec![check(verb, object)]));
        }
    }
    steps.push(Step::register(
        json!({ "Node": "~n1", "Address": "127.0.0.2", "Check": { "Status": "passing" } }),
    ));
    steps
}
