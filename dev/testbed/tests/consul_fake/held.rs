//! Queries that are held: which writes they sleep through. The index of the nodes moves with every service, and a query
//! for the nodes sleeps on.

use std::time::Duration;

use consul_sync_consul::testing::FakeConsul;
use consul_sync_testbed::{Consul, ConsulVersion};
use futures::future::join;
use serde_json::json;
use tokio::time::sleep;

use super::cases::world;
use super::side::Side;
use super::step::{Step, node, service};
use super::{Tested, full, is_there};

const PREFIX: &str = "held-";
/// How long a query has to arrive.
const HEAD_START: Duration = Duration::from_secs(1);

/// A query, the writes that it sleeps through, and the one that ends it.
fn cases() -> Vec<(&'static str, Vec<Step>, Step)> {
    let instance = |node: &str, port: u16| {
        let web = json!({ "ID": "~held", "Service": "~web", "Port": port });
        Step::txn(vec![service("set", node, web)])
    };
    let moved = |name: &str, address: &str| {
        Step::txn(vec![node(
            "set",
            json!({ "Node": name, "Address": address }),
        )])
    };
    let gone = json!({ "Node": "~n1", "ServiceID": "~held" });
    vec![
        (
            "/v1/catalog/nodes?consistent",
            vec![instance("~n1", 1), instance("~n2", 1), instance("~n1", 2)],
            moved("~n2", "10.7.0.1"),
        ),
        (
            "/v1/catalog/nodes?consistent",
            vec![Step::deregister(gone.clone())],
            moved("~new", "10.7.0.2"),
        ),
        (
            "/v1/catalog/node-services/~n1?consistent",
            vec![instance("~n2", 3), moved("~n2", "10.7.0.3")],
            instance("~n1", 3),
        ),
        (
            "/v1/catalog/node-services/~n1?consistent",
            vec![instance("~n2", 4)],
            moved("~n1", "10.7.0.4"),
        ),
        (
            "/v1/catalog/node-services/~n1?consistent",
            vec![instance("~n2", 5)],
            Step::deregister(gone),
        ),
    ]
}

/// The index of a read; with `past`, once it is higher than that.
async fn index(side: &Side, path: &str, past: Option<u64>) -> u64 {
    let path = past.map_or(path.to_owned(), |past| {
        format!("{path}&index={past}&wait=20s")
    });
    let seen = side.try_read(&path, PREFIX).await;
    seen.and_then(|seen| seen.index).unwrap_or_default()
}

/// Holds each query while the writes are made, and expects it to answer with the index of the last one.
async fn hold(side: &Side) {
    const EVERY: &str = "/v1/catalog/services?consistent";
    for step in world() {
        side.send(&step, PREFIX).await;
    }
    for (path, slept, last) in cases() {
        let before = index(side, path, None).await;
        let writes = async {
            // One that comes after the writes is answered at once, and nobody can ask whether it is there.
            sleep(HEAD_START).await;
            for step in slept {
                let seen = side.send(&step, PREFIX).await;
                assert_eq!(seen.status, 200, "{}: {:?}", step.text(), seen.body);
            }
            let middle = index(side, EVERY, None).await;
            let seen = side.send(&last, PREFIX).await;
            assert_eq!(seen.status, 200, "{}: {:?}", last.text(), seen.body);
            middle
        };
        let (answered, middle) = join(index(side, path, Some(before)), writes).await;
        assert!(middle > before, "{path}: nothing was written");
        assert!(
            answered > middle,
            "{path} answered at {answered}, and slept until {middle}"
        );
    }
}

pub(crate) async fn queries(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let real = Consul::start(version).await?;
    let of_real = Side::new(real.url(), None, real.node());
    of_real.settle().await;
    hold(&of_real).await;
    let fake = FakeConsul::builder().version(full(version)).start().await?;
    hold(&Side::new(&fake.url(), None, fake.agent_node())).await;
    Ok(())
}
