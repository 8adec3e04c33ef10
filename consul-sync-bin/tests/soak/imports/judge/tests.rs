//! The judge sees what it is there for.

use serde_json::json;

use super::*;

fn service(name: &str, uid: &str) -> Value {
    json!({ "metadata": { "name": name, "uid": uid, "labels": { OWNER: "us" } } })
}

fn slice(name: &str, addresses: &[&str]) -> Value {
    let endpoints = addresses.iter();
    let endpoints: Vec<Value> = endpoints
        .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }))
        .collect();
    json!({ "metadata": { "labels": { SERVICE: name } }, "endpoints": endpoints })
}

/// A judge of one service, which has shown it once.
fn judge() -> Judge {
    let mut judge = Judge::default();
    judge.names.insert("web".to_owned());
    judge.stays.insert("web".to_owned(), None);
    let place = ("web".to_owned(), Ipv4Addr::new(10, 2, 0, 1));
    judge.endpoints.insert(place, false);
    look(
        &mut judge,
        &[service("web", "1"), theirs(1)],
        &[slice("web", &["10.2.0.1"])],
    );
    assert_eq!(judge.wrong, [""; 0]);
    judge
}

fn theirs(version: u64) -> Value {
    json!({ "metadata": { "name": FOREIGN, "resourceVersion": version } })
}

fn look(judge: &mut Judge, services: &[Value], slices: &[Value]) {
    let before = (judge.stays.clone(), judge.endpoints.clone());
    judge.judge(&before, services, slices);
}

#[test]
fn what_must_not_be_is_seen() {
    let web = || service("web", "1");
    let one = || slice("web", &["10.2.0.1"]);
    for (services, slices, words) in [
        (vec![], vec![one()], "is gone"),
        (vec![service("web", "2")], vec![one()], "was made anew"),
        (vec![web()], vec![], "has lost 10.2.0.1"),
        (vec![web()], vec![one(), one()], "twice"),
        (
            vec![web(), service("db", "3")],
            vec![one()],
            "nobody registered",
        ),
        (vec![web(), theirs(2)], vec![one()], "somebody else's"),
        (
            vec![web()],
            vec![one(), slice(FOREIGN, &["10.2.0.1"])],
            "was given",
        ),
    ] {
        let mut judge = judge();
        look(&mut judge, &services, &slices);
        assert_eq!(judge.wrong.len(), 1, "{:?}", judge.wrong);
        assert!(judge.wrong[0].contains(words), "{:?}", judge.wrong);
    }
}

#[test]
fn what_was_taken_away_on_purpose_may_go() {
    let mut judge = judge();
    // It was asked for before, and goes while the answer is on its way.
    let before = (judge.stays.clone(), judge.endpoints.clone());
    judge.stays.clear();
    judge.endpoints.clear();
    judge.judge(&before, &[], &[]);
    assert_eq!(judge.wrong, [""; 0]);
    // Consul has forgotten it.
    let mut judge = self::judge();
    judge.is_suspended = true;
    look(&mut judge, &[], &[]);
    assert_eq!(judge.wrong, [""; 0]);
}
