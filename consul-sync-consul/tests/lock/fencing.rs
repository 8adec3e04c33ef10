//! What Consul does with the writes of those who lost the lock.

use std::time::Duration;

use consul_sync_consul::{
    Client, ClientSettings, ConsulSink, Registration, preflight, preflight_lock,
    testing::{Endpoint, FakeConsul},
};
use consul_sync_core::{Action, ElectionState, Layout, Op, Outcome, Sink, testing::service};

use crate::replica::{KEY, NODE, Replica, consul, eventually, one_writer};

/// Creates of so many instances of one service.
pub(crate) fn creates(sink: &ConsulSink, name: &str, count: usize) -> Vec<Op<Registration>> {
    let addresses: Vec<String> = (0..count)
        .map(|n| format!("10.0.{}.{}", n / 250, n % 250 + 1))
        .collect();
    let service = service(&format!("ns/{name}"), addresses.iter().map(String::as_str));
    let slot = sink.place(&service).unwrap();
    let placed = sink.records(&slot, &[std::sync::Arc::new(service)]);
    let create = |record| Op {
        slot: slot.clone(),
        action: Action::Create(record),
    };
    placed.records.into_iter().map(create).collect()
}

/// Sessions that nobody's clock ends here.
fn long(settings: &mut consul_sync_consul::LockSettings) {
    settings.ttl = Duration::from_secs(600);
}

/// The old leader is stopped, its session is ended, and another one leads. The old one does not know.
async fn superseded(consul: &FakeConsul) -> (Replica, Replica) {
    let old = Replica::with(&consul.url(), "old", false, long);
    old.until_leading().await;
    let new = Replica::with(&consul.url(), "new", false, long);
    new.until(|state| matches!(state, ElectionState::StandingBy { .. }))
        .await;
    old.stop();
    let session = consul.sessions()[0].id.clone();
    consul.destroy_session(&session);
    new.until_leading().await;
    (old, new)
}

#[tokio::test]
async fn fault_p04_the_writes_of_an_older_leader_are_refused_by_consul() {
    let consul = consul().await;
    let (old, new) = superseded(&consul).await;
    assert!(
        old.is_open() && new.is_open(),
        "both believe that they lead"
    );
    let outcomes = old.sink.apply(&creates(&old.sink, "web", 3)).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Skipped; 3]);
    assert!(consul.instances(NODE).is_empty());
    assert!(!old.is_open(), "the first refusal shuts the gate");
    assert!(new.is_open());
    // Nothing more is even sent.
    let sent = consul.requests(Endpoint::Txn);
    let outcomes = old.sink.apply(&creates(&old.sink, "web", 3)).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Skipped; 3]);
    assert_eq!(consul.requests(Endpoint::Txn), sent);

    let outcomes = new.sink.apply(&creates(&new.sink, "web", 3)).await.unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Written(_))),
        "{outcomes:?}"
    );
    one_writer(&consul.applied());
    // The old one finds out, and stands by.
    old.go_on();
    let state = old.until_standing_by().await;
    assert!(state.to_string().contains("process new"), "{state}");
}

#[tokio::test]
async fn fault_p05_a_plan_is_dropped_whole_when_the_lead_was_lost_since_it_was_made() {
    let consul = consul().await;
    let only = Replica::with(&consul.url(), "only", false, long);
    only.until_leading().await;
    let first = creates(&only.sink, "web", 2);
    only.sink.apply(&first).await.unwrap();
    only.stop();
    let session = consul.sessions()[0].id.clone();
    consul.destroy_session(&session);
    // The creates of what is there would be stale; a record that consul does not take would be refused. Without
    // the lead neither is looked at: nothing is known of them that was not known before.
    let mut plan = first;
    plan.extend(creates(&only.sink, "api", 200));
    let outcomes = only.sink.apply(&plan).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Skipped; plan.len()]);
    assert_eq!(consul.instances(NODE).len(), 2);
    // Regained, the same operations are tried.
    only.go_on();
    let mut gate = only.lock.gate();
    gate.wait_for(|is_open| *is_open).await.unwrap();
    let outcomes = only.sink.apply(&plan).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Stale), "{:?}", outcomes[0]);
    assert!(
        matches!(outcomes[201], Outcome::Written(_)),
        "{:?}",
        outcomes[201]
    );
}

#[tokio::test]
async fn fault_p05_a_batch_that_is_fenced_off_half_way_keeps_what_was_written() {
    let consul = consul().await;
    let only = Replica::with(&consul.url(), "only", false, long);
    only.until_leading().await;
    let ops = creates(&only.sink, "web", 200);
    let apply = {
        let (sink, ops) = (only.sink.clone(), ops.clone());
        tokio::spawn(async move { sink.apply(&ops).await })
    };
    // The key is taken away between the two transactions that 200 operations need.
    let hold = consul_sync_consul::testing::Fault::new()
        .pause()
        .on(Endpoint::Txn);
    let before = consul.requests(Endpoint::Txn);
    eventually(&consul, "the first transaction", |consul| {
        consul.instances(NODE).len() >= 100
    })
    .await;
    consul.inject(hold);
    eventually(&consul, "the second transaction", |consul| {
        consul.requests(Endpoint::Txn) >= before + 2 || consul.instances(NODE).len() == 200
    })
    .await;
    only.stop();
    let session = consul.sessions()[0].id.clone();
    consul.destroy_session(&session);
    consul.clear_faults();
    let outcomes = apply.await.unwrap().unwrap();
    let written = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Written(_)))
        .count();
    assert_eq!(written, consul.instances(NODE).len());
    assert!(
        outcomes[written..]
            .iter()
            .all(|outcome| *outcome == Outcome::Skipped)
    );
}

#[tokio::test]
async fn fault_p07_a_leader_that_was_stopped_for_longer_than_its_session_sends_nothing() {
    let consul = consul().await;
    let old = Replica::elected(&consul.url(), "old");
    old.until_leading().await;
    let plan = creates(&old.sink, "web", 3);
    old.stop();
    eventually(&consul, "the end of the session", |consul| {
        consul.sessions().is_empty()
    })
    .await;
    // It goes on with its old plan before anything told it what happened.
    assert!(old.is_open());
    let sent = consul.requests(Endpoint::Txn);
    let outcomes = old.sink.apply(&plan).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Skipped; 3]);
    assert_eq!(consul.requests(Endpoint::Txn), sent);
}

#[tokio::test]
async fn a_standby_writes_nothing_and_its_driver_keeps_its_tables_warm() {
    let consul = consul().await;
    let leader = Replica::with(&consul.url(), "leader", true, long);
    leader.until_leading().await;
    let standby = Replica::with(&consul.url(), "standby", true, long);
    leader.source.put(service("ns/web", ["10.0.0.1"]));
    standby.source.put(service("ns/web", ["10.0.0.1"]));
    standby.source.put(service("ns/api", ["10.0.0.2"]));
    eventually(&consul, "web", |consul| consul.instances(NODE).len() == 1).await;
    standby.until_standing_by().await;
    assert!(consul.instances_of_service("api").is_empty());
    leader.end().await;
    eventually(&consul, "api", |consul| {
        consul.instances_of_service("api").len() == 1
    })
    .await;
    one_writer(&consul.applied());
}

#[tokio::test]
async fn the_fence_is_the_first_operation_and_counts_as_one() {
    let consul = consul().await;
    let only = Replica::with(&consul.url(), "only", false, long);
    only.until_leading().await;
    let plain = {
        let client = Client::new(ClientSettings::new(consul.url())).unwrap();
        let owner = only.sink.owner().clone();
        ConsulSink::new(client, consul_sync_consul::SinkSettings::new(owner))
    };
    assert_eq!(only.sink.limits().ops + 1, plain.limits().ops);
    let op = format!(
        r#"{{"KV":{{"Verb":"check-session","Key":"{KEY}","Session":"{}"}}}},"#,
        consul.sessions()[0].id
    );
    assert_eq!(only.sink.limits().bytes + op.len(), plain.limits().bytes);
    // As many as the core may hand out at once fit one transaction.
    let ops = creates(&only.sink, "web", only.sink.limits().ops - 1);
    only.sink.apply(&ops).await.unwrap();
    let applied = consul.applied().pop().unwrap();
    assert_eq!(applied.operations.len(), plain.limits().ops - 1);
    let first = &applied.operations[0];
    assert_eq!(
        (first.kind, &*first.verb, &*first.id),
        ("kv", "check-session", KEY)
    );
}

#[tokio::test]
async fn a_list_of_ports_is_refused_behind_a_fence() {
    let consul = consul().await;
    let only = Replica::with(&consul.url(), "only", false, long);
    only.until_leading().await;
    let client = Client::new(ClientSettings::new(consul.url())).unwrap();
    let mut settings = consul_sync_consul::SinkSettings::new(only.sink.owner().clone());
    settings.fence = Some(only.lock.fence());
    settings.named_ports = true;
    let sink = ConsulSink::new(client, settings);
    let outcomes = sink.apply(&creates(&sink, "web", 1)).await.unwrap();
    let [Outcome::Refused(rejection)] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(
        rejection.to_string().contains("set ports to never"),
        "{rejection}"
    );
    assert_eq!(consul.requests(Endpoint::Register), 0);
}

#[tokio::test]
async fn preflight_asks_for_the_rights_of_the_lock() {
    use consul_sync_consul::testing::{DefaultPolicy, Right, Rules};
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("only", Rules::sync(NODE))
        .start()
        .await
        .unwrap();
    let only = Replica::elected(&consul.url(), "only");
    let lacking: Vec<String> = preflight_lock(&only.lock)
        .await
        .into_iter()
        .filter(|finding| !finding.good)
        .map(|finding| finding.message)
        .collect();
    let rules = [
        r#"key "consul-sync/cluster-a/leader" { policy = "write" }"#,
        r#"session "k8s-sync" { policy = "write" }"#,
    ];
    assert_eq!(lacking, rules.map(|rule| format!("the token lacks {rule}")));
    let text = format!("{:?}", preflight(&only.sink).await);
    for rule in [
        r#"key \"consul-sync/cluster-a/leader\" { policy = \"write\" }"#,
        r#"session \"k8s-sync\" { policy = \"write\" }"#,
    ] {
        assert!(
            text.contains(&rule.replace('"', "\\\"").replace("\\\\", "\\")) || text.contains(rule),
            "{rule}: {text}"
        );
    }
    let rules = Rules::sync(NODE)
        .key(KEY, Right::Write)
        .session(NODE, Right::Write);
    consul.put_token("only", rules);
    let findings = preflight(&only.sink).await;
    assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
    let findings = preflight_lock(&only.lock).await;
    assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
}
