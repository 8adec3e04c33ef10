//! The incumbent's command line, on servers.

use std::net::TcpListener;

use consul_sync_testbed::Client;

use crate::{
    catalog::Catalog,
    program::{Program, Reach, run},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    the_incumbents_flags_find_consul_by_a_command_and_serve_its_metrics
    the_incumbents_purge_takes_what_its_filter_selects_and_then_the_rest
}

/// Consul's port.
fn port(servers: &Servers) -> &str {
    servers.consul().rsplit(':').next().unwrap()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

async fn the_incumbents_flags_find_consul_by_a_command_and_serve_its_metrics(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    let scraped = free_port();
    let program = Program::start_as(
        servers,
        "sync-catalog",
        &[
            "-addresses=exec=/bin/echo 127.0.0.1",
            &format!("-http-port={}", port(servers)),
            "-allow-k8s-namespace=*",
            "-to-k8s=false",
            "-enable-metrics",
            &format!("-metrics-port={scraped}"),
            "-metrics-path=/prom",
            "-prometheus-retention-time=1m",
        ],
    );
    program.until_ready().await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    world.scale("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    let metrics = Client::plain(&format!("http://127.0.0.1:{scraped}")).unwrap();
    let text = until(
        "the incumbent's metrics",
        async || {
            let answer = metrics.get("/prom").await.unwrap();
            String::from_utf8_lossy(&answer.body).into_owned()
        },
        |text| text.contains("consul_sync_catalog_to_consul_deregister 1\n"),
    )
    .await;
    for line in [
        "# TYPE consul_sync_catalog_to_consul_register counter",
        "consul_sync_catalog_to_consul_register 2",
        "consul_sync_catalog_to_consul_register_error 0",
        "consul_sync_catalog_status 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    // The address that the command printed, and never its arguments.
    program.until_logged("servers of Consul found").await;
    assert!(
        program
            .log()
            .contains("metrics under the incumbent's names"),
        "{}",
        program.log()
    );
}

async fn the_incumbents_purge_takes_what_its_filter_selects_and_then_the_rest(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1"]).await;
    world.web("other", &["10.1.0.2"]).await;
    {
        let _program = Program::ready(servers, &[]).await;
        catalog.until_addresses("web", &["10.1.0.1"]).await;
        catalog.until_addresses("other", &["10.1.0.2"]).await;
    }
    let purge = async |filter: &[&str]| {
        let given = [
            "sync-catalog",
            "-purge-k8s-services-from-node",
            "-addresses=127.0.0.1",
            &format!("-http-port={}", port(servers)),
        ];
        run(servers, &[&given, filter].concat()).await
    };
    let bad = purge(&["-filter=Service is what"]).await;
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.err.contains("--only: "), "{bad:?}");
    let part = purge(&["-filter=Service == \"web\""]).await;
    assert_eq!(part.code, Some(0), "{part:?}");
    assert!(part.out.contains("1 deleted."), "{part:?}");
    assert!(catalog.addresses("web").await.is_empty());
    assert_eq!(catalog.addresses("other").await, ["10.1.0.2"]);
    let rest = purge(&[]).await;
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert!(catalog.instances().await.is_empty());
}
