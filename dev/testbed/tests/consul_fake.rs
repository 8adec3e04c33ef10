//! The in-process Consul is held against real ones.
//!
//! The same operations run on both, and after each of them every endpoint is read on both, plain
//! and blocking. Statuses, bodies and headers must be equal, with raft indexes replaced by the
//! step that made them: the numbers differ from server to server, which write moved which index
//! must not.
//!
//! `CONSUL_FAKE_SEQUENCES` sets how many random sequences of at least 200 operations run against each version, with
//! another seed each time; without it a few short ones run with a fixed one. With `--nocapture` a table shows what was
//! compared.

#[path = "consul_fake/cases.rs"]
mod cases;
#[path = "consul_fake/coverage.rs"]
mod coverage;
#[path = "consul_fake/locks.rs"]
mod locks;
#[path = "consul_fake/pair.rs"]
mod pair;
#[path = "consul_fake/random.rs"]
mod random;
#[path = "consul_fake/reads.rs"]
mod reads;
#[path = "consul_fake/requests.rs"]
mod requests;
#[path = "consul_fake/reset.rs"]
mod reset;
#[path = "consul_fake/rights.rs"]
mod rights;
#[path = "consul_fake/side.rs"]
mod side;
#[path = "consul_fake/step.rs"]
mod step;

use std::error::Error;

use consul_sync_consul::testing::{DefaultPolicy, FakeConsul, Right, Rules};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Program, Programs};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use cases::CASES;
use coverage::Coverage;
use pair::{Differences, Pair};
use random::Turn;
use side::Side;

type Tested = Result<(), Box<dyn Error>>;

const SEQUENCES: &str = "CONSUL_FAKE_SEQUENCES";
/// Names under which rights are tried; the rules name them.
const PREFIX: &str = "acl-";
const SEQUENCES_AT_LEAST: u32 = 6;

fn is_there(version: ConsulVersion) -> bool {
    Programs::locate().all_or_skip(&[Program::Consul(version)])
}

/// The patch version that the testbed builds.
fn full(version: ConsulVersion) -> &'static str {
    match version {
        ConsulVersion::V1_21 => "1.21.0",
        _ => "1.22.2",
    }
}

async fn servers(version: ConsulVersion) -> Result<(Consul, FakeConsul, Pair), Box<dyn Error>> {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    // Sessions may be as short as a test can wait for.
    settings.config = serde_json::json!({ "session_ttl_min": "1s" });
    let real = Consul::start_with(settings).await?;
    let fake = FakeConsul::builder()
        .version(full(version))
        .session_ttl_min(std::time::Duration::from_secs(1))
        .start()
        .await?;
    let real_side = Side::new(real.url(), None, real.node());
    real_side.settle().await;
    let pair = Pair::new(real_side, Side::new(&fake.url(), None, fake.agent_node()));
    Ok((real, fake, pair))
}

// ---- what was once different, and the rules that matter ----

async fn named_cases(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let (_real, _fake, mut pair) = servers(version).await?;
    let mut failed = Vec::new();
    for (name, steps) in CASES {
        if let Err(differences) = pair.run(&steps()).await {
            failed.push(format!("{name}: {differences}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[tokio::test]
async fn named_cases_agree_with_1_21() -> Tested {
    named_cases(ConsulVersion::V1_21).await
}

#[tokio::test]
async fn named_cases_agree_with_1_22() -> Tested {
    named_cases(ConsulVersion::V1_22).await
}

// ---- random sequences ----

/// What a run of random sequences has to have compared: each operation with each of these outcomes.
fn missing(coverage: &Coverage) -> Vec<String> {
    let mut wanted: Vec<(String, &str)> = Vec::new();
    for kind in ["node", "service", "check"] {
        for verb in ["get", "set", "cas", "delete", "delete-cas"] {
            wanted
                .extend(["200", "409 with others"].map(|how| (format!("txn {kind} {verb}"), how)));
        }
    }
    for (operation, how) in [
        ("txn node cas", "409 failed to set"),
        ("txn node delete-cas", "409 failed to delete"),
        ("txn service cas", "409 failed to set"),
        ("txn service cas", "409 Missing node registration"),
        ("txn service cas", "409 Invalid Service Meta"),
        ("txn service delete-cas", "409 failed to delete"),
        ("txn check set", "409 Missing service registration"),
        ("txn check cas", "409 failed to set"),
        ("txn check delete-cas", "409 failed to delete"),
        ("PUT /v1/txn", "400"),
        ("PUT /v1/txn", "413"),
        ("PUT /v1/catalog/register", "200"),
        ("PUT /v1/catalog/register", "500"),
        ("PUT /v1/catalog/deregister", "200"),
        ("GET /v1/catalog/node-services/*", "200"),
        ("GET /v1/catalog/node-services/*", "400"),
        ("GET /v1/catalog/node-services/*", "500"),
        ("GET /v1/catalog/node-services/* held", "200"),
        ("GET /v1/catalog/node-services/* held", "400"),
        ("GET /v1/health/node/*", "200"),
        ("GET /v1/health/node/* held", "200"),
        ("GET /v1/health/service/*", "200"),
        ("GET /v1/agent/self", "200"),
        ("GET /v1/status/leader", "200"),
        ("GET /v1/acl/token/self", "401"),
    ] {
        wanted.push((operation.to_owned(), how));
    }
    wanted.retain(|(operation, how)| coverage.times(operation, how) == 0);
    wanted
        .into_iter()
        .map(|(operation, how)| format!("{operation}: {how}"))
        .collect()
}

/// The turns of a failed sequence without those that it fails without, as far as a number of runs shows.
fn reduced(turns: Vec<Turn>, mut fails: impl FnMut(&[Turn]) -> Option<usize>) -> Vec<Turn> {
    let mut kept = turns;
    let mut runs = 60;
    let mut size = kept.len() / 2;
    while size > 0 && runs > 0 {
        let mut at = 0;
        while at < kept.len() && runs > 0 {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + size).min(kept.len()));
            runs -= 1;
            match fails(&fewer) {
                Some(end) => {
                    fewer.truncate(end);
                    kept = fewer;
                }
                None => at += size,
            }
        }
        size /= 2;
    }
    kept
}

/// Long sequences are deep values where optimisation is off.
const STACK: usize = 64 * 1024 * 1024;

fn random_sequences(version: ConsulVersion) -> Tested {
    let runs = move || random_sequences_here(version).map_err(|error| error.to_string());
    let thread = std::thread::Builder::new()
        .name("sequences".to_owned())
        .stack_size(STACK);
    let outcome = thread.spawn(runs)?.join();
    Ok(outcome.map_err(|_| "the sequences panicked")??)
}

fn random_sequences_here(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let asked = std::env::var(SEQUENCES)
        .ok()
        .and_then(|text| text.parse().ok());
    let mut runner = if asked.is_some() {
        TestRunner::new(Config::default())
    } else {
        let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(Config::default(), seed)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (_real, _fake, mut pair) = runtime.block_on(servers(version))?;
    let Some(asked) = asked else {
        for at in 1..=SEQUENCES_AT_LEAST {
            let made = random::short().new_tree(&mut runner);
            let steps = made.map_err(|why| why.to_string())?.current();
            if let Err(differences) = runtime.block_on(pair.run(&steps)) {
                return Err(format!("sequence {at}: {differences}after {steps:#?}").into());
            }
        }
        return Ok(());
    };
    for at in 1..=asked {
        let made = random::sequence().new_tree(&mut runner);
        let mut turns = made.map_err(|why| why.to_string())?.current();
        if let Err((end, differences)) = runtime.block_on(pair.run_long(&turns)) {
            turns.truncate(end);
            let mut last = Differences::default();
            let turns = reduced(turns, |turns| {
                let (end, differences) = runtime.block_on(pair.run_long(turns)).err()?;
                last = differences;
                Some(end)
            });
            let steps: Vec<_> = turns.into_iter().map(|turn| turn.step).collect();
            return Err(format!(
                "sequence {at}: {differences}and {last}after these steps alone: {steps:#?}"
            )
            .into());
        }
    }
    println!("compared with {version}:\n{}", pair.coverage);
    let missing = missing(&pair.coverage);
    assert!(missing.is_empty(), "never compared: {missing:#?}");
    Ok(())
}

#[test]
fn random_sequences_agree_with_1_21() -> Tested {
    random_sequences(ConsulVersion::V1_21)
}

#[test]
fn random_sequences_agree_with_1_22() -> Tested {
    random_sequences(ConsulVersion::V1_22)
}

// ---- a catalog that goes back, and one that is lost ----

#[tokio::test]
async fn a_restored_snapshot_agrees_with_1_21() -> Tested {
    reset::restored(ConsulVersion::V1_21).await
}

#[tokio::test]
async fn a_restored_snapshot_agrees_with_1_22() -> Tested {
    reset::restored(ConsulVersion::V1_22).await
}

#[tokio::test]
async fn a_restart_without_data_agrees_with_1_21() -> Tested {
    reset::restarted(ConsulVersion::V1_21).await
}

#[tokio::test]
async fn a_restart_without_data_agrees_with_1_22() -> Tested {
    reset::restarted(ConsulVersion::V1_22).await
}

// ---- rights ----

/// Rules as Consul's policies and as the fake's, for the same rights.
fn roles() -> Vec<(&'static str, String, Rules)> {
    use Right::{Deny, Read, Write};
    let node = |name: &str, right: &str| format!("node \"{name}\" {{ policy = \"{right}\" }}\n");
    let nodes = |right: &str| format!("node_prefix \"\" {{ policy = \"{right}\" }}\n");
    let services = |prefix: &str, right: &str| {
        format!("service_prefix \"{prefix}\" {{ policy = \"{right}\" }}\n")
    };
    vec![
        (
            "sync",
            node("acl-n1", "write") + &nodes("read") + &services("", "write"),
            Rules::sync("acl-n1"),
        ),
        ("none", String::new(), Rules::new()),
        ("nodes", nodes("read"), Rules::new().node_prefix("", Read)),
        (
            "services",
            services("", "read"),
            Rules::new().service_prefix("", Read),
        ),
        (
            "part",
            nodes("read") + &services("", "read") + &services("acl-w", "deny"),
            Rules::new()
                .node_prefix("", Read)
                .service_prefix("", Read)
                .service_prefix("acl-w", Deny),
        ),
        (
            "writer",
            services("", "write"),
            Rules::new().service_prefix("", Write),
        ),
        (
            "agents",
            "agent_prefix \"\" { policy = \"read\" }\n".to_owned(),
            Rules::new().agents(Read),
        ),
        (
            "locks",
            "key \"acl-lock\" { policy = \"write\" }\nkey_prefix \"acl-\" { policy = \"read\" }\nsession \"acl-n1\" { policy = \"write\" }\n"
                .to_owned(),
            Rules::new()
                .key("acl-lock", Right::Write)
                .key_prefix("acl-", Read)
                .session("acl-n1", Right::Write),
        ),
    ]
}

async fn every_right(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.acls = true;
    let real = Consul::start_with(settings).await?;
    let fake = FakeConsul::builder()
        .version(full(version))
        .acl(DefaultPolicy::Deny)
        .start()
        .await?;
    let sides = |real_token: Option<&str>, fake_token: Option<&str>| {
        Pair::new(
            Side::new(real.url(), real_token, real.node()),
            Side::new(&fake.url(), fake_token, fake.agent_node()),
        )
        .without_views()
    };
    fake.put_token("management", Rules::management());
    Side::new(real.url(), real.management_token(), real.node())
        .settle()
        .await;
    let mut management = sides(real.management_token(), Some("management"));
    management.run_as(PREFIX, &cases::world()).await?;
    let mut failed = Vec::new();
    for (name, policy, rules) in roles() {
        let secret = real.token(&policy).await?;
        fake.put_token(name, rules);
        for steps in [rights::reads(), rights::writes(), locks::rights()] {
            let mut pair = sides(Some(&secret), Some(name));
            if let Err(differences) = pair.run_as(PREFIX, &steps).await {
                failed.push(format!("{name}: {differences}"));
            }
        }
    }
    for token in [None, Some("00000000-0000-4000-8000-00000000dead")] {
        for steps in [rights::reads(), rights::writes(), locks::rights()] {
            let mut pair = sides(token, token);
            if let Err(differences) = pair.run_as(PREFIX, &steps).await {
                failed.push(format!("{token:?}: {differences}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[tokio::test]
async fn rights_agree_with_1_21() -> Tested {
    every_right(ConsulVersion::V1_21).await
}

#[tokio::test]
async fn rights_agree_with_1_22() -> Tested {
    every_right(ConsulVersion::V1_22).await
}
