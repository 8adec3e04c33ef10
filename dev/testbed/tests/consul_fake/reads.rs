//! Random reads as the adapters make them, and requests that are too large or no requests.

use proptest::prelude::*;
use serde_json::json;

use super::requests;
use super::step::{Step, check};

/// A read with its parameters and headers.
pub(crate) fn read() -> impl Strategy<Value = Step> {
    (path(), consistency(), held(), scope(), header()).prop_map(
        |(path, consistency, held, scope, header)| {
            let mut path = path.to_owned();
            // A view that is new may not be fed yet when a short wait ends, and the adapters do not block on one.
            let held = if path.starts_with("/v1/health/service/") && !path.contains("near=") {
                ""
            } else {
                held
            };
            for part in [consistency, held, scope] {
                if !part.is_empty() {
                    path.push(if path.contains('?') { '&' } else { '?' });
                    path.push_str(part);
                }
            }
            let step = Step::get(path);
            match header {
                Some((name, value)) => step.with_header(name, value),
                None => step,
            }
        },
    )
}

fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => node_services(),
        4 => node_checks(),
        5 => slot(),
        3 => catalog(),
        1 => Just("/v1/agent/self"),
        1 => Just("/v1/status/leader"),
        1 => Just("/v1/acl/token/self"),
    ]
}

fn node_services() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("/v1/catalog/node-services/~n1"),
        2 => Just("/v1/catalog/node-services/~N1"),
        2 => Just("/v1/catalog/node-services/~n2"),
        2 => Just("/v1/catalog/node-services/~none"),
        // As the sink looks at the node alone.
        3 => Just("/v1/catalog/node-services/~n1?filter=ID%20%3D%3D%20%22%22"),
        1 => Just("/v1/catalog/node-services/~none?filter=ID%20%3D%3D%20%22%22"),
        1 => Just("/v1/catalog/node-services/~n1?filter=Meta%5B%22external-source%22%5D%3D%3D%22kubernetes%22"),
        1 => Just("/v1/catalog/node-services/aaaaaaaa-1111-2222-3333-000000000000"),
    ]
}

fn node_checks() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("/v1/health/node/~n1"),
        1 => Just("/v1/health/node/~N1"),
        2 => Just("/v1/health/node/~n2"),
        1 => Just("/v1/health/node/~none"),
        1 => Just("/v1/health/node/~n1?filter=Status%3D%3D%22critical%22"),
    ]
}

/// As the sink reads one slot, and a little otherwise.
fn slot() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("/v1/health/service/~web?filter=Node.Node%20%3D%3D%20%22~n1%22"),
        2 => Just("/v1/health/service/~api?filter=Node.Node%20%3D%3D%20%22~n1%22"),
        1 => Just("/v1/health/service/~WEB?filter=Node.Node%20%3D%3D%20%22~n2%22"),
        1 => Just("/v1/health/service/~none?filter=Node.Node%20%3D%3D%20%22~n1%22"),
        // As the source reads one service.
        2 => Just("/v1/health/service/~web?near=consul-sync-nowhere"),
        1 => Just("/v1/health/service/~none?near=consul-sync-nowhere"),
        1 => Just("/v1/health/service/~web?filter=Node.Node%20%3D%3D"),
    ]
}

fn catalog() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("/v1/catalog/services"),
        Just("/v1/catalog/nodes"),
        Just("/v1/catalog/service/~web"),
        Just("/v1/catalog/node/~n1"),
        Just("/v1/health/checks/~web"),
        Just("/v1/health/state/critical"),
    ]
}

fn consistency() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("consistent"), 2 => Just(""), 1 => Just("stale"), 1 => Just("consistent&stale")]
}

/// Blocking past nothing, past everything, and with what is no index or no time.
fn held() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => Just(""),
        2 => Just("index=0&wait=3ms"),
        2 => Just("index=1&wait=3ms"),
        2 => Just("index=99999999999&wait=3ms"),
        1 => Just("wait=3ms"),
        1 => prop_oneof![
            Just("index=wat"),
            Just("index=-1"),
            Just("index=18446744073709551616"),
            Just("index=1&wait=wat"),
            Just("index=&wait="),
        ],
    ]
}

fn scope() -> impl Strategy<Value = &'static str> {
    prop_oneof![20 => Just(""), 4 => Just("dc=dc1"), 1 => Just("dc=nowhere"), 1 => Just("dc=")]
}

fn header() -> impl Strategy<Value = Option<(&'static str, &'static str)>> {
    prop_oneof![
        8 => Just(None),
        3 => Just(Some(("accept-encoding", "gzip"))),
        1 => Just(Some(("x-consul-token", "00000000-0000-4000-8000-00000000dead"))),
        1 => Just(Some(("authorization", "Bearer 00000000-0000-4000-8000-00000000dead"))),
    ]
}

/// More operations than a transaction takes, and more bytes.
pub(crate) fn too_much() -> impl Strategy<Value = Step> {
    prop_oneof![
        (129..140_usize).prop_map(|count| {
            let one = check("get", json!({ "Node": "~n1", "CheckID": "~c" }));
            Step::txn(vec![one; count])
        }),
        (1..4096_usize).prop_map(|over| requests::large(512 * 1024 + over)),
        (1..4096_usize).prop_map(|under| requests::large(512 * 1024 - under)),
    ]
}

/// Transactions that are none.
pub(crate) fn unreadable() -> impl Strategy<Value = Step> {
    const BODIES: &[&str] = &[
        "{",
        r#"[{"Node": {}}]"#,
        r#"[{"Service": {"Verb": "set", "Node": "~n1", "Service": {"ID": "~web-1", "Port": "80"}}}]"#,
        r#"[{"Service": {"Verb": "set", "Node": "~n1", "Service": {"ID": "~web-1", "Wat": 1}}}]"#,
        r#"[{"Check": {"Verb": 1}}]"#,
    ];
    prop::sample::select(BODIES).prop_map(|body| Step::raw("/v1/txn", body))
}
