use serde_json::json;

use super::*;

const A: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

fn instance(id: &str, name: &str, address: Ipv4Addr) -> Value {
    json!({ "ID": id, "Service": name, "Address": address, "Port": PORT, "Tags": ["k8s"], "ModifyIndex": 7 })
}

fn node(instances: &[Value]) -> Value {
    json!({ "Node": { "Node": "k8s-sync" }, "Services": instances })
}

fn check(id: &str, status: &str) -> Value {
    json!({ "ServiceID": id, "ServiceName": "web", "Status": status })
}

fn place(address: Ipv4Addr) -> Place {
    ("web".to_owned(), address)
}

/// Two instances of `web`, a foreign one, and another node; all seen once, and nothing wrong with it.
fn settled() -> (Expectation, Value, Value) {
    let mut expectation = Expectation::default();
    let foreign =
        json!({ "ID": "theirs", "Service": "web", "Address": "10.9.9.9", "ModifyIndex": 3 });
    let whole = node(&[instance("a", "web", A), instance("b", "web", B), foreign]);
    let checks = json!([check("a", "passing"), check("b", "passing")]);
    expectation.adds([place(A), place(B)]);
    expectation.wants([(place(A), true), (place(B), true)].into());
    expectation.sustains("web");
    expectation.foreign(&["theirs"], &whole, &node(&[]));
    expectation.settles(&whole);
    let (wrong, wrong_checks) = judge(&mut expectation, &whole, &checks);
    assert_eq!((wrong, wrong_checks), (vec![], vec![]));
    (expectation, whole, checks)
}

fn judge(
    expectation: &mut Expectation,
    node: &Value,
    checks: &Value,
) -> (Vec<String>, Vec<String>) {
    let mut seen = Seen::default();
    (
        expectation.judge_node(node, &mut seen),
        expectation.judge_checks(checks, &mut seen),
    )
}

/// What is wrong with a catalog that was changed like this.
#[track_caller]
fn is_wrong(change: impl FnOnce(&mut Vec<Value>), part: &str) {
    let (mut expectation, mut whole, checks) = settled();
    change(whole["Services"].as_array_mut().unwrap());
    let wrong = judge(&mut expectation, &whole, &checks).0.join("\n");
    assert!(wrong.contains(part), "{part:?} is not said: {wrong:?}");
}

#[test]
fn an_absent_instance_is_seen() {
    is_wrong(
        |instances| drop(instances.remove(0)),
        "10.1.0.1) is wanted and absent",
    );
}

#[test]
fn an_empty_name_is_seen() {
    let (mut expectation, _, _) = settled();
    expectation.frees([place(A), place(B)]);
    let (wrong, wrong_checks) = judge(
        &mut expectation,
        &node(&[]),
        &json!([check("theirs", "passing")]),
    );
    assert!(
        wrong.contains(&"web has no instance at all".to_owned()),
        "{wrong:?}"
    );
    assert_eq!(wrong_checks, ["web has no passing instance"]);
}

#[test]
fn a_second_instance_of_the_same_place_is_seen() {
    is_wrong(
        |instances| instances.push(instance("c", "web", B)),
        "is there twice, as b and as c",
    );
}

#[test]
fn a_changed_or_absent_foreign_instance_is_seen() {
    is_wrong(
        |instances| instances[2]["ModifyIndex"] = json!(8),
        "theirs, which is not ours, was changed",
    );
    is_wrong(
        |instances| drop(instances.pop()),
        "theirs, which is not ours, is gone",
    );
    let (mut expectation, _, _) = settled();
    let changed = json!({ "Node": { "Node": "k8s-sync", "Address": "10.0.0.1" }, "Services": [] });
    let wrong = judge(&mut expectation, &changed, &json!([])).0;
    assert!(wrong[0].starts_with("the node was changed"), "{wrong:?}");
    assert!(!expectation.judge_other_node(&changed).is_empty());
}

#[test]
fn other_contents_and_what_was_never_wanted_are_seen() {
    is_wrong(
        |instances| instances[0]["Tags"] = json!([]),
        "a was written again with other contents",
    );
    let stranger = instance("x", "web", Ipv4Addr::new(10, 1, 0, 3));
    is_wrong(|instances| instances.push(stranger), "x was never wanted");
}

#[test]
fn a_ready_instance_that_fails_or_has_no_check_is_seen() {
    let (mut expectation, whole, _) = settled();
    let checks = json!([check("a", "critical")]);
    let wrong = judge(&mut expectation, &whole, &checks).1;
    assert!(
        wrong[0].contains("10.1.0.1) is ready and fails"),
        "{wrong:?}"
    );
    assert!(
        wrong[1].contains("10.1.0.2) is ready and has no check"),
        "{wrong:?}"
    );
    assert!(
        wrong[2].contains("web has no passing instance"),
        "{wrong:?}"
    );
}

#[test]
fn what_is_taken_away_may_go_and_come_back_until_the_end() {
    let (mut expectation, whole, checks) = settled();
    expectation.frees([place(B)]);
    let without = node(&[whole["Services"][0].clone(), whole["Services"][2].clone()]);
    let few = json!([check("a", "passing")]);
    for (node, checks) in [(&without, &few), (&whole, &checks), (&without, &few)] {
        let (wrong, wrong_checks) = judge(&mut expectation, node, checks);
        assert_eq!((wrong, wrong_checks), (vec![], vec![]));
    }
}

#[test]
fn after_a_loss_on_purpose_an_instance_must_stay_once_it_is_back() {
    let (mut expectation, whole, checks) = settled();
    expectation.forgets(&[].into());
    expectation.foreign_lost();
    for (node, checks) in [(&whole, &checks), (&node(&[]), &json!([]))] {
        let (wrong, wrong_checks) = judge(&mut expectation, node, checks);
        assert_eq!((wrong, wrong_checks), (vec![], vec![]));
    }
    expectation.recovers();
    judge(&mut expectation, &whole, &checks);
    let (wrong, wrong_checks) = judge(&mut expectation, &node(&[]), &json!([]));
    assert!(!wrong.is_empty() && !wrong_checks.is_empty());
}
