//! Rights that are missing, narrowed or withdrawn.

use std::time::Duration;

use consul_sync_consul::{
    ConsulSink, Secret, TokenSource,
    testing::{DefaultPolicy, Endpoint, FakeConsul, Right, Rules},
};
use consul_sync_core::{ErrorKind, Event, Sink};

use super::{
    catalog::node,
    support::{Events, NODE, creates, service, sink_with, slot, write},
};

/// A Consul with ACLs, and a sink whose token has every right that it needs.
async fn guarded() -> (FakeConsul, ConsulSink) {
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("full", Rules::sync(NODE))
        .start()
        .await
        .unwrap();
    let sink = with_token(&consul, "full");
    (consul, sink)
}

fn with_token(consul: &FakeConsul, token: &str) -> ConsulSink {
    sink_with(&consul.url(), |settings| {
        settings.token = TokenSource::Value(Secret::new(token));
    })
}

#[tokio::test]
async fn fault_c09_what_may_not_be_read_is_not_taken_for_empty() {
    let blind = Rules::new()
        .node(NODE, Right::Write)
        .node_prefix("", Right::Read);
    let none = Rules::new();
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("full", Rules::sync(NODE))
        .token("blind", blind)
        .token("none", none)
        .start()
        .await
        .unwrap();
    let with = |token: &'static str| {
        sink_with(&consul.url(), |settings| {
            if !token.is_empty() {
                settings.token = TokenSource::Value(Secret::new(token));
            }
        })
    };
    let full = with("full");
    write(&full, &[service("web", 1)]).await;
    assert_eq!(Events::of(&full).listing().await.len(), 1);
    for (token, rule) in [
        ("blind", "service_prefix"),
        ("none", "node \"k8s-sync\""),
        ("", "node \"k8s-sync\""),
        ("unknown", ""),
    ] {
        let sink = with(token);
        let mut events = Events::of(&sink);
        let error = events.refused_listing().await;
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{token}: {error}");
        assert!(error.to_string().contains(rule), "{token}: {error}");
        let error = sink.read(&[slot("web")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{token}: {error}");
    }
}

#[tokio::test]
async fn fault_c10_a_token_that_is_revoked_weakens_what_is_known_until_it_is_back() {
    let (consul, sink) = guarded().await;
    write(&sink, &[service("web", 1)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    consul.revoke_token("full");
    let mut changed = consul.instances(NODE).remove(0);
    changed.port = 81;
    consul.put_instance(changed).unwrap();
    let error = loop {
        match events.next().await {
            // The query that blocks with it may still answer once.
            Ok(Event::Upserted(_, held)) => assert_eq!(held.records.len(), 1),
            Err(error) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert!(error.kind().weakens(), "{error}");
    consul.put_token("full", Rules::sync(NODE));
    loop {
        match events.next().await {
            Ok(Event::RelistDone) => break,
            Ok(Event::Upserted(_, held)) => assert_eq!(held.records.len(), 1),
            Ok(Event::RelistStarted) => {}
            Err(error) => assert!(error.kind().weakens(), "{error}"),
            Ok(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn rights_that_are_narrowed_do_not_look_like_deletes() {
    let (consul, sink) = guarded().await;
    write(&sink, &[service("web", 1), service("db", 1)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    consul.put_token(
        "full",
        Rules::new()
            .node_prefix("", Right::Read)
            .service("db", Right::Read),
    );
    let mut changed = consul.instances(NODE).remove(0);
    changed.port = 81;
    consul.put_instance(changed).unwrap();
    let error = events.error().await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("left out"), "{error}");
}

/// Without a token Consul does not even say that something was left out.
#[tokio::test]
async fn fault_c09_without_a_token_what_may_not_be_read_is_not_taken_for_empty() {
    let (consul, full) = guarded().await;
    write(&full, &[service("web", 1)]).await;
    let nodes = || Rules::new().node_prefix("", Right::Read);
    consul.put_token("", nodes());
    let anonymous = sink_with(&consul.url(), |_| ());
    let error = Events::of(&anonymous).refused_listing().await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("service_prefix"), "{error}");
    let error = anonymous.read(&[slot("web")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);

    // With the right everything is there; when it is withdrawn, nothing is taken for gone.
    consul.put_token("", nodes().service_prefix("", Right::Read));
    let mut events = Events::of(&anonymous);
    assert_eq!(events.listing().await.len(), 1);
    while consul.blocked() < 2 {
        assert!(events.is_quiet(Duration::from_millis(20)).await);
    }
    consul.put_token("", nodes());
    let mut changed = consul.instances(NODE).remove(0);
    changed.port = 81;
    consul.put_instance(changed).unwrap();
    let error = events.error().await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
}

/// A node that may not be read looks absent, and must not be registered for that.
#[tokio::test]
async fn fault_c09_a_node_that_may_not_be_read_is_not_registered() {
    let services = Rules::new().service_prefix("", Right::Write);
    let rules = services.node(NODE, Right::Deny);
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("few", rules);
    let consul = consul.start().await.unwrap();
    consul.put_node(node()).unwrap();
    let sink = with_token(&consul, "few");
    let error = sink.apply(&creates(&sink, &service("web", 1))).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(consul.requests(Endpoint::Txn), 0);
}
