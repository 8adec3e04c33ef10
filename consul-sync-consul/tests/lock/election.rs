//! Who leads, and how the lead goes from one to another.

use std::time::Duration;

use consul_sync_consul::testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Node, Right, Rules};
use consul_sync_core::{ElectionState, ErrorKind};

use crate::replica::{KEY, NODE, Replica, TTL, consul, eventually};

#[tokio::test]
async fn fault_o02_the_second_of_one_owner_stands_by_and_says_who_leads() {
    let consul = consul().await;
    let first = Replica::elected(&consul.url(), "first");
    first.until_leading().await;
    let sessions = consul.requests(Endpoint::SessionCreate);
    let second = Replica::elected(&consul.url(), "second");
    let state = second.until_standing_by().await;
    let text = state.to_string();
    assert!(text.contains("process first on host-1 since "), "{text}");
    assert!(first.is_open() && !second.is_open());
    assert!(first.holds(&consul));
    // A standby holds no session, and asks for nothing but the key.
    assert_eq!(consul.sessions().len(), 1);
    assert_eq!(consul.requests(Endpoint::SessionCreate), sessions);
}

#[tokio::test]
async fn a_lead_is_handed_over_at_once_and_leaves_no_session() {
    let consul = consul().await;
    // The session would live for minutes.
    let long = |settings: &mut consul_sync_consul::LockSettings| {
        settings.ttl = Duration::from_secs(600);
        settings.lock_delay = Duration::from_secs(60);
    };
    let first = Replica::with(&consul.url(), "first", false, long);
    first.until_leading().await;
    let second = Replica::with(&consul.url(), "second", false, long);
    second
        .until(|state| matches!(state, ElectionState::StandingBy { .. }))
        .await;
    first.end().await;
    second.until_leading().await;
    assert!(second.holds(&consul));
    assert_eq!(consul.sessions().len(), 1);
    second.end().await;
    assert!(consul.sessions().is_empty());
    let key = consul.key(KEY).unwrap();
    assert!(key.session.is_empty() && key.value.is_none(), "{key:?}");
}

#[tokio::test]
async fn fault_p06_the_lock_of_a_dead_leader_is_taken_when_its_session_ends() {
    let consul = consul().await;
    let dead = Replica::elected(&consul.url(), "dead");
    dead.until_leading().await;
    let heir = Replica::elected(&consul.url(), "heir");
    heir.until(|state| matches!(state, ElectionState::StandingBy { .. }))
        .await;
    drop(dead);
    heir.until_leading().await;
    assert!(heir.holds(&consul));
}

#[tokio::test]
async fn a_lock_delay_holds_the_key_back_and_then_it_is_taken() {
    let consul = consul().await;
    let first = Replica::with(&consul.url(), "first", false, |settings| {
        settings.lock_delay = Duration::from_millis(700);
    });
    first.until_leading().await;
    first.stop();
    let session = consul.sessions()[0].id.clone();
    let second = Replica::elected(&consul.url(), "second");
    consul.destroy_session(&session);
    second.until_leading().await;
    assert!(second.holds(&consul));
    assert!(
        consul.requests(Endpoint::Txn) > 3,
        "it was refused at least once"
    );
}

#[tokio::test]
async fn a_session_that_somebody_ends_is_replaced() {
    let consul = consul().await;
    // Only the key tells of it: the session is not renewed for minutes.
    let only = Replica::with(&consul.url(), "only", false, |settings| {
        settings.ttl = Duration::from_secs(600);
    });
    only.until_leading().await;
    let session = consul.sessions()[0].id.clone();
    consul.destroy_session(&session);
    eventually(&consul, "a new session holds the key", |consul| {
        consul
            .key(KEY)
            .is_some_and(|key| !key.session.is_empty() && key.session != session)
    })
    .await;
    only.until_leading().await;
}

#[tokio::test]
async fn a_node_that_is_missing_is_registered_and_the_session_goes_with_it() {
    let consul = consul().await;
    let only = Replica::elected(&consul.url(), "only");
    only.until_leading().await;
    let node = consul.node(NODE).unwrap();
    assert_eq!(
        node.meta.unwrap()["external-source"],
        "kubernetes",
        "as the sink registers it"
    );
    consul.remove_node(NODE);
    eventually(&consul, "the node and a session on it", |consul| {
        consul.node(NODE).is_some() && only.holds(consul)
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_there_is_left_as_it_is() {
    let consul = consul().await;
    let node = Node {
        node: NODE.into(),
        address: "10.9.9.9".into(),
        ..Node::default()
    };
    consul.put_node(node).unwrap();
    let before = consul.node(NODE);
    let only = Replica::elected(&consul.url(), "only");
    only.until_leading().await;
    assert_eq!(consul.node(NODE), before);
}

#[tokio::test]
async fn a_leader_that_cannot_renew_shuts_its_gate_before_its_session_ends() {
    let consul = consul().await;
    let only = Replica::elected(&consul.url(), "only");
    only.until_leading().await;
    consul.inject(Fault::new().reset_before().on(Endpoint::SessionRenew));
    only.until(|state| !state.is_leading()).await;
    assert!(!only.is_open());
    assert_eq!(consul.sessions().len(), 1, "consul still believes in it");
    // It is had again as it is when Consul answers, or a new one when it took too long.
    consul.clear_faults();
    only.until_leading().await;
}

#[tokio::test]
async fn a_lost_answer_to_the_lock_is_found_out() {
    let consul = consul().await;
    // The first transaction registers the node.
    consul.inject(
        Fault::new()
            .reset_after()
            .on(Endpoint::Txn)
            .skip(1)
            .times(1),
    );
    let only = Replica::elected(&consul.url(), "only");
    only.until_leading().await;
    assert!(only.holds(&consul));
    assert_eq!(
        consul.requests(Endpoint::SessionCreate),
        2,
        "one for the missing node"
    );
}

#[tokio::test]
async fn a_missing_right_is_trouble_until_it_is_given() {
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .session_ttl_min(TTL)
        .token("only", Rules::sync(NODE))
        .start()
        .await
        .unwrap();
    let only = Replica::elected(&consul.url(), "only");
    let unauthorized = |state: &ElectionState| {
        matches!(
            state,
            ElectionState::StandingBy {
                trouble: Some(ErrorKind::Unauthorized),
                ..
            }
        )
    };
    only.until(unauthorized).await;
    let key = Rules::sync(NODE).key(KEY, Right::Write);
    consul.put_token("only", key.clone());
    eventually(&consul, "the session is asked for", |consul| {
        consul.requests(Endpoint::SessionCreate) > 0
    })
    .await;
    only.until(unauthorized).await;
    consul.put_token("only", key.session(NODE, Right::Write));
    only.until_leading().await;
}

#[tokio::test]
async fn a_dropped_lock_shuts_its_gate() {
    let consul = consul().await;
    let only = Replica::elected(&consul.url(), "only");
    only.until_leading().await;
    let mut gate = only.lock.gate();
    drop(only);
    gate.wait_for(|is_open| !is_open).await.unwrap();
}
