//! Seeded histories of processes that come, stop, go on and die, beside an API server that answers badly.

use std::time::Duration;

use consul_sync_k8s::{
    Verb,
    testing::{FakeCluster, Fault, On, WatchFault},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::replica::{Replica, TTL, pass, pass_until};

const REPLICAS: usize = 3;

/// Something that happens.
#[derive(Clone, Debug)]
enum Act {
    Stop(usize),
    GoOn(usize),
    /// Killed, and started anew.
    Kill(usize),
    /// Asked to stop, and started anew when it has.
    End(usize),
    Lay(Verb, u8),
    Lift,
    Watches(bool),
    Forget,
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let verb = prop::sample::select(vec![Verb::Get, Verb::Create, Verb::Update, Verb::Watch]);
    prop_oneof![
        2 => (0..REPLICAS).prop_map(Act::Stop),
        2 => (0..REPLICAS).prop_map(Act::GoOn),
        1 => (0..REPLICAS).prop_map(Act::Kill),
        1 => (0..REPLICAS).prop_map(Act::End),
        2 => (verb, 0_u8..5).prop_map(|(verb, fault)| Act::Lay(verb, fault)),
        2 => Just(Act::Lift),
        1 => any::<bool>().prop_map(Act::Watches),
        1 => Just(Act::Forget),
        8 => (1_u64..20_000).prop_map(Act::Pass),
    ]
}

/// Never two that are sure to lead, at no moment.
async fn pass_watched(replicas: &mut [Replica], time: Duration) {
    const STEP: Duration = Duration::from_millis(100);
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(STEP);
        pass(replicas, step).await;
        left -= step;
        let sure = replicas.iter().filter(|one| one.lease.is_held()).count();
        assert!(sure <= 1, "{sure} are sure to lead");
    }
}

async fn history(acts: Vec<Act>) {
    let cluster = FakeCluster::new();
    let mut names = 0;
    let mut fresh = || {
        names += 1;
        Replica::new(&cluster, &format!("r{names}"))
    };
    let mut replicas: Vec<Replica> = (0..REPLICAS).map(|_| fresh()).collect();
    let mut terms = Vec::new();
    for act in acts {
        match act {
            Act::Stop(at) => replicas[at].is_stopped = true,
            Act::GoOn(at) => replicas[at].is_stopped = false,
            Act::Kill(at) => replicas[at] = fresh(),
            Act::End(at) => {
                replicas[at].is_stopped = false;
                replicas[at].end();
                pass_watched(&mut replicas, Duration::from_secs(1)).await;
                replicas[at] = fresh();
            }
            Act::Lay(verb, fault) => {
                let fault = match fault {
                    0 => Fault::Hang,
                    1 => Fault::Disconnect,
                    2 => Fault::Cut { after: 0 },
                    3 => Fault::too_many_requests(Some(2)),
                    _ => Fault::status(500),
                };
                cluster.inject(On::new(verb, "leases"), fault);
            }
            Act::Lift => cluster.lift_all(),
            Act::Watches(close) => {
                let fault = if close {
                    WatchFault::Close
                } else {
                    WatchFault::Error(410)
                };
                cluster.disturb(None, fault);
            }
            Act::Forget => cluster.compact(),
            Act::Pass(milliseconds) => {
                pass_watched(&mut replicas, Duration::from_millis(milliseconds)).await;
            }
        }
        let leading = replicas.iter().filter(|one| one.lease.is_held());
        terms.extend(leading.filter_map(Replica::term).map(|term| term.number));
    }
    assert!(
        terms.is_sorted(),
        "a later lead has a greater number: {terms:?}"
    );
    cluster.lift_all();
    for replica in &mut replicas {
        replica.is_stopped = false;
    }
    pass_watched(&mut replicas, TTL * 3).await;
    pass_until(&mut replicas, "one leads", |all| {
        all.iter().filter(|one| one.leads()).count() == 1
    })
    .await;
}

#[test]
fn fault_p04_there_are_never_two_that_are_sure_to_lead_and_in_the_end_there_is_one() {
    let mut runner = TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(act(), 1..60), |acts| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(history(acts));
            Ok(())
        })
        .unwrap();
}
