//! Runs of random sequences, several side by side.
//!
//! Every write moves indexes that all of a server's sequences see, so each runner has servers of its own.

use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use consul_sync_testbed::ConsulVersion;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::coverage::Coverage;
use super::pair::{Differences, Pair};
use super::random::{self, Turn};
use super::{Tested, is_there, servers};

/// How many long sequences run.
const SEQUENCES: &str = "CONSUL_FAKE_SEQUENCES";
/// Without it.
const AT_LEAST: u32 = 8;
/// Short ones, after each of whose writes everything is read.
const SHORT: u32 = 6;
/// Runners of each version.
const RUNNERS: u8 = 2;
/// Sequences that may differ before a runner stops.
const FAILED: usize = 3;
/// Long sequences are deep values where optimisation is off.
const STACK: usize = 64 * 1024 * 1024;
/// Runs in which a failed sequence is made small.
const REDUCTIONS: usize = 90;

/// Runs random sequences against `version` and the fake.
pub(crate) fn agree(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let asked = std::env::var(SEQUENCES)
        .ok()
        .and_then(|text| text.parse().ok());
    let begun = Instant::now();
    let work = Work {
        version,
        is_fixed: asked.is_none(),
        left: AtomicU32::new(asked.unwrap_or(AT_LEAST)),
        coverage: Mutex::default(),
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let runners = (0..RUNNERS).map(|number| {
            let work = &work;
            let run = move || work.run(number).map_err(|error| error.to_string());
            let thread = thread::Builder::new()
                .name(format!("runner {number}"))
                .stack_size(STACK);
            thread.spawn_scoped(scope, run)
        });
        let runners: Vec<_> = runners.collect();
        let outcomes = runners.into_iter().map(|runner| {
            let outcome = runner.map(thread::ScopedJoinHandle::join);
            outcome.map_or_else(
                |why| Err(why.to_string()),
                |joined| joined.unwrap_or_else(|_| Err("a runner panicked".to_owned())),
            )
        });
        outcomes.filter_map(Result::err).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let coverage = work.coverage.into_inner()?;
    println!(
        "compared with {version} in {:?}:\n{coverage}",
        begun.elapsed()
    );
    let missing = missing(&coverage);
    assert!(missing.is_empty(), "never compared: {missing:#?}");
    Ok(())
}

/// What the runners share.
struct Work {
    version: ConsulVersion,
    /// Whether the seeds are always the same.
    is_fixed: bool,
    /// Long sequences that nobody has begun yet.
    left: AtomicU32,
    coverage: Mutex<Coverage>,
}

impl Work {
    fn run(&self, number: u8) -> Tested {
        let mut runner = if self.is_fixed {
            let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[number; 32]);
            TestRunner::new_with_rng(Config::default(), seed)
        } else {
            TestRunner::new(Config::default())
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (_real, _fake, mut pair) = runtime.block_on(servers(self.version))?;
        let mut failed = Vec::new();
        for _ in 0..SHORT / u32::from(RUNNERS) {
            let steps = made(&random::short(), &mut runner)?;
            if let Err(differences) = runtime.block_on(pair.run(&steps)) {
                failed.push(format!("{differences}after {steps:#?}"));
            }
        }
        // With fixed seeds each runner has a fixed share, so that every run compares the same.
        let share = self.is_fixed.then_some(AT_LEAST / u32::from(RUNNERS));
        let mut done = 0;
        while failed.len() < FAILED && share.is_none_or(|share| done < share) && self.take() {
            done += 1;
            let begun = Instant::now();
            let turns = made(&random::sequence(), &mut runner)?;
            failed.extend(long(&runtime, &mut pair, turns).err());
            println!(
                "{}, runner {number}: sequence {done} took {:?}",
                self.version,
                begun.elapsed()
            );
        }
        self.coverage
            .lock()
            .map_err(|_| "another runner panicked")?
            .add(pair.coverage);
        if failed.is_empty() {
            return Ok(());
        }
        Err(failed.join("\n").into())
    }

    fn take(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

fn made<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> Result<S::Value, Box<dyn Error>> {
    let tree = strategy.new_tree(runner);
    Ok(tree.map_err(|why| why.to_string())?.current())
}

/// One long sequence; where it differs, what is left of it when all is taken out that does not matter.
fn long(runtime: &Runtime, pair: &mut Pair, mut turns: Vec<Turn>) -> Result<(), String> {
    let Err((end, differences)) = runtime.block_on(pair.run_long(&turns)) else {
        return Ok(());
    };
    turns.truncate(end);
    let mut last = Differences::default();
    let turns = reduced(turns, |turns| {
        let (end, differences) = runtime.block_on(pair.run_long(turns)).err()?;
        last = differences;
        Some(end)
    });
    let told = turns.iter().map(|Turn { step, looks }| {
        format!(
            "{} {} {} {:?} then {looks:?}",
            step.method,
            step.path,
            step.text(),
            step.headers
        )
    });
    let told: Vec<_> = told.collect();
    Err(format!(
        "{differences}and {last}after these turns alone:\n{}",
        told.join("\n")
    ))
}

/// The turns of a failed sequence without those, and those operations, that it fails without, as far as a number of
/// runs shows. `fails` says after how many turns one fails.
fn reduced(turns: Vec<Turn>, mut fails: impl FnMut(&[Turn]) -> Option<usize>) -> Vec<Turn> {
    let mut kept = turns;
    let mut runs = REDUCTIONS;
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
    for turn in 0..kept.len() {
        let mut at = 0;
        while runs > 0 && at < operations(&kept, turn) && operations(&kept, turn) > 1 {
            let mut fewer = kept.clone();
            if let Some(ops) = fewer[turn].step.body.as_mut().and_then(Value::as_array_mut) {
                ops.remove(at);
            }
            runs -= 1;
            // Not where it fails in another turn: that is another failure.
            match fails(&fewer) {
                Some(end) if end == kept.len() => kept = fewer,
                _ => at += 1,
            }
        }
    }
    kept
}

fn operations(turns: &[Turn], at: usize) -> usize {
    let body = turns[at].step.body.as_ref();
    body.and_then(Value::as_array).map_or(0, Vec::len)
}

/// What a run has to have compared: each operation with each of these outcomes.
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
        ("PUT /v1/catalog/deregister", "500"),
        ("GET /v1/catalog/node-services/*", "200"),
        ("GET /v1/catalog/node-services/*", "400"),
        ("GET /v1/catalog/node-services/*", "500"),
        ("GET /v1/catalog/node-services/* held", "200"),
        ("GET /v1/catalog/node-services/* held", "400"),
        ("GET /v1/health/node/*", "200"),
        ("GET /v1/health/node/* held", "200"),
        ("GET /v1/health/service/*", "200"),
        ("GET /v1/health/service/* held", "200"),
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
