//! Runs of random sequences, several side by side.
//!
//! Every write moves indexes that all of a server's sequences see, so each runner has servers of its own.

use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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
const AT_LEAST: u64 = 8;
/// The seed of the first; the next ones follow.
const SEED: &str = "CONSUL_FAKE_SEED";
/// Short ones, after each of whose writes everything is read.
const SHORT: u64 = 6;
/// Runners of each version.
const RUNNERS: u8 = 2;
/// Sequences that may differ before a runner stops.
const FAILED: usize = 3;
/// Long sequences are deep values where optimisation is off.
const STACK: usize = 64 * 1024 * 1024;
/// Runs in which a failed sequence is made small.
const REDUCTIONS: usize = 90;
/// After how long no further one begins: a run in which the real server does not do what the fake did waits for it.
const REDUCED_WITHIN: Duration = Duration::from_secs(60);
/// How long such a run waits for what is expected to move: it only has to show what was seen before.
const SOON: &str = "2s";

/// Runs random sequences against `version` and the fake.
pub(crate) fn agree(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let (first, asked) = (number(SEED).unwrap_or_default(), number(SEQUENCES));
    let begun = Instant::now();
    let work = Work {
        version,
        short: AtomicU64::new(first),
        long: AtomicU64::new(first),
        first,
        count: asked.unwrap_or(AT_LEAST),
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
    /// The next seed of a short sequence, and of a long one, that nobody has begun yet.
    short: AtomicU64,
    long: AtomicU64,
    first: u64,
    /// How many long ones run.
    count: u64,
    coverage: Mutex<Coverage>,
}

impl Work {
    fn run(&self, number: u8) -> Tested {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (_real, _fake, mut pair) = runtime.block_on(servers(self.version))?;
        let mut failed = Vec::new();
        while let Some(seed) = self.next(&self.short, SHORT) {
            let steps = made(&random::short(), seed)?;
            if let Err(differences) = runtime.block_on(pair.run(&steps)) {
                failed.push(format!(
                    "short sequence of seed {seed}: {differences}after {steps:#?}"
                ));
            }
        }
        while failed.len() < FAILED
            && let Some(seed) = self.next(&self.long, self.count)
        {
            let begun = Instant::now();
            let turns = made(&random::sequence(), seed)?;
            if let Err(why) = self.long(&runtime, &mut pair, seed, turns) {
                failed.push(why);
            }
            println!(
                "{}, runner {number}: the sequence of seed {seed} took {:?}",
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

    /// The next of `count` seeds.
    fn next(&self, seeds: &AtomicU64, count: u64) -> Option<u64> {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        (seed < self.first.saturating_add(count)).then_some(seed)
    }

    /// One long sequence; where it differs, what is left of it when all is taken out that does not matter.
    fn long(
        &self,
        runtime: &Runtime,
        pair: &mut Pair,
        seed: u64,
        mut turns: Vec<Turn>,
    ) -> Result<(), String> {
        let Err((end, differences)) = runtime.block_on(pair.run_long(&turns)) else {
            return Ok(());
        };
        let first = format!(
            "{}, long sequence of seed {seed}: {differences}",
            self.version
        );
        // Before anything else is tried, which may take long.
        println!("{first}at turn {end}");
        turns.truncate(end);
        let mut last = Differences::default();
        let usual = std::mem::replace(&mut pair.moved, SOON);
        let turns = reduced(turns, |turns| {
            let (end, differences) = runtime.block_on(pair.run_long(turns)).err()?;
            last = differences;
            Some(end)
        });
        pair.moved = usual;
        let told: Vec<_> = turns.iter().map(told).collect();
        Err(format!(
            "{first}and {last}after these turns alone:\n{}",
            told.join("\n")
        ))
    }
}

fn told(Turn { step, looks }: &Turn) -> String {
    format!(
        "{} {} {} {:?} then {looks:?}",
        step.method,
        step.path,
        step.text(),
        step.headers
    )
}

/// What a seed stands for.
fn made<S: Strategy>(strategy: &S, seed: u64) -> Result<S::Value, Box<dyn Error>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = strategy.new_tree(&mut runner);
    Ok(tree.map_err(|why| why.to_string())?.current())
}

/// The turns of a failed sequence without those, and those operations, that it fails without, as far as a number of
/// runs shows. `fails` says after how many turns one fails.
fn reduced(turns: Vec<Turn>, mut fails: impl FnMut(&[Turn]) -> Option<usize>) -> Vec<Turn> {
    let mut kept = turns;
    let (mut runs, begun) = (0, Instant::now());
    let mut goes_on = || {
        runs += 1;
        runs <= REDUCTIONS && begun.elapsed() < REDUCED_WITHIN
    };
    let mut size = kept.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < kept.len() && goes_on() {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + size).min(kept.len()));
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
        while at < operations(&kept, turn) && operations(&kept, turn) > 1 && goes_on() {
            let mut fewer = kept.clone();
            if let Some(ops) = fewer[turn].step.body.as_mut().and_then(Value::as_array_mut) {
                ops.remove(at);
            }
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
