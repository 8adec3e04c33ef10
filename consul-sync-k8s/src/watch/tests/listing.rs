//! Faults of listings.

use super::*;
use crate::testing::{Fault, On, WatchFault};

const ALL: [&str; 7] = ["relist", "+a", "+b", "+c", "+d", "+e", "done"];

#[tokio::test(start_paused = true)]
async fn a_listing_is_read_in_pages_of_one_version_and_then_watched_from_it() {
    let cluster = cluster(&["a", "b", "c", "d", "e"]);
    let mut watched = Watched::in_pages(&cluster);
    assert_eq!(watched.take(3).await, ["relist", "+a", "+b"]);
    cluster.put(service("f"));
    assert_eq!(watched.take(5).await, ["+c", "+d", "+e", "done", "+f"]);
    let lists = asked(&cluster, Verb::List);
    assert_eq!(lists.len(), 3);
    assert!(
        lists
            .iter()
            .all(|list| parameter(list, "resourceVersion").is_none()),
        "asks for the newest state"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_beginning_of_the_listing_was_taken() {
    let cluster = cluster(&["a"]);
    let mut watched = Watched::new(&cluster);
    assert_eq!(watched.next().await, "relist");
    assert_eq!(cluster.count(Verb::List, "services"), 0);
    assert_eq!(watched.next().await, "+a");
}

#[tokio::test(start_paused = true)]
async fn fault_k01_a_listing_that_fails_on_any_page_starts_anew_and_removes_nothing() {
    for page in 0..3 {
        let cluster = cluster(&["a", "b", "c", "d", "e"]);
        cluster.inject(On::list("services").page(page).times(1), Fault::status(500));
        let mut watched = Watched::in_pages(&cluster);
        let words = watched.until("done").await;
        let failed = words
            .iter()
            .position(|word| word.starts_with("unavailable: list services: status 500"));
        let failed = failed.unwrap_or_else(|| panic!("page {page}: {words:?}"));
        assert_eq!(words[failed + 1..], ALL);
        assert_eq!(words.iter().filter(|word| *word == "done").count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k01_a_forgotten_continue_token_leads_to_a_listing_in_one_piece() {
    let cluster = cluster(&["a", "b", "c", "d", "e"]);
    let mut watched = Watched::in_pages(&cluster);
    assert_eq!(watched.take(3).await, ["relist", "+a", "+b"]);
    cluster.compact();
    assert_eq!(watched.until("done").await, ALL);
    let lists = asked(&cluster, Verb::List);
    assert_eq!(parameter(&lists[0], "limit").as_deref(), Some("2"));
    assert_eq!(parameter(lists.last().unwrap(), "limit"), None);
}

#[tokio::test(start_paused = true)]
async fn later_pages_are_as_large_as_the_objects_allow() {
    let names: Vec<String> = (0..14).map(|at| format!("s{at:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let limits = |page_bytes| {
        let cluster = cluster(&names);
        async move {
            let settings = WatchSettings {
                page_size: 2,
                page_bytes,
                ..WatchSettings::default()
            };
            let mut watched = Watched::with(&cluster, &Scope::Everywhere, settings);
            assert_eq!(watched.until("done").await.len(), 16, "nothing is left out");
            let lists = asked(&cluster, Verb::List);
            let limit = |list| parameter(list, "limit").unwrap_or_default();
            lists.iter().map(limit).collect::<Vec<_>>()
        }
    };
    assert_eq!(limits(1 << 20).await, ["2", "8", "8"]);
    assert_eq!(limits(0).await, ["2"; 7]);
    assert_eq!(limits(1).await[..3], ["2", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k02_a_listing_that_is_cut_truncated_or_no_json_is_never_taken_for_whole() {
    let length = {
        let cluster = cluster(&["a", "b", "c"]);
        let client = cluster.client();
        let request = http::Request::get("/api/v1/services").body(Vec::new());
        let list = client.request_text(request.unwrap());
        list.await.unwrap().len()
    };
    let mut faults = vec![
        Fault::Disconnect,
        Fault::text(200, "<html>log in</html>"),
        Fault::text(200, "{}"),
        Fault::text(200, r#"{"items":[]}"#),
        Fault::text(200, r#"{"metadata":{"resourceVersion":"5"},"items":null}"#),
        Fault::text(200, r#"{"metadata":{"resourceVersion":"5"}}"#),
        Fault::text(200, "null"),
        Fault::text(502, "bad gateway"),
    ];
    faults.extend((0..length).step_by(13).map(|after| Fault::Cut { after }));
    faults.extend(
        (0..length)
            .step_by(13)
            .map(|after| Fault::Truncate { after }),
    );
    for fault in faults {
        let cluster = cluster(&["a", "b", "c"]);
        cluster.inject(On::list("services").times(1), fault.clone());
        let words = Watched::new(&cluster).until("done").await;
        let error = words
            .iter()
            .position(|word| word.contains(": list services: "));
        assert!(error.is_some(), "{fault:?}: {words:?}");
        assert_eq!(
            words[error.unwrap() + 1..],
            ["relist", "+a", "+b", "+c", "done"],
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k03_a_listing_of_nothing_is_told_as_it_is_for_the_brake_to_judge() {
    let cluster = cluster(&["a", "b"]);
    let mut watched = Watched::opened(&cluster).await;
    cluster.inject(On::list("services").times(1), Fault::Empty);
    cluster.disturb(None, WatchFault::Error(410));
    assert_eq!(watched.take(2).await, ["relist", "done"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k04_a_listing_without_an_answer_ends_within_its_limit() {
    let cluster = cluster(&["a"]);
    cluster.inject(On::list("services").times(1), Fault::Hang);
    let mut watched = Watched::new(&cluster);
    assert_eq!(watched.next().await, "relist");
    let (word, took) = elapsed(watched.next()).await;
    assert_eq!(
        word,
        "timeout: list services: no answer from the API server within 30 s"
    );
    assert_eq!(took, Duration::from_secs(30));
    assert_eq!(watched.take(3).await, ["relist", "+a", "done"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k11_a_listing_older_than_what_was_seen_is_not_believed() {
    let cluster = cluster(&["a"]);
    let old = cluster.revision();
    let mut watched = Watched::opened(&cluster).await;
    cluster.put(service("b"));
    assert_eq!(watched.next().await, "+b");
    cluster.inject(
        On::list("services").times(2),
        Fault::Stale { revision: old },
    );
    cluster.disturb(None, WatchFault::Error(410));
    let words = watched.until("done").await;
    // The report weakens what its reader knows, so a listing has to follow.
    assert_eq!(words[1], "lost", "{words:?}");
    assert!(
        words[2].starts_with("incomplete: list services: the answer is of version"),
        "{words:?}"
    );
    assert_eq!(
        words
            .iter()
            .filter(|word| word.starts_with("incomplete"))
            .count(),
        1,
        "told once: {words:?}"
    );
    assert_eq!(words[words.len() - 4..], ["relist", "+a", "+b", "done"]);
    assert_eq!(cluster.count(Verb::List, "services"), 4);
}

#[tokio::test(start_paused = true)]
async fn fault_k12_an_object_that_was_made_anew_unseen_is_listed_with_its_new_uid() {
    let cluster = cluster(&["a"]);
    let mut watched = Watched::opened(&cluster).await;
    let uid = |cluster: &FakeCluster| {
        cluster.get("services", "default", "a").unwrap()["metadata"]["uid"].clone()
    };
    let first = uid(&cluster);
    cluster.disturb(None, WatchFault::Silence);
    cluster.delete("services", "default", "a");
    cluster.put(service("a"));
    cluster.compact();
    assert_ne!(uid(&cluster), first);
    let relisted = loop {
        if let Some(Ok(Change::Upserted(object))) = watched.steps.next().await {
            break object;
        }
    };
    assert_eq!(json!(relisted.metadata.uid), uid(&cluster));
}

#[tokio::test(start_paused = true)]
async fn fault_k13_a_streaming_list_that_breaks_off_is_void_and_brings_no_ghost() {
    let settings = WatchSettings {
        streaming_lists: true,
        ..WatchSettings::default()
    };
    for after in [0, 10, 400, 800] {
        let cluster = cluster(&["a", "b", "c"]);
        cluster.inject(On::watch("services").times(1), Fault::Cut { after });
        let mut watched = Watched::with(&cluster, &Scope::Everywhere, settings.clone());
        let mut words = watched.take(1).await;
        loop {
            words.push(watched.next().await);
            if words.last().unwrap().contains(": watch services") {
                break;
            }
        }
        // Gone while the listing was broken: it must not come back with what was listed before.
        cluster.delete("services", "default", "a");
        words.extend(watched.until("done").await);
        assert_eq!(replay(&words), ["b", "c"], "{after}: {words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn streaming_lists_are_asked_of_the_newest_state_and_refused_ones_fall_back_to_pages_for_good()
 {
    let settings = WatchSettings {
        streaming_lists: true,
        ..WatchSettings::default()
    };
    let cluster = cluster(&["a", "b"]);
    let mut watched = Watched::with(&cluster, &Scope::Everywhere, settings.clone());
    assert_eq!(watched.until("done").await, ["relist", "+a", "+b", "done"]);
    cluster.put(service("c"));
    assert_eq!(watched.next().await, "+c");
    assert_eq!(cluster.count(Verb::List, "services"), 0);
    let first = &asked(&cluster, Verb::Watch)[0];
    assert_eq!(
        parameter(first, "sendInitialEvents").as_deref(),
        Some("true")
    );
    assert_eq!(parameter(first, "resourceVersion").as_deref(), Some(""));

    cluster.streaming_lists(false);
    let mut watched = Watched::with(&cluster, &Scope::Everywhere, settings);
    assert_eq!(
        watched.until("done").await,
        ["relist", "relist", "+a", "+b", "+c", "done"]
    );
    watched.settle().await;
    cluster.disturb(None, WatchFault::Error(410));
    assert_eq!(
        watched.until("done").await,
        ["relist", "+a", "+b", "+c", "done"]
    );
}

#[tokio::test(start_paused = true)]
async fn fault_k14_an_object_that_cannot_be_decoded_is_told_and_the_listing_is_whole() {
    let cluster = cluster(&["a", "c"]);
    let mut bad = service("b");
    bad["spec"]["ports"][0]["port"] = json!("NaN");
    cluster.put(bad);
    let mut watched = Watched::new(&cluster);
    let mut undecodable = Vec::new();
    loop {
        match watched.steps.next().await.unwrap().unwrap() {
            Change::Upserted(object) if object.body.is_err() => {
                undecodable.push(object.key().to_string());
            }
            Change::RelistDone => break,
            _ => {}
        }
    }
    assert_eq!(undecodable, ["default/b"]);
}

#[tokio::test(start_paused = true)]
async fn fault_k15_a_right_that_is_withdrawn_loses_the_kind_and_is_told_once_with_its_rule() {
    for verb in [Verb::List, Verb::Watch] {
        let cluster = cluster(&["a"]);
        let mut watched = Watched::opened(&cluster).await;
        cluster.deny(verb, "services");
        cluster.disturb(
            None,
            if verb == Verb::List {
                WatchFault::Error(410)
            } else {
                WatchFault::Close
            },
        );
        let words = watched.until("unauthorized").await;
        assert!(words.contains(&"lost".to_owned()), "{words:?}");
        assert!(
            words.last().unwrap().contains(&format!(
                "{verb} services: forbidden (services is forbidden: User \"system:serviceaccount:consul-sync:consul-sync\" \
                 cannot {verb} resource \"services\" in API group \"\" at the cluster scope); add {{apiGroups: [\"\"], \
                 resources: [\"services\"], verbs: [\"{verb}\"]}} to a ClusterRole"
            )),
            "{words:?}"
        );
        let later = watched.take(20).await;
        assert!(
            !later.iter().any(|word| word.starts_with("unauthorized")),
            "told once: {later:?}"
        );
        cluster.allow(verb, "services");
        cluster.put(service("b"));
        let words = watched.until("done").await;
        assert_eq!(replay(&words), ["a", "b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn fault_k15_credentials_that_are_not_accepted_lose_the_kind() {
    let cluster = cluster(&["a"]);
    let fault = cluster.inject(On::any(), Fault::status(401));
    let mut watched = Watched::new(&cluster);
    assert_eq!(
        watched.take(3).await,
        [
            "relist",
            "lost",
            "unauthorized: list services: the API server does not accept the credentials; check that the token is current"
        ]
    );
    cluster.lift(fault);
    watched.until("done").await;
}

#[tokio::test(start_paused = true)]
async fn fault_k22_a_server_that_comes_back_from_a_backup_is_listed_again_and_believed() {
    let cluster = cluster(&["a", "b"]);
    let backup = cluster.revision();
    let mut watched = Watched::new(&cluster);
    let mut words = watched.until("done").await;
    watched.settle().await;
    cluster.put(service("c"));
    words.push(watched.next().await);
    let down = cluster.inject(On::any(), Fault::Disconnect);
    cluster.disturb(None, WatchFault::Close);
    words.extend(watched.until("unavailable").await);
    // Down for two hours, then back with an older state.
    tokio::time::sleep(Duration::from_secs(7200)).await;
    cluster.delete("services", "default", "c");
    cluster.rewind(backup);
    cluster.lift(down);
    words.extend(watched.until("done").await);
    assert_eq!(replay(&words), ["a", "b"], "{words:?}");
    assert!(
        !words.iter().any(|word| word == "-c"),
        "removed by the complete listing alone: {words:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn several_namespaces_are_one_listing() {
    let cluster = cluster(&["a"]);
    for (namespace, name) in [("shop", "s"), ("bank", "k"), ("other", "o")] {
        let mut object = service(name);
        object["metadata"]["namespace"] = json!(namespace);
        cluster.put(object);
    }
    let scope = Scope::Namespaces(["shop".into(), "bank".into()].into());
    let mut watched = Watched::with(&cluster, &scope, WatchSettings::default());
    assert_eq!(watched.until("done").await, ["relist", "+s", "+k", "done"]);
    let mut object = service("s2");
    object["metadata"]["namespace"] = json!("shop");
    cluster.put(object);
    assert_eq!(watched.next().await, "+s2");
    cluster.compact();
    cluster.disturb(None, WatchFault::Close);
    cluster.delete("services", "bank", "k");
    cluster.compact();
    let words = watched.until("done").await;
    assert_eq!(words, ["relist", "+s", "+s2", "done"]);
    assert!(cluster.seen().iter().all(|seen| seen.namespace.is_some()));
}
