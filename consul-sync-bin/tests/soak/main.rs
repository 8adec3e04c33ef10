//! Real servers, real faults: the program between an API server and Consul while both are killed, hung, cut off and
//! robbed of their memory at random moments.
//!
//! Consul is asked all the time, past the program, and every answer is judged: what is wanted and live is never absent,
//! what is not ours never changes, nothing is there twice. When the fault is over the catalog must come to equal the
//! cluster, `plan` must have nothing to do, and nothing may be written any more.
//!
//! Each trial is drawn from a seed. `make soak` runs as many as asked.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own helpers fail where they are"
)]

mod expectation;
mod imports;
mod kind;
#[path = "../support/objects.rs"]
mod objects;
mod observer;
#[path = "../support/program.rs"]
#[allow(dead_code, reason = "the other tests with the program use the rest")]
mod program;
mod report;
mod stage;
mod trial;
#[path = "../support/until.rs"]
mod until;
mod world;

use kind::Kind;
use stage::Stage;

/// Trials of each kind, and the first seed.
const TRIALS: (&str, u64) = ("SOAK_TRIALS", 20);
const SEED: (&str, u64) = ("SOAK_SEED", 1);

macro_rules! kinds {
    ($($name:ident: $kind:ident)+) => {
        $(#[tokio::test]
        async fn $name() {
            trials(Kind::$kind).await;
        })+

        #[test]
        fn a_kind_is_called_like_its_test() {
            $(assert_eq!(Kind::$kind.to_string(), stringify!($name));)+
        }
    };
}

kinds! {
    consul_killed: ConsulKilled
    consul_paused: ConsulPaused
    consul_wiped: ConsulWiped
    consul_restored: ConsulRestored
    api_server_killed_and_compacted: ApiServerCompacted
    etcd_killed: EtcdKilled
    api_server_paused: ApiServerPaused
    program_killed: ProgramKilled
    program_paused: ProgramPaused
    both_away: BothAway
    token_revoked: TokenRevoked
    consul_link: ConsulLink
    api_server_link: ApiServerLink
}

async fn trials(kind: Kind) {
    let (trials, first) = (number(TRIALS), number(SEED));
    let Some(stage) = Stage::take().await else {
        return;
    };
    let mut outcomes = vec![];
    for seed in first..first + trials {
        outcomes.push(trial::play(kind, seed, &stage).await);
    }
    report::print(kind, &outcomes);
    stage.give_back();
}

/// A variable's value, or what it is without one.
fn number((name, default): (&str, u64)) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
        _ => default,
    }
}
