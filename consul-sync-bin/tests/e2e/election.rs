//! Several programs of one owner: one writes, and the lead goes from one to another.
//!
//! How long a change of the lead takes is printed and not asserted; sessions are short, so that it is seconds.

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    catalog::Catalog,
    import::{IMPORT, until_idle},
    lead::{self, TO_CONSUL, until_leading},
    program::{Program, run},
    registered::{Cluster, Registered},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    fault_o02_a_second_program_of_one_owner_writes_nothing_and_says_who_leads
    fault_p06_another_program_takes_over_from_one_that_was_killed
    fault_p06_another_program_takes_the_import_over_from_one_that_was_killed
    fault_p07_a_program_that_was_stopped_for_long_writes_nothing_when_it_goes_on
    a_program_that_is_asked_to_stop_hands_over
    a_session_that_somebody_ends_is_replaced_and_writing_goes_on
    purge_takes_the_lock
}

const OWNER: &str = "--owner=cluster-a";
const KEY: &str = "consul-sync/cluster-a/leader";
/// Twice this time is how long a dead leader keeps the lock.
const SHORT: &str = "--leader-election-ttl=2s";
/// Nothing but a hand-over ends such a session within a test.
const LONG: &str = "--leader-election-ttl=10m";

fn arguments(ttl: &'static str) -> [&'static str; 3] {
    [OWNER, "--leader-election=consul", ttl]
}

/// One that leads, and then one that is ready and does not.
async fn two(servers: &Servers, ttl: &'static str) -> (Program, Program) {
    lead::two(servers, &arguments(ttl), TO_CONSUL).await
}

async fn session(servers: &Servers) -> Option<String> {
    let answer = servers.consul.get(&format!("/v1/kv/{KEY}")).await.ok()?;
    let entry = answer.json().ok()?;
    entry[0]["Session"].as_str().map(str::to_owned)
}

/// Instances with a tag, by their ids and write indexes.
async fn tagged(catalog: &Catalog<'_>, tag: &str) -> Vec<(String, Value)> {
    let instances = catalog.instances().await.into_iter();
    instances
        .filter(|(_, instance)| instance["Tags"] == json!([tag]))
        .map(|(id, instance)| (id, instance["ModifyIndex"].clone()))
        .collect()
}

async fn fault_o02_a_second_program_of_one_owner_writes_nothing_and_says_who_leads(
    servers: &Servers,
) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (leader, standby) = two(servers, LONG).await;
    let log = standby.log();
    assert!(
        log.contains(KEY) && log.contains("two clusters have the same owner"),
        "{log}"
    );
    // Ready with warm tables, and silent.
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    until(
        "the standby's tables",
        async || {
            standby
                .metric("consul_sync_records{standing=\"owned\"}")
                .await
        },
        |owned| owned.as_deref() == Some("1"),
    )
    .await;
    assert_eq!(
        standby.metric("consul_sync_leading").await.as_deref(),
        Some("0")
    );
    assert_eq!(
        standby.metric("consul_sync_batches_total").await.as_deref(),
        Some("0")
    );
    let verbose = standby.admin().await.get("/readyz?verbose").await.unwrap();
    let text = String::from_utf8_lossy(&verbose.body).into_owned();
    assert!(
        verbose.status == 200 && text.contains("[-]leading pending: standing by, process "),
        "{text}"
    );
    assert_eq!(
        leader.metric("consul_sync_leading").await.as_deref(),
        Some("1")
    );
}

async fn fault_p06_another_program_takes_over_from_one_that_was_killed(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (mut leader, standby) = two(servers, SHORT).await;
    let killed = Instant::now();
    leader.kill();
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    println!(
        "takeover with a TTL of 2 s: {:?} from the kill to the write",
        killed.elapsed()
    );
    until_leading(&standby, TO_CONSUL, true).await;
}

/// The same from Consul to Kubernetes: what stays is not written again, and what changed while nobody led is made up for.
async fn fault_p06_another_program_takes_the_import_over_from_one_that_was_killed(
    servers: &Servers,
) {
    let (consul, cluster) = (Registered(&servers.consul), Cluster(&servers.kubernetes));
    let arguments = [&arguments(SHORT)[..], &IMPORT].concat();
    for name in ["alias", "web", "db"] {
        consul.put(name, &["10.2.0.1", "10.2.0.2"]).await;
    }
    let mut leader = Program::ready(servers, &arguments).await;
    let both = [("10.2.0.1", true), ("10.2.0.2", true)];
    cluster.until_endpoints("web", &both).await;
    cluster.until_endpoints("db", &both).await;
    cluster.until_service("alias", true).await;
    let standby = Program::ready(servers, &arguments).await;
    standby.until_logged("standing by").await;
    until_idle(&leader, "to_k8s").await;
    let before = cluster.ours().await;

    leader.kill();
    consul.put("web", &["10.2.0.3"]).await;
    for address in ["10.2.0.1", "10.2.0.2"] {
        consul.remove("alias", address).await;
    }
    cluster.until_service("alias", false).await;
    let three = [both[0], both[1], ("10.2.0.3", true)];
    cluster.until_endpoints("web", &three).await;
    let leading = standby.metric_of("to_k8s", "consul_sync_leading").await;
    assert_eq!(leading.as_deref(), Some("1"));
    until_idle(&standby, "to_k8s").await;
    let after = cluster.ours().await;
    let unchanged = |(name, version): (&String, &String)| before.get(name) == Some(version);
    let changed: Vec<&String> = after
        .iter()
        .filter(|object| !unchanged(*object))
        .map(|(name, _)| name)
        .collect();
    assert!(
        changed.len() == 1 && changed[0].starts_with("slice web."),
        "{changed:?}"
    );
    assert_eq!(after.len(), before.len() - 1);
}

async fn a_program_that_is_asked_to_stop_hands_over(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (mut leader, standby) = two(servers, LONG).await;
    let asked = Instant::now();
    leader.signal(Signal::TERM);
    until_leading(&standby, TO_CONSUL, true).await;
    println!(
        "hand-over: {:?} from the signal to the next leader",
        asked.elapsed()
    );
    assert!(leader.ended().await.success(), "{}", leader.log());
    assert!(
        leader.log().contains("the lead is handed over"),
        "{}",
        leader.log()
    );
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
}

async fn fault_p07_a_program_that_was_stopped_for_long_writes_nothing_when_it_goes_on(
    servers: &Servers,
) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    // The two want different things, so that whoever believes to lead has something to write.
    let old = Program::ready(servers, &[&arguments(SHORT)[..], &["--tag=old"]].concat()).await;
    until(
        "the old leader's tag",
        async || tagged(&catalog, "old").await,
        |seen| seen.len() == 2,
    )
    .await;
    let new = Program::ready(servers, &[&arguments(SHORT)[..], &["--tag=new"]].concat()).await;
    new.until_logged("standing by").await;

    old.signal(Signal::STOP);
    until(
        "the new leader's tag",
        async || tagged(&catalog, "new").await,
        |seen| seen.len() == 2,
    )
    .await;
    world.scale("web", &["10.1.0.2", "10.1.0.3"]).await;
    catalog
        .until_addresses("web", &["10.1.0.2", "10.1.0.3"])
        .await;
    let before = tagged(&catalog, "new").await;

    old.signal(Signal::CONT);
    old.until_logged("the lead is lost").await;
    // It has seen everything and would put its tag back.
    until(
        "the old leader's work",
        async || old.metric("consul_sync_pending_slots").await,
        |pending| pending.as_deref() == Some("1"),
    )
    .await;
    assert_eq!(tagged(&catalog, "new").await, before);
    assert_eq!(
        old.metric("consul_sync_leading").await.as_deref(),
        Some("0")
    );
    until_leading(&new, TO_CONSUL, true).await;
}

async fn a_session_that_somebody_ends_is_replaced_and_writing_goes_on(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let leader = Program::ready(servers, &arguments(LONG)).await;
    until_leading(&leader, TO_CONSUL, true).await;
    let ended = session(servers).await.unwrap();
    servers
        .consul
        .put(&format!("/v1/session/destroy/{ended}"), &json!({}))
        .await
        .unwrap()
        .success()
        .unwrap();
    leader.until_logged("the lead is lost").await;
    until(
        "another session",
        async || session(servers).await,
        |seen| seen.as_ref().is_some_and(|seen| *seen != ended),
    )
    .await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
}

async fn purge_takes_the_lock(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1"]).await;
    let mut leader = Program::ready(servers, &arguments(LONG)).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    let purge = [&["purge", "--yes", "--timeout=5s"][..], &arguments(LONG)].concat();
    let refused = run(servers, &purge).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains(KEY) && refused.err.contains("standing by, process "),
        "{refused:?}"
    );
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);

    leader.signal(Signal::TERM);
    leader.ended().await;
    let purged = run(servers, &purge).await;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    assert!(catalog.instances().await.is_empty());
    assert_eq!(
        session(servers).await,
        None,
        "it hands over when it is done"
    );
}
