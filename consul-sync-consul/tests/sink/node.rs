//! The node that holds the instances: registered when absent, left to whoever has it.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault, Node};
use consul_sync_core::{ErrorKind, Event, Sink};

use super::{
    catalog::{agents_node, node, serf_health},
    support::{Events, NODE, creates, kinds, service, sink, write},
};

#[tokio::test]
async fn the_first_write_registers_the_node_and_later_ones_leave_it_alone() {
    let consul = FakeConsul::builder()
        .record_operations()
        .start()
        .await
        .unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let node = consul.node(NODE).unwrap();
    assert_eq!(node.address, "127.0.0.1");
    assert_eq!(node.meta.unwrap()["external-source"], "kubernetes");
    write(&sink, &[service("web", 2)]).await;
    let kinds: Vec<&str> = consul.operations().iter().map(|op| op.kind).collect();
    assert_eq!(kinds, ["node", "service", "check", "service", "check"]);
}

#[tokio::test]
async fn fault_t08_a_node_that_was_removed_meanwhile_is_registered_again() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    consul.remove_node(NODE);
    let outcomes = sink
        .apply(&creates(&sink, &service("db", 1)))
        .await
        .unwrap();
    assert_eq!(kinds(&outcomes), ["written"]);
}

#[tokio::test]
async fn fault_t09_a_node_of_somebody_else_is_not_written() {
    let consul = FakeConsul::start().await.unwrap();
    let mut foreign = node();
    foreign.address = "192.0.2.9".into();
    consul.put_node(foreign.clone()).unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    assert_eq!(consul.node(NODE).unwrap().address, foreign.address);

    // One that is ours gets the address that is set.
    foreign.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_node(foreign).unwrap();
    write(&super::support::sink(&consul.url()), &[service("web", 2)]).await;
    assert_eq!(consul.node(NODE).unwrap().address, "127.0.0.1");
}

#[tokio::test]
async fn fault_t11_the_node_of_an_agent_is_refused() {
    let consul = FakeConsul::start().await.unwrap();
    consul.put_node(agents_node()).unwrap();
    let sink = sink(&consul.url());
    let error = sink
        .apply(&creates(&sink, &service("web", 1)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("running agent"), "{error}");
    assert!(consul.instances(NODE).is_empty());
}

#[tokio::test]
async fn fault_t11_the_node_of_an_agent_is_not_listed() {
    let consul = FakeConsul::start().await.unwrap();
    consul.put_node(node()).unwrap();
    consul.put_check(serf_health()).unwrap();
    let mut events = Events::of(&sink(&consul.url()));
    let error = events.refused_listing().await;
    assert!(error.to_string().contains("running agent"), "{error}");
}

#[tokio::test]
async fn fault_c08_an_unknown_node_is_an_empty_listing() {
    let consul = FakeConsul::start().await.unwrap();
    assert!(Events::of(&sink(&consul.url())).listing().await.is_empty());
}

/// Lets somebody write the node between our look at it and our write: when a transaction that writes it has come
/// and is not applied yet.
async fn let_somebody_write_the_node(consul: &FakeConsul, theirs: Node) {
    let hand = consul.another().await.unwrap();
    let theirs = Mutex::new(Some(theirs));
    let fault = Fault::new().on(Endpoint::Txn).refuse(move |operation| {
        if operation.kind == "node"
            && let Some(node) = theirs.lock().unwrap().take()
        {
            hand.put_node(node).unwrap();
        }
        None
    });
    consul.inject(fault);
}

#[tokio::test]
async fn fault_t09_a_node_that_somebody_writes_between_our_look_and_our_write_stays_theirs() {
    let mut theirs = node();
    theirs.address = "192.0.2.9".into();
    theirs.meta = Some([("rack".into(), "7".into())].into());
    // We looked when it was absent, and when it was ours and had another address.
    let mut ours = node();
    ours.address = "192.0.2.1".into();
    ours.meta = Some([("external-source".into(), "kubernetes".into())].into());
    for before in [None, Some(ours)] {
        let consul = FakeConsul::start().await.unwrap();
        let sink = sink(&consul.url());
        if let Some(node) = before {
            consul.put_node(node).unwrap();
        }
        let_somebody_write_the_node(&consul, theirs.clone()).await;
        let outcomes = sink.apply(&creates(&sink, &service("web", 1))).await;
        assert_eq!(kinds(&outcomes.unwrap()), ["written"]);
        let node = consul.node(NODE).unwrap();
        assert_eq!(
            (node.address, node.meta),
            (theirs.address.clone(), theirs.meta.clone())
        );
        // Two looks, and one transaction that was refused before the one that was applied.
        assert_eq!(consul.requests(Endpoint::NodeServices), 2);
        assert_eq!(consul.requests(Endpoint::Txn), 2);
    }
}

#[tokio::test]
async fn fault_t09_a_node_that_somebody_keeps_writing_is_given_up_and_said() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let hand = consul.another().await.unwrap();
    let turn = AtomicUsize::new(0);
    // It is ours and at another address each time that we write it.
    let fault = Fault::new().on(Endpoint::Txn).refuse(move |operation| {
        if operation.kind == "node" {
            let mut theirs = node();
            theirs.address = format!("192.0.2.{}", 1 + turn.fetch_add(1, Ordering::Relaxed));
            theirs.meta = Some([("external-source".into(), "kubernetes".into())].into());
            hand.put_node(theirs).unwrap();
        }
        None
    });
    consul.inject(fault);
    let error = sink.apply(&creates(&sink, &service("web", 1))).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("keeps writing it"), "{error}");
    assert!(consul.instances(NODE).is_empty());
    assert!(consul.requests(Endpoint::Txn) <= 4);
}

#[tokio::test]
async fn fault_t11_an_agent_that_takes_the_node_between_our_look_and_our_write_is_left_alone() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let_somebody_write_the_node(&consul, agents_node()).await;
    let error = sink.apply(&creates(&sink, &service("web", 1))).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("running agent"), "{error}");
    assert!(consul.instances(NODE).is_empty());
}

/// What an agent that takes the node over does: its node with its ID, its check, or both.
#[tokio::test]
async fn fault_t11_an_agent_that_takes_the_node_while_it_is_watched_ends_the_watch_and_every_write()
{
    for (has_id, has_check) in [(true, false), (false, true), (true, true)] {
        let consul = FakeConsul::start().await.unwrap();
        let sink = sink(&consul.url());
        write(&sink, &[service("web", 2)]).await;
        let mut events = Events::of(&sink);
        events.listing().await;
        if has_check {
            consul.put_check(serf_health()).unwrap();
        }
        if has_id {
            consul.put_node(agents_node()).unwrap();
        }
        let error = loop {
            match events.next().await {
                Err(error) => break error,
                // The instances bear their node.
                Ok(event) => assert!(matches!(event, Event::Upserted(..)), "{event:?}"),
            }
        };
        assert!(error.to_string().contains("running agent"), "{error}");
        let error = events.refused_listing().await;
        assert!(error.to_string().contains("running agent"), "{error}");

        let writes = consul.writes();
        let outcome = sink.apply(&creates(&sink, &service("db", 1))).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("running agent"), "{error}");
        assert_eq!(consul.writes(), writes, "the node of an agent was written");

        // When the agent is gone, so is its node, and we go on.
        consul.remove_node(NODE);
        while events.try_listing().await.is_none() {}
        write(&sink, &[service("db", 1)]).await;
    }
}

#[tokio::test]
async fn fault_t11_an_agent_that_is_seen_while_a_write_is_under_way_is_not_forgotten_when_it_ends()
{
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    // The transaction is applied at once, and its answer waits until the watch has seen the agent.
    let late = Fault::new()
        .on(Endpoint::Txn)
        .late(Duration::from_millis(800));
    consul.inject(late.times(1));
    let ops = creates(&sink, &service("db", 1));
    let seen = async {
        consul
            .until(|consul| consul.instances(NODE).len() == 2)
            .await;
        consul.put_node(agents_node()).unwrap();
        loop {
            if let Err(error) = events.next().await {
                return error;
            }
        }
    };
    let (outcomes, error) = tokio::join!(sink.apply(&ops), seen);
    assert_eq!(kinds(&outcomes.unwrap()), ["written"]);
    assert!(error.to_string().contains("running agent"), "{error}");
    let error = sink.apply(&creates(&sink, &service("x", 1))).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("running agent"), "{error}");
    assert_eq!(consul.instances(NODE).len(), 2);
}
