//! Sequences with a name: each is a rule of Consul that the fake has to know.

use serde_json::{Value, json};

use super::step::{Step, check, node, service};

type Case = (&'static str, fn() -> Vec<Step>);

pub(crate) const CASES: &[Case] = &[
    ("a world of two nodes", world),
    ("requests that are no requests", malformed),
    ("queries", queries),
    ("limits of a transaction", limits),
    ("named ports", named_ports),
    ("gzip", gzip),
    ("a failed cas of a check is no error", failed_check_cas),
    ("reading a node in the UI writes into it", ui_writes),
    ("checks without a node or an ID", nameless_checks),
];

fn n1() -> Value {
    json!({ "Node": "~n1", "Address": "127.0.0.2" })
}

fn web(id: &str) -> Value {
    json!({ "ID": id, "Service": "~web", "Port": 80, "Address": "10.0.0.1", "Tags": ["k8s"], "Meta": { "external-source": "kubernetes" } })
}

fn readiness(id: &str, owner: &str, status: &str) -> Value {
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

fn malformed() -> Vec<Step> {
    vec![
        Step::raw("/v1/txn", ""),
        Step::raw("/v1/txn", "{"),
        Step::raw("/v1/txn", "[{}]"),
        Step::raw("/v1/txn", "null"),
        Step::raw("/v1/txn", "{}"),
        Step::raw("/v1/txn", "[]"),
        Step::raw("/v1/txn", "[] trailing"),
        Step::raw("/v1/txn", r#"[{"Nod": {}}]"#),
        Step::raw("/v1/txn", r#"[{"Node": {}}]"#),
        Step::raw("/v1/txn", r#"[{"Service": {}}]"#),
        Step::raw("/v1/txn", r#"[{"Check": {}}]"#),
        Step::raw("/v1/txn", r#"[{"Node": {"Verb": 1}}]"#),
        Step::raw(
            "/v1/txn",
            r#"[{"node": {"verb": "set", "node": {"node": "~n1", "address": "127.0.0.2"}}}]"#,
        ),
        Step::raw(
            "/v1/txn",
            r#"[{"Service": {"Verb": "set", "Node": "~n1", "Service": {"ID": "~web-1", "Wat": 1}}}]"#,
        ),
        Step::raw(
            "/v1/txn",
            r#"[{"Service": {"Verb": "set", "Node": "~n1", "Service": {"ID": "~web-1", "Port": "80"}}}]"#,
        ),
        Step::raw("/v1/catalog/register", ""),
        Step::raw("/v1/catalog/register", "null"),
        Step::raw("/v1/catalog/register", "[]"),
        Step::raw("/v1/catalog/register", r#"{"Node": "~n1", "Wat": 1}"#),
        Step::raw("/v1/catalog/deregister", ""),
        Step::raw("/v1/catalog/deregister", "null"),
        Step::raw("/v1/catalog/deregister", r#"{"Wat": 1}"#),
        Step::get("/v1/txn"),
        Step::get("/v1/catalog/register"),
        Step::raw("/v1/catalog/nodes", "").with_method("DELETE"),
        Step::get("/v1/wat"),
        Step::get("/wat"),
        Step::get("/v1/catalog/service/"),
        Step::get("/v1/catalog/node/"),
        Step::get("/v1/catalog/node-services/"),
        Step::get("/v1/health/node/"),
        Step::get("/v1/health/service/"),
        Step::get("/v1/internal/ui/node/"),
        Step::get("/v1/catalog/node/a%0Ab"),
        Step::get("/v1/catalog/node-services/x"),
        Step::get("/v1/catalog/node-services/a%2Fb"),
        Step::get("/v1/acl/token/self"),
        Step::raw("/v1/internal/acl/authorize", "[]").with_method("POST"),
    ]
}

fn queries() -> Vec<Step> {
    let reads = [
        "/v1/catalog/nodes?node-meta=k:v",
        "/v1/catalog/nodes?node-meta=k:w",
        "/v1/catalog/nodes?consistent",
        "/v1/catalog/nodes?stale",
        "/v1/catalog/nodes?stale&consistent",
        "/v1/catalog/nodes?wait=wat",
        "/v1/catalog/nodes?index=wat",
        "/v1/catalog/nodes?index=-1",
        "/v1/catalog/nodes?dc=nowhere",
        "/v1/catalog/nodes?dc=dc1",
        "/v1/catalog/nodes?pretty",
        "/v1/health/service/~web?passing=false",
        "/v1/health/service/~web?passing=1",
        "/v1/health/service/~web?passing=wat",
        "/v1/health/service/~web?tag=k8s",
        "/v1/health/service/~web?tag=K8S",
        "/v1/health/service/~web?tag=k8s&tag=v1",
        "/v1/catalog/service/~web?tag=k8s",
        "/v1/catalog/service/~web?tag=wat",
        "/v1/catalog/service/~web?node-meta=k:v",
        "/v1/catalog/service/~WEB?consistent",
        "/v1/catalog/node-services/~n1?consistent",
        "/v1/catalog/node-services/~n1?filter=Service%3D%3D%22~web%22",
        "/v1/catalog/node-services/~n1?filter=Service%3D%3D%22wat%22",
        "/v1/catalog/node-services/~n1?filter=Meta%5B%22external-source%22%5D%3D%3D%22kubernetes%22",
        "/v1/catalog/node-services/~n1?filter=Meta%5B%22external-source%22%5D%3D%3Dkubernetes+and+ID%21%3D%22~web-1%22",
        "/v1/catalog/node-services/~n1?filter=%22k8s%22+in+Tags",
        "/v1/catalog/node-services/~n1?filter=%22wat%22+not+in+Tags",
        "/v1/catalog/node-services/~n1?filter=Meta.wat+is+empty",
        "/v1/catalog/node-services/~n1?filter=not+%28Port%3D%3D80%29+or+Port%3D%3D80",
        "/v1/catalog/node-services/~gone?filter=Service%3D%3D%22~web%22",
        "/v1/catalog/node/~n1?filter=Service%3D%3D%22~web%22",
        "/v1/catalog/node/~n1?filter=Service%3D%3D%22wat%22",
        "/v1/catalog/service/~web?filter=ServiceMeta%5B%22external-source%22%5D%3D%3D%22kubernetes%22",
        "/v1/catalog/service/~web?filter=ServiceID%3D%3D%22~web-3%22",
        "/v1/catalog/services?filter=ServiceMeta%5B%22external-source%22%5D%3D%3D%22kubernetes%22",
        "/v1/health/node/~n1?filter=Status%3D%3D%22critical%22",
        "/v1/health/service/~web?filter=Service.ID%3D%3D%22~web-3%22",
        "/v1/health/service/~web?filter=Checks.Status%3D%3D%22critical%22",
        "/v1/health/state/critical",
        "/v1/health/state/any",
        "/v1/health/state/",
        "/v1/txn",
    ];
    let mut steps = world();
    steps.extend(reads.map(Step::get));
    steps
}

fn limits() -> Vec<Step> {
    let sets = |count: usize| {
        (0..count)
            .map(|n| service("set", "~n1", web(&format!("~web-{n}"))))
            .collect()
    };
    let large = |bytes: usize| {
        let body = Value::from(vec![check(
            "set",
            json!({ "Node": "~n1", "CheckID": "~c", "Name": "c", "Output": "" }),
        )]);
        let mut text = body.to_string();
        let padding = " ".repeat(bytes - text.len());
        text.push_str(&padding);
        Step::raw("/v1/txn", text)
    };
    vec![
        Step::txn(sets(128)),
        Step::txn(vec![node("set", n1())]),
        Step::txn(sets(128)),
        Step::txn(sets(129)),
        large(512 * 1024 - 20),
        large(512 * 1024 + 20),
    ]
}

fn named_ports() -> Vec<Step> {
    let ports = json!([{ "Name": "http", "Port": 8080, "Default": true }, { "Name": "admin", "Port": 9090 }]);
    let register = |service: Value| {
        Step::register(json!({ "Node": "~n1", "Address": "127.0.0.2", "Service": service }))
    };
    vec![
        Step::txn(vec![node("set", n1())]),
        Step::txn(vec![service(
            "set",
            "~n1",
            json!({ "ID": "~web-1", "Service": "~web", "Ports": ports }),
        )]),
        register(json!({ "ID": "~web-2", "Service": "~web", "Ports": ports })),
        register(json!({ "ID": "~web-2", "Service": "~web", "Ports": ports })),
        register(json!({ "ID": "~web-3", "Service": "~web", "Port": 80, "Ports": ports })),
        register(
            json!({ "ID": "~web-3", "Service": "~web", "Ports": [{ "Name": "", "Port": 1 }] }),
        ),
        register(
            json!({ "ID": "~web-3", "Service": "~web", "Ports": [{ "Name": "a", "Port": 1 }] }),
        ),
        register(json!({ "ID": "~web-3", "Service": "~web", "Ports": [{ "Name": "a" }] })),
        register(
            json!({ "ID": "~web-3", "Service": "~web", "Port": 1, "Ports": [{ "Name": "a", "Port": 1 }] }),
        ),
    ]
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

/// Large enough to be worth it on both, however they indent.
fn gzip() -> Vec<Step> {
    let many = (0..40).map(|n| service("set", "~n1", web(&format!("~web-{n}"))));
    let mut steps = world();
    steps.push(Step::txn(many.collect()));
    let reads = [
        "/v1/catalog/node-services/~n1",
        "/v1/health/service/~web",
        "/v1/wat",
        "/v1/catalog/node/~gone",
    ];
    let zipped = |path: &str| Step::get(path).with_header("accept-encoding", "gzip");
    steps.extend(reads.map(zipped));
    steps
}

// ---- rights ----

/// Reads of every kind.
pub(crate) fn rights_tried() -> Vec<Step> {
    let ask = json!([
        { "Resource": "node", "Segment": "~n1", "Access": "write" },
        { "Resource": "node", "Segment": "~n2", "Access": "read" },
        { "Resource": "service", "Segment": "~web", "Access": "write" },
        { "Resource": "service", "Segment": "~api", "Access": "read" },
        { "Resource": "agent", "Segment": "x", "Access": "read" },
        { "Resource": "operator", "Access": "write" },
    ]);
    let mut steps: Vec<_> = [
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/catalog/node/~n1",
        "/v1/catalog/node-services/~n1",
        "/v1/catalog/node-services/~gone",
        "/v1/catalog/service/~web",
        "/v1/catalog/service/~api",
        "/v1/health/node/~n1",
        "/v1/health/service/~web",
        "/v1/internal/ui/node/~n1",
    ]
    .map(Step::get)
    .into();
    steps.push(Step {
        body: Some(ask),
        ..Step::get("/v1/internal/acl/authorize").with_method("POST")
    });
    let wrong = json!([{ "Resource": "wat", "Access": "write" }]);
    steps.push(Step {
        body: Some(wrong),
        ..Step::get("/v1/internal/acl/authorize").with_method("POST")
    });
    steps.push(Step::txn(vec![
        node("get", json!({ "Node": "~n1" })),
        service("get", "~n1", json!({ "ID": "~web-1" })),
        check("get", json!({ "Node": "~n1", "CheckID": "~ns/web-1" })),
    ]));
    steps
}

/// Writes of every kind, each taken back by the last.
pub(crate) fn writes_tried() -> Vec<Step> {
    let register =
        |service: Value| json!({ "Node": "~n1", "Address": "127.0.0.2", "Service": service });
    vec![
        Step::txn(vec![service("set", "~n1", web("~web-9"))]),
        Step::txn(vec![node(
            "set",
            json!({ "Node": "~n2", "Address": "127.0.0.9" }),
        )]),
        Step::txn(vec![node(
            "set",
            json!({ "Node": "~n2", "Address": "127.0.0.3", "Meta": { "k": "v" } }),
        )]),
        Step::txn(vec![check(
            "set",
            readiness("~ns/web-9", "~web-9", "passing"),
        )]),
        Step::txn(vec![check(
            "set",
            json!({ "Node": "~n1", "CheckID": "~x", "Name": "x", "ServiceID": "~web-9", "ServiceName": "~api" }),
        )]),
        Step::txn(vec![
            check("set", readiness("~node-check", "", "passing")),
            check("delete", readiness("~node-check", "", "passing")),
        ]),
        Step::txn(vec![service("delete", "~n1", json!({ "ID": "~web-9" }))]),
        Step::txn(vec![service(
            "delete",
            "~n1",
            json!({ "ID": "~web-9", "Service": "~web" }),
        )]),
        Step::register(register(web("~web-9"))),
        Step::register(register(json!({ "ID": "~web-9", "Service": "~api" }))),
        Step::register(json!({ "Node": "~n1", "Address": "127.0.0.7" })),
        Step::register(json!({ "Node": "~n1", "Address": "127.0.0.2" })),
        Step::register(
            json!({ "Node": "~n1", "Address": "127.0.0.2", "Check": { "CheckID": "~c", "Name": "c" } }),
        ),
        Step::register(
            json!({ "Node": "~n1", "Address": "127.0.0.2", "Check": { "CheckID": "~c", "Name": "c", "ServiceID": "~web-1" } }),
        ),
        Step::register(
            json!({ "Node": "~n1", "Address": "127.0.0.2", "Check": { "CheckID": "~c", "Name": "c", "ServiceID": "~wat" } }),
        ),
        Step::deregister(json!({ "Node": "~n1", "CheckID": "~c" })),
        Step::deregister(json!({ "Node": "~n1", "CheckID": "~wat" })),
        Step::deregister(json!({ "Node": "~n1", "ServiceID": "~web-9" })),
        Step::deregister(json!({ "Node": "~n1", "ServiceID": "~wat" })),
        Step::deregister(json!({ "Node": "~none" })),
    ]
}
