//! A real server and fakes of it, run by run.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{ApiServer, ApiServerSettings, Client, Result, User};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use super::{
    random,
    side::{Behind, Side, compare},
    step::Step,
    watched,
};

/// Differences that are shown of one run.
pub(crate) const SHOWN: usize = 5;
/// How often a sequence that fails is run again to find a shorter one.
const SHRINKS: u32 = 40;
/// After how long no further such run begins.
const SHRUNK_WITHIN: Duration = Duration::from_secs(60);
/// How long the real server's cache keeps every change, at least: `eventFreshDuration` of k8s.io/apiserver.
const KEPT: Duration = Duration::from_secs(75);
/// The token of somebody who may do nothing.
const NOBODY: &str = "nobody";

/// From where the real server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From its cache, as it does if nobody says otherwise.
    Cache,
    /// From its store alone. One run's compaction is every other one's, so they take turns.
    Store,
}

/// The real server, and clients of it of two users.
pub(crate) struct Pair {
    _real: ApiServer,
    from: Origin,
    store: Client,
    admin: Client,
    nobody: Client,
    /// How often each operation was answered with each status.
    coverage: Mutex<BTreeMap<(&'static str, String), u64>>,
}

/// What differs first, and the step at which it does; the number of all steps when it was seen at the end.
pub(crate) struct Difference {
    at: usize,
    pub(crate) text: String,
}

/// Counts the runs of this process, so that the names of each are its own.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl Pair {
    pub(crate) async fn start(from: Origin) -> Result<Self> {
        let mut settings = ApiServerSettings::default();
        settings.users.push(User {
            name: "nobody".to_owned(),
            token: NOBODY.to_owned(),
            groups: Vec::new(),
        });
        if from == Origin::Store {
            settings.arguments.push("--watch-cache=false".to_owned());
        }
        let real = ApiServer::start_with(settings).await?;
        let admin = real.client().keeping_connections();
        Ok(Self {
            nobody: admin.with_token(Some(NOBODY)),
            store: Client::plain(real.etcd().url())?,
            admin,
            from,
            _real: real,
            coverage: Mutex::default(),
        })
    }

    /// Runs the steps on both. An error tells the first differences and what led to them.
    pub(crate) async fn run(&self, steps: &[Step]) -> std::result::Result<(), Difference> {
        // Large as it is, its future would fill the stack of a test.
        Box::pin(self.run_on_both(steps)).await
    }

    async fn run_on_both(&self, steps: &[Step]) -> std::result::Result<(), Difference> {
        let prefix = format!("r{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let server = FakeApiServer::start().await.expect("a port is free");
        let plain = Client::plain(&server.url()).expect("the address is one");
        let plain = plain.keeping_connections();
        let (store, cluster) = (
            Behind::Real(Box::new(self.store.clone())),
            Behind::Fake(server.cluster().clone()),
        );
        let mut real = Side::start(self.admin.clone(), self.nobody.clone(), store, &prefix).await;
        let mut fake = Side::start(plain.clone(), plain, cluster, &prefix).await;
        let begun = Instant::now();
        let (mut at, mut differences) = (steps.len(), Vec::new());
        for (place, step) in steps.iter().enumerate() {
            let (one, other) = if let Step::Watch(kind, from, selector, at) = step {
                let (of_real, of_fake) = tokio::join!(
                    real.watch(*kind, *from, selector, *at),
                    fake.watch(*kind, *from, selector, *at)
                );
                let watches = ([of_real], [of_fake]);
                let answers = watched::both((&real, &watches.0), (&fake, &watches.1)).await;
                let (one, other) = &answers[0];
                (
                    real.told(&watches.0[0], one),
                    fake.told(&watches.1[0], other),
                )
            } else {
                tokio::join!(Box::pin(real.run(step)), Box::pin(fake.run(step)))
            };
            if self.is_forgotten(&one, begun) {
                continue;
            }
            self.count(step, &one);
            if let Err(difference) = compare(&one, &other) {
                at = at.min(place);
                differences.push(format!("step {place}: {step:?}\n{difference}"));
            }
        }
        let (ends, others) = tokio::join!(Box::pin(real.list_all()), Box::pin(fake.list_all()));
        for ((what, one), (_, other)) in ends.iter().zip(&others) {
            if let Err(difference) = compare(one, other) {
                differences.push(format!("at the end, {what}:\n{difference}"));
            }
        }
        let (watches, others) = (real.watch_all(), fake.watch_all());
        let answers = watched::both((&real, &watches), (&fake, &others)).await;
        for ((watch, of_fake), (one, other)) in watches.iter().zip(&others).zip(&answers) {
            let (one, other) = (real.told(watch, one), fake.told(of_fake, other));
            if self.is_forgotten(&one, begun) {
                continue;
            }
            if let Err(difference) = compare(&one, &other) {
                differences.push(format!("at the end, {}:\n{difference}", watch.url));
            }
        }
        if let Err(difference) = compare(&real.order(), &fake.order()) {
            differences.push(format!("at the end, the order of versions:\n{difference}"));
        }
        real.clean().await;
        if differences.is_empty() {
            return Ok(());
        }
        // What differs after the first difference mostly follows from it.
        differences.truncate(SHOWN);
        let text = format!("{} steps\n{}", steps.len(), differences.join("\n"));
        Err(Difference { at, text })
    }

    /// Whether a watch asked for what a busy server's cache has let go of since the run began, which is no difference.
    fn is_forgotten(&self, seen: &Value, begun: Instant) -> bool {
        self.from == Origin::Cache
            && begun.elapsed() > KEPT
            && seen["events"] == json!([["ERROR", 410, "Expired"]])
    }

    fn count(&self, step: &Step, seen: &Value) {
        let mut coverage = self.coverage.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (step.operation(), seen["status"].to_string());
        *coverage.entry(key).or_default() += 1;
    }

    pub(crate) fn coverage(&self) -> String {
        let coverage = self.coverage.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((operation, status), times) in coverage.iter() {
            let line = lines.entry(operation).or_default();
            line.push(format!("{status} x {times}"));
        }
        lines
            .into_iter()
            .map(|(operation, statuses)| format!("  {operation}: {}", statuses.join(", ")))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The sequence of a seed, and where it fails a shorter one that fails, too.
    pub(crate) async fn sequence(&self, seed: u64) -> std::result::Result<(), String> {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let strategy = match self.from {
            Origin::Cache => random::sequence().boxed(),
            Origin::Store => random::forgetting().boxed(),
        };
        let tree = strategy.new_tree(&mut runner);
        let mut steps = tree.expect("nothing is filtered").current();
        let Err(mut difference) = self.run(&steps).await else {
            return Ok(());
        };
        // Before anything else is tried, which may take long.
        println!("seed {seed}, {:?}: {}", self.from, difference.text);
        let found = Instant::now();
        steps.truncate(difference.at + 1);
        let (mut part, mut at) = (steps.len().div_ceil(2), 0);
        for _ in 0..SHRINKS {
            if found.elapsed() > SHRUNK_WITHIN {
                break;
            }
            if at >= steps.len() {
                if part <= 1 {
                    break;
                }
                (part, at) = (part.div_ceil(2), 0);
            }
            let mut shorter = steps.clone();
            shorter.drain(at..(at + part).min(steps.len()));
            match self.run(&shorter).await {
                Err(shown) => (steps, difference) = (shorter, shown),
                Ok(()) => at += part,
            }
        }
        Err(format!(
            "== seed {seed}, {:?} ==\n{}\nof {steps:#?}",
            self.from, difference.text
        ))
    }
}
