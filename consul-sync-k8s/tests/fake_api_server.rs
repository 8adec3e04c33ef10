//! The fake API server over its loopback port and without one, asked by the kube client.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code outside a test function"
)]

use std::time::Duration;

use consul_sync_k8s::{
    Verb,
    testing::{FakeApiServer, FakeCluster, Fault, On, WatchFault},
};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    core::v1::{Namespace, Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, ResourceExt,
    api::{
        DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
        WatchParams,
    },
};
use serde_json::{Value, json};

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": name, "labels": {"app": name}},
        "spec": {"ports": [{"port": 80}]},
    })
}

fn typed<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

fn services(client: &Client) -> Api<Service> {
    Api::namespaced(client.clone(), "default")
}

fn code<T>(result: Result<T, kube::Error>) -> (u16, String) {
    match result {
        Ok(_) => (200, String::new()),
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
        Err(other) => panic!("{other}"),
    }
}

/// The next event: its type, and the object's name where it has one.
async fn next(
    events: &mut (impl futures::Stream<Item = kube::Result<WatchEvent<Service>>> + Unpin),
) -> String {
    match events.next().await {
        None => "end".to_owned(),
        Some(Err(error)) => format!("error {error}"),
        Some(Ok(event)) => match event {
            WatchEvent::Added(object) => format!("added {}", object.name_any()),
            WatchEvent::Modified(object) => format!("modified {}", object.name_any()),
            WatchEvent::Deleted(object) => format!("deleted {}", object.name_any()),
            WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.is_empty() => {
                "bookmark".to_owned()
            }
            WatchEvent::Bookmark(_) => "end of list".to_owned(),
            WatchEvent::Error(status) => format!("status {}", status.code),
        },
    }
}

#[tokio::test]
async fn a_service_gets_what_the_real_server_gives_it_and_keeps_it_over_updates() {
    let server = FakeApiServer::start().await.unwrap();
    let api = services(&server.client().unwrap());
    let mut object = service("web");
    object["spec"]["type"] = json!("NodePort");
    let made = api
        .create(&PostParams::default(), &typed(object))
        .await
        .unwrap();
    let spec = made.spec.clone().unwrap();
    assert!(spec.cluster_ip.as_deref().unwrap().starts_with("10."));
    assert_eq!(
        spec.cluster_ips.unwrap(),
        [spec.cluster_ip.clone().unwrap()]
    );
    assert_eq!(spec.session_affinity.as_deref(), Some("None"));
    let port = &spec.ports.as_ref().unwrap()[0];
    assert!(port.node_port.unwrap() >= 30_000);
    assert_eq!(port.protocol.as_deref(), Some("TCP"));
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());

    let changed = api
        .patch(
            "web",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}}})),
        )
        .await
        .unwrap();
    assert_eq!(changed.spec, made.spec);
    assert_eq!(changed.uid(), made.uid());
    assert_ne!(changed.resource_version(), made.resource_version());
    let again = api
        .patch(
            "web",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}}})),
        )
        .await
        .unwrap();
    assert_eq!(again.resource_version(), changed.resource_version());
}

#[tokio::test]
async fn refusals_have_the_status_and_reason_of_kubernetes() {
    let cluster = FakeCluster::new();
    let client = cluster.client();
    let api = services(&client);
    assert_eq!(code(api.get("web").await), (404, "NotFound".to_owned()));
    let made = api
        .create(&PostParams::default(), &typed(service("web")))
        .await
        .unwrap();
    assert_eq!(
        code(
            api.create(&PostParams::default(), &typed(service("web")))
                .await
        ),
        (409, "AlreadyExists".to_owned())
    );
    assert_eq!(
        code(
            api.create(&PostParams::default(), &typed(service("Bad_Name")))
                .await
        ),
        (422, "Invalid".to_owned())
    );
    let elsewhere: Api<Service> = Api::namespaced(client.clone(), "nowhere");
    let mut object: Service = typed(service("web"));
    object.metadata.namespace = None;
    assert_eq!(
        code(elsewhere.create(&PostParams::default(), &object).await),
        (404, "NotFound".to_owned())
    );

    let mut stale = made.clone();
    api.patch(
        "web",
        &PatchParams::default(),
        &Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}})),
    )
    .await
    .unwrap();
    stale.labels_mut().insert("z".to_owned(), "z".to_owned());
    assert_eq!(
        code(api.replace("web", &PostParams::default(), &stale).await),
        (409, "Conflict".to_owned())
    );
    let wrong = DeleteParams::default().preconditions(Preconditions {
        uid: Some("another".to_owned()),
        resource_version: None,
    });
    assert_eq!(
        code(api.delete("web", &wrong).await),
        (409, "Conflict".to_owned())
    );
    assert_eq!(
        code(api.delete("web", &DeleteParams::default()).await).0,
        200
    );
    assert_eq!(
        code(api.delete("web", &DeleteParams::default()).await),
        (404, "NotFound".to_owned())
    );

    cluster.deny(Verb::List, "nodes");
    let nodes: Api<Node> = Api::all(client);
    let refused = nodes
        .list(&ListParams::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("cannot list resource \"nodes\" in API group \"\" at the cluster scope"),
        "{refused}"
    );
}

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

#[tokio::test]
async fn status_is_written_by_its_subresource_alone() {
    let cluster = FakeCluster::new();
    let api = services(&cluster.client());
    let mut object = service("web");
    object["spec"]["type"] = json!("LoadBalancer");
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    let made = api
        .create(&PostParams::default(), &typed(object.clone()))
        .await
        .unwrap();
    let ingress = |service: &Service| {
        service
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref()?.ingress.clone())
            .unwrap_or_default()
    };
    assert!(ingress(&made).is_empty());
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}});
    api.patch_status("web", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    let read = api.get("web").await.unwrap();
    assert_eq!(ingress(&read)[0].ip.as_deref(), Some("1.2.3.4"));
}

#[tokio::test]
async fn server_side_apply_makes_changes_and_takes_back_what_is_not_applied_any_more() {
    let cluster = FakeCluster::new();
    let api = services(&cluster.client());
    let params = PatchParams::apply("consul-sync");
    let mut object = service("web");
    object["metadata"]["labels"] = json!({"mine": "1", "also": "2"});
    let made = api
        .patch("web", &params, &Patch::Apply(&object))
        .await
        .unwrap();
    assert_eq!(made.labels().len(), 2);
    cluster.merge(
        "services",
        "default",
        "web",
        &json!({"metadata": {"labels": {"theirs": "3"}}}),
    );
    object["metadata"]["labels"] = json!({"mine": "1"});
    let again = api
        .patch("web", &params, &Patch::Apply(&object))
        .await
        .unwrap();
    assert_eq!(
        again.labels().keys().collect::<Vec<_>>(),
        ["mine", "theirs"]
    );
}

#[tokio::test]
async fn the_namespaces_of_every_cluster_are_there_and_one_can_be_ended() {
    let cluster = FakeCluster::new();
    let api: Api<Namespace> = Api::all(cluster.client());
    assert_eq!(
        api.get("kube-system").await.unwrap().uid().unwrap(),
        cluster.uid()
    );
    assert_eq!(
        code(api.delete("default", &DeleteParams::default()).await),
        (403, "Forbidden".to_owned())
    );
    cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    assert_eq!(
        code(api.delete("shop", &DeleteParams::default()).await).0,
        200
    );
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client(), "shop");
    let slice =
        typed(json!({"metadata": {"name": "web-1"}, "addressType": "IPv4", "endpoints": []}));
    assert_eq!(
        code(slices.create(&PostParams::default(), &slice).await),
        (403, "Forbidden".to_owned())
    );
}
