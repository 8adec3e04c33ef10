//! Namespaces of Consul Enterprise, by the program's settings and by the incumbent's flags. On the in-process Consul alone: every
//! real one needs a license.

use consul_sync_consul::testing::FakeConsul;
use serde_json::Value;

use crate::{
    catalog::NODE,
    program::{Program, Reach, run},
    servers::Servers,
    until::until,
    world::World,
};

async fn enterprise() -> Servers {
    Servers::embedded_with(FakeConsul::builder().enterprise()).await
}

async fn read(servers: &Servers, path: &str) -> Value {
    servers.consul.get(path).await.unwrap().json().unwrap()
}

/// Names of the services that our node has in a namespace, once they are these.
async fn until_services(servers: &Servers, namespace: &str, names: &[&str]) {
    let path = format!("/v1/catalog/node-services/{NODE}?ns={namespace}");
    let look = async || {
        let listing = read(servers, &path).await;
        let services = listing["Services"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<Value> = services.iter().map(|one| one["Service"].clone()).collect();
        names.sort_by_key(ToString::to_string);
        names
    };
    let what = format!("services in {namespace}");
    until(&what, look, |seen| *seen == names).await;
}

/// Every namespace with the names of its default policies.
async fn namespaces(servers: &Servers) -> Vec<(String, Vec<String>)> {
    let all = read(servers, "/v1/namespaces").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let policies = |one: &Value| {
        let links = one["ACLs"]["PolicyDefaults"].as_array().unwrap();
        links.iter().map(|link| text(&link["Name"])).collect()
    };
    let all = all.as_array().unwrap().iter();
    all.map(|one| (text(&one["Name"]), policies(one))).collect()
}

fn made(name: &str, policies: &[&str]) -> (String, Vec<String>) {
    (
        name.to_owned(),
        policies.iter().map(|one| (*one).to_owned()).collect(),
    )
}

#[tokio::test]
async fn each_namespace_of_kubernetes_has_one_in_consul_that_is_made_for_it() {
    let servers = enterprise().await;
    let world = World(&servers.kubernetes);
    world.web("web", &["10.1.0.1"]).await;
    world
        .web_of_tenant("shop", "web", &["10.1.1.1", "10.1.1.2"])
        .await;
    let settings = [
        "--consul-mirror-namespaces=true",
        "--consul-mirror-prefix=k8s-",
        "--consul-cross-namespace-policy=cross",
    ];
    // What only looks makes nothing.
    run(&servers, &[&["plan"], &settings[..]].concat()).await;
    run(&servers, &[&["check"], &settings[..]].concat()).await;
    assert_eq!(namespaces(&servers).await, [made("default", &[])]);

    let program = Program::ready(&servers, &settings).await;
    until_services(&servers, "k8s-default", &["web"]).await;
    until_services(&servers, "k8s-shop", &["web", "web"]).await;
    // One that begins to be used later.
    world.web_of_tenant("bank", "api", &["10.1.2.1"]).await;
    until_services(&servers, "k8s-bank", &["api"]).await;
    let log = program.log();
    assert_eq!(
        log.matches("made a namespace in consul").count(),
        3,
        "{log}"
    );
    let cross = ["cross"];
    assert_eq!(
        namespaces(&servers).await,
        [
            made("default", &[]),
            made("k8s-bank", &cross),
            made("k8s-default", &cross),
            made("k8s-shop", &cross),
        ]
    );
    until_services(&servers, "default", &[]).await;
}

#[tokio::test]
async fn the_incumbents_flags_make_the_namespace_that_they_name() {
    let servers = enterprise().await;
    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    let (host, port) = servers.consul().rsplit_once(':').unwrap();
    let program = Program::start_as(
        &servers,
        "sync-catalog",
        &[
            &format!("-addresses={}", host.trim_start_matches("http://")),
            &format!("-http-port={port}"),
            "-allow-k8s-namespace=*",
            "-to-k8s=false",
            "-enable-namespaces",
            "-consul-destination-namespace=kubernetes",
            "-consul-cross-namespace-acl-policy=cross-namespace-policy",
        ],
    );
    program.until_ready().await;
    until_services(&servers, "kubernetes", &["web"]).await;
    assert_eq!(
        namespaces(&servers).await,
        [
            made("default", &[]),
            made("kubernetes", &["cross-namespace-policy"])
        ]
    );
}
