//! Faults of watches.

use super::*;
use crate::testing::{Fault, On, WatchFault};

#[tokio::test(start_paused = true)]
async fn changes_are_told_as_they_come_and_dropping_the_stream_ends_the_watch() {
    let cluster = cluster(&["a"]);
    let mut watched = Watched::opened(&cluster).await;
    cluster.put(service("b"));
    cluster.put(service("a"));
    cluster.delete("services", "default", "b");
    assert_eq!(watched.take(3).await, ["+b", "+a", "-b"]);
    assert_eq!(cluster.open_watches(), 1);
    drop(watched);
    assert_eq!(cluster.open_watches(), 0);
}

#[tokio::test(start_paused = true)]
async fn fault_k05_an_error_event_410_leads_to_a_listing_at_once() {
    let cluster = cluster(&["a", "b"]);
    let mut watched = Watched::opened(&cluster).await;
    // A listing that is only seconds old is not repeated at once.
    tokio::time::sleep(Duration::from_secs(20)).await;
    cluster.disturb(None, WatchFault::Error(410));
    cluster.delete("services", "default", "b");
    let (words, took) = elapsed(watched.until("done")).await;
    assert_eq!(words, ["relist", "+a", "done"]);
    assert!(took < Duration::from_millis(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn fault_k06_a_watch_whose_start_is_answered_410_leads_to_a_listing() {
    let cluster = cluster(&["a"]);
    cluster.gone_as_status(true);
    let mut watched = Watched::opened(&cluster).await;
    cluster.put(service("b"));
    assert_eq!(watched.next().await, "+b");
    cluster.disturb(None, WatchFault::Close);
    cluster.delete("services", "default", "a");
    cluster.compact();
    assert_eq!(watched.until("done").await, ["relist", "+b", "done"]);
    assert_eq!(cluster.count(Verb::List, "services"), 2);
}

#[tokio::test(start_paused = true)]
async fn fault_k06_a_server_that_forgets_every_version_at_once_is_not_asked_in_a_circle() {
    let cluster = cluster(&["a"]);
    cluster.inject(On::watch("services"), Fault::status(410));
    let mut watched = Watched::new(&cluster);
    let ((), took) = elapsed(async {
        for _ in 0..10 {
            watched.until("done").await;
        }
    })
    .await;
    assert!(took > Duration::from_secs(60), "ten listings in {took:?}");
}

#[tokio::test(start_paused = true)]
async fn fault_k07_a_watch_that_ends_in_any_way_is_resumed_and_no_event_is_lost_or_doubled() {
    for fault in [
        WatchFault::Close,
        WatchFault::Sever,
        WatchFault::Error(500),
        WatchFault::Line(r#"{"type":"MODIFIED","object":{"metadata":"#.to_owned()),
    ] {
        let cluster = cluster(&["a"]);
        let mut watched = Watched::opened(&cluster).await;
        cluster.put(service("b"));
        assert_eq!(watched.next().await, "+b");
        cluster.disturb(None, fault.clone());
        cluster.disturb(None, WatchFault::Close);
        cluster.put(service("c"));
        cluster.delete("services", "default", "b");
        let mut words = Vec::new();
        while words.len() < 2 {
            let word = watched.next().await;
            if !word.starts_with("unavailable: watch services: status 500") && word != "recovered" {
                words.push(word);
            }
        }
        assert_eq!(words, ["+c", "-b"], "{fault:?}");
        assert_eq!(
            cluster.count(Verb::List, "services"),
            1,
            "{fault:?}: resumed, not listed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k07_a_server_that_ends_every_watch_at_once_is_listed_now_and_then_and_not_asked_in_a_circle()
 {
    let cluster = cluster(&["a"]);
    cluster.inject(On::watch("services"), Fault::text(200, ""));
    let mut watched = Watched::opened(&cluster).await;
    cluster.put(service("b"));
    let words = watched.until("+b").await;
    assert_eq!(words, ["relist", "+a", "+b"]);
    let ((), took) = elapsed(async {
        for _ in 0..10 {
            watched.until("done").await;
        }
    })
    .await;
    assert!(took >= Duration::from_secs(60), "{took:?}");
    assert!(cluster.count(Verb::Watch, "services") <= 60);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_leads_to_a_listing() {
    for line in [
        "[]",
        "7",
        r#"{"type":"ADDED","object":{"metadata":{}}}"#,
        r#"{"type":"SOMETHING","object":{}}"#,
    ] {
        let cluster = cluster(&["a"]);
        let mut watched = Watched::opened(&cluster).await;
        cluster.disturb(None, WatchFault::Line(line.to_owned()));
        let words = watched.until("done").await;
        assert!(
            words[0].starts_with("protocol: watch services: the answer cannot be read"),
            "{words:?}"
        );
        assert_eq!(words[1..], ["relist", "+a", "done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k08_a_silent_watch_is_noticed_within_its_time_and_five_seconds() {
    let cluster = cluster(&["a"]);
    let mut watched = Watched::opened(&cluster).await;
    cluster.put(service("b"));
    assert_eq!(watched.next().await, "+b");
    cluster.disturb(None, WatchFault::Silence);
    cluster.put(service("c"));
    let (word, took) = elapsed(watched.next()).await;
    assert_eq!(word, "+c");
    assert!(took <= Duration::from_secs(55), "{took:?}");
    assert_eq!(cluster.count(Verb::List, "services"), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_k09_a_bookmark_without_a_version_leads_to_a_listing_and_any_text_is_a_version() {
    for bookmark in [None, Some(String::new())] {
        let cluster = cluster(&["a"]);
        let mut watched = Watched::opened(&cluster).await;
        cluster.disturb(None, WatchFault::Bookmark(bookmark));
        assert_eq!(
            watched.until("done").await.last_chunk::<3>().unwrap(),
            &["relist", "+a", "done"]
        );
    }
    let cluster = cluster(&["a"]);
    let mut watched = Watched::opened(&cluster).await;
    cluster.disturb(None, WatchFault::Bookmark(Some("opaque-7".to_owned())));
    cluster.disturb(None, WatchFault::Close);
    // The fake does not know such versions and refuses it, which leads to a listing.
    watched.until("done").await;
    let versions: Vec<_> = asked(&cluster, Verb::Watch)
        .iter()
        .map(|watch| parameter(watch, "resourceVersion").unwrap())
        .collect();
    assert_eq!(versions[1], "opaque-7");
}

#[tokio::test(start_paused = true)]
async fn fault_k09_watches_go_on_for_days_without_a_single_bookmark() {
    let cluster = cluster(&["a"]);
    cluster.bookmark_every(Duration::from_secs(1_000_000));
    let mut watched = Watched::opened(&cluster).await;
    for day in 0..3 {
        // Nobody reads the stream meanwhile, as when the sink is busy.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let name = format!("d{day}");
        cluster.put(service(&name));
        assert_eq!(watched.next().await, format!("+{name}"));
    }
    assert_eq!(cluster.count(Verb::List, "services"), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_k10_repeated_and_unknown_events_are_passed_on_and_older_ones_lead_to_a_listing() {
    let cluster = cluster(&["a"]);
    let mut watched = Watched::opened(&cluster).await;
    let version = cluster.revision();
    let line = |kind: &str, name: &str, version: u64| {
        let object = json!({"metadata": {"namespace": "default", "name": name, "resourceVersion": version.to_string()}});
        WatchFault::Line(json!({"type": kind, "object": object}).to_string())
    };
    cluster.disturb(None, line("MODIFIED", "new", version + 5));
    cluster.disturb(None, line("MODIFIED", "new", version + 5));
    cluster.disturb(None, line("DELETED", "unknown", version + 6));
    assert_eq!(watched.take(3).await, ["+new", "+new", "-unknown"]);
    cluster.disturb(None, line("MODIFIED", "a", 1));
    assert_eq!(watched.next().await, "relist");
}

#[tokio::test(start_paused = true)]
async fn fault_k23_a_version_that_the_server_has_not_seen_yet_is_asked_for_again_and_never_any_other()
 {
    let cluster = cluster(&["a"]);
    cluster.inject(On::watch("services").times(3), Fault::status(504));
    let mut watched = Watched::new(&cluster);
    let words = watched.until("unavailable").await;
    assert_eq!(words[..3], ["relist", "+a", "done"]);
    cluster.put(service("b"));
    assert_eq!(watched.next().await, "+b");
    let versions: Vec<_> = asked(&cluster, Verb::Watch)
        .iter()
        .map(|watch| parameter(watch, "resourceVersion").unwrap())
        .collect();
    assert_eq!(versions.len(), 4);
    assert!(
        versions
            .iter()
            .all(|version| *version == versions[0] && version != "0"),
        "{versions:?}"
    );
    assert_eq!(cluster.count(Verb::List, "services"), 1);
}
