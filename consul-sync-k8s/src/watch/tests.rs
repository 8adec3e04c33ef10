//! The watch of one kind of object against every fault of the list and watch catalogue, under a paused clock.

mod answers;
mod following;
mod listing;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Step, WatchSettings, watch};
use crate::{
    Change, Verb,
    rights::Scope,
    slim::{Kind, ServiceBody},
    testing::{FakeCluster, Seen},
};

/// A Service as a test makes it.
fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"ports": [{"port": 80}]},
    })
}

/// A cluster with these Services.
fn cluster(names: &[&str]) -> FakeCluster {
    let cluster = FakeCluster::new();
    for name in names {
        cluster.put(service(name));
    }
    cluster
}

/// One watch, told in words.
struct Watched {
    steps: BoxStream<'static, Step<ServiceBody>>,
}

impl Watched {
    fn new(cluster: &FakeCluster) -> Self {
        Self::with(cluster, &Scope::Everywhere, WatchSettings::default())
    }

    fn with(cluster: &FakeCluster, scope: &Scope, settings: WatchSettings) -> Self {
        Self {
            steps: watch(&cluster.client(), scope, None, &Arc::new(settings)),
        }
    }

    /// Pages of two.
    fn in_pages(cluster: &FakeCluster) -> Self {
        let settings = WatchSettings {
            page_size: 2,
            page_bytes: 0,
            ..WatchSettings::default()
        };
        Self::with(cluster, &Scope::Everywhere, settings)
    }

    /// The same, listed and with its watch open.
    async fn opened(cluster: &FakeCluster) -> Self {
        let mut watched = Self::new(cluster);
        watched.until("done").await;
        watched.settle().await;
        watched
    }

    /// Lets it do what it does until it waits.
    async fn settle(&mut self) {
        let step = tokio::time::timeout(Duration::from_millis(1), self.steps.next());
        if let Ok(Some(step)) = step.await {
            panic!("not settled: {}", words(&step));
        }
    }

    async fn next(&mut self) -> String {
        // An hour of the paused clock: what does not come by then does not come.
        let step = tokio::time::timeout(Duration::from_secs(3600), self.steps.next());
        match step.await {
            Err(_) => "nothing".to_owned(),
            Ok(None) => "end".to_owned(),
            Ok(Some(step)) => words(&step),
        }
    }

    /// The next words, that many.
    async fn take(&mut self, count: usize) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..count {
            words.push(self.next().await);
        }
        words
    }

    /// The words up to and with this one.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            let word = self.next().await;
            assert!(
                word != "nothing" && word != "end" && words.len() < 1000,
                "{word} after {words:?}, not {last}"
            );
            let found = word.starts_with(last);
            words.push(word);
            if found {
                return words;
            }
        }
    }
}

fn words<B: Kind>(step: &Step<B>) -> String {
    match step {
        Ok(Change::RelistStarted) => "relist".to_owned(),
        Ok(Change::Upserted(object)) => format!("+{}", object.key().name()),
        Ok(Change::Deleted(object)) => format!("-{}", object.key().name()),
        Ok(Change::RelistDone) => "done".to_owned(),
        Ok(Change::Lost) => "lost".to_owned(),
        Ok(Change::Recovered) => "recovered".to_owned(),
        Err(error) => format!("{}: {error}", error.kind()),
    }
}

/// What the words mean for a table of names: complete listings replace, everything else changes.
fn replay(words: &[String]) -> Vec<String> {
    let (mut table, mut listing) = (std::collections::BTreeSet::new(), None);
    for word in words {
        match (word.as_str(), word.split_at_checked(1)) {
            ("relist", _) => listing = Some(std::collections::BTreeSet::new()),
            ("done", _) => table = listing.take().unwrap_or_default(),
            (_, Some(("+", name))) => match &mut listing {
                Some(listing) => drop(listing.insert(name.to_owned())),
                None => drop(table.insert(name.to_owned())),
            },
            (_, Some(("-", name))) => drop(table.remove(name)),
            _ => {}
        }
    }
    table.into_iter().collect()
}

/// The requests of one verb, oldest first.
fn asked(cluster: &FakeCluster, verb: Verb) -> Vec<Seen> {
    let mut seen = cluster.seen();
    seen.retain(|seen| seen.verb == Some(verb) && seen.resource == "services");
    seen
}

/// One parameter of a request.
fn parameter(seen: &Seen, name: &str) -> Option<String> {
    seen.query.split('&').find_map(|pair| {
        pair.strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    })
}

/// How long something took, by the paused clock.
async fn elapsed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = future.await;
    (done, began.elapsed())
}
