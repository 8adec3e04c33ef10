//! What becomes of a batch that does not go through as it is.

use std::sync::Arc;

use consul_sync_consul::{
    Secret, TokenSource,
    testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Right, Rules},
};
use consul_sync_core::{ErrorKind, Outcome, Reason, Sink};

use super::support::{NODE, check, creates, kinds, planned, service, sink, sink_with, write};

#[tokio::test]
async fn fault_t03_a_refused_operation_fails_alone_with_the_later_ones_of_its_slot() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[]).await;
    let mut ops = creates(&sink, &service("web", 3));
    ops.extend(creates(&sink, &service("db", 2)));
    let bad = ops[1].id().to_string();
    consul.inject(
        Fault::new().on(Endpoint::Txn).refuse(move |op| {
            (op.id == bad).then(|| "Invalid Service Meta for it: too odd".into())
        }),
    );
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(
        kinds(&outcomes),
        ["written", "refused", "skipped", "written", "written"]
    );
    let Outcome::Refused(rejection) = &outcomes[1] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(rejection.reason(), Reason::InvalidMeta);
    assert!(rejection.message().contains("too odd"), "{rejection}");
    assert_eq!(consul.instances(NODE).len(), 3);
}

#[tokio::test]
async fn fault_t05_a_version_that_moved_is_stale_for_creates_updates_and_deletes() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 3)]).await;
    let mut changed = service("web", 2);
    changed.tags = ["new".into()].into();
    let ops = planned(&sink, &[changed]).await;
    assert_eq!(ops.len(), 3);
    for mut held in consul.instances(NODE) {
        held.port = 81;
        consul.put_instance(held).unwrap();
    }
    // One slot each, so that no operation is skipped for its neighbour.
    for op in ops.iter().chain(&creates(&sink, &service("web", 1))) {
        let outcomes = sink.apply(std::slice::from_ref(op)).await.unwrap();
        assert_eq!(kinds(&outcomes), ["stale"], "{}", op.verb());
    }
    assert!(consul.instances(NODE).iter().all(|held| held.port == 81));
}

#[tokio::test]
async fn fault_t05_a_moved_check_makes_its_instance_stale() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let mut down = service("web", 1);
    down.instances[0].check = Some(check(false).into());
    let ops = planned(&sink, &[down]).await;
    let mut held = consul.checks(NODE).remove(0);
    held.output = "by somebody else".into();
    consul.put_check(held).unwrap();
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["stale"]);
}

/// An update that takes a check away or moves it to another scope deletes the old one, at its version.
#[tokio::test]
async fn fault_t05_a_check_that_moved_is_not_deleted() {
    let mut bare = service("web", 1);
    bare.instances[0].check = None;
    let mut elsewhere = service("web", 1);
    Arc::make_mut(elsewhere.instances[0].check.as_mut().unwrap()).scope = "other".into();
    for changed in [bare, elsewhere] {
        let consul = FakeConsul::start().await.unwrap();
        let sink = sink(&consul.url());
        write(&sink, &[service("web", 1)]).await;
        let ops = planned(&sink, &[changed]).await;
        let mut held = consul.checks(NODE).remove(0);
        held.output = "by somebody else".into();
        consul.put_check(held.clone()).unwrap();
        assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["stale"]);
        let left: Vec<_> = consul.checks(NODE).into_iter().map(|c| c.output).collect();
        assert_eq!(left, [held.output]);
    }
}

#[tokio::test]
async fn fault_t04_a_permanent_fault_that_comes_as_status_500_is_found_by_halving() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("seed", 1)]).await;
    let text = "Couldn't load metadata pair ('a', 'b'): Key contains invalid characters";
    // The whole, its first half, and the first of that.
    consul.inject(
        Fault::new()
            .on(Endpoint::Txn)
            .error_before(500, text)
            .times(3),
    );
    let mut ops = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ops.extend(creates(&sink, &service(name, 1)));
    }
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(
        kinds(&outcomes),
        ["refused", "written", "written", "written"]
    );
}

#[tokio::test]
async fn fault_t06_a_write_without_an_answer_is_unknown_and_not_sent_again() {
    for fault in [
        Fault::new().reset_after(),
        Fault::new().error_after(
            500,
            "raft apply failed: leadership lost while committing log",
        ),
        Fault::new().reset_before(),
    ] {
        let consul = FakeConsul::start().await.unwrap();
        let sink = sink(&consul.url());
        write(&sink, &[]).await;
        consul.inject(fault.on(Endpoint::Txn));
        let mut ops = creates(&sink, &service("web", 2));
        ops.extend(creates(&sink, &service("Large", 100)));
        let outcomes = sink.apply(&ops).await.unwrap();
        assert_eq!(kinds(&outcomes[..2]), ["unknown", "unknown"]);
        // What was not sent was not applied.
        assert_eq!(kinds(&outcomes[outcomes.len() - 1..]), ["skipped"]);
        assert_eq!(consul.requests(Endpoint::Txn), 1);
    }
}

#[tokio::test]
async fn what_never_reached_consul_is_an_error_and_changes_nothing() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[]).await;
    let ops = creates(&sink, &service("web", 2));
    consul.inject(
        Fault::new()
            .on(Endpoint::Txn)
            .error_before(429, "rate limit exceeded"),
    );
    assert_eq!(
        sink.apply(&ops).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    drop(consul);
    assert_eq!(
        sink.apply(&ops).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn missing_rights_name_the_rule_that_would_help() {
    let few = Rules::new()
        .node(NODE, Right::Write)
        .node_prefix("", Right::Read)
        .service_prefix("", Right::Read)
        .service("web", Right::Write);
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("few", few)
        .start()
        .await
        .unwrap();
    let sink = sink_with(&consul.url(), |settings| {
        settings.token = TokenSource::Value(Secret::new("few"));
    });
    // For some of them: only those are refused.
    let mut ops = creates(&sink, &service("web", 1));
    ops.extend(creates(&sink, &service("db", 1)));
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(kinds(&outcomes), ["written", "refused"]);
    let Outcome::Refused(rejection) = &outcomes[1] else {
        panic!("{outcomes:?}")
    };
    let rule = "service \"db\" { policy = \"write\" }";
    assert!(rejection.message().contains(rule), "{rejection}");
    // For all of them: the sink cannot work like this.
    let error = sink.apply(&ops[1..]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains(rule), "{error}");
    // A token that is unknown.
    let stranger = sink_with(&consul.url(), |settings| {
        settings.token = TokenSource::Value(Secret::new("stranger"));
    });
    let error = stranger.apply(&ops).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

/// The token may write and not read, or somebody between us and Consul took it out.
#[tokio::test]
async fn fault_t06_a_success_without_results_leaves_writes_unknown() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[]).await;
    consul.inject(Fault::new().on(Endpoint::Txn).partial(0));
    let outcomes = sink
        .apply(&creates(&sink, &service("web", 2)))
        .await
        .unwrap();
    assert_eq!(kinds(&outcomes), ["unknown"; 2]);
    assert_eq!(consul.requests(Endpoint::Txn), 1);
}
