//! The API server in memory is held against a real one.
//!
//! The same steps run on both, and every answer is compared: status, reason and object, with what a server chooses
//! by itself (UIDs, versions, addresses, node ports, times) replaced by the order in which it came up. At the end of
//! a sequence every collection is listed in pages and watched from its beginning on both, with and without selectors,
//! and the order of all versions is compared.
//!
//! `KUBE_FAKE_SEQUENCES` sets how many random sequences run, each of 200 steps at least. The first is of seed 0, or of
//! `KUBE_FAKE_SEED`; a failure names its seed. A tenth as many run against a server without its cache: only that one
//! knows at once that its store was compacted, which happens there in the middle of sequences. With `--nocapture` the
//! first difference is shown when it is found, before the sequence is made small, and a table of what was compared.

#![allow(clippy::panic, reason = "test code outside a test function")]

#[path = "kube_fake/cases.rs"]
mod cases;
#[path = "kube_fake/normal.rs"]
mod normal;
#[path = "kube_fake/objects.rs"]
mod objects;
#[path = "kube_fake/random.rs"]
mod random;
#[path = "kube_fake/side.rs"]
mod side;
#[path = "kube_fake/step.rs"]
mod step;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{ApiServer, ApiServerSettings, Client, Program, Programs, Result, User};
use futures::StreamExt;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use cases::{CASES, Case, OF_THE_STORE};
use side::{Behind, Side, compare};
use step::Step;

const SEQUENCES: &str = "KUBE_FAKE_SEQUENCES";
const SEED: &str = "KUBE_FAKE_SEED";
const SEQUENCES_AT_LEAST: u64 = 8;
/// Sequences on one server with a cache for each on one without.
const FOR_EACH_OF_STORE: u64 = 10;
/// Sequences that run at once on one real server: each waits for its cache and for the ends of watches most of its time.
const AT_ONCE: usize = 12;
/// Differences that are shown of one run.
const SHOWN: usize = 5;
/// How often a sequence that fails is run again to find a shorter one.
const SHRINKS: u32 = 40;
/// After how long no further such run begins.
const SHRUNK_WITHIN: Duration = Duration::from_secs(60);
/// The token of somebody who may do nothing.
const NOBODY: &str = "nobody";

fn is_there() -> bool {
    Programs::locate().all_or_skip(&[Program::Etcd, Program::KubeApiserver])
}

/// From where the real server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// From its cache, as it does if nobody says otherwise.
    Cache,
    /// From its store alone. One run's compaction is every other one's, so they take turns.
    Store,
}

/// The real server, and clients of it of two users.
struct Pair {
    _real: ApiServer,
    from: Origin,
    store: Client,
    admin: Client,
    nobody: Client,
    /// How often each operation was answered with each status.
    coverage: Mutex<BTreeMap<(&'static str, String), u64>>,
}

/// What differs first, and the step at which it does; the number of all steps when it was seen at the end.
struct Difference {
    at: usize,
    text: String,
}

/// Counts the runs of this process, so that the names of each are its own.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl Pair {
    async fn start(from: Origin) -> Result<Self> {
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
    async fn run(&self, steps: &[Step]) -> std::result::Result<(), Difference> {
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
        let (mut at, mut differences) = (steps.len(), Vec::new());
        for (place, step) in steps.iter().enumerate() {
            let (one, other) = tokio::join!(Box::pin(real.run(step)), Box::pin(fake.run(step)));
            self.count(step, &one);
            if let Err(difference) = compare(&one, &other) {
                at = at.min(place);
                differences.push(format!("step {place}: {step:?}\n{difference}"));
            }
        }
        let (ends, others) = tokio::join!(Box::pin(real.read_all()), Box::pin(fake.read_all()));
        for ((what, one), (_, other)) in ends.iter().zip(&others) {
            if let Err(difference) = compare(one, other) {
                differences.push(format!("at the end, {what}:\n{difference}"));
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

    fn count(&self, step: &Step, seen: &Value) {
        let mut coverage = self.coverage.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (step.operation(), seen["status"].to_string());
        *coverage.entry(key).or_default() += 1;
    }

    fn coverage(&self) -> String {
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
    async fn sequence(&self, seed: u64) -> std::result::Result<(), String> {
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

async fn named_cases(from: Origin, cases: &[Case]) -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let pair = Pair::start(from).await?;
    let mut failed = Vec::new();
    for (name, steps) in cases {
        if let Err(difference) = pair.run(&steps()).await {
            failed.push(format!("== {name} ==\n{}", difference.text));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

#[tokio::test]
async fn named_cases_agree_with_the_real_server() -> Result<()> {
    named_cases(Origin::Cache, &CASES).await
}

#[tokio::test]
async fn named_cases_agree_with_a_server_that_has_no_cache() -> Result<()> {
    named_cases(Origin::Store, &OF_THE_STORE).await
}

async fn random_sequences(from: Origin) -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number(SEED).unwrap_or_default();
    let count = number(SEQUENCES).unwrap_or(SEQUENCES_AT_LEAST);
    let (count, at_once) = match from {
        Origin::Cache => (count, AT_ONCE),
        Origin::Store => (count.div_ceil(FOR_EACH_OF_STORE), 1),
    };
    let (pair, begun) = (Pair::start(from).await?, Instant::now());
    let (mut failed, mut done) = (Vec::new(), 0);
    let mut results = futures::stream::iter(first..first + count)
        .map(|seed| pair.sequence(seed))
        .buffer_unordered(at_once);
    while let Some(result) = results.next().await {
        done += 1;
        println!("{from:?}: {done} sequences in {:?}", begun.elapsed());
        failed.extend(result.err());
        if failed.len() >= SHOWN {
            break;
        }
    }
    drop(results);
    println!(
        "{from:?}: {done} sequences, operations and their answers:\n{}",
        pair.coverage()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

#[tokio::test]
async fn random_sequences_agree_with_the_real_server() -> Result<()> {
    random_sequences(Origin::Cache).await
}

#[tokio::test]
async fn random_sequences_agree_with_a_server_that_has_no_cache() -> Result<()> {
    random_sequences(Origin::Store).await
}

#[tokio::test]
async fn versions_of_the_past_and_the_future_are_refused_alike() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let real = ApiServer::start().await?;
    let fake = FakeApiServer::start()
        .await
        .expect("a loopback port is free");
    let plain = Client::plain(&fake.url())?;
    let services = "/api/v1/namespaces/default/services";
    let mut answers: Vec<Vec<Value>> = Vec::new();
    for client in [real.client(), &plain] {
        for name in ["a", "b", "c"] {
            client
                .post(services, &objects::service(name))
                .await?
                .success()?;
        }
        let page = client.get(&format!("{services}?limit=1")).await?.json()?;
        let old = page["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let token = page["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        client
            .post(services, &objects::service("d"))
            .await?
            .success()?;
        let mut said = Vec::new();
        // Exactly as it was.
        let exact = format!("{services}?resourceVersion={old}&resourceVersionMatch=Exact");
        said.push(side::names(&client.get(&exact).await?.json()?));
        // A version that does not exist yet.
        let future = client
            .get(&format!("{services}?resourceVersion=99999999"))
            .await?;
        said.push(side::refusal(&future));
        said.push(side::refusal(
            &client.get(&format!("{services}?continue=nonsense")).await?,
        ));
        said.push(side::refusal(
            &client
                .get(&format!("{services}?resourceVersion=nonsense"))
                .await?,
        ));
        said.push(side::refusal(
            &client
                .get(&format!("{services}?watch=true&resourceVersion=nonsense"))
                .await?,
        ));
        if std::ptr::eq(client, &raw const plain) {
            fake.compact();
        } else {
            let now = client.get(services).await?.json()?["metadata"]["resourceVersion"].clone();
            let compaction = json!({"revision": now, "physical": true});
            Client::plain(real.etcd().url())?
                .post("/v3/kv/compaction", &compaction)
                .await?
                .success()?;
            // Its cache of changes would still have them.
            real.kill()?;
            real.restart().await?;
        }
        let expired = client
            .get(&format!("{services}?limit=1&continue={token}"))
            .await?;
        let whole: Value = serde_json::from_slice(&expired.body).unwrap_or_default();
        said.push(side::refusal(&expired));
        let next = whole["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            !next.is_empty(),
            "a token to go on with in spite of it: {whole}"
        );
        said.push(side::names(
            &client
                .get(&format!("{services}?continue={next}"))
                .await?
                .json()?,
        ));
        let watch = client
            .get(&format!(
                "{services}?watch=true&timeoutSeconds=1&resourceVersion={old}"
            ))
            .await?;
        let event: Value = serde_json::from_slice(&watch.body).unwrap_or_default();
        said.push(json!([
            watch.status,
            event["type"],
            event["object"]["code"],
            event["object"]["reason"]
        ]));
        answers.push(said);
    }
    assert_eq!(answers[0], answers[1]);
    Ok(())
}
