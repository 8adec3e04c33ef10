//! Servers that go away, and rights that are missing.

use consul_sync_testbed::ConsulVersion;
use rustix::process::Signal;

use crate::{
    catalog::Catalog,
    program::Program,
    servers::{Kind, Servers},
    until::until,
    world::World,
};

macro_rules! real {
    ($name:ident: $start:ident, $scenario:ident) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn on_consul_1_21() {
                if let Some(servers) = Servers::$start(ConsulVersion::V1_21).await {
                    super::$scenario(servers).await;
                }
            }

            #[tokio::test]
            async fn on_consul_1_22() {
                if let Some(servers) = Servers::$start(ConsulVersion::V1_22).await {
                    super::$scenario(servers).await;
                }
            }
        }
    };
}

real!(consul_killed_and_back_keeps_everything_and_catches_up: real, consul_killed);
real!(api_server_killed_and_back_keeps_everything_and_catches_up: real, api_server_killed);
real!(a_start_without_servers_waits_for_them_live_and_not_ready: real, both_away_at_start);
real!(a_token_without_rights_loses_nothing_and_a_better_one_goes_on: real_with_acls, token_without_rights);
real!(a_consul_that_hangs_does_not_hold_the_stop: real, consul_hangs_at_the_stop);
real!(a_token_that_only_reads_is_told_of_once: real_with_acls, token_that_only_reads);

async fn consul_killed(servers: Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (_, consul) = servers.as_real();
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    world.web("still", &["10.1.1.1"]).await;
    let program = Program::ready(&servers, &[]).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    catalog.until_addresses("still", &["10.1.1.1"]).await;
    let still = catalog
        .instances()
        .await
        .into_iter()
        .find(|(id, _)| id.starts_with("still"))
        .unwrap();

    consul.kill().unwrap();
    program.until_logged("cannot go on with this side").await;
    world.scale("web", &["10.1.0.2", "10.1.0.3"]).await;
    let admin = program.admin().await;
    assert_eq!(admin.get("/livez").await.unwrap().status, 200);
    assert_eq!(admin.get("/readyz").await.unwrap().status, 200);

    consul.restart().await.unwrap();
    catalog
        .until_addresses("web", &["10.1.0.2", "10.1.0.3"])
        .await;
    program.until_logged("this side answers again").await;
    let after = catalog.instances().await;
    assert_eq!(
        after.get(&still.0),
        Some(&still.1),
        "what did not change was written again"
    );
    // However often it was tried meanwhile.
    assert_eq!(
        program.log().matches("cannot go on with this side").count(),
        1,
        "{}",
        program.log()
    );
}

async fn api_server_killed(servers: Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (api, _) = servers.as_real();
    world.web("web", &["10.1.0.1"]).await;
    let program = Program::ready(&servers, &[]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    let before = catalog.instances().await;

    api.kill().unwrap();
    program.until_logged("cannot go on with this side").await;
    assert_eq!(
        program.admin().await.get("/livez").await.unwrap().status,
        200
    );
    assert_eq!(catalog.instances().await, before);
    api.restart().await.unwrap();
    world.scale("web", &["10.1.0.1", "10.1.0.2"]).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    program.until_logged("this side answers again").await;
    let after = catalog.instances().await;
    for (id, instance) in &before {
        assert_eq!(
            after.get(id),
            Some(instance),
            "what did not change was written again"
        );
    }
    assert_eq!(
        program.log().matches("cannot go on with this side").count(),
        1,
        "{}",
        program.log()
    );
}

async fn both_away_at_start(servers: Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (api, consul) = servers.as_real();
    world.web("web", &["10.1.0.1"]).await;
    api.kill().unwrap();
    consul.kill().unwrap();

    let program = Program::start(&servers, &[]);
    program
        .until_logged("cannot read the cluster's identity")
        .await;
    let admin = program.admin().await;
    assert_eq!(admin.get("/livez").await.unwrap().status, 200);
    let ready = admin.get("/readyz").await.unwrap();
    assert_eq!(
        (ready.status, &ready.body[..]),
        (503, &b"not ready: cluster_identity\n"[..])
    );

    api.restart().await.unwrap();
    until(
        "waiting for Consul",
        async || String::from_utf8_lossy(&admin.get("/readyz").await.unwrap().body).into_owned(),
        |text| text == "not ready: sink_listing\n",
    )
    .await;
    // However often it is tried.
    let tries = async || {
        let series = "consul_sync_errors_total{side=\"sink\",kind=\"unavailable\"}";
        program
            .metric(series)
            .await
            .and_then(|count| count.parse::<u32>().ok())
    };
    until("a few tries", tries, |count| *count > Some(3)).await;
    let log = program.log();
    assert_eq!(
        log.matches("cannot go on with this side").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("this side answers again").count(), 0, "{log}");

    consul.restart().await.unwrap();
    program.until_ready().await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
}

async fn consul_hangs_at_the_stop(servers: Servers) {
    let world = World(&servers.kubernetes);
    let (_, consul) = servers.as_real();
    world.web("web", &["10.1.0.1"]).await;
    for (second, words) in [
        (None, "not answered in time"),
        (Some(Signal::TERM), "stopping at once"),
    ] {
        let mut program = Program::ready(&servers, &[]).await;
        Catalog(&servers.consul)
            .until_addresses("web", &["10.1.0.1"])
            .await;
        consul.pause().unwrap();
        world.scale("web", &["10.1.0.1", "10.1.0.2"]).await;
        until(
            "a batch under way",
            async || program.metric("consul_sync_in_flight_operations").await,
            |count| count.as_deref() == Some("1"),
        )
        .await;

        program.signal(Signal::INT);
        program
            .until_logged("stopping after the batch under way")
            .await;
        if let Some(second) = second {
            program.signal(second);
        }
        let status = program.ended().await;
        assert!(
            status.success() && program.log().contains(words),
            "{status}: {}",
            program.log()
        );
        consul.resume().unwrap();
        world.scale("web", &["10.1.0.1"]).await;
        // What the hung server did with the write in the end is put right by the next start.
    }
    let _program = Program::ready(&servers, &[]).await;
    Catalog(&servers.consul)
        .until_addresses("web", &["10.1.0.1"])
        .await;
}

async fn token_without_rights(mut servers: Servers) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let (_, consul) = servers.as_real();
    let rules = crate::program::run(&servers, &["rbac", "--consul-policy"])
        .await
        .out;
    let good = consul.token(&rules).await.unwrap();
    let bad = consul.token("").await.unwrap();
    servers.token = None;
    let arguments = ["--consul-token-file", file.to_str().unwrap()];
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1"]).await;

    std::fs::write(&file, format!("{good}\n")).unwrap();
    {
        let _program = Program::ready(&servers, &arguments).await;
        catalog.until_addresses("web", &["10.1.0.1"]).await;
    }
    let before = catalog.instances().await;

    // What a token without rights is shown looks like an empty catalog.
    std::fs::write(&file, format!("{bad}\n")).unwrap();
    let program = Program::start(&servers, &arguments);
    program.until_logged("kind=\"unauthorized\"").await;
    world.scale("web", &["10.1.0.1", "10.1.0.2"]).await;
    let ready = program.admin().await.get("/readyz").await.unwrap();
    assert_eq!(ready.status, 503);
    assert_eq!(catalog.instances().await, before);

    std::fs::write(&file, format!("{good}\n")).unwrap();
    program.until_ready().await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    for token in [&good, &bad] {
        assert!(
            !program.log().contains(token.as_str()),
            "a token is in the log"
        );
    }
}

async fn token_that_only_reads(mut servers: Servers) {
    let (_, consul) = servers.as_real();
    let rules = "node_prefix \"\" { policy = \"read\" }\nservice_prefix \"\" { policy = \"read\" }";
    servers.token = Some(consul.token(rules).await.unwrap());
    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    let program = Program::start(&servers, &[]);
    let errors = async || {
        let series = "consul_sync_errors_total{side=\"sink\",kind=\"unauthorized\"}";
        program
            .metric(series)
            .await
            .and_then(|count| count.parse::<u32>().ok())
    };
    until("a few tries", errors, |count| *count > Some(3)).await;
    let log = program.log();
    assert_eq!(
        log.matches("cannot go on with this side").count(),
        1,
        "{log}"
    );
    assert!(
        log.contains("policy = \\\"write\\\"") || log.contains("policy = \"write\""),
        "the missing rule: {log}"
    );
    assert!(Catalog(&servers.consul).instances().await.is_empty());
}

/// The embedded API server can be taken away as well, without any program on the machine.
#[tokio::test]
async fn embedded_api_server_gone_and_back_catches_up() {
    let mut servers = Servers::embedded().await;
    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    let program = Program::ready(&servers, &[]).await;
    Catalog(&servers.consul)
        .until_addresses("web", &["10.1.0.1"])
        .await;

    let Kind::Embedded {
        api,
        _consul: consul,
    } = servers.kind
    else {
        panic!("embedded")
    };
    let (cluster, address) = (api.cluster().clone(), api.address());
    drop(api);
    program.until_logged("cannot go on with this side").await;
    let api = consul_sync_k8s::testing::FakeApiServer::serve(cluster, address)
        .await
        .unwrap();
    servers.kind = Kind::Embedded {
        api,
        _consul: consul,
    };
    World(&servers.kubernetes).scale("web", &["10.1.0.2"]).await;
    Catalog(&servers.consul)
        .until_addresses("web", &["10.1.0.2"])
        .await;
}
