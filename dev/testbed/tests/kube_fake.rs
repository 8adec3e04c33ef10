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
#[path = "kube_fake/changes.rs"]
mod changes;
#[path = "support/difference.rs"]
mod difference;
#[path = "kube_fake/listings.rs"]
mod listings;
#[path = "kube_fake/normal.rs"]
mod normal;
#[path = "kube_fake/objects.rs"]
mod objects;
#[path = "kube_fake/pair.rs"]
mod pair;
#[path = "kube_fake/random.rs"]
mod random;
#[path = "kube_fake/side.rs"]
mod side;
#[path = "kube_fake/step.rs"]
mod step;
#[path = "kube_fake/watched.rs"]
mod watched;

use std::time::Instant;

use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{ApiServer, Client, Program, Programs, Result};
use futures::StreamExt;
use serde_json::{Value, json};

use cases::{CASES, Case, OF_THE_STORE};
use pair::{Origin, Pair, SHOWN};

const SEQUENCES: &str = "KUBE_FAKE_SEQUENCES";
const SEED: &str = "KUBE_FAKE_SEED";
const SEQUENCES_AT_LEAST: u64 = 8;
/// Sequences on one server with a cache for each on one without.
const FOR_EACH_OF_STORE: u64 = 10;
/// Sequences that run at once on one real server: each waits for its cache and for the ends of watches most of its time.
const AT_ONCE: usize = 8;

fn is_there() -> bool {
    Programs::locate().all_or_skip(&[Program::Etcd, Program::KubeApiserver])
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
