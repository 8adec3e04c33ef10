//! What a watch shows, and when it shows nothing.

use std::time::Duration;

use consul_sync_consul::{
    Secret, TokenSource,
    testing::{Check, DefaultPolicy, Endpoint, FakeConsul, Fault, Right, Rules},
};
use consul_sync_core::{
    ErrorKind, Event, Outcome, Record, Sink,
    Standing::{self, Foreign, Orphan, Ours},
};

use super::support::{
    Events, NODE, check, creates, ids, instance, node, planned, service, sink, sink_with, slot,
    write,
};

#[tokio::test]
async fn a_listing_shows_everything_on_the_node_and_whose_it_is() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("Web", 2)]).await;
    consul.put_instance(instance("foreign-1", "web")).unwrap();
    let mut orphan = instance("orphan-1", "old");
    orphan.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_instance(orphan.clone()).unwrap();
    let mut rival = instance("rival-1", "rival");
    rival.meta = Some([("external-sync-owner".into(), "cluster-b".into())].into());
    consul.put_instance(rival).unwrap();

    let shown = Events::of(&sink).listing().await;
    let shown: Vec<(String, Vec<Standing>)> = shown
        .into_iter()
        .map(|(slot, held)| {
            let standings = held.records.iter().map(|held| held.standing);
            (slot.to_string(), standings.collect())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("old".to_owned(), vec![Orphan]),
            ("rival".to_owned(), vec![Foreign]),
            ("web".to_owned(), vec![Ours, Ours, Foreign]),
        ]
    );
}

#[tokio::test]
async fn fault_c08_an_unknown_node_is_an_empty_listing() {
    let consul = FakeConsul::start().await.unwrap();
    assert!(Events::of(&sink(&consul)).listing().await.is_empty());
}

#[tokio::test]
async fn fault_t15_every_kind_of_damage_is_shown() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 2), service("db", 1)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    let [first, second] = [0, 1].map(|n| consul.instances(NODE)[n + 1].clone());

    let mut changed = first.clone();
    changed.port = 81;
    consul.put_instance(changed).unwrap();
    let (name, held) = events.change().await;
    let record = &held.records[0].record;
    assert_eq!(
        (name.as_str(), record.port(), held.records.len()),
        ("web", 81, 2)
    );
    assert!(record.check().is_some());

    consul.remove_instance(NODE, &second.id);
    events
        .until(|_, held| ids(held) == [first.id.clone()])
        .await;

    let mut down = consul.checks(NODE).remove(1);
    down.status = "critical".into();
    consul.put_check(down.clone()).unwrap();
    events
        .until(|_, held| !held.records[0].record.is_live())
        .await;

    consul.remove_check(NODE, &down.check_id);
    events
        .until(|_, held| held.records[0].record.check().is_none())
        .await;

    consul.put_check(down).unwrap();
    events
        .until(|_, held| held.records[0].record.check().is_some())
        .await;

    consul.remove_instance(NODE, &first.id);
    events
        .until(|name, held| name == "web" && held.records.is_empty())
        .await;

    consul.remove_node(NODE);
    events
        .until(|name, held| name == "db" && held.records.is_empty())
        .await;
}

#[tokio::test]
async fn an_instance_that_was_removed_is_never_shown_without_its_check_first() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 2)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    let id = consul.instances(NODE).remove(0).id;
    consul.remove_instance(NODE, &id);
    events
        .until(|_, held| {
            assert!(
                held.records
                    .iter()
                    .all(|held| held.record.check().is_some())
            );
            held.records.len() == 1
        })
        .await;
}

#[tokio::test]
async fn a_new_instance_is_shown_with_its_check() {
    let consul = FakeConsul::start().await.unwrap();
    consul.put_node(node()).unwrap();
    let mut events = Events::of(&sink(&consul));
    events.listing().await;
    consul.put_instance(instance("a-1", "a")).unwrap();
    consul
        .put_check(Check {
            node: NODE.into(),
            check_id: "ns/a-1".into(),
            service_id: "a-1".into(),
            status: "critical".into(),
            ..Check::default()
        })
        .unwrap();
    events
        .until(|_, held| held.records[0].record.check().is_some())
        .await;
}

#[tokio::test]
async fn our_own_writes_are_shown_with_the_versions_that_their_outcomes_had() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    let mut events = Events::of(&sink);
    events.listing().await;
    let outcomes = sink
        .apply(&creates(&sink, &service("web", 2)))
        .await
        .unwrap();
    let (name, held) = events.change().await;
    assert_eq!((name.as_str(), held.records.len()), ("web", 2));
    for (outcome, held) in outcomes.iter().zip(&held.records) {
        assert_eq!(outcome, &Outcome::Written(held.version));
    }
}

#[tokio::test]
async fn an_answer_from_before_a_write_is_not_shown_after_its_outcome() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1), service("db", 1)]).await;
    let mut events = Events::of(&sink);
    // The first blocking answer of each kind is made at once and comes late.
    let late = |endpoint| {
        Fault::new()
            .on(endpoint)
            .late(Duration::from_millis(300))
            .skip(1)
            .times(1)
    };
    consul.inject(late(Endpoint::NodeServices));
    consul.inject(late(Endpoint::NodeChecks));
    events.listing().await;

    let mut update = service("web", 1);
    update.tags = ["new".into()].into();
    update.instances[0].check = Some(check(false));
    let ops = planned(&sink, &[update]).await;
    assert_eq!(ops.len(), 2, "an update and a delete");
    // Damage wakes the queries, and their answers are on their way when our writes follow.
    while consul.blocked() < 2 {
        assert!(events.is_quiet(Duration::from_millis(20)).await);
    }
    let mut foreign = instance("zz", "foreign");
    foreign.port = 1;
    consul.put_instance(foreign).unwrap();
    let outcomes = sink.apply(&ops).await.unwrap();
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, Outcome::Written(_) | Outcome::Deleted))
    );

    let mut shown = Vec::new();
    while shown.len() < 3 {
        let (name, held) = events.change().await;
        match name.as_str() {
            "web" => {
                let record = &held.records[0].record;
                assert_eq!(&*record.tags()[0], "new", "an older state was shown");
                assert!(!record.is_live(), "an older check was shown");
            }
            "db" => assert!(held.records.is_empty(), "a deleted instance was shown"),
            _ => assert_eq!(name, "foreign"),
        }
        if !shown.contains(&name) {
            shown.push(name);
        }
    }
}

#[tokio::test]
async fn fault_c02_an_index_that_goes_back_starts_a_listing() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let snapshot = consul.snapshot();
    write(&sink, &[service("web", 1), service("db", 1)]).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 2);
    consul.restore(&snapshot);
    let error = events.error().await;
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert!(error.to_string().contains("went back"), "{error}");
    // The first read after it is not believed yet, unless it was the second that showed the lower index.
    let shown = loop {
        assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
        let mut shown = Vec::new();
        let done = loop {
            match events.next().await {
                Ok(Event::Upserted(slot, _)) => shown.push(slot),
                Ok(Event::RelistDone) => break true,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Incomplete);
                    break false;
                }
                other => panic!("{other:?}"),
            }
        };
        if done {
            break shown;
        }
        assert!(
            shown.is_empty(),
            "shown from a listing that is not believed"
        );
    };
    assert_eq!(shown, [slot("web")]);
}

#[tokio::test]
async fn a_server_that_lost_everything_starts_a_listing_and_deletes_are_not_invented() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 3)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    consul.restart();
    loop {
        match events.next().await {
            // Errors of the connection, and of the index.
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Incomplete),
                "{error}"
            ),
            Ok(Event::RelistDone) => break,
            Ok(Event::RelistStarted) => {}
            Ok(other) => panic!("{other:?} outside a listing"),
        }
    }
}

#[tokio::test]
async fn fault_c01_a_read_that_is_not_consistent_is_never_used() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 3)]).await;
    consul.inject(Fault::new().partial(0).unless_consistent());
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await[0].1.records.len(), 3);
    let mut changed = consul.instances(NODE).remove(0);
    changed.port = 81;
    consul.put_instance(changed).unwrap();
    assert_eq!(events.change().await.1.records.len(), 3);
    let read = sink.read(&[slot("web")]).await.unwrap();
    assert_eq!(read[0].1.records.len(), 3);
}

#[tokio::test]
async fn fault_c18_a_consistent_read_that_was_served_otherwise_is_not_believed() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    let header = "x-consul-effective-consistency";
    consul.inject(
        Fault::new()
            .on(Endpoint::NodeServices)
            .header(header, "stale"),
    );
    let mut events = Events::of(&sink);
    assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
    assert_eq!(events.error().await.kind(), ErrorKind::Incomplete);
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
        sink_with(&consul, |settings| {
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
        assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
        let error = events.error().await;
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{token}: {error}");
        assert!(error.to_string().contains(rule), "{token}: {error}");
        let error = sink.read(&[slot("web")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{token}: {error}");
    }
}

#[tokio::test]
async fn fault_c10_a_token_that_is_revoked_weakens_what_is_known_until_it_is_back() {
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("full", Rules::sync(NODE))
        .start()
        .await
        .unwrap();
    let sink = sink_with(&consul, |settings| {
        settings.token = TokenSource::Value(Secret::new("full"));
    });
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
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("full", Rules::sync(NODE))
        .start()
        .await
        .unwrap();
    let sink = sink_with(&consul, |settings| {
        settings.token = TokenSource::Value(Secret::new("full"));
    });
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

#[tokio::test]
async fn fault_t11_the_node_of_an_agent_is_not_listed() {
    let consul = FakeConsul::start().await.unwrap();
    consul.put_node(node()).unwrap();
    consul
        .put_check(Check {
            node: NODE.into(),
            check_id: "serfHealth".into(),
            status: "passing".into(),
            ..Check::default()
        })
        .unwrap();
    let mut events = Events::of(&sink(&consul));
    assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
    let error = events.error().await;
    assert!(error.to_string().contains("running agent"), "{error}");
}

#[tokio::test]
async fn an_outage_is_reported_and_what_is_known_stays_known() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    consul.inject(Fault::new().error_before(500, "No cluster leader").times(2));
    consul.disconnect();
    assert_eq!(events.error().await.kind(), ErrorKind::Unavailable);
    let mut changed = consul.instances(NODE).remove(0);
    changed.port = 81;
    consul.put_instance(changed).unwrap();
    loop {
        match events.next().await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
            Ok(Event::Upserted(_, held)) => {
                assert_eq!(held.records[0].record.port(), 81);
                break;
            }
            Ok(other) => panic!("{other:?}: an outage is no reason to list"),
        }
    }
}

#[tokio::test]
async fn a_steady_state_reads_twice_and_waits() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let before = consul.requests(Endpoint::NodeServices);
    let mut events = Events::of(&sink);
    events.listing().await;
    assert!(events.is_quiet(Duration::from_millis(900)).await);
    assert_eq!(consul.requests(Endpoint::NodeServices) - before, 2);
    assert_eq!(consul.blocked(), 2);
    drop(events);
    consul.until(|consul| consul.blocked() == 0).await;
}

#[tokio::test]
async fn fault_c06_writes_next_door_show_nothing() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("web", 1)]).await;
    let mut other = node();
    other.node = "other".into();
    consul.put_node(other).unwrap();
    let mut events = Events::of(&sink);
    events.listing().await;
    let before = consul.requests(Endpoint::NodeChecks) + consul.requests(Endpoint::NodeServices);
    for n in 0..50 {
        consul
            .put_check(Check {
                node: "other".into(),
                check_id: format!("c{n}"),
                status: "passing".into(),
                ..Check::default()
            })
            .unwrap();
        assert!(events.is_quiet(Duration::from_millis(10)).await);
    }
    let after = consul.requests(Endpoint::NodeChecks) + consul.requests(Endpoint::NodeServices);
    assert!(after - before <= 6, "{} reads for nothing", after - before);
}

#[tokio::test]
async fn a_write_that_was_undone_before_it_was_read_is_shown_as_undone() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    let mut events = Events::of(&sink);
    events.listing().await;
    sink.apply(&creates(&sink, &service("web", 1)))
        .await
        .unwrap();
    consul.remove_node(NODE);
    let (name, held) = events.change().await;
    assert!(name == "web" && held.records.is_empty(), "{held:?}");
}

#[tokio::test]
async fn a_listing_holds_what_is_written_while_it_is_shown() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul);
    write(&sink, &[service("a", 1), service("b", 1)]).await;
    let mut changed = service("b", 1);
    changed.tags = ["new".into()].into();
    let mut ops = planned(&sink, &[service("a", 1), changed]).await;
    ops.extend(creates(&sink, &service("c", 1)));

    let mut events = Events::of(&sink);
    assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
    assert_eq!(events.change().await.0, "a");
    sink.apply(&ops).await.unwrap();
    let (name, held) = events.change().await;
    assert_eq!(
        (name.as_str(), &*held.records[0].record.tags()[0]),
        ("b", "new")
    );
    assert_eq!(events.change().await.0, "c");
    assert!(matches!(events.next().await, Ok(Event::RelistDone)));
}
