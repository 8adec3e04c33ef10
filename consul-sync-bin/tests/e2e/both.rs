//! Both directions at once, in one process and in two: nothing goes round, and each has one writer.

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    catalog::Catalog,
    import::until_idle,
    program::{Program, run},
    registered::{Cluster, Registered},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    fault_l01_nothing_goes_round_in_one_process
    fault_l01_nothing_goes_round_between_two_processes
    a_restart_of_both_directions_writes_nothing
    another_process_takes_both_directions_over
    plan_shows_both_directions
}

pub(crate) const BOTH: [&str; 3] = [
    "--to-k8s",
    "--k8s-mode=endpoints",
    "--import-deny-names=consul",
];
const ONE_WAY: [&str; 1] = ["--to-k8s=false"];
const OTHER_WAY: [&str; 4] = [
    "--to-k8s",
    "--to-consul=false",
    "--k8s-mode=endpoints",
    "--import-deny-names=consul",
];

/// Services on both sides, and then later ones, after which an echo of the first would have been seen.
async fn nothing_goes_round(servers: &Servers, exporter: &Program, importer: &Program) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    for (own, theirs, pod, instance) in [
        ("shop", "billing", "10.1.0.1", "10.2.0.1"),
        ("later", "latest", "10.1.0.2", "10.2.0.2"),
    ] {
        world.web(own, &[pod]).await;
        consul.put(theirs, &[instance]).await;
        catalog.until_addresses(own, &[pod]).await;
        cluster.until_endpoints(theirs, &[(instance, true)]).await;
        until_idle(exporter, "to_consul").await;
        until_idle(importer, "to_k8s").await;
    }
    assert_eq!(cluster.names().await, ["billing", "latest"]);
    let mut entries: Vec<Value> = catalog.instances().await.into_values().collect();
    entries.sort_by_key(|instance| instance["Service"].to_string());
    let names: Vec<&Value> = entries.iter().map(|one| &one["Service"]).collect();
    assert_eq!(names, ["later", "shop"]);
    // Had one of them been imported, it would have met the Service that it comes from.
    assert_eq!(
        importer
            .metric_of("to_k8s", "consul_sync_blocked_records")
            .await
            .as_deref(),
        Some("0")
    );
    assert_eq!(
        importer
            .metric_of("to_k8s", "consul_sync_services")
            .await
            .as_deref(),
        Some("2")
    );
}

async fn fault_l01_nothing_goes_round_in_one_process(servers: &Servers) {
    let program = Program::ready(servers, &BOTH).await;
    nothing_goes_round(servers, &program, &program).await;
    assert!(!program.log().contains("WARN"), "{}", program.log());
    let verbose = program.admin().await.get("/readyz?verbose").await.unwrap();
    let text = String::from_utf8_lossy(&verbose.body).into_owned();
    assert!(
        text.contains("[+]source_listing ok\n") && text.contains("[+]to_k8s_source_listing ok\n"),
        "{text}"
    );
    let log = program.log();
    assert!(
        log.contains("to_k8s: ") && log.contains("to_consul: "),
        "{log}"
    );
}

async fn fault_l01_nothing_goes_round_between_two_processes(servers: &Servers) {
    let exporter = Program::ready(servers, &ONE_WAY).await;
    let importer = Program::ready(servers, &OTHER_WAY).await;
    nothing_goes_round(servers, &exporter, &importer).await;
    assert_eq!(
        importer.metric("consul_sync_batches_total").await,
        None,
        "a direction that is off has no series"
    );
}

async fn a_restart_of_both_directions_writes_nothing(servers: &Servers) {
    let (catalog, cluster) = (Catalog(&servers.consul), Cluster(&servers.kubernetes));
    let mut program = Program::ready(servers, &BOTH).await;
    nothing_goes_round(servers, &program, &program).await;
    let before = (catalog.write_index().await, cluster.ours().await);
    program.kill();
    let program = Program::ready(servers, &BOTH).await;
    for direction in ["to_consul", "to_k8s"] {
        until_idle(&program, direction).await;
        assert_eq!(
            program
                .metric_of(direction, "consul_sync_batches_total")
                .await
                .as_deref(),
            Some("0"),
            "{direction}"
        );
    }
    assert_eq!((catalog.write_index().await, cluster.ours().await), before);
}

async fn another_process_takes_both_directions_over(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let election = [
        "--owner=cluster-a",
        "--leader-election=consul",
        "--leader-election-ttl=10m",
    ];
    let arguments = [&BOTH[..], &election].concat();
    let leading = async |program: &Program, value: &str| {
        for direction in ["to_consul", "to_k8s"] {
            until(
                "the lead",
                async || program.metric_of(direction, "consul_sync_leading").await,
                |seen| seen.as_deref() == Some(value),
            )
            .await;
        }
    };
    let mut first = Program::ready(servers, &arguments).await;
    leading(&first, "1").await;
    let second = Program::ready(servers, &arguments).await;
    world.web("shop", &["10.1.0.1"]).await;
    consul.put("billing", &["10.2.0.1"]).await;
    catalog.until_addresses("shop", &["10.1.0.1"]).await;
    cluster
        .until_endpoints("billing", &[("10.2.0.1", true)])
        .await;
    leading(&second, "0").await;
    for direction in ["to_consul", "to_k8s"] {
        let batches = second
            .metric_of(direction, "consul_sync_batches_total")
            .await;
        assert_eq!(batches.as_deref(), Some("0"), "{direction}");
    }

    first.signal(Signal::TERM);
    assert!(first.ended().await.success(), "{}", first.log());
    leading(&second, "1").await;
    world.scale("shop", &["10.1.0.2"]).await;
    consul.put("billing", &["10.2.0.2"]).await;
    catalog.until_addresses("shop", &["10.1.0.2"]).await;
    let both = [("10.2.0.1", true), ("10.2.0.2", true)];
    cluster.until_endpoints("billing", &both).await;
}

async fn plan_shows_both_directions(servers: &Servers) {
    World(&servers.kubernetes).web("shop", &["10.1.0.1"]).await;
    Registered(&servers.consul)
        .put("billing", &["10.2.0.1"])
        .await;
    let planned = run(servers, &[&["plan"], &BOTH[..]].concat()).await;
    assert_eq!(planned.code, Some(2), "{planned:?}");
    assert!(
        planned.out.contains("Plan: 1 to add") && planned.out.contains("Plan: 2 to add"),
        "{planned:?}"
    );
    let printed = run(servers, &[&["plan", "--json"], &BOTH[..]].concat()).await;
    let plans: Vec<Value> = serde_json::Deserializer::from_str(&printed.out)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let directions: Vec<&Value> = plans.iter().map(|plan| &plan["direction"]).collect();
    assert_eq!(directions, ["to_consul", "to_k8s"]);
    let checked = run(servers, &[&["check"], &BOTH[..]].concat()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
