//! Answers that ask for patience.

use super::*;
use crate::testing::{FakeApiServer, Fault, On, WatchFault};

#[tokio::test(start_paused = true)]
async fn fault_k21_a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    for wait in [1, 7, 90] {
        let cluster = cluster(&["a"]);
        cluster.inject(
            On::list("services").times(1),
            Fault::too_many_requests(Some(wait)),
        );
        let mut watched = Watched::new(&cluster);
        let words = watched.take(2).await;
        assert!(
            words[1].starts_with("unavailable: list services: status 429"),
            "{words:?}"
        );
        let (word, took) = elapsed(watched.next()).await;
        assert_eq!(word, "relist");
        assert!(
            took >= Duration::from_secs(u64::from(wait)),
            "{took:?} of {wait} s"
        );
        watched.until("done").await;
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k21_failures_are_met_with_growing_waits_and_told_once_for_each_state() {
    for code in [429, 500, 503, 504] {
        let cluster = cluster(&["a"]);
        cluster.inject(On::list("services").times(8), Fault::status(code));
        cluster.inject(On::list("services").skip(8).times(2), Fault::status(502));
        let mut watched = Watched::new(&cluster);
        let (words, took) = elapsed(watched.until("done")).await;
        let told: Vec<_> = words
            .iter()
            .filter(|word| word.starts_with("unavailable"))
            .collect();
        assert_eq!(told.len(), 2, "{words:?}");
        assert!(
            took >= Duration::from_secs(45) && took < Duration::from_secs(180),
            "{took:?}"
        );
        assert_eq!(watched.next().await, "recovered");
        watched.settle().await;
        // All is well again: the same failure is told again.
        cluster.inject(On::list("services").times(1), Fault::status(502));
        cluster.disturb(None, WatchFault::Error(410));
        let words = watched.until("done").await;
        assert!(
            words.iter().any(|word| word.starts_with("unavailable")),
            "{words:?}"
        );
    }
}

#[tokio::test]
async fn fault_k21_the_limit_of_a_listing_is_around_the_clients_own_repetitions() {
    let server = FakeApiServer::start().await.unwrap();
    server.inject(On::list("services"), Fault::status(503));
    // As a user's own client is: fifteen repetitions, some minutes in all.
    let config = kube::Config::new(server.url().parse().unwrap());
    assert!(config.default_retry);
    let settings = WatchSettings {
        list_timeout: Duration::from_millis(300),
        ..WatchSettings::default()
    };
    let client = kube::Client::try_from(config).unwrap();
    let mut steps = watch::<ServiceBody>(&client, &Scope::Everywhere, None, &Arc::new(settings));
    assert!(matches!(
        steps.next().await,
        Some(Ok(Change::RelistStarted))
    ));
    let error = steps.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), consul_sync_core::ErrorKind::Timeout);
    assert!(server.count(Verb::List, "services") > 1);
}

#[tokio::test]
async fn a_server_that_was_stopped_and_started_again_is_listed_again() {
    let server = FakeApiServer::start().await.unwrap();
    server.put(service("a"));
    let settings = WatchSettings {
        backoff_least: Duration::from_millis(5),
        backoff_most: Duration::from_millis(20),
        ..WatchSettings::default()
    };
    let client = server.client().unwrap();
    let mut watched = Watched {
        steps: watch(&client, &Scope::Everywhere, None, &Arc::new(settings)),
    };
    watched.until("done").await;
    let (address, cluster) = (server.address(), server.cluster().clone());
    drop(server);
    let words = watched.until("unavailable").await;
    assert!(
        words
            .last()
            .unwrap()
            .contains("the API server cannot be reached"),
        "{words:?}"
    );
    cluster.delete("services", "default", "a");
    cluster.put(service("b"));
    let server = FakeApiServer::serve(cluster, address).await.unwrap();
    let words = watched.until("done").await;
    assert_eq!(words.last_chunk::<3>().unwrap(), &["relist", "+b", "done"]);
    drop(server);
}
