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

#[tokio::test]
async fn fault_c18_a_consistent_read_that_was_served_otherwise_is_not_believed() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let header = "x-consul-effective-consistency";
    consul.inject(
        Fault::new()
            .on(Endpoint::NodeServices)
            .header(header, "stale"),
    );
    let mut events = Events::of(&sink);
    assert_eq!(events.refused_listing().await.kind(), ErrorKind::Incomplete);
}
