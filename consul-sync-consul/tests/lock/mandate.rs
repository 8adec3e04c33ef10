//! Processes that were elected elsewhere, and what the lock makes of it.

use consul_sync_consul::testing::Endpoint;
use consul_sync_core::{ElectionState, Outcome, Sink};

use crate::{
    fencing::creates,
    replica::{NODE, Replica, consul, one_writer},
};

#[tokio::test]
async fn fault_p04_a_later_mandate_takes_the_lock_and_consul_refuses_the_former_leader() {
    let consul = consul().await;
    let old = Replica::mandated(&consul.url(), "old", "lease", 1);
    old.until_leading().await;
    old.stop();
    // Its session lives for minutes, and nobody waits for that.
    let new = Replica::mandated(&consul.url(), "new", "lease", 2);
    new.until_leading().await;
    assert!(new.holds(&consul));
    assert!(
        old.is_open() && old.lock.fence().is_open(),
        "it believes that it leads, by its own clock, too"
    );
    let sent = consul.requests(Endpoint::Txn);
    let outcomes = old.sink.apply(&creates(&old.sink, "web", 3)).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Skipped; 3]);
    assert_eq!(
        consul.requests(Endpoint::Txn),
        sent + 1,
        "consul refused it"
    );
    assert!(consul.instances(NODE).is_empty());
    assert!(!old.is_open(), "the refusal shuts the gate");

    old.go_on();
    let state = old.until_standing_by().await;
    assert!(state.to_string().contains("process new"), "{state}");
    assert!(new.is_open() && new.holds(&consul));
    one_writer(&consul.applied());
}

#[tokio::test]
async fn fault_o02_the_lock_is_not_taken_from_whoever_was_elected_elsewhere_or_later_or_by_nobody()
{
    for (holder, challenger) in [
        (Some(("lease-1", 1)), ("lease-2", 2)),
        (Some(("lease-1", 2)), ("lease-1", 1)),
        (Some(("lease-1", 2)), ("lease-1", 2)),
        (None, ("lease-1", 1)),
    ] {
        let consul = consul().await;
        let first = match holder {
            Some((authority, term)) => Replica::mandated(&consul.url(), "first", authority, term),
            None => Replica::with(&consul.url(), "first", false, |settings| {
                settings.ttl = std::time::Duration::from_secs(600);
            }),
        };
        first.until_leading().await;
        let second = Replica::mandated(&consul.url(), "second", challenger.0, challenger.1);
        let state = second.until_standing_by().await;
        assert!(state.to_string().contains("process first"), "{state}");
        assert!(first.holds(&consul) && first.is_open() && !second.is_open());
    }
}

#[tokio::test]
async fn a_session_that_a_process_lost_sight_of_is_no_other_holder() {
    let consul = consul().await;
    let lost = Replica::mandated(&consul.url(), "one", "lease", 1);
    lost.until_leading().await;
    drop(lost);
    let again = Replica::mandated(&consul.url(), "one", "lease", 1);
    again.until_leading().await;
    assert!(again.holds(&consul));
    again
        .until(|state| matches!(state, ElectionState::Leading))
        .await;
}
