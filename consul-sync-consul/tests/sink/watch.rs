//! What a watch shows, and when it shows nothing.

use std::time::Duration;

use consul_sync_consul::testing::{Check, Endpoint, FakeConsul, Fault};
use consul_sync_core::{ErrorKind, Event, Outcome, Record, Sink};

use super::{
    catalog::{instance, node},
    support::{Events, NODE, check, creates, ids, planned, service, sink, write},
};

#[tokio::test]
async fn fault_t15_every_kind_of_damage_is_shown() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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
    let sink = sink(&consul.url());
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
    let mut events = Events::of(&sink(&consul.url()));
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
    let sink = sink(&consul.url());
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
    let sink = sink(&consul.url());
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
    update.instances[0].check = Some(check(false).into());
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
async fn an_outage_is_reported_and_what_is_known_stays_known() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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
    let sink = sink(&consul.url());
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
    let sink = sink(&consul.url());
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
    let sink = sink(&consul.url());
    let mut events = Events::of(&sink);
    events.listing().await;
    sink.apply(&creates(&sink, &service("web", 1)))
        .await
        .unwrap();
    consul.remove_node(NODE);
    let (name, held) = events.change().await;
    assert!(name == "web" && held.records.is_empty(), "{held:?}");
}

/// A read of so much is followed by a pause that is longer than what is owed may wait, at least where it takes as long as
/// in a build for tests.
#[tokio::test]
async fn what_was_written_waits_for_the_next_read_and_is_not_read_slot_by_slot() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let mut events = Events::of(&sink);
    events.listing().await;
    let mut write = async |names: std::ops::Range<usize>| {
        let mut shown = std::collections::BTreeSet::new();
        for number in names.clone() {
            let service = service(&format!("s{number}"), 10);
            let outcomes = sink.apply(&creates(&sink, &service)).await.unwrap();
            assert!(outcomes.iter().all(|o| matches!(o, Outcome::Written(_))));
        }
        while shown.len() < names.len() {
            let (name, held) = events.change().await;
            let number: usize = name[1..].parse().unwrap();
            if names.contains(&number) && held.records.len() == 10 {
                shown.insert(name);
            }
        }
    };
    write(0..50).await;
    write(50..55).await;
    assert_eq!(consul.requests(Endpoint::ServiceHealth), 0);
}
