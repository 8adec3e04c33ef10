//! Cases about keys and the sessions that lock them.

use std::time::Duration;

use serde_json::{Value, json};

use super::cases::n1;
use super::step::{Step, key, node, service};

/// A session on a node of ours, without checks, as a lock makes it.
fn create(change: &Value) -> Step {
    let mut session = json!({ "Name": "~name", "Node": "~n1", "NodeChecks": [], "TTL": "60s", "LockDelay": "0s" });
    for (field, value) in change.as_object().into_iter().flatten() {
        session[field] = value.clone();
    }
    Step::put("/v1/session/create", session)
}

fn renew(session: &str) -> Step {
    Step::raw(&format!("/v1/session/renew/{session}"), "")
}

fn destroy(session: &str) -> Step {
    Step::raw(&format!("/v1/session/destroy/{session}"), "")
}

fn lock(session: &str) -> Step {
    Step::txn(vec![key(
        "lock",
        json!({ "Key": "~lock", "Session": session, "Value": "YQ==" }),
    )])
}

fn unlock(session: &str) -> Step {
    Step::txn(vec![key(
        "unlock",
        json!({ "Key": "~lock", "Session": session }),
    )])
}

fn check(session: &str) -> Value {
    key(
        "check-session",
        json!({ "Key": "~lock", "Session": session }),
    )
}

fn begin() -> Vec<Step> {
    vec![
        Step::txn(vec![node("set", n1())]),
        create(&json!({})),
        create(&json!({ "Behavior": "release" })),
    ]
}

fn lock_steps() -> Vec<Step> {
    let web = |id: &str| {
        service(
            "set",
            "~n1",
            json!({ "ID": id, "Service": "~web", "Port": 80 }),
        )
    };
    vec![
        Step::get("/v1/kv/~lock"),
        Step::get("/v1/kv/~lock?consistent"),
        Step::txn(vec![check("$1")]),
        Step::txn(vec![check("$1"), web("~web-1")]),
        lock("$1"),
        lock("$1"),
        lock("$2"),
        Step::get("/v1/kv/~lock?consistent"),
        Step::txn(vec![check("$1"), web("~web-1")]),
        Step::txn(vec![check("$2"), web("~web-2")]),
        // Every operation that fails is told, the fence's first.
        Step::txn(vec![
            check("$2"),
            service(
                "cas",
                "~n1",
                json!({ "ID": "~web-1", "Service": "~web", "ModifyIndex": 7 }),
            ),
        ]),
        unlock("$2"),
        renew("$1"),
        unlock("$1"),
        unlock("$1"),
        Step::txn(vec![check("$1"), web("~web-1")]),
        Step::txn(vec![check("")]),
        lock("$2"),
        destroy("$2"),
        destroy("$2"),
        renew("$2"),
        lock("$2"),
        lock("$1"),
        Step::txn(vec![key("delete", json!({ "Key": "~lock" }))]),
        Step::txn(vec![check("$1"), web("~web-3")]),
        lock("$1"),
        destroy("$1"),
        Step::txn(vec![key("delete", json!({ "Key": "~lock" }))]),
    ]
}

pub(crate) fn lock_case() -> Vec<Step> {
    let mut steps = begin();
    steps.extend(lock_steps());
    steps
}

pub(crate) fn sessions() -> Vec<Step> {
    vec![
        create(&json!({})),
        Step::txn(vec![node("set", n1())]),
        create(&json!({ "TTL": "500ms" })),
        create(&json!({ "TTL": "25h" })),
        create(&json!({ "TTL": "wat" })),
        create(&json!({ "TTL": "" })),
        create(&json!({ "Behavior": "wat" })),
        create(&json!({ "Behavior": "delete" })),
        create(&json!({ "NodeChecks": ["~wat"] })),
        create(&json!({ "LockDelay": "wat" })),
        create(&json!({ "Node": "~none" })),
        Step::raw("/v1/session/create", "{"),
        Step::raw("/v1/session/renew/", ""),
        Step::raw("/v1/session/destroy/", ""),
        renew("00000000-0000-4000-8000-000000000000"),
        destroy("00000000-0000-4000-8000-000000000000"),
        renew("$1"),
        renew("$2"),
        lock("$2"),
        destroy("$2"),
        destroy("$1"),
        lock("00000000-0000-4000-8000-000000000000"),
        lock(""),
        unlock(""),
    ]
}

pub(crate) fn keys() -> Vec<Step> {
    let entry = |change: Value| {
        let mut entry = json!({ "Key": "~lock" });
        for (field, value) in change.as_object().into_iter().flatten() {
            entry[field] = value.clone();
        }
        entry
    };
    let op = |verb: &str, change: Value| Step::txn(vec![key(verb, entry(change))]);
    vec![
        op("get", json!({})),
        op("cas", json!({ "Index": 7, "Value": "YQ==" })),
        op("cas", json!({ "Index": 0, "Value": "YQ==" })),
        op("cas", json!({ "Index": 0, "Value": "YQ==" })),
        op("set", json!({ "Value": "YQ==" })),
        op("set", json!({ "Value": "Yg==", "Flags": 7 })),
        op("set", json!({ "Flags": 7 })),
        op("get", json!({})),
        op("check-index", json!({ "Index": 7 })),
        op("delete-cas", json!({ "Index": 7 })),
        op("wat", json!({})),
        op("set", json!({ "Key": "" })),
        op("set", json!({ "Value": "no base64" })),
        op("set", json!({ "Wat": 1 })),
        op("delete", json!({})),
        op("delete", json!({})),
        op("delete-cas", json!({ "Index": 7 })),
        op("check-index", json!({ "Index": 7 })),
        Step::get("/v1/kv/"),
        Step::get("/v1/kv/~lock?dc=nowhere"),
    ]
}

pub(crate) fn expiry() -> Vec<Step> {
    vec![
        Step::txn(vec![node("set", n1())]),
        create(&json!({ "TTL": "1s" })),
        create(&json!({})),
        lock("$1"),
        lock("$2"),
        // It lives for twice its TTL after it was renewed.
        renew("$1").after(Duration::from_millis(1200)),
        renew("$1").after(Duration::from_millis(1200)),
        lock("$2").after(Duration::from_millis(1200)),
        renew("$1").after(Duration::from_millis(3500)),
        lock("$2"),
        destroy("$2"),
        Step::txn(vec![key("delete", json!({ "Key": "~lock" }))]),
    ]
}

pub(crate) fn delay() -> Vec<Step> {
    vec![
        Step::txn(vec![node("set", n1())]),
        create(&json!({ "LockDelay": "2s" })),
        create(&json!({})),
        lock("$1"),
        unlock("$1"),
        // Given back, it is free at once.
        lock("$2"),
        unlock("$2"),
        lock("$1"),
        destroy("$1"),
        lock("$2"),
        lock("$2").after(Duration::from_millis(3500)),
        destroy("$2"),
        Step::txn(vec![key("delete", json!({ "Key": "~lock" }))]),
    ]
}

pub(crate) fn node_goes() -> Vec<Step> {
    let mut steps = begin();
    steps.extend([
        lock("$1"),
        Step::txn(vec![node("delete", json!({ "Node": "~n1" }))]),
        renew("$1"),
        renew("$2"),
        Step::txn(vec![key("delete", json!({ "Key": "~lock" }))]),
    ]);
    steps
}

/// What each token tries. The node and its session are there from the start of it or not, as its rights are.
pub(crate) fn rights() -> Vec<Step> {
    vec![
        Step::get("/v1/kv/~lock"),
        Step::get("/v1/kv/~other"),
        create(&json!({})),
        create(&json!({ "Node": "~n2" })),
        renew("$1"),
        lock("$1"),
        Step::txn(vec![key("get", json!({ "Key": "~lock" }))]),
        Step::txn(vec![check("$1")]),
        Step::txn(vec![key(
            "set",
            json!({ "Key": "~other", "Value": "YQ==" }),
        )]),
        unlock("$1"),
        Step::txn(vec![key("delete", json!({ "Key": "~lock" }))]),
        destroy("$1"),
    ]
}
