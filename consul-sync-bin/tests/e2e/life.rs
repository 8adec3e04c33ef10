//! A day in the life of a running program.

use std::net::TcpStream;

use consul_sync_consul::OWNER_META;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    catalog::{Catalog, NODE},
    program::{Program, run},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    a_service_appears_changes_and_goes
    a_crash_and_a_start_write_nothing
    a_stop_deregisters_nothing_and_waits_for_nobody
    what_is_not_ours_is_never_touched
    what_a_synchroniser_left_behind_is_taken_over_in_place
    what_somebody_breaks_is_mended
    a_mass_deletion_waits_for_a_person
    probes_and_metrics_tell_what_is_going_on
}

async fn a_service_appears_changes_and_goes(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let _program = Program::ready(servers, &[]).await;

    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;

    world
        .scale("web", &["10.1.0.2", "10.1.0.3", "10.1.0.4"])
        .await;
    catalog
        .until_addresses("web", &["10.1.0.2", "10.1.0.3", "10.1.0.4"])
        .await;

    world.annotate("web", "service-tags", "blue").await;
    let instances = async || catalog.instances().await;
    until("the tag", instances, |instances| {
        instances.len() == 3
            && instances
                .values()
                .all(|instance| instance["Tags"] == json!(["k8s", "blue"]))
    })
    .await;

    world.annotate("web", "service-name", "shop").await;
    catalog
        .until_addresses("shop", &["10.1.0.2", "10.1.0.3", "10.1.0.4"])
        .await;
    catalog.until_addresses("web", &[]).await;

    world.delete("web").await;
    catalog.until_addresses("shop", &[]).await;
}

async fn a_crash_and_a_start_write_nothing(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    world.web("api", &["10.1.1.1"]).await;
    let mut program = Program::ready(servers, &[]).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    catalog.until_addresses("api", &["10.1.1.1"]).await;
    let (before, index) = (catalog.instances().await, catalog.write_index().await);

    program.kill();
    assert_eq!(catalog.instances().await, before);

    let program = Program::ready(servers, &[]).await;
    until(
        "nothing pending",
        async || program.metric("consul_sync_pending_slots").await,
        |pending| pending.as_deref() == Some("0"),
    )
    .await;
    assert_eq!(catalog.instances().await, before);
    assert_eq!(catalog.write_index().await, index);
    assert_eq!(
        program.metric("consul_sync_batches_total").await.as_deref(),
        Some("0")
    );
    assert_eq!(
        program
            .metric("consul_sync_records{standing=\"owned\"}")
            .await
            .as_deref(),
        Some("3")
    );
}

async fn a_stop_deregisters_nothing_and_waits_for_nobody(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1"]).await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::ready(servers, &[]).await;
        catalog.until_addresses("web", &["10.1.0.1"]).await;
        let before = catalog.instances().await;
        // Holds a connection of the admin server that never says anything.
        let _stuck = TcpStream::connect(program.admin_address().await).unwrap();

        program.signal(signal);
        let status = program.ended().await;
        let log = program.log();
        assert!(status.success(), "{status}: {log}");
        assert!(
            log.contains("stopped") && !log.contains("not answered in time"),
            "{log}"
        );
        assert_eq!(catalog.instances().await, before);
    }
}

async fn what_is_not_ours_is_never_touched(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let _program = Program::ready(servers, &[]).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    catalog.register_on_our_node("foreign", &json!({})).await;
    let other = json!({ "external-source": "kubernetes", OWNER_META: "another-cluster" });
    catalog.register_on_our_node("other", &other).await;
    let foreign = catalog.instances().await["foreign"].clone();

    world.delete("web").await;
    catalog.until_addresses("web", &[]).await;
    let instances = catalog.instances().await;
    assert_eq!(instances.keys().collect::<Vec<_>>(), ["foreign", "other"]);
    assert_eq!(instances["foreign"], foreign);
}

async fn what_a_synchroniser_left_behind_is_taken_over_in_place(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1"]).await;
    {
        let _program = Program::ready(servers, &[]).await;
        catalog.until_addresses("web", &["10.1.0.1"]).await;
    }
    // As the incumbent leaves it: the same ID, and nobody's mark.
    let (id, ours) = catalog.instances().await.pop_first().unwrap();
    let orphan = json!({ "external-source": "kubernetes", "external-k8s-ns": "default" });
    servers
        .consul
        .put(
            "/v1/catalog/register",
            &json!({
                "Node": NODE, "Address": "127.0.0.1", "SkipNodeUpdate": true,
                "Service": { "ID": id, "Service": "web", "Address": "10.1.0.1", "Port": 8080, "Tags": ["k8s"], "Meta": orphan },
            }),
        )
        .await
        .unwrap()
        .success()
        .unwrap();
    catalog.register_on_our_node("gone", &orphan).await;

    let program = Program::ready(servers, &[]).await;
    let owner = &ours["Meta"][OWNER_META];
    assert!(owner.is_string(), "{ours}");
    until(
        "our mark",
        async || catalog.instances().await,
        |instances| {
            instances
                .get(&id)
                .is_some_and(|instance| &instance["Meta"][OWNER_META] == owner)
        },
    )
    .await;
    until(
        "the orphan counted",
        async || {
            program
                .metric("consul_sync_records{standing=\"orphan\"}")
                .await
        },
        |orphans| orphans.as_deref() == Some("1"),
    )
    .await;
    assert!(
        catalog.instances().await.contains_key("gone"),
        "an orphan is reported, and not deleted"
    );
    assert_eq!(
        program
            .metric("consul_sync_writes_total{verb=\"delete\"}")
            .await
            .as_deref(),
        Some("0")
    );
}

async fn what_somebody_breaks_is_mended(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let _program = Program::ready(servers, &[]).await;
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    let (id, instance) = catalog.instances().await.pop_first().unwrap();

    let deregistration = json!({ "Node": NODE, "ServiceID": id });
    servers
        .consul
        .put("/v1/catalog/deregister", &deregistration)
        .await
        .unwrap()
        .success()
        .unwrap();
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;

    let change = json!({
        "Node": NODE, "Address": "127.0.0.1", "SkipNodeUpdate": true,
        "Service": {
            "ID": id, "Service": "web", "Address": instance["Address"], "Port": 1, "Tags": ["broken"], "Meta": instance["Meta"],
        },
    });
    servers
        .consul
        .put("/v1/catalog/register", &change)
        .await
        .unwrap()
        .success()
        .unwrap();
    until(
        "the port",
        async || catalog.instances().await,
        |instances| {
            instances
                .get(&id)
                .is_some_and(|now| now["Port"] == 8080 && now["Tags"] == json!(["k8s"]))
        },
    )
    .await;
}

async fn a_mass_deletion_waits_for_a_person(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let addresses: Vec<String> = (1..=40).map(|n| format!("10.1.0.{n}")).collect();
    let mut addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    addresses.sort_unstable();
    world.web("web", &addresses).await;
    let program = Program::ready(servers, &[]).await;
    catalog.until_addresses("web", &addresses).await;
    let listen = program.admin_address().await.to_string();

    let early = run(servers, &["release-brake", "--listen", &listen]).await;
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(early.err.contains("nothing to release"), "{early:?}");

    world.scale("web", &["10.1.0.1"]).await;
    until(
        "the brake",
        async || program.metric("consul_sync_brake_engaged").await,
        |engaged| engaged.as_deref() == Some("1"),
    )
    .await;
    program.until_logged("brake engaged").await;
    // Creates and updates go on.
    world.web("api", &["10.1.1.1"]).await;
    catalog.until_addresses("api", &["10.1.1.1"]).await;
    let left = catalog.addresses("web").await.len();
    assert!(left >= 30, "{left} of 40 are left");

    let released = run(servers, &["release-brake", "--listen", &listen]).await;
    assert_eq!(released.code, Some(0), "{released:?}");
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    until(
        "the brake off",
        async || program.metric("consul_sync_brake_engaged").await,
        |engaged| engaged.as_deref() == Some("0"),
    )
    .await;
}

async fn probes_and_metrics_tell_what_is_going_on(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let program = Program::ready(servers, &[]).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    let admin = program.admin().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = admin.get(path).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &b"ok\n"[..]),
            "{path}"
        );
    }
    let verbose = admin.get("/readyz?verbose").await.unwrap();
    assert!(
        String::from_utf8_lossy(&verbose.body)
            .contains("[+]source_listing ok\n[+]sink_listing ok\n")
    );
    let metrics = admin.get("/metrics").await.unwrap();
    let kind = metrics.headers["content-type"].to_str().unwrap();
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    until(
        "the write counted",
        async || {
            program
                .metric("consul_sync_writes_total{verb=\"create\"}")
                .await
        },
        |writes| writes.as_deref() == Some("1"),
    )
    .await;
    program.until_logged("written created=1").await;
    assert!(
        program
            .metric("consul_sync_last_lag_seconds")
            .await
            .is_some()
    );
    assert_eq!(admin.get("/brake/release").await.unwrap().status, 405);

    // A person wants to see less, then more.
    let set = async |level: &str| {
        let answer = admin
            .send(
                http::Method::PUT,
                "/log-level",
                "text/plain",
                level.to_owned(),
            )
            .await
            .unwrap();
        (
            answer.status,
            String::from_utf8_lossy(&answer.body).into_owned(),
        )
    };
    assert_eq!(set("warn").await, (200, "warn\n".to_owned()));
    let (status, text) = set("loud").await;
    assert!(
        status == 400 && text.contains("expected trace, debug"),
        "{status} {text}"
    );
}
