//! Each kind of value, and what is no such value.

use super::*;

#[test]
fn booleans_are_what_go_takes() {
    for text in ["1", "t", "T", "true", "TRUE", "True"] {
        assert_eq!(boolean(text), Ok(true), "{text}");
    }
    for text in ["0", "f", "F", "false", "FALSE", "False"] {
        assert_eq!(boolean(text), Ok(false), "{text}");
    }
    for text in ["", "yes", "on", "tRUE"] {
        assert!(boolean(text).is_err(), "{text}");
    }
}

#[test]
fn durations_are_what_people_and_go_write() {
    let seconds = |text| duration(text).map(|duration| duration.as_secs_f64());
    assert_eq!(seconds("30s"), Ok(30.0));
    assert_eq!(seconds("1h0m0s"), Ok(3600.0));
    assert_eq!(seconds("250ms"), Ok(0.25));
    for text in ["0", "0s", "", "5", "-5s", "5 parsecs"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn what_must_be_something_is_never_nothing() {
    assert_eq!(positive("6"), Ok(6));
    assert_eq!(wait("10m"), Ok(Duration::from_secs(600)));
    for text in ["0", "-1", "x", ""] {
        assert!(positive(text).is_err(), "{text}");
    }
    for text in ["999ms", "601s", "0", "x"] {
        assert!(wait(text).is_err(), "{text}");
    }
}

#[test]
fn what_an_election_needs_is_what_consul_takes() {
    assert_eq!(session_ttl("10s"), Ok(Duration::from_secs(10)));
    assert_eq!(lock_delay("0s"), Ok(Duration::ZERO));
    assert_eq!(lock_delay("60s"), Ok(Duration::from_secs(60)));
    for text in ["0s", "999ms", "25h", "x"] {
        assert!(session_ttl(text).is_err(), "{text}");
    }
    for text in ["61s", "-1s", "x"] {
        assert!(lock_delay(text).is_err(), "{text}");
    }
    for text in ["consul-sync", "teams/a_1/sync.v2"] {
        assert_eq!(key_prefix(text).as_deref(), Ok(text));
    }
    for text in ["", "/a", "a/", "a//b", "a/../b", "a b", "a%2fb"] {
        assert!(key_prefix(text).is_err(), "{text}");
    }
}

#[test]
fn the_name_of_a_lease_is_what_kubernetes_takes() {
    for text in ["consul-sync", "a.b", "1"] {
        assert_eq!(lease_name(text).as_deref(), Ok(text));
    }
    let long = format!("{0}.{0}.{0}.{0}", "a".repeat(60));
    for text in ["", "A", "-a", "a-", "a..b", "a/b", &long, &"a".repeat(64)] {
        assert!(lease_name(text).is_err(), "{text}");
    }
}

#[test]
fn percent_is_whole_and_at_most_a_hundred() {
    assert_eq!(percent("15"), Ok(15));
    assert_eq!(percent("100%"), Ok(100));
    for text in ["101", "-1", "0.5", "", "%", "300"] {
        assert!(percent(text).is_err(), "{text}");
    }
}

#[test]
fn words_fold_case_and_dashes() {
    for text in ["upsert-only", "UpsertOnly", "upsert_only", "UPSERTONLY"] {
        assert_eq!(policy(text), Ok(Policy::UpsertOnly), "{text}");
    }
    assert_eq!(
        policy("all"),
        Err("expected sync, upsert-only or create-only".to_owned())
    );
    assert_eq!(orphans("keep"), Err("expected report or delete".to_owned()));
}

#[test]
fn listen_takes_a_port_alone_and_off() {
    assert_eq!(listen("off"), Ok(Listen(None)));
    assert_eq!(
        listen(":8080"),
        Ok(Listen(Some("[::]:8080".parse().unwrap())))
    );
    assert_eq!(
        listen("localhost:1"),
        Ok(Listen(Some("127.0.0.1:1".parse().unwrap())))
    );
    assert_eq!(
        listen("[::1]:80"),
        Ok(Listen(Some("[::1]:80".parse().unwrap())))
    );
    for text in ["", "8080", ":", ":99999", "example.com:80", "127.0.0.1"] {
        assert!(listen(text).is_err(), "{text}");
    }
}

#[test]
fn an_owner_is_a_label_of_kubernetes() {
    for text in [
        "a",
        "cluster-a.eu_1",
        "6f1c0a57-93de-4a4e-8a9f-2d3d8a4f6f10",
    ] {
        assert_eq!(owner(text).unwrap().as_str(), text);
    }
    for text in ["", "-a", "a-", "a b", "é", &"a".repeat(64)] {
        assert!(owner(text).is_err(), "{text}");
    }
}
