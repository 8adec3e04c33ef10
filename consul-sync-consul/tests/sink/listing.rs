//! Listings: whole and consistent, or none.

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault};
use consul_sync_core::{
    ErrorKind, Event, Sink,
    Standing::{self, Foreign, Orphan, Ours},
};

use super::{
    catalog::instance,
    support::{Events, NODE, creates, planned, service, sink, slot, write},
};

#[tokio::test]
async fn a_listing_shows_everything_on_the_node_and_whose_it_is() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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
async fn a_listing_holds_what_is_written_while_it_is_shown() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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

#[tokio::test]
async fn fault_c01_a_read_that_is_not_consistent_is_never_used() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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

/// Headers that say that an answer is not the whole truth, and what follows from each.
const WEAK: [(&str, &str, ErrorKind); 2] = [
    (
        "x-consul-effective-consistency",
        "stale",
        ErrorKind::Incomplete,
    ),
    (
        "x-consul-results-filtered-by-acls",
        "true",
        ErrorKind::Unauthorized,
    ),
];

#[tokio::test]
async fn fault_c09_c18_neither_half_of_a_listing_is_believed_when_it_is_weak() {
    for (header, value, kind) in WEAK {
        for endpoint in [Endpoint::NodeServices, Endpoint::NodeChecks] {
            let consul = FakeConsul::start().await.unwrap();
            let sink = sink(&consul.url());
            write(&sink, &[service("web", 1)]).await;
            consul.inject(Fault::new().on(endpoint).header(header, value).times(1));
            let mut events = Events::of(&sink);
            let error = events.refused_listing().await;
            assert_eq!(error.kind(), kind, "{endpoint:?}: {error}");
            assert_eq!(events.listing().await.len(), 1);
        }
    }
}

#[tokio::test]
async fn fault_c09_c18_no_change_is_believed_when_it_is_weak() {
    for (header, value, kind) in WEAK {
        for endpoint in [Endpoint::NodeServices, Endpoint::NodeChecks] {
            let consul = FakeConsul::start().await.unwrap();
            let sink = sink(&consul.url());
            write(&sink, &[service("web", 1)]).await;
            let mut events = Events::of(&sink);
            events.listing().await;
            let fault = Fault::new().on(endpoint).header(header, value).partial(0);
            consul.inject(fault.times(1));
            let mut down = consul.checks(NODE).remove(0);
            down.status = "critical".into();
            consul.put_check(down).unwrap();
            let mut moved = consul.instances(NODE).remove(0);
            moved.port = 81;
            consul.put_instance(moved).unwrap();
            let error = loop {
                match events.next().await {
                    Err(error) => break error,
                    Ok(Event::Upserted(_, held)) => {
                        assert!(held.records[0].record.check().is_some());
                    }
                    Ok(other) => panic!("{other:?} outside a listing"),
                }
            };
            assert_eq!(error.kind(), kind, "{endpoint:?}: {error}");
            assert!(error.kind().weakens(), "{error}");
            assert_eq!(events.listing().await[0].1.records.len(), 1);
        }
    }
}

#[tokio::test]
async fn fault_c09_c18_no_read_of_a_slot_is_believed_when_it_is_weak() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    for (header, value, kind) in WEAK {
        let fault = Fault::new()
            .on(Endpoint::ServiceHealth)
            .header(header, value);
        consul.inject(fault.partial(0).times(1));
        let error = sink.read(&[slot("web")]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(
            sink.read(&[slot("web")]).await.unwrap()[0].1.records.len(),
            1
        );
    }
}

#[tokio::test]
async fn fault_c18_no_look_at_the_node_is_believed_that_was_served_otherwise() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let (header, value, kind) = WEAK[0];
    consul.inject(
        Fault::new()
            .on(Endpoint::NodeServices)
            .header(header, value),
    );
    let outcome = sink.apply(&creates(&sink, &service("web", 1))).await;
    assert_eq!(outcome.unwrap_err().kind(), kind);
    assert_eq!(consul.requests(Endpoint::Txn), 0);
}
