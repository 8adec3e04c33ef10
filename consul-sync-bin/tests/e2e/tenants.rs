//! Several users of one cluster, several clusters on one node, and settings that change between two runs.

use std::collections::BTreeMap;

use consul_sync_consul::OWNER_META;
use serde_json::{Value, json};

use crate::{
    catalog::{Catalog, NODE},
    program::{Program, run},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    fault_o01_two_owners_on_one_node_leave_each_other_alone
    fault_g02_what_an_earlier_node_or_owner_left_is_told_of_and_never_touched
}

/// The instances with a mark, by their IDs.
async fn marked(catalog: &Catalog<'_>, owner: &str) -> BTreeMap<String, Value> {
    let mut instances = catalog.instances().await;
    instances.retain(|_, instance| instance["Meta"][OWNER_META] == owner);
    instances
}

async fn until_metric(program: &Program, series: &str, value: &str) {
    let what = format!("{series} {value}");
    until(
        &what,
        async || (program.metric(series).await, program.log()),
        |(seen, _)| seen.as_deref() == Some(value),
    )
    .await;
}

async fn fault_o01_two_owners_on_one_node_leave_each_other_alone(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let a = ["--owner=cluster-a", "--name-prefix=a-"];
    let b = ["--owner=cluster-b", "--name-prefix=b-"];
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    world.web("api", &["10.1.1.1"]).await;
    let mut first = Program::ready(servers, &a).await;
    let _second = Program::ready(servers, &b).await;
    for prefix in ["a-", "b-"] {
        let web = format!("{prefix}web");
        catalog
            .until_addresses(&web, &["10.1.0.1", "10.1.0.2"])
            .await;
        catalog
            .until_addresses(&format!("{prefix}api"), &["10.1.1.1"])
            .await;
    }
    let (of_a, of_b) = (
        marked(&catalog, "cluster-a").await,
        marked(&catalog, "cluster-b").await,
    );
    assert_eq!((of_a.len(), of_b.len()), (3, 3));

    // A third one wants the very instances of the first, and gets none of them.
    {
        let third = Program::ready(servers, &["--owner=cluster-c", "--name-prefix=a-"]).await;
        until_metric(&third, "consul_sync_blocked_records", "3").await;
        until_metric(&third, "consul_sync_records{standing=\"foreign\"}", "6").await;
    }
    // Neither this nor a crash and a start of the first one changes anything of anybody's.
    first.kill();
    let mut first = Program::ready(servers, &a).await;
    until_metric(&first, "consul_sync_pending_slots", "0").await;
    assert_eq!(marked(&catalog, "cluster-a").await, of_a);
    assert_eq!(marked(&catalog, "cluster-b").await, of_b);
    assert_eq!(catalog.instances().await.len(), 6);

    // Each follows its own.
    world.scale("web", &["10.1.0.2", "10.1.0.3"]).await;
    world.delete("api").await;
    for prefix in ["a-", "b-"] {
        let web = format!("{prefix}web");
        catalog
            .until_addresses(&web, &["10.1.0.2", "10.1.0.3"])
            .await;
        catalog.until_addresses(&format!("{prefix}api"), &[]).await;
    }

    first.kill();
    let of_b = marked(&catalog, "cluster-b").await;
    let purged = run(servers, &["purge", "--yes", "--owner=cluster-a"]).await;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    assert!(purged.out.contains("2 deleted."), "{purged:?}");
    assert_eq!(of_b.len(), 2);
    assert_eq!(catalog.instances().await, of_b);
}

async fn fault_g02_what_an_earlier_node_or_owner_left_is_told_of_and_never_touched(
    servers: &Servers,
) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    {
        let program = Program::ready(servers, &["--owner=old"]).await;
        catalog
            .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
            .await;
        assert!(!program.log().contains("left alone"), "{}", program.log());
    }
    let left = marked(&catalog, "old").await;
    assert_eq!(left.len(), 2);

    // Another owner: what the old one registered is somebody else's.
    {
        let program = Program::ready(servers, &["--owner=new"]).await;
        program
            .until_logged("the node k8s-sync holds 2 instances with the mark old")
            .await;
        until_metric(&program, "consul_sync_blocked_records", "2").await;
        world.scale("web", &["10.1.0.2", "10.1.0.3"]).await;
        catalog
            .until_addresses("web", &["10.1.0.1", "10.1.0.2", "10.1.0.3"])
            .await;
        assert_eq!(marked(&catalog, "old").await, left);
    }
    // Another node: the old one holds what it held.
    let moved = ["--owner=old", "--consul-node=moved"];
    {
        let program = Program::ready(servers, &moved).await;
        program
            .until_logged("the node k8s-sync holds 2 instances with our mark")
            .await;
        until_metric(&program, "consul_sync_records{standing=\"owned\"}", "2").await;
        assert_eq!(marked(&catalog, "old").await, left);
    }
    let checked = run(servers, &[&["check"][..], &moved].concat()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let purge = format!("purge --consul-node {NODE} --owner old");
    assert!(checked.out.contains(&purge), "{checked:?}");

    // What is told to do does it, and nothing else.
    let arguments: Vec<&str> = purge.split(' ').chain(["--yes"]).collect();
    let purged = run(servers, &arguments).await;
    assert!(purged.out.contains("2 deleted."), "{purged:?}");
    assert_eq!(catalog.addresses("web").await, ["10.1.0.3"]);
    let checked = run(servers, &[&["check"][..], &moved].concat()).await;
    assert!(!checked.out.contains("with our mark"), "{checked:?}");
}

#[tokio::test]
async fn fault_n08_a_name_is_held_by_one_namespace_and_rules_say_which_may_have_it() {
    let servers = Servers::embedded().await;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let arguments = [
        "--exclusive-names",
        "--allow-names=default=*,*=web,*=*-{namespace}",
    ];
    let mut program = Program::ready(&servers, &arguments).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    world.web_of_tenant("tenant", "shop", &["10.6.6.6"]).await;
    until_metric(
        &program,
        "consul_sync_rejected_services{reason=\"not_allowed\"}",
        "1",
    )
    .await;

    // A name that a rule allows, and another namespace holds.
    world
        .annotate_of("tenant", "shop", "service-name", "web")
        .await;
    until_metric(
        &program,
        "consul_sync_rejected_services{reason=\"taken\"}",
        "1",
    )
    .await;
    program
        .until_logged("the name web is held by default/web")
        .await;
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);
    let index = catalog.write_index().await;
    program.kill();
    let program = Program::ready(&servers, &arguments).await;
    until_metric(&program, "consul_sync_pending_slots", "0").await;
    until_metric(
        &program,
        "consul_sync_rejected_services{reason=\"taken\"}",
        "1",
    )
    .await;
    assert_eq!(catalog.write_index().await, index);

    world.delete("web").await;
    catalog.until_addresses("web", &["10.6.6.6"]).await;
    world
        .annotate_of("tenant", "shop", "service-name", "shop-tenant")
        .await;
    catalog.until_addresses("shop-tenant", &["10.6.6.6"]).await;
    catalog.until_addresses("web", &[]).await;
}

#[tokio::test]
async fn fault_n09_a_namespace_has_as_many_services_as_it_may_and_no_more() {
    let servers = Servers::embedded().await;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let program = Program::ready(&servers, &["--max-services-per-namespace=2"]).await;
    for (name, address) in [("a", "10.1.0.1"), ("b", "10.1.0.2"), ("c", "10.1.0.3")] {
        world.web(name, &[address]).await;
    }
    world.web_of_tenant("other", "d", &["10.2.0.1"]).await;
    catalog.until_addresses("a", &["10.1.0.1"]).await;
    catalog.until_addresses("b", &["10.1.0.2"]).await;
    catalog.until_addresses("d", &["10.2.0.1"]).await;
    until_metric(
        &program,
        "consul_sync_rejected_services{reason=\"over_quota\"}",
        "1",
    )
    .await;
    assert_eq!(catalog.addresses("c").await, [] as [&str; 0]);
    world.delete("a").await;
    catalog.until_addresses("c", &["10.1.0.3"]).await;
    until_metric(
        &program,
        "consul_sync_rejected_services{reason=\"over_quota\"}",
        "0",
    )
    .await;
}

/// Names of services and their instances' addresses.
fn many() -> BTreeMap<String, Vec<String>> {
    let addresses = |s: u8| (1..=8).map(|n| format!("10.1.{s}.{n}")).collect();
    (0..5).map(|s| (format!("web{s}"), addresses(s))).collect()
}

#[tokio::test]
async fn fault_g03_a_new_prefix_registers_everything_anew_before_anything_goes() {
    let servers = Servers::embedded().await;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let all = many();
    for (name, addresses) in &all {
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        world.web(name, &addresses).await;
    }
    let counts = async || {
        let instances = catalog.instances().await;
        let count = |prefix| instances.keys().filter(|id| id.starts_with(prefix)).count();
        ["old-", "new-", "third-"].map(count)
    };
    {
        let _program = Program::ready(&servers, &["--name-prefix=old-"]).await;
        until("the old names", counts, |n| *n == [40, 0, 0]).await;
    }
    {
        // A brake that lets nothing go that is not replaced.
        let strict = ["--name-prefix=new-", "--brake-floor=0", "--brake-share=0"];
        let program = Program::ready(&servers, &strict).await;
        until("the new names alone", counts, |[old, new, _]| {
            assert!(
                *old == 40 || *new == 40,
                "{new} new names when {old} old ones are left"
            );
            (*old, *new) == (0, 40)
        })
        .await;
        until_metric(&program, "consul_sync_brake_engaged", "0").await;
    }

    // A process that ended in between has registered the new ones and deleted nothing. The next one does not know
    // that these are the same services: the old ones wait at the brake.
    {
        let _program =
            Program::ready(&servers, &["--name-prefix=third-", "--policy=upsert-only"]).await;
        until("the third names", counts, |n| *n == [0, 40, 40]).await;
    }
    let program = Program::ready(&servers, &["--name-prefix=third-"]).await;
    until_metric(&program, "consul_sync_brake_engaged", "1").await;
    until_metric(&program, "consul_sync_brake_held_deletes", "40").await;
    assert_eq!(counts().await, [0, 40, 40]);
    let listen = program.admin_address().await.to_string();
    let released = run(&servers, &["release-brake", "--listen", &listen]).await;
    assert_eq!(released.code, Some(0), "{released:?}");
    until("the third names alone", counts, |n| *n == [0, 0, 40]).await;
}

#[tokio::test]
async fn fault_d03_two_backups_that_do_not_match_delete_nothing_without_a_person() {
    let servers = Servers::embedded().await;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world
        .web("web", &["10.1.0.1", "10.1.0.2", "10.1.0.3"])
        .await;
    let arguments = ["--owner=cluster-a"];
    {
        let _program = Program::ready(&servers, &arguments).await;
        catalog
            .until_addresses("web", &["10.1.0.1", "10.1.0.2", "10.1.0.3"])
            .await;
    }
    // Consul as of another day: one instance is missing, and forty are there that are long gone.
    let instances = catalog.instances().await;
    let lost = instances
        .values()
        .find(|i| i["Address"] == "10.1.0.2")
        .unwrap();
    let deregistration = json!({ "Node": NODE, "ServiceID": lost["ID"] });
    servers
        .consul
        .put("/v1/catalog/deregister", &deregistration)
        .await
        .unwrap()
        .success()
        .unwrap();
    let meta = json!({ "external-source": "kubernetes", "external-k8s-ns": "default", OWNER_META: "cluster-a" });
    for n in 0..40 {
        catalog
            .register_on_our_node(&format!("gone-{n}"), &meta)
            .await;
    }
    // The cluster as of a third one: fewer services than Consul has, and pods that it has not.
    world
        .scale("web", &["10.1.0.2", "10.1.0.3", "10.1.0.4"])
        .await;
    let all = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"];

    let program = Program::ready(&servers, &arguments).await;
    catalog.until_addresses("web", &all).await;
    until_metric(&program, "consul_sync_brake_engaged", "1").await;
    until_metric(&program, "consul_sync_brake_held_deletes", "41").await;
    // What is created meanwhile is created.
    world.web("api", &["10.1.1.1"]).await;
    catalog.until_addresses("api", &["10.1.1.1"]).await;
    assert_eq!(catalog.instances().await.len(), 45);
    assert_eq!(
        program
            .metric("consul_sync_writes_total{verb=\"delete\"}")
            .await
            .as_deref(),
        Some("0")
    );

    let listen = program.admin_address().await.to_string();
    let released = run(&servers, &["release-brake", "--listen", &listen]).await;
    assert_eq!(released.code, Some(0), "{released:?}");
    catalog.until_addresses("web", &all[1..]).await;
    until(
        "the old ones gone",
        async || catalog.instances().await.len(),
        |left| *left == 4,
    )
    .await;
}
