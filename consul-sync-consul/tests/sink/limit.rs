//! How much fits into a transaction.

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault};
use consul_sync_core::{Key, Layout, Outcome, Reason, Service, ServiceName, Sink};

use super::support::{NODE, creates, kinds, planned, service, sink, write};

#[tokio::test]
async fn fault_t01_a_server_that_takes_fewer_operations_is_noticed() {
    let consul = FakeConsul::builder().txn_ops(64).start().await.unwrap();
    let sink = sink(&consul.url());
    assert_eq!(sink.limits().ops, 127, "and the node's own");
    let ops = creates(&sink, &service("web", 60));
    assert!(
        kinds(&sink.apply(&ops).await.unwrap())
            .iter()
            .all(|kind| *kind == "written")
    );
    assert_eq!(consul.instances(NODE).len(), 60);
    assert_eq!(sink.limits().ops, 63);
    let before = consul.requests(Endpoint::Txn);
    sink.apply(&creates(&sink, &service("db", 60)))
        .await
        .unwrap();
    assert_eq!(consul.requests(Endpoint::Txn) - before, 2);
}

#[tokio::test]
async fn a_batch_within_the_limits_is_one_transaction_also_when_the_node_is_due() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    for (name, transactions) in [("web", 1), ("db", 2), ("api", 3)] {
        let ops = creates(&sink, &service(name, 63));
        let cost: usize = ops.iter().map(|op| sink.cost(op).ops).sum();
        assert_eq!(cost, sink.limits().ops - 1, "a pair more would be too much");
        sink.apply(&ops).await.unwrap();
        assert_eq!(consul.requests(Endpoint::Txn), transactions);
    }
    assert_eq!(consul.instances(NODE).len(), 3 * 63);
}

#[tokio::test]
async fn fault_t02_no_transaction_is_larger_than_consul_takes() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let mut large = service("web", 12);
    large.tags = ["t".repeat(100_000).into()].into();
    let ops = creates(&sink, &large);
    let outcomes = sink.apply(&ops).await.unwrap();
    assert!(kinds(&outcomes).iter().all(|kind| *kind == "written"));
    assert_eq!(consul.requests(Endpoint::Txn), 3);
    let cost = sink.cost(&ops[0]);
    assert_eq!(cost.ops, 2);
    assert!((100_000..101_000).contains(&cost.bytes), "{cost:?}");
}

/// Twelve instances of 30 kB each.
fn large() -> Service {
    let mut large = service("web", 12);
    large.tags = ["t".repeat(30_000).into()].into();
    large
}

#[tokio::test]
async fn fault_t02_a_server_that_ends_the_connection_in_a_large_body_gets_smaller_ones() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[]).await;
    let fault = Fault::new().on(Endpoint::Txn).larger_than(100_000);
    consul.inject(fault.reset_before());
    let mut unclear = 0;
    loop {
        let ops = planned(&sink, &[large()]).await;
        if ops.is_empty() {
            break;
        }
        let (before, sent) = (sink.limits(), consul.requests(Endpoint::Txn));
        let outcomes = sink.apply(&ops).await.unwrap();
        // It may have been applied: it is not sent again before somebody looked, and not as large.
        if kinds(&outcomes).contains(&"unknown") {
            unclear += 1;
            assert!(sink.limits().bytes < before.bytes, "{:?}", sink.limits());
            assert_eq!(consul.requests(Endpoint::Txn) - sent, 1);
        }
    }
    assert!((1..=3).contains(&unclear), "{unclear}");
    assert_eq!(consul.instances(NODE).len(), 12);
}

#[tokio::test]
async fn fault_t02_a_server_that_takes_smaller_bodies_only_is_remembered() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let text = "Request body(360000 bytes) too large, max size: 100000 bytes.";
    let fault = Fault::new().on(Endpoint::Txn).larger_than(100_000);
    consul.inject(fault.error_before(413, text));
    let outcomes = sink.apply(&creates(&sink, &large())).await.unwrap();
    assert_eq!(kinds(&outcomes), ["written"; 12]);
    let sent = consul.requests(Endpoint::Txn);
    let mut more = large();
    more.tags = ["u".repeat(30_000).into()].into();
    more.key = Key::new("ns", "more");
    more.name = ServiceName::new("more").unwrap();
    let outcomes = sink.apply(&creates(&sink, &more)).await.unwrap();
    assert_eq!(kinds(&outcomes), ["written"; 12]);
    // None of these is refused for its size: no more are sent than are needed.
    let needed = 12_u64.div_ceil(sink.limits().bytes as u64 / 31_000);
    let (first, second) = (sent, consul.requests(Endpoint::Txn) - sent);
    assert!(
        second < first && second <= needed,
        "{first}, then {second} of {needed}"
    );
}

#[tokio::test]
async fn fault_t02_one_instance_that_no_transaction_can_hold_is_refused_alone() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let fault = Fault::new().on(Endpoint::Txn).larger_than(50_000);
    consul.inject(fault.error_before(413, "Request body too large"));
    let mut ops = creates(&sink, &service("small", 1));
    let mut huge = service("web", 1);
    huge.tags = ["t".repeat(60_000).into()].into();
    ops.extend(creates(&sink, &huge));
    ops.extend(creates(&sink, &service("also-small", 1)));
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(kinds(&outcomes), ["written", "refused", "written"]);
    let Outcome::Refused(rejection) = &outcomes[1] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(rejection.reason(), Reason::TooLarge);
}
