//! Writes, and what becomes of them.

use std::sync::Arc;

use consul_sync_consul::{
    OWNER_META, Secret, TokenSource,
    testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Right, Rules},
};
use consul_sync_core::{Action, ErrorKind, Layout, Op, Outcome, Reason, Record, Sink, Standing};
use proptest::prelude::*;

use super::support::{
    NODE, check, creates, ids, instance, node, planned, records, service, sink, sink_with, slot,
    write,
};

fn kinds<V: std::fmt::Debug>(outcomes: &[Outcome<V>]) -> Vec<&'static str> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Written(_) => "written",
            Outcome::Deleted => "deleted",
            Outcome::Stale => "stale",
            Outcome::Refused(_) => "refused",
            Outcome::Skipped => "skipped",
            Outcome::Unknown => "unknown",
        })
        .collect()
}

#[tokio::test]
async fn the_first_write_registers_the_node_and_later_ones_leave_it_alone() {
    let consul = FakeConsul::builder()
        .record_operations()
        .start()
        .await
        .unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let node = consul.node(NODE).unwrap();
    assert_eq!(node.address, "127.0.0.1");
    assert_eq!(node.meta.unwrap()["external-source"], "kubernetes");
    write(&sink, &[service("web", 2)]).await;
    let kinds: Vec<&str> = consul.operations().iter().map(|op| op.kind).collect();
    assert_eq!(kinds, ["node", "service", "check", "service", "check"]);
}

#[tokio::test]
async fn an_instance_is_registered_to_the_letter() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    let mut web = service("web", 1);
    web.weight = Some(7);
    write(&sink, &[web]).await;
    let held = consul.instances(NODE).remove(0);
    assert_eq!(
        (held.id.as_str(), held.service.as_str()),
        ("web-b9fe4d6d03e0", "web")
    );
    assert_eq!((held.address.as_str(), held.port), ("10.0.0.1", 80));
    assert_eq!((held.weights.passing, held.weights.warning), (7, 1));
    let meta = held.meta.unwrap();
    assert_eq!(meta["external-k8s-ref-name"], "pod-1");
    assert_eq!(meta[OWNER_META], "cluster-a");
    let check = consul.checks(NODE).remove(0);
    assert_eq!(check.check_id, "ns/web-b9fe4d6d03e0");
    assert_eq!(check.status, "passing");
    assert_eq!(check.kind, "kubernetes-readiness");
}

#[tokio::test]
async fn fault_t08_a_node_that_was_removed_meanwhile_is_registered_again() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
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
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    assert_eq!(consul.node(NODE).unwrap().address, foreign.address);

    // One that is ours gets the address that is set.
    foreign.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_node(foreign).unwrap();
    write(&super::support::sink(&consul), &[service("web", 2)]).await;
    assert_eq!(consul.node(NODE).unwrap().address, "127.0.0.1");
}

#[tokio::test]
async fn fault_t11_the_node_of_an_agent_is_refused() {
    let consul = FakeConsul::start().await.unwrap();
    let mut agents = node();
    agents.id = "40e4a748-2192-161a-0510-9bf59fe950b5".into();
    consul.put_node(agents).unwrap();
    let sink = sink(&consul);
    let error = sink
        .apply(&creates(&sink, &service("web", 1)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("running agent"), "{error}");
    assert!(consul.instances(NODE).is_empty());
}

#[tokio::test]
async fn fault_t03_a_refused_operation_fails_alone_with_the_later_ones_of_its_slot() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
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
    let sink = sink(&consul);
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
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let mut down = service("web", 1);
    down.instances[0].check = Some(check(false));
    let ops = planned(&sink, &[down]).await;
    let mut held = consul.checks(NODE).remove(0);
    held.output = "by somebody else".into();
    consul.put_check(held).unwrap();
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["stale"]);
}

#[tokio::test]
async fn a_change_of_readiness_leaves_the_instance_as_it_is() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let before = consul.instances(NODE).remove(0);
    let mut down = service("web", 1);
    down.instances[0].check = Some(check(false));
    write(&sink, &[down]).await;
    assert_eq!(consul.instances(NODE), [before]);
    assert_eq!(consul.checks(NODE)[0].status, "critical");
}

#[tokio::test]
async fn a_check_that_is_no_longer_wanted_goes_and_one_of_another_scope_takes_its_place() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let mut moved = service("web", 1);
    moved.instances[0].check.as_mut().unwrap().scope = "other".into();
    write(&sink, &[moved]).await;
    let scopes = |consul: &FakeConsul| -> Vec<String> {
        let checks = consul.checks(NODE).into_iter();
        checks
            .map(|check| check.check_id.split('/').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(scopes(&consul), ["other"]);
    let mut bare = service("web", 1);
    bare.instances[0].check = None;
    write(&sink, &[bare.clone()]).await;
    assert!(consul.checks(NODE).is_empty());
    assert!(planned(&sink, &[bare]).await.is_empty());
}

#[tokio::test]
async fn what_a_third_party_added_to_an_instance_of_ours_is_taken_away() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let mut held = consul.instances(NODE).remove(0);
    held.kind = "connect-proxy".into();
    held.enable_tag_override = true;
    consul.put_instance(held.clone()).unwrap();
    let mut extra = consul.checks(NODE).remove(0);
    extra.check_id = format!("zz/{}", held.id);
    extra.status = "critical".into();
    consul.put_check(extra).unwrap();
    write(&sink, &[service("web", 1)]).await;
    let after = consul.instances(NODE).remove(0);
    assert!(after.kind.is_empty() && !after.enable_tag_override);
    assert_eq!(consul.checks(NODE).len(), 1);
    assert!(planned(&sink, &[service("web", 1)]).await.is_empty());
}

#[tokio::test]
async fn an_instance_that_nobody_owns_is_adopted_in_place() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    consul.put_node(node()).unwrap();
    let mut held = instance("web-b9fe4d6d03e0", "web");
    held.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_instance(held).unwrap();
    let mut orphan = instance("gone-1", "gone");
    orphan.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_instance(orphan).unwrap();
    let ops = planned(&sink, &[service("web", 1)]).await;
    assert_eq!(ops.iter().map(Op::verb).collect::<Vec<_>>(), ["adopt"]);
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["written"]);
    let adopted = consul.instance(NODE, "web-b9fe4d6d03e0").unwrap();
    assert_eq!(adopted.meta.unwrap()[OWNER_META], "cluster-a");
    assert_eq!(adopted.address, "10.0.0.1");
    assert!(consul.instance(NODE, "gone-1").is_some());
}

#[tokio::test]
async fn fault_t01_a_server_that_takes_fewer_operations_is_noticed() {
    let consul = FakeConsul::builder().txn_ops(64).start().await.unwrap();
    let sink = sink(&consul);
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
    let sink = sink(&consul);
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
        let sink = sink(&consul);
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
    let sink = sink(&consul);
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
async fn fault_t04_a_permanent_fault_that_comes_as_status_500_is_found_by_halving() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
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
    let sink = sink_with(&consul, |settings| {
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
    let stranger = sink_with(&consul, |settings| {
        settings.token = TokenSource::Value(Secret::new("stranger"));
    });
    let error = stranger.apply(&ops).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn fault_c16_a_slot_is_read_whole_in_any_case_and_of_our_node_alone() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("Web", 2)]).await;
    consul.put_instance(instance("theirs", "wEB")).unwrap();
    let mut other = node();
    other.node = "other".into();
    consul.put_node(other).unwrap();
    let mut elsewhere = instance("elsewhere", "web");
    elsewhere.node = "other".into();
    consul.put_instance(elsewhere).unwrap();

    let read = sink.read(&[slot("web"), slot("none")]).await.unwrap();
    let (_, web) = &read[0];
    assert_eq!(web.records.len(), 3);
    assert!(
        web.records
            .is_sorted_by(|a, b| a.record.id() < b.record.id())
    );
    assert!(ids(web).contains(&"theirs".to_owned()));
    let standings: Vec<Standing> = web.records.iter().map(|held| held.standing).collect();
    assert_eq!(
        standings.iter().filter(|s| **s == Standing::Ours).count(),
        2
    );
    assert!(read[1].1.records.is_empty());

    // Many slots are read by one listing, with the same result.
    let mut many: Vec<_> = (0..100).map(|n| slot(&format!("none-{n}"))).collect();
    many.push(slot("web"));
    let read = sink.read(&many).await.unwrap();
    assert_eq!(ids(&read[100].1), ids(web));
    assert!(read[..100].iter().all(|(_, held)| held.records.is_empty()));
}

#[tokio::test]
async fn the_lowest_version_of_two_claims_survives_a_round_trip() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    let mut first = service("web", 2);
    first.instances[1] = first.instances[0].clone().port("x", 0);
    first.instances[1].ports = [consul_sync_core::Port {
        name: "b".into(),
        number: 81,
    }]
    .into();
    write(&sink, &[first.clone()]).await;
    assert_eq!(consul.instances(NODE).len(), 2);
    assert!(planned(&sink, &[first]).await.is_empty());
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "\\PC{0,12}", "[\"\\\\\n\t<>&\u{2028}]{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_read_back_equals_what_was_written(
        texts in proptest::collection::vec((any_text(), any_text()), 1..12),
        weight in proptest::option::of(1_u32..=65_535),
        is_ready in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let consul = FakeConsul::start().await.unwrap();
            let sink = sink(&consul);
            let mut web = service("web", 0);
            web.weight = weight;
            web.tags = texts.iter().map(|(tag, _)| Arc::from(tag.as_str())).collect();
            for (n, (output, value)) in texts.iter().enumerate() {
                let mut one = service("x", 1).instances.remove(0);
                one.address = consul_sync_core::Address::Host(format!("host-{n}").into());
                one.meta = [("k", value.as_str())].into_iter().collect();
                let mut health = check(is_ready);
                health.output = output.as_str().into();
                one.check = (n % 2 == 0).then_some(health);
                web.instances.push(one);
            }
            let (slot, written) = records(&sink, &web);
            sink.apply(&creates(&sink, &web)).await.unwrap();
            let read = sink.read(&[slot]).await.unwrap().remove(0).1;
            let read: Vec<_> = read.records.iter().map(|held| &held.record).collect();
            assert_eq!(read, written.iter().collect::<Vec<_>>());
        });
    }
}

#[tokio::test]
async fn an_update_carries_the_version_that_it_was_planned_from() {
    let consul = FakeConsul::builder()
        .record_operations()
        .start()
        .await
        .unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let index = consul.instances(NODE)[0].modify_index;
    let ops = planned(&sink, &[]).await;
    assert!(matches!(ops[0].action, Action::Delete(_)));
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["deleted"]);
    let last = consul.operations().pop().unwrap();
    assert_eq!((last.verb.as_str(), last.index), ("delete-cas", index));
    assert_eq!(last.service, "web");
    assert_eq!(consul.requests(Endpoint::Deregister), 0);
}

#[tokio::test]
async fn fault_c17_a_name_that_a_path_could_not_carry_is_read_back_or_refused() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    for name in ["a/b", "x/../y", "a b", "a%2Fb", "x?y#z", "ü"] {
        let service = service(name, 1);
        let (slot, written) = records(&sink, &service);
        sink.apply(&creates(&sink, &service)).await.unwrap();
        let read = sink.read(&[slot]).await.unwrap().remove(0).1;
        assert_eq!(read.records[0].record, written[0], "{name}");
    }
    for name in [".", ".."] {
        let rejection = sink.place(&service(name, 1)).unwrap_err();
        assert_eq!(rejection.reason(), Reason::InvalidName, "{name}");
    }
}
