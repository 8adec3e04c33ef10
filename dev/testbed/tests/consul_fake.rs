//! The in-process Consul is held against real ones.
//!
//! The same operations run on both, and after each of them every endpoint is read on both, plain
//! and blocking. Statuses, bodies and headers must be equal, with raft indexes replaced by the
//! step that made them: the numbers differ from server to server, which write moved which index
//! must not.
//!
//! `CONSUL_FAKE_SEQUENCES` sets how many random sequences of at least 200 operations run against each version. The first
//! is of seed 0, or of `CONSUL_FAKE_SEED`, and the next ones follow; a failure names its seed. With `--nocapture` the
//! first difference is shown when it is found, before the sequence is made small, and a table of what was compared.

#[path = "consul_fake/cases.rs"]
mod cases;
#[path = "consul_fake/coverage.rs"]
mod coverage;
#[path = "support/difference.rs"]
mod difference;
#[path = "consul_fake/held.rs"]
mod held;
#[path = "consul_fake/locks.rs"]
mod locks;
#[path = "consul_fake/look.rs"]
mod look;
#[path = "consul_fake/normal.rs"]
mod normal;
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
#[path = "consul_fake/sequences.rs"]
mod sequences;
#[path = "consul_fake/side.rs"]
mod side;
#[path = "consul_fake/step.rs"]
mod step;

use std::error::Error;

use consul_sync_consul::testing::{DefaultPolicy, FakeConsul, Right, Rules};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Program, Programs};

use cases::CASES;
use pair::Pair;
use side::Side;

type Tested = Result<(), Box<dyn Error>>;

/// Names under which rights are tried; the rules name them.
const PREFIX: &str = "acl-";

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

#[test]
fn random_sequences_agree_with_1_21() -> Tested {
    sequences::agree(ConsulVersion::V1_21)
}

#[test]
fn random_sequences_agree_with_1_22() -> Tested {
    sequences::agree(ConsulVersion::V1_22)
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

// ---- queries that are held ----

#[tokio::test]
async fn held_queries_agree_with_1_21() -> Tested {
    held::queries(ConsulVersion::V1_21).await
}

#[tokio::test]
async fn held_queries_agree_with_1_22() -> Tested {
    held::queries(ConsulVersion::V1_22).await
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
