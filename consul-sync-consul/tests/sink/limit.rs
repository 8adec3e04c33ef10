//! How much fits into a transaction.

use consul_sync_consul::testing::{Endpoint, FakeConsul};
use consul_sync_core::{Layout, Sink};

use super::support::{NODE, creates, kinds, service, sink};

#[tokio::test]
async fn fault_t01_a_server_that_takes_fewer_operations_is_noticed() {
    let consul = FakeConsul::builder().txn_ops(64).start().await.unwrap();
    let sink = sink(&consul.url());
    assert_eq!(sink.limits().ops, 128);
    let ops = creates(&sink, &service("web", 60));
    assert!(
        kinds(&sink.apply(&ops).await.unwrap())
            .iter()
            .all(|kind| *kind == "written")
    );
    assert_eq!(consul.instances(NODE).len(), 60);
    assert_eq!(sink.limits().ops, 64);
    let before = consul.requests(Endpoint::Txn);
    sink.apply(&creates(&sink, &service("db", 60)))
        .await
        .unwrap();
    assert_eq!(consul.requests(Endpoint::Txn) - before, 2);
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
