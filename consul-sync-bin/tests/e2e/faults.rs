//! The system that the program runs on lacks something for a while: file handles, disk, memory; or its credentials change.

use std::{fs, process::Stdio};

use consul_sync_testbed::ConsulVersion;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    catalog::Catalog,
    program::{Program, run},
    rights::with_printed_rights,
    servers::{Kind, Servers},
    world::World,
};

#[tokio::test]
async fn fault_p10_without_file_handles_nothing_is_lost_and_it_goes_on_when_there_are_some() {
    let Some(servers) = Servers::real(ConsulVersion::V1_22).await else {
        return;
    };
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (_, consul) = servers.as_real();
    let mut program = Program::ready(&servers, &[]).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    // What is open stays open, and no connection can be made: Consul's are gone with it.
    let usual = program.limit_files(Some(5));
    consul.restart().await.unwrap();
    world.scale("web", &["10.1.0.2"]).await;
    program.until_logged("Too many open files").await;
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);
    assert!(program.is_running());

    program.limit_files(usual);
    catalog.until_addresses("web", &["10.1.0.2"]).await;
    program.signal(Signal::TERM);
    assert!(program.ended().await.success(), "{}", program.log());
}

#[tokio::test]
async fn fault_p10_a_full_disk_under_its_log_stops_nothing() {
    let servers = Servers::embedded().await;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut program = Program::start_telling(&servers, &[], Stdio::from(full));
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    world.scale("web", &["10.1.0.2"]).await;
    catalog.until_addresses("web", &["10.1.0.2"]).await;
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn fault_p09_what_is_not_used_of_large_objects_is_not_kept() {
    const SERVICES: usize = 3000;
    const EACH: usize = 64 * 1024;
    let servers = Servers::embedded().await;
    let Kind::Embedded { api, .. } = &servers.kind else {
        return;
    };
    let blob = "x".repeat(EACH);
    for at in 0..SERVICES {
        api.put(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "namespace": "default", "name": format!("web-{at}"), "annotations": { "example.com/blob": blob },
            },
            "spec": { "clusterIP": "None", "ports": [{ "port": 80 }] },
        }));
    }
    let program = Program::ready(&servers, &[]).await;
    let services = program.metric("consul_sync_services").await;
    assert_eq!(services.as_deref(), Some("3000"));
    let most = program.most_memory();
    println!(
        "{most} bytes at most, of {} in annotations",
        SERVICES * EACH
    );
    assert!(most < SERVICES * EACH / 3, "{most}");
}

#[tokio::test]
async fn fault_g05_the_token_of_a_service_account_is_exchanged_while_it_runs() {
    let Some(mut servers) = with_printed_rights(ConsulVersion::V1_22, &[]).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (config, token) = (folder.path().join("config"), folder.path().join("token"));
    let text = fs::read_to_string(&servers.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    let first = kubeconfig["users"][0]["user"]["token"].take();
    fs::write(&token, first.as_str().unwrap()).unwrap();
    kubeconfig["users"][0]["user"] = json!({ "tokenFile": token });
    fs::write(&config, kubeconfig.to_string()).unwrap();
    servers.kubeconfig = config;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let program = Program::ready(&servers, &[]).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    // The account is another one of the same name, and the old token worth nothing.
    let account = "/api/v1/namespaces/consul-sync/serviceaccounts/consul-sync";
    servers
        .kubernetes
        .delete(account)
        .await
        .unwrap()
        .success()
        .unwrap();
    let (api, _) = servers.as_real();
    let next = api
        .service_account("consul-sync", "consul-sync")
        .await
        .unwrap();
    assert_ne!(Some(&*next.token), first.as_str());
    api.restart().await.unwrap();
    program
        .until_logged("the API server does not accept the credentials")
        .await;
    world.scale("web", &["10.1.0.2"]).await;
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);

    fs::write(&token, &next.token).unwrap();
    catalog.until_addresses("web", &["10.1.0.2"]).await;
}

#[tokio::test]
async fn fault_g06_an_api_server_of_an_unknown_authority_is_not_spoken_to() {
    let Some(mut servers) = Servers::real_with_tls(ConsulVersion::V1_22).await else {
        return;
    };
    let (_, consul) = servers.as_real();
    let text = fs::read_to_string(&servers.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    // That of another server altogether.
    kubeconfig["clusters"][0]["cluster"]["certificate-authority"] = json!(consul.ca().unwrap());
    let folder = tempfile::tempdir().unwrap();
    servers.kubeconfig = folder.path().join("config");
    fs::write(&servers.kubeconfig, kubeconfig.to_string()).unwrap();
    let checked = run(&servers, &["check"]).await;
    assert!(
        checked.code == Some(1) && checked.out.contains("certificate"),
        "{checked:?}"
    );
    let program = Program::start(&servers, &[]);
    program
        .until_logged("cannot read the cluster's identity")
        .await;
    assert!(program.log().contains("certificate"), "{}", program.log());
    assert!(Catalog(&servers.consul).instances().await.is_empty());
}

#[tokio::test]
async fn fault_g09_p10_a_name_without_an_address_or_with_another_one_is_looked_up_again() {
    let Some(servers) = Servers::real(ConsulVersion::V1_22).await else {
        return;
    };
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (_, consul) = servers.as_real();
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    // Written over, as a mounted file is.
    let name_is_at = |address: &str| fs::write(&hosts, format!("{address} consul.test\n")).unwrap();
    name_is_at("#");
    let address = format!(
        "--consul-addr=http://consul.test:{}",
        consul.http_addr().port()
    );
    world.web("web", &["10.1.0.1"]).await;
    let program = Program::start_among(&servers, &[&address], &hosts);
    program.until_logged("failed to lookup address").await;

    name_is_at("127.0.0.1");
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    // Nobody listens there.
    name_is_at("127.0.0.9");
    consul.restart().await.unwrap();
    program.until_logged("127.0.0.9").await;
    world.scale("web", &["10.1.0.2"]).await;
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);

    name_is_at("127.0.0.1");
    catalog.until_addresses("web", &["10.1.0.2"]).await;
}
