//! Cases about requests as such: what is no request, what queries mean, how much fits.

use serde_json::{Value, json};

use super::cases::{n1, web, world};
use super::step::{Step, check, node, service};

pub(crate) fn malformed() -> Vec<Step> {
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
        Step::get("/v1/catalog/node-services/a/b"),
        Step::get("/v1/catalog/node-services/%2e%2e%2fx"),
        Step::get("/v1/catalog/service/../services"),
        Step::get("/v1//catalog/services"),
        Step::get("/v1/catalog/services/"),
        Step::get("/v1/catalog/nodes").with_method("HEAD"),
        Step::get("/v1/catalog/nodes").with_method("OPTIONS"),
        Step::get("/v1/txn").with_method("OPTIONS"),
        Step::get("/v1/wat").with_method("OPTIONS"),
        Step::get("/v1/agent/self"),
        Step::get("/v1/status/leader"),
        Step::get("/v1/catalog/nodes?filter=wat"),
        Step::get("/v1/catalog/nodes?filter=Wat%3D%3D1"),
        Step::get("/v1/catalog/nodes?filter=Meta.a.b%3D%3D1"),
        Step::get("/v1/catalog/nodes?filter=Node+is+empty"),
        Step::get("/v1/catalog/nodes?filter=Meta%3D%3D1"),
        Step::get("/v1/catalog/node-services/~n1?filter=Weights.Passing%3D%3D1"),
        Step::get("/v1/health/service/~web?filter=Service.Meta.a%3D%3D1+and+Checks+is+empty"),
        Step::get("/v1/health/service/~web?filter=Service%3D%3D1"),
        Step::get("/v1/health/node/~n1?filter=ServiceTags+contains+a"),
        Step::get("/v1/acl/token/self"),
        Step::raw("/v1/internal/acl/authorize", "[]").with_method("POST"),
    ]
}

pub(crate) fn queries() -> Vec<Step> {
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
        "/v1/status/leader?dc=dc1",
        "/v1/status/leader?dc=nowhere",
        "/v1/health/state/critical",
        "/v1/health/state/any",
        "/v1/health/state/",
        "/v1/txn",
    ];
    let mut steps = world();
    steps.extend(reads.map(Step::get));
    steps
}

/// A transaction of about so many bytes: the prefix makes it a little longer.
pub(crate) fn large(bytes: usize) -> Step {
    let body = Value::from(vec![check(
        "set",
        json!({ "Node": "~n1", "CheckID": "~c", "Name": "c", "Output": "" }),
    )]);
    let mut text = body.to_string();
    let padding = " ".repeat(bytes - text.len());
    text.push_str(&padding);
    Step::raw("/v1/txn", text)
}

pub(crate) fn limits() -> Vec<Step> {
    let sets = |count: usize| {
        (0..count)
            .map(|n| service("set", "~n1", web(&format!("~web-{n}"))))
            .collect()
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

/// The Community Edition has no namespaces: what is about one is refused, but in a transaction it is passed over.
pub(crate) fn namespaces() -> Vec<Step> {
    let named = |mut object: Value| {
        object["Namespace"] = "shop".into();
        object
    };
    let mut steps = world();
    for path in ["/v1/namespaces", "/v1/namespace", "/v1/namespace/shop"] {
        steps.push(Step::get(path));
        steps.push(Step::put(path, json!({ "Name": "shop" })));
        steps.push(Step::get(path).with_method("DELETE"));
        steps.push(Step::get(path).with_method("OPTIONS"));
    }
    let reads = [
        "catalog/nodes",
        "catalog/services",
        "catalog/service/~web",
        "catalog/node/~n1",
        "catalog/node-services/~n1",
        "health/node/~n1",
        "health/checks/~web",
        "health/service/~web",
        "health/state/any",
        "internal/ui/node/~n1",
        "kv/~lock",
        "status/leader",
    ];
    for read in reads {
        for namespace in ["shop", "default", "*", ""] {
            steps.push(Step::get(format!("/v1/{read}?ns={namespace}")));
        }
    }
    steps.extend([
        Step::txn(vec![
            service("set", "~n1", named(web("~web-1"))),
            check(
                "set",
                named(json!({ "Node": "~n1", "CheckID": "~c", "Name": "c", "ServiceID": "~web-1" })),
            ),
        ]),
        Step::register(
            json!({ "Node": "~n1", "Address": "127.0.0.2", "Service": named(web("~web-1")) }),
        ),
        Step::register(
            json!({ "Node": "~n1", "Address": "127.0.0.2", "Check": named(json!({ "CheckID": "~c" })) }),
        ),
        Step::register(named(json!({ "Node": "~n1", "Address": "127.0.0.2" }))),
        Step::deregister(named(json!({ "Node": "~n1", "ServiceID": "~web-1" }))),
    ]);
    steps
}

pub(crate) fn named_ports() -> Vec<Step> {
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

/// Large enough to be worth it on both, however they indent.
pub(crate) fn gzip() -> Vec<Step> {
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
