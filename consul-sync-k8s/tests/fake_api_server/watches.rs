//! Listings, watches and faults.

use std::time::Duration;

use consul_sync_k8s::{
    Verb,
    testing::{FakeApiServer, FakeCluster, Fault, On, WatchFault},
};
use futures::{StreamExt, TryStreamExt};
use kube::{
    ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::ask::{code, next, service, services};

#[tokio::test]
async fn a_listing_in_pages_is_of_one_version_whatever_happens_between_the_pages() {
    let cluster = FakeCluster::new();
    for name in ["a", "b", "c", "d", "e"] {
        cluster.put(service(name));
    }
    let api = services(&cluster.client());
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    cluster.delete("services", "default", "c");
    cluster.put(service("bb"));
    let token = first.metadata.continue_.clone().unwrap();
    let second = api
        .list(&ListParams::default().limit(2).continue_token(&token))
        .await
        .unwrap();
    assert_eq!(
        second.metadata.resource_version,
        first.metadata.resource_version
    );
    assert_eq!(
        second
            .items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["c", "d"]
    );
    cluster.compact();
    let expired = api
        .list(&ListParams::default().limit(2).continue_token(&token))
        .await;
    assert_eq!(code(expired), (410, "Expired".to_owned()));
    let selected = api
        .list(&ListParams::default().labels("app in (a,bb)"))
        .await
        .unwrap();
    assert_eq!(
        selected
            .items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["a", "bb"]
    );
}

#[tokio::test]
async fn a_watch_tells_every_change_after_its_version_as_its_selector_sees_it() {
    let cluster = FakeCluster::new();
    let api = services(&cluster.client());
    let start = cluster.revision().to_string();
    cluster.put(service("a"));
    let selected = WatchParams::default().labels("app=a").timeout(10);
    let mut events = api.watch(&selected, &start).await.unwrap().boxed();
    assert_eq!(next(&mut events).await, "added a");
    cluster.put(service("b"));
    cluster.merge(
        "services",
        "default",
        "a",
        &json!({"metadata": {"labels": {"app": "other"}}}),
    );
    assert_eq!(next(&mut events).await, "deleted a");
    cluster.merge(
        "services",
        "default",
        "a",
        &json!({"metadata": {"labels": {"app": "a"}}}),
    );
    assert_eq!(next(&mut events).await, "added a");
    cluster.delete("services", "default", "a");
    assert_eq!(next(&mut events).await, "deleted a");
}

#[tokio::test(start_paused = true)]
async fn a_watch_sends_bookmarks_and_ends_at_its_timeout() {
    let cluster = FakeCluster::new();
    cluster.bookmark_every(Duration::from_secs(20));
    let api = services(&cluster.client());
    let start = cluster.revision().to_string();
    let events = api
        .watch(&WatchParams::default().timeout(50), &start)
        .await
        .unwrap();
    let events: Vec<_> = events.try_collect().await.unwrap();
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|event| matches!(event, WatchEvent::Bookmark(_)))
    );
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_marked_bookmark_and_old_servers_refuse_it() {
    let cluster = FakeCluster::new();
    cluster.put(service("a"));
    let api = services(&cluster.client());
    let params = WatchParams::default().initial_events();
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    assert_eq!(next(&mut events).await, "added a");
    assert_eq!(next(&mut events).await, "end of list");
    cluster.put(service("b"));
    assert_eq!(next(&mut events).await, "added b");
    cluster.streaming_lists(false);
    assert_eq!(
        code(api.watch(&params, "0").await.map(|_| ())),
        (422, "Invalid".to_owned())
    );
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_ends_in_410_as_an_event_or_as_a_status() {
    let cluster = FakeCluster::new();
    let api = services(&cluster.client());
    let start = cluster.revision().to_string();
    cluster.compact();
    let mut events = api
        .watch(&WatchParams::default(), &start)
        .await
        .unwrap()
        .boxed();
    assert_eq!(next(&mut events).await, "status 410");
    assert_eq!(next(&mut events).await, "end");
    cluster.gone_as_status(true);
    assert_eq!(
        code(api.watch(&WatchParams::default(), &start).await.map(|_| ())),
        (410, "Expired".to_owned())
    );
}

#[tokio::test]
async fn open_watches_can_be_closed_severed_and_made_to_say_anything() {
    let server = FakeApiServer::start().await.unwrap();
    let api = services(&server.client().unwrap());
    let start = server.revision().to_string();
    for (fault, expected) in [
        (WatchFault::Close, vec!["end"]),
        (WatchFault::Error(410), vec!["status 410", "end"]),
        (WatchFault::Error(500), vec!["status 500", "end"]),
        (WatchFault::Bookmark(Some("7".to_owned())), vec!["bookmark"]),
    ] {
        let mut events = api
            .watch(&WatchParams::default(), &start)
            .await
            .unwrap()
            .boxed();
        server.disturb(Some("nodes"), WatchFault::Close);
        server.disturb(Some("services"), fault.clone());
        for expected in expected {
            assert_eq!(next(&mut events).await, expected, "{fault:?}");
        }
    }
    let mut events = api
        .watch(&WatchParams::default(), &start)
        .await
        .unwrap()
        .boxed();
    server.disturb(None, WatchFault::Sever);
    // Over TCP the client cannot tell a severed body from one that was closed early.
    assert_eq!(next(&mut events).await, "end");

    let local = services(&server.cluster().client());
    let mut events = local
        .watch(&WatchParams::default(), &start)
        .await
        .unwrap()
        .boxed();
    server.disturb(None, WatchFault::Sever);
    assert!(next(&mut events).await.starts_with("error"));
}

#[tokio::test]
async fn faults_are_laid_on_the_requests_they_name_and_no_others() {
    let server = FakeApiServer::start().await.unwrap();
    for name in ["a", "b", "c"] {
        server.put(service(name));
    }
    let api = services(&server.client().unwrap());
    let page = ListParams::default().limit(1);
    server.inject(On::list("services").page(1).times(1), Fault::status(503));
    let first = api.list(&page).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = page.clone().continue_token(&token);
    assert_eq!(
        code(api.list(&second).await),
        (503, "ServiceUnavailable".to_owned())
    );
    assert_eq!(code(api.list(&second).await).0, 200);

    server.inject(
        On::list("services").skip(1).times(1),
        Fault::text(502, "<html>"),
    );
    assert_eq!(code(api.list(&page).await).0, 200);
    assert_eq!(code(api.list(&page).await).0, 502);

    let cut = server.inject(On::list("services"), Fault::Cut { after: 20 });
    assert!(matches!(
        api.list(&page).await.unwrap_err(),
        kube::Error::HyperError(_) | kube::Error::Service(_)
    ));
    server.lift(cut);
    let truncated = server.inject(On::list("services"), Fault::Truncate { after: 20 });
    assert!(matches!(
        api.list(&page).await.unwrap_err(),
        kube::Error::SerdeError(_)
    ));
    server.lift(truncated);
    let closed = server.inject(On::list("services"), Fault::Disconnect);
    assert!(api.list(&page).await.is_err());
    server.lift(closed);
    server.inject(On::list("services").times(1), Fault::Empty);
    assert_eq!(api.list(&page).await.unwrap().items.len(), 0);
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        3
    );
    let now = server.revision();
    server.delete("services", "default", "a");
    server.inject(
        On::list("services").times(1),
        Fault::Stale { revision: now },
    );
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        3
    );
    assert_eq!(server.count(Verb::List, "services"), 11);
    assert_eq!(server.count(Verb::List, "nodes"), 0);
}
