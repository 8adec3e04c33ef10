//! The election by a Lease, on a cluster in memory and a clock that only waiting moves.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code outside a test function"
)]

#[path = "lease/history.rs"]
mod history;
#[path = "lease/replica.rs"]
mod replica;

use std::time::Duration;

use consul_sync_core::{ElectionState, ErrorKind};
use consul_sync_k8s::{
    Rights, Verb,
    testing::{FakeCluster, Fault, On, WatchFault},
};
use serde_json::{Value, json};

use replica::{LEASE, NAMESPACE, Replica, TTL, pass, pass_until};

/// The Lease as it stands.
fn lease(cluster: &FakeCluster) -> Value {
    cluster.get("leases", NAMESPACE, LEASE).unwrap()
}

fn change(cluster: &FakeCluster, change: &Value) {
    cluster.merge("leases", NAMESPACE, LEASE, change).unwrap();
}

/// The first leads, the second knows that.
async fn two(cluster: &FakeCluster) -> [Replica; 2] {
    let mut both = [Replica::new(cluster, "a"), Replica::new(cluster, "b")];
    pass_until(&mut both[..1], "a leads", |all| all[0].leads()).await;
    pass_until(&mut both, "b stands by", |all| {
        matches!(
            all[1].state(),
            ElectionState::StandingBy {
                holder: Some(_),
                ..
            }
        )
    })
    .await;
    both
}

#[tokio::test(start_paused = true)]
async fn the_second_stands_by_and_says_who_leads_for_as_long_as_the_first_renews() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    let state = both[1].state().to_string();
    assert!(
        state.starts_with("standing by, process a on pod since "),
        "{state}"
    );
    let (version, updates) = (cluster.revision(), cluster.count(Verb::Update, "leases"));
    pass(&mut both, TTL * 20).await;
    assert!(both[0].leads() && !both[1].leads());
    assert_eq!(lease(&cluster)["spec"]["leaseTransitions"], 1);
    assert!(cluster.revision() > version, "each renewal is seen");
    assert_eq!(cluster.count(Verb::Create, "leases"), 1);
    assert_eq!(
        cluster.count(Verb::Update, "leases") - updates,
        60,
        "three renewals in each time, and nobody else writes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_names_nobody_and_the_standby_sees_it_at_once() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    let gets = cluster.count(Verb::Get, "leases");
    both[0].end();
    // Not a moment passes on this clock but what the requests take, which is none.
    let asked = tokio::time::Instant::now();
    pass_until(&mut both, "b leads", |all| all[1].leads()).await;
    assert!(
        asked.elapsed() < TTL / 3,
        "nobody waited for a lease to expire"
    );
    assert_eq!(both[0].state(), ElectionState::Idle);
    assert_eq!(both[1].term().unwrap().number, 2);
    assert_eq!(
        cluster.count(Verb::Get, "leases") - gets,
        1,
        "the standby was told by its watch"
    );
    both[1].end();
    pass_until(&mut both, "nobody", |all| {
        all[1].state() == ElectionState::Idle
    })
    .await;
    assert_eq!(lease(&cluster)["spec"]["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_dropped_leads_no_more_at_once_and_hands_nothing_over() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    let held = lease(&cluster);
    both[0].kill();
    assert!(!both[0].leads() && !both[0].lease.is_held());
    assert_eq!(
        (both[0].term(), both[0].state()),
        (None, ElectionState::Idle)
    );
    pass(&mut both, TTL / 2).await;
    assert!(!both[1].leads());
    assert_eq!(lease(&cluster), held);
}

#[tokio::test(start_paused = true)]
async fn fault_p06_the_lease_of_a_dead_leader_is_taken_when_it_did_not_change_for_its_time() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    both[0].kill();
    pass(&mut both, TTL / 2).await;
    assert!(!both[1].leads(), "it may be alive");
    pass_until(&mut both, "b leads", |all| all[1].leads()).await;
    let term = both[1].term().unwrap();
    assert_eq!(term.number, 2);
    assert_eq!(
        *term.lease,
        *lease(&cluster)["metadata"]["uid"].as_str().unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn fault_p08_no_time_that_a_lease_says_is_held_against_a_clock() {
    for (first, then) in [("2099", "2098"), ("1999", "2000")] {
        let cluster = FakeCluster::new();
        let time = |year: &str| format!("{year}-01-01T00:00:00.000000Z");
        cluster.put(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": NAMESPACE, "name": LEASE},
            "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": time(first)},
        }));
        let mut only = [Replica::new(&cluster, "a")];
        // For as long as it changes somebody is alive, whatever it says.
        for step in 0..10 {
            pass(&mut only, Duration::from_secs(10)).await;
            assert!(!only[0].leads(), "{first}");
            let year = if step % 2 == 0 { then } else { first };
            change(&cluster, &json!({"spec": {"renewTime": time(year)}}));
        }
        pass(&mut only, Duration::from_secs(14)).await;
        assert!(!only[0].leads(), "{first}");
        pass(&mut only, Duration::from_secs(2)).await;
        assert!(only[0].leads(), "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_gives_up_before_anybody_takes_the_lease() {
    for fault in [Fault::Hang, Fault::Disconnect, Fault::status(500)] {
        let cluster = FakeCluster::new();
        let mut both = two(&cluster).await;
        cluster.inject(On::new(Verb::Update, "leases"), fault.clone());
        pass_until(&mut both, "a gives up", |all| !all[0].leads()).await;
        assert!(!both[0].lease.is_held() && !both[1].leads(), "{fault:?}");
        cluster.lift_all();
        pass_until(&mut both, "somebody leads", |all| {
            all.iter().any(Replica::leads)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_p07_a_leader_that_was_stopped_for_long_knows_it_before_anything_else_runs() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    both[0].is_stopped = true;
    assert!(both[0].lease.is_held());
    pass_until(&mut both, "b leads", |all| all[1].leads()).await;
    assert!(
        both[0].leads(),
        "its gate is open, as nobody told it anything"
    );
    assert!(!both[0].lease.is_held(), "and yet it is not sure to lead");
    both[0].is_stopped = false;
    pass_until(&mut both, "a stands by", |all| !all[0].leads()).await;
    pass(&mut both, TTL * 3).await;
    assert!(both[1].leads() && !both[0].leads());
    assert_eq!(lease(&cluster)["spec"]["holderIdentity"], "pod_b");
}

#[tokio::test(start_paused = true)]
async fn what_others_change_of_the_lease_stays_and_costs_no_lead() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    change(&cluster, &json!({"metadata": {"labels": {"team": "x"}}}));
    let mut gate = both[0].lease.gate();
    gate.mark_unchanged();
    pass(&mut both, TTL * 3).await;
    assert!(both[0].leads() && !gate.has_changed().unwrap());
    assert_eq!(lease(&cluster)["metadata"]["labels"]["team"], "x");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_to_another_or_deleted_ends_the_lead() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    change(&cluster, &json!({"spec": {"holderIdentity": "somebody"}}));
    pass_until(&mut both, "a gives up", |all| !all[0].leads()).await;
    let first = both[0].lease.term().borrow().clone();
    assert_eq!(first, None);
    pass_until(&mut both, "somebody leads", |all| {
        all.iter().any(Replica::leads)
    })
    .await;

    let leader = usize::from(both[1].leads());
    let before = both[leader].term().unwrap();
    cluster.delete("leases", NAMESPACE, LEASE);
    // The standby sees it first, and makes a new one.
    pass_until(&mut both, "the other one leads", |all| {
        all[1 - leader].leads()
    })
    .await;
    pass_until(&mut both, "one leads", |all| !all[leader].leads()).await;
    let after = both[1 - leader].term().unwrap();
    assert_ne!(after.lease, before.lease, "another authority");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_off_or_is_forgotten_is_begun_again() {
    let cluster = FakeCluster::new();
    let mut both = two(&cluster).await;
    for fault in [WatchFault::Close, WatchFault::Error(410)] {
        let state = both[1].state();
        cluster.disturb(Some("leases"), fault.clone());
        pass(&mut both, TTL).await;
        assert_eq!(both[1].state(), state, "{fault:?}");
    }
    // One that lets nothing through: what was not seen to change is tried, and found to have changed.
    cluster.inject(On::watch("leases"), Fault::Hang);
    pass(&mut both, TTL * 5).await;
    assert!(both[0].leads() && !both[1].leads());
    both[0].kill();
    pass_until(&mut both, "b leads", |all| all[1].leads()).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_the_taking_is_found_out_and_a_stop_meanwhile_leaves_the_lease_free() {
    let cluster = FakeCluster::new();
    let fault = Fault::Cut { after: 0 };
    cluster.inject(On::new(Verb::Create, "leases").times(1), fault.clone());
    let mut both = [Replica::new(&cluster, "a"), Replica::new(&cluster, "b")];
    pass_until(&mut both[..1], "a leads", |all| all[0].leads()).await;
    assert_eq!(both[0].term().unwrap().number, 1);
    both[0].end();
    pass_until(&mut both[..1], "a is gone", |all| {
        all[0].state() == ElectionState::Idle
    })
    .await;
    // It stops before it could find out that it has the Lease.
    cluster.inject(On::new(Verb::Update, "leases").times(1), fault);
    pass(&mut both[1..], Duration::from_millis(1)).await;
    assert_eq!(lease(&cluster)["spec"]["holderIdentity"], "pod_b");
    assert!(!both[1].leads());
    both[1].end();
    pass_until(&mut both, "b is gone", |all| {
        all[1].state() == ElectionState::Idle
    })
    .await;
    assert_eq!(lease(&cluster)["spec"]["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_trouble_until_it_is_given_and_the_named_ones_are_enough() {
    let cluster = FakeCluster::new();
    cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
    cluster.grant_only(&Rights::to_elect(NAMESPACE, &[LEASE]));
    for verb in [Verb::Get, Verb::Create] {
        cluster.deny(verb, "leases");
        let mut only = [Replica::new(&cluster, "a")];
        pass_until(&mut only, "the trouble", |all| {
            let trouble = Some(ErrorKind::Unauthorized);
            all[0].state()
                == ElectionState::StandingBy {
                    holder: None,
                    trouble,
                }
        })
        .await;
        cluster.allow(verb, "leases");
        pass_until(&mut only, "a leads", |all| all[0].leads()).await;
        only[0].kill();
        cluster.delete("leases", NAMESPACE, LEASE);
    }
    let mut both = two(&cluster).await;
    both[0].end();
    pass_until(&mut both, "b leads", |all| all[1].leads()).await;
    pass(&mut both, TTL * 2).await;
    assert!(both[1].leads());
}
