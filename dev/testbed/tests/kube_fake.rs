//! The API server in memory is held against a real one.
//!
//! The same steps run on both, and every answer is compared: status, reason and object, with what a server chooses
//! by itself (UIDs, versions, addresses, node ports, times) replaced by the order in which it came up. At the end of
//! a sequence every collection is listed in pages and watched from its beginning on both, with and without selectors.
//!
//! `KUBE_FAKE_SEQUENCES` sets how many random sequences run, with another seed each time; without it a few run with a
//! fixed one.

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

use std::sync::atomic::{AtomicU32, Ordering};

use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{ApiServer, Client, Program, Programs, Result};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};

use cases::CASES;
use side::{Side, compare};
use step::Step;

const SEQUENCES: &str = "KUBE_FAKE_SEQUENCES";
const SEQUENCES_AT_LEAST: u32 = 8;
/// Differences that are shown of one run.
const SHOWN: usize = 5;

fn is_there() -> bool {
    Programs::locate().all_or_skip(&[Program::Etcd, Program::KubeApiserver])
}

/// Both servers; the names of each run are its own.
struct Pair {
    real: &'static ApiServer,
    fake: FakeApiServer,
}

/// Counts the runs of this process, which share a server.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl Pair {
    async fn start() -> Result<Self> {
        Ok(Self {
            real: ApiServer::shared().await?,
            fake: FakeApiServer::start()
                .await
                .expect("a loopback port is free"),
        })
    }

    /// Runs the steps on both. An error tells the first difference and what led to it.
    async fn run(&self, steps: &[Step]) -> std::result::Result<(), String> {
        let prefix = format!("r{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let plain = Client::plain(&self.fake.url()).map_err(|error| error.to_string())?;
        let mut real = Side::start(self.real.client().clone(), &prefix).await;
        let mut fake = Side::start(plain, &prefix).await;
        let mut differences = Vec::new();
        for step in steps {
            let answers = (real.run(step).await, fake.run(step).await);
            if let Err(difference) = compare(&answers.0, &answers.1) {
                differences.push(format!("{step:?}\n{difference}"));
            }
        }
        let (real, fake) = tokio::join!(real.read_all(), fake.read_all());
        for ((what, real), (_, fake)) in real.iter().zip(&fake) {
            if let Err(difference) = compare(real, fake) {
                differences.push(format!("at the end, {what}:\n{difference}"));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        // What differs after the first difference mostly follows from it.
        differences.truncate(SHOWN);
        Err(format!("{} steps\n{}", steps.len(), differences.join("\n")))
    }
}

#[tokio::test]
async fn named_cases_agree_with_the_real_server() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let pair = Pair::start().await?;
    let mut failed = Vec::new();
    for (name, steps) in CASES {
        if let Err(difference) = pair.run(&steps()).await {
            failed.push(format!("== {name} ==\n{difference}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

#[test]
fn random_sequences_agree_with_the_real_server() {
    if !is_there() {
        return;
    }
    let asked_for = std::env::var(SEQUENCES)
        .ok()
        .and_then(|text| text.parse().ok());
    let config = Config {
        cases: asked_for.unwrap_or(SEQUENCES_AT_LEAST),
        max_shrink_iters: 30,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = match asked_for {
        Some(_) => TestRunner::new(config),
        None => {
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let pair = runtime.block_on(Pair::start()).expect("the servers start");
    let result = runner.run(&random::sequence(), |steps| {
        runtime
            .block_on(pair.run(&steps))
            .map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
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
