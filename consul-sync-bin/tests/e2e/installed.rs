//! What the chart renders, in a cluster: the API server takes all of it, and the program runs on it as a pod would.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use consul_sync_testbed::{Client, ConsulVersion};
use http::Method;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    catalog::Catalog,
    chart::{NAMESPACE, cases, chart, documents, flags, golden},
    lead::{BOTH_WAYS, two, until_leading},
    program::{Program, run},
    registered::Cluster,
    servers::Servers,
    until::until,
    world::World,
};

/// Where an object is made.
fn collection(object: &Value) -> Option<String> {
    let version = object["apiVersion"].as_str().unwrap();
    // Kinds of Prometheus' operator, which is not there.
    if version.starts_with("monitoring.coreos.com/") {
        return None;
    }
    let kind = object["kind"].as_str().unwrap();
    let plural = match kind {
        "Namespace" => return Some("/api/v1/namespaces".to_owned()),
        "NetworkPolicy" => "networkpolicies".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    let root = if version == "v1" {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{version}")
    };
    Some(if kind.starts_with("Cluster") {
        format!("{root}/{plural}")
    } else {
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(NAMESPACE);
        format!("{root}/namespaces/{namespace}/{plural}")
    })
}

async fn post(client: &Client, path: &str, object: &Value) {
    let answer = client
        .send(Method::POST, path, "application/json", object.to_string())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 201, "{path}: {} {text}", answer.status);
}

async fn namespaces(client: &Client, rendered: &BTreeMap<String, Vec<Value>>) {
    let named = rendered.values().flatten();
    let named = named.filter_map(|object| object["metadata"]["namespace"].as_str());
    let named: BTreeSet<&str> = named.chain([NAMESPACE]).collect();
    for name in named {
        let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        // Some are there from the beginning.
        let _ = client.post("/api/v1/namespaces", &namespace).await.unwrap();
    }
}

/// What the chart renders by default, applied to a real cluster: everything but the pods. What comes back reaches it with the
/// rights of its service account, Consul with the policy that is shipped, and takes the container's arguments.
async fn installed(version: ConsulVersion) -> Option<(Servers, Vec<String>)> {
    let mut servers = Servers::real_with_acls(version).await?;
    let (api, consul) = servers.as_real();
    let rendered = documents(&golden("default"));
    api.namespace(NAMESPACE).await.unwrap();
    for object in &rendered {
        if object["kind"] != "Deployment" {
            post(api.client(), &collection(object).unwrap(), object).await;
        }
    }
    let account = rendered
        .iter()
        .find(|one| one["kind"] == "ServiceAccount")
        .unwrap();
    let account = account["metadata"]["name"].as_str().unwrap();
    let account = api.service_account(NAMESPACE, account).await.unwrap();
    let policy = fs::read_to_string(chart().join("../consul/policy.hcl")).unwrap();
    let token = consul.token(&policy).await.unwrap();
    servers.kubeconfig = account.kubeconfig;
    servers.token = Some(token);
    // Where servers are is this test's business, and so are the address to listen on and how it logs.
    let is_ours = |flag: &String| {
        let others = [
            "--consul-addr=",
            "--listen=",
            "--log-level=",
            "--log-format=",
        ];
        !others.iter().any(|other| flag.starts_with(other))
    };
    let flags = flags(&rendered).into_iter().filter(is_ours).collect();
    Some((servers, flags))
}

#[tokio::test]
async fn the_api_server_takes_everything_of_every_rendering() {
    let Some(servers) = Servers::real(ConsulVersion::V1_22).await else {
        return;
    };
    let rendered: BTreeMap<String, Vec<Value>> = cases()
        .into_iter()
        .map(|case| (case.clone(), documents(&golden(&case))))
        .collect();
    let client = &servers.kubernetes;
    namespaces(client, &rendered).await;
    for object in rendered.values().flatten() {
        if let Some(path) = collection(object) {
            let path = format!("{path}?dryRun=All&fieldValidation=Strict");
            post(client, &path, object).await;
        }
    }
}

#[tokio::test]
async fn the_accounts_rights_and_the_shipped_policy_are_enough() {
    for version in [ConsulVersion::V1_21, ConsulVersion::V1_22] {
        let Some((servers, flags)) = installed(version).await else {
            return;
        };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let checked = run(&servers, &[&["check"], &flags[..]].concat()).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert!(!checked.out.contains("warn"), "{checked:?}");
        let planned = run(&servers, &[&["plan"], &flags[..]].concat()).await;
        assert!(matches!(planned.code, Some(0 | 2)), "{planned:?}");
        World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
        let program = Program::ready(&servers, &flags).await;
        let catalog = Catalog(&servers.consul);
        catalog.until_addresses("web-default", &["10.1.0.1"]).await;
        let cluster = Cluster(&servers.kubernetes);
        cluster.until_service("consul", true).await;
        assert!(!program.log().contains("WARN"), "{}", program.log());
    }
}

#[tokio::test]
async fn fault_p04_two_replicas_of_the_chart_go_on_when_their_leader_is_killed_or_stopped() {
    let Some((servers, flags)) = installed(ConsulVersion::V1_22).await else {
        return;
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (mut first, second) = two(&servers, &flags, BOTH_WAYS).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web-default", &["10.1.0.1"]).await;

    first.kill();
    until_leading(&second, BOTH_WAYS, true).await;
    world.scale("web", &["10.1.0.2"]).await;
    catalog.until_addresses("web-default", &["10.1.0.2"]).await;

    // As the Deployment would start another one.
    let third = Program::ready(&servers, &flags).await;
    third.until_logged("standing by").await;
    second.signal(Signal::STOP);
    until_leading(&third, BOTH_WAYS, true).await;
    world.scale("web", &["10.1.0.3"]).await;
    catalog.until_addresses("web-default", &["10.1.0.3"]).await;
    let before = catalog.write_index().await;
    second.signal(Signal::CONT);
    second.until_logged("the lead is lost").await;
    // At its start, and now that it went on, in each direction.
    until(
        "the stopped one among the others",
        async || second.log().matches("standing by").count(),
        |count| *count == 4,
    )
    .await;
    assert_eq!(catalog.write_index().await, before);
    until_leading(&third, BOTH_WAYS, true).await;
}

#[tokio::test]
async fn the_plain_manifests_are_applied_in_the_order_of_their_kustomization() {
    let Some(servers) = Servers::real(ConsulVersion::V1_22).await else {
        return;
    };
    let folder = chart().join("../manifests");
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&read("kustomization.yaml")).unwrap();
    let resources = kustomization["resources"].as_array().unwrap();
    let files: BTreeSet<&str> = resources
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    let there = fs::read_dir(&folder).unwrap();
    let there = there.map(|file| file.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|file| file != "kustomization.yaml").collect();
    assert!(there.iter().map(String::as_str).eq(files), "{there:?}");
    let mut kinds = BTreeSet::new();
    for file in resources {
        for object in documents(&read(file.as_str().unwrap())) {
            let path = collection(&object).unwrap();
            post(
                &servers.kubernetes,
                &format!("{path}?fieldValidation=Strict"),
                &object,
            )
            .await;
            kinds.insert(object["kind"].to_string());
        }
    }
    assert!(kinds.len() > 7, "{kinds:?}");
}
