//! Indexes that go back.

use std::time::Duration;

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault};
use consul_sync_core::{ErrorKind, Event};

use super::{
    catalog::instance,
    support::{Events, service, settings, sink, sink_of, slot, write},
};

#[tokio::test]
async fn fault_c02_an_index_that_goes_back_starts_a_listing() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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
async fn fault_c02_what_a_snapshot_brings_back_is_shown_though_we_deleted_it() {
    // With a write after it, the index has not gone back when it is looked at.
    for goes_on in [false, true] {
        let consul = FakeConsul::start().await.unwrap();
        let sink = sink(&consul.url());
        write(&sink, &[service("web", 2)]).await;
        let mut events = Events::of(&sink);
        assert_eq!(events.listing().await[0].1.records.len(), 2);
        let snapshot = consul.snapshot();
        write(&sink, &[service("web", 1)]).await;
        consul.restore(&snapshot);
        if goes_on {
            consul.put_instance(instance("foreign", "other")).unwrap();
        }
        loop {
            match events.next().await {
                Ok(Event::Upserted(name, held)) if name == slot("web") => {
                    assert_eq!(held.records.len(), 2);
                    break;
                }
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_lost_everything_starts_a_listing_and_deletes_are_not_invented() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
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

/// A server that is behind for one listing, as one that was restored or replaced is.
#[tokio::test]
async fn fault_c02_a_listing_with_a_lower_index_than_the_one_before_is_not_believed() {
    for endpoint in [Endpoint::NodeServices, Endpoint::NodeChecks] {
        let consul = FakeConsul::start().await.unwrap();
        let sink = sink(&consul.url());
        write(&sink, &[service("web", 2), service("db", 1)]).await;
        let mut events = Events::of(&sink);
        assert_eq!(events.listing().await.len(), 2);
        // Something else makes a listing due, and nothing has shown yet that the index went back.
        consul.inject(
            Fault::new()
                .on(Endpoint::NodeServices)
                .header("x-consul-results-filtered-by-acls", "true")
                .times(1),
        );
        while consul.blocked() < 2 {
            assert!(events.is_quiet(Duration::from_millis(20)).await);
        }
        consul.put_instance(instance("foreign-1", "a")).unwrap();
        let error = events.error().await;
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        consul.inject(
            Fault::new()
                .on(endpoint)
                .partial(0)
                .header("x-consul-index", "3")
                .times(1),
        );
        let error = events.refused_listing().await;
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        assert!(error.to_string().contains("went back"), "{error}");
        let whole = events.listing().await;
        assert_eq!(whole.len(), 3, "{whole:?}");
    }
}

/// A query that blocks past an index which the server lost is held until its wait is over.
#[tokio::test]
async fn fault_c02_a_server_that_lost_everything_is_noticed_however_long_queries_are_held() {
    let consul = FakeConsul::start().await.unwrap();
    let mut settings = settings();
    settings.wait = Duration::from_secs(600);
    let sink = sink_of(&consul.url(), |_| (), settings);
    write(&sink, &[service("web", 3)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    while consul.blocked() < 2 {
        assert!(events.is_quiet(Duration::from_millis(20)).await);
    }
    consul.restart();
    while events.error().await.kind() != ErrorKind::Incomplete {}
    let listed = loop {
        if let Some(listed) = events.try_listing().await {
            break listed;
        }
    };
    assert!(listed.is_empty(), "{listed:?}");
}
