//! What each token tries.

use serde_json::{Value, json};

use super::cases::{readiness, web};
use super::step::{Step, check, node, service};

/// Reads of every kind.
pub(crate) fn reads() -> Vec<Step> {
    let ask = json!([
        { "Resource": "node", "Segment": "~n1", "Access": "write" },
        { "Resource": "node", "Segment": "~n2", "Access": "read" },
        { "Resource": "service", "Segment": "~web", "Access": "write" },
        { "Resource": "service", "Segment": "~api", "Access": "read" },
        { "Resource": "agent", "Segment": "x", "Access": "read" },
        { "Resource": "operator", "Access": "write" },
    ]);
    let mut steps: Vec<_> = [
        "/v1/acl/token/self",
        "/v1/agent/self",
        "/v1/status/leader",
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
pub(crate) fn writes() -> Vec<Step> {
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
