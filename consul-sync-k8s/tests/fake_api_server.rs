//! The fake API server over its loopback port and without one, asked by the kube client.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code outside a test function"
)]

#[path = "fake_api_server/ask.rs"]
mod ask;
#[path = "fake_api_server/watches.rs"]
mod watches;

use consul_sync_k8s::{
    Verb,
    testing::{FakeApiServer, FakeCluster},
};
use k8s_openapi::api::{
    core::v1::{Namespace, Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;

use ask::{code, service, services, typed};

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
