//! Several programs of one installation: the one that the Lease names writes, and no write of a former one lands.
//!
//! How long a change of the lead takes is printed and not asserted; leases are short, so that it is seconds.

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    both::BOTH,
    catalog::Catalog,
    import::until_idle,
    lead::{self, BOTH_WAYS, until_leading},
    program::{Program, run},
    registered::{Cluster, Registered},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    fault_p06_the_lease_of_a_program_that_was_killed_is_taken
    fault_p07_no_write_of_a_program_that_was_stopped_past_its_lease_lands
    a_program_that_is_asked_to_stop_gives_its_lease_up_before_it_ends
    a_program_with_a_lock_alone_is_waited_for
    purge_takes_the_lease
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const ELECTION: [&str; 3] = [
    "--owner=cluster-a",
    "--leader-election=lease",
    "--leader-election-namespace=default",
];
/// How long a lease outlives who held it.
const SHORT: &str = "--leader-election-ttl=3s";
/// Nothing but a hand-over ends such a lease within a test.
const LONG: &str = "--leader-election-ttl=10m";

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&ELECTION[..], &BOTH, more].concat()
}

/// One that leads, and then one that is ready and does not.
async fn two(servers: &Servers, ttl: &str) -> (Program, Program) {
    lead::two(servers, &arguments(&[ttl]), BOTH_WAYS).await
}

/// The leases of both directions, as they stand.
async fn leases(servers: &Servers) -> [Value; 2] {
    let get = async |name: &str| {
        let answer = servers.kubernetes.get(&format!("{LEASES}/{name}")).await;
        answer.unwrap().success().unwrap().json().unwrap()
    };
    [get("consul-sync").await, get("consul-sync-to-k8s").await]
}

async fn writes_both_ways(servers: &Servers, name: &str, pod: &str, instance: &str) {
    let theirs = format!("{name}-db");
    World(&servers.kubernetes).web(name, &[pod]).await;
    Registered(&servers.consul).put(&theirs, &[instance]).await;
    Catalog(&servers.consul).until_addresses(name, &[pod]).await;
    Cluster(&servers.kubernetes)
        .until_endpoints(&theirs, &[(instance, true)])
        .await;
}

async fn fault_p06_the_lease_of_a_program_that_was_killed_is_taken(servers: &Servers) {
    let (mut leader, standby) = two(servers, SHORT).await;
    writes_both_ways(servers, "web", "10.1.0.1", "10.2.0.1").await;
    let killed = Instant::now();
    leader.kill();
    until_leading(&standby, BOTH_WAYS, true).await;
    println!("takeover with a lease of 3 s: {:?}", killed.elapsed());
    writes_both_ways(servers, "late", "10.1.0.2", "10.2.0.2").await;
    for lease in leases(servers).await {
        assert_eq!(lease["spec"]["leaseTransitions"], 2, "{lease}");
    }
}

async fn a_program_that_is_asked_to_stop_gives_its_lease_up_before_it_ends(servers: &Servers) {
    let (mut leader, standby) = two(servers, LONG).await;
    let before = leases(servers).await;
    let asked = Instant::now();
    leader.signal(Signal::TERM);
    until_leading(&standby, BOTH_WAYS, true).await;
    println!("hand-over: {:?} to the next leader", asked.elapsed());
    assert!(leader.ended().await.success(), "{}", leader.log());
    let log = leader.log();
    let order = [
        "to_consul: the lead is handed over\n",
        "to_consul: the lead is handed over lease=\"default/consul-sync\"",
        " stopped\n",
    ];
    let places: Vec<Option<usize>> = order.iter().map(|text| log.find(text)).collect();
    assert!(
        places.is_sorted() && places.iter().all(Option::is_some),
        "{places:?} in {log}"
    );
    for (before, after) in before.iter().zip(leases(servers).await) {
        assert_ne!(
            before["spec"]["holderIdentity"],
            after["spec"]["holderIdentity"]
        );
        assert_eq!(after["spec"]["leaseTransitions"], 2, "{after}");
    }
    writes_both_ways(servers, "web", "10.1.0.1", "10.2.0.1").await;
}

async fn fault_p07_no_write_of_a_program_that_was_stopped_past_its_lease_lands(servers: &Servers) {
    let (catalog, cluster) = (Catalog(&servers.consul), Cluster(&servers.kubernetes));
    // The two want different things in both places, so that whoever believes to lead has something to write.
    let old = ["--tag=old", "--k8s-service-prefix=old-", SHORT];
    let new = ["--tag=new", "--k8s-service-prefix=new-", SHORT];
    let old = Program::ready(servers, &arguments(&old)).await;
    until_leading(&old, BOTH_WAYS, true).await;
    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    Registered(&servers.consul).put("db", &["10.2.0.1"]).await;
    cluster
        .until_endpoints("old-db", &[("10.2.0.1", true)])
        .await;
    let tags = async || -> Vec<Value> {
        let instances = catalog.instances().await.into_values();
        instances
            .map(|instance| instance["Tags"][0].clone())
            .collect()
    };
    until("the old tag", &tags, |seen| seen == &["old"]).await;
    let new = Program::ready(servers, &arguments(&new)).await;
    new.until_logged("standing by").await;

    old.signal(Signal::STOP);
    until("the new tag", &tags, |seen| seen == &["new"]).await;
    cluster
        .until_endpoints("new-db", &[("10.2.0.1", true)])
        .await;
    cluster.until_service("old-db", false).await;
    World(&servers.kubernetes).web("late", &["10.1.0.2"]).await;
    catalog.until_addresses("late", &["10.1.0.2"]).await;
    Registered(&servers.consul)
        .put("late-db", &["10.2.0.2"])
        .await;
    cluster
        .until_endpoints("new-late-db", &[("10.2.0.2", true)])
        .await;
    for direction in BOTH_WAYS {
        until_idle(&new, direction).await;
    }
    let before = (catalog.write_index().await, cluster.ours().await);

    old.signal(Signal::CONT);
    until_leading(&old, BOTH_WAYS, false).await;
    // It has seen everything and would write it otherwise.
    for direction in BOTH_WAYS {
        until(
            "the old leader's work",
            async || old.metric_of(direction, "consul_sync_pending_slots").await,
            |pending| pending.as_deref().is_some_and(|pending| pending != "0"),
        )
        .await;
    }
    assert_eq!((catalog.write_index().await, cluster.ours().await), before);
    until_leading(&new, BOTH_WAYS, true).await;
}

async fn a_program_with_a_lock_alone_is_waited_for(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let lock = ["--owner=cluster-a", "--leader-election=consul", LONG];
    let mut former = Program::ready(servers, &lock).await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    // It has the Lease and not the lock, which nobody gave up.
    let next = Program::ready(servers, &[&ELECTION[..], &[LONG, "--tag=next"]].concat()).await;
    next.until_logged("standing by: another process leads")
        .await;
    let log = next.log();
    assert!(
        log.contains("leading lease=\"default/consul-sync\""),
        "{log}"
    );
    assert_eq!(
        next.metric("consul_sync_leading").await.as_deref(),
        Some("0")
    );
    assert_eq!(
        former.metric("consul_sync_leading").await.as_deref(),
        Some("1")
    );
    former.signal(Signal::TERM);
    assert!(former.ended().await.success());
    until(
        "the next one's tag",
        async || catalog.instances().await.into_values().next(),
        |seen| seen.as_ref().is_some_and(|one| one["Tags"][0] == "next"),
    )
    .await;
}

async fn purge_takes_the_lease(servers: &Servers) {
    let catalog = Catalog(&servers.consul);
    let mut leader = Program::ready(servers, &arguments(&[LONG])).await;
    writes_both_ways(servers, "web", "10.1.0.1", "10.2.0.1").await;
    let purge = [
        &["purge", "--yes", "--timeout=5s"],
        &ELECTION[..],
        &["--to-k8s", LONG],
    ]
    .concat();
    let refused = run(servers, &purge).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("the lease default/consul-sync")
            && refused.err.contains("standing by, process "),
        "{refused:?}"
    );
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);

    leader.signal(Signal::TERM);
    leader.ended().await;
    let purged = run(servers, &purge).await;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    assert!(catalog.instances().await.is_empty());
    for lease in leases(servers).await {
        assert_eq!(
            lease["spec"]["holderIdentity"], "",
            "it hands over when it is done"
        );
    }
}
