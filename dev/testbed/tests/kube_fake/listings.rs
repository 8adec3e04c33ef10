//! Cases about listings and watches.

use serde_json::json;

use super::{
    side::service,
    step::{At, Kind, Known, Place, Step},
};

const A: Place = Place::A;

pub(crate) fn selection() -> Vec<Step> {
    let spec = json!({"ports": [{"port": 80}]});
    let label = |value: serde_json::Value| json!({"metadata": {"labels": {"app": value}}});
    vec![
        Step::Create(Kind::Service, A, service("a", &spec)),
        Step::Create(Kind::Service, A, service("b", &spec)),
        Step::Create(Kind::Service, A, service("c", &spec)),
        Step::Merge(Kind::Service, A, "b", label(json!("a"))),
        Step::Merge(Kind::Service, A, "a", label(json!(null))),
        Step::Merge(
            Kind::Service,
            A,
            "a",
            json!({"metadata": {"annotations": {"seen": "no"}}}),
        ),
        Step::Merge(Kind::Service, A, "a", label(json!("a"))),
        Step::Delete(Kind::Service, A, "b", Known::Nothing, Known::Nothing),
        Step::List(Kind::Service, A, "app%3Da"),
        Step::List(Kind::Service, A, "app%20notin%20%28a%29"),
        Step::List(Kind::Service, A, "a%20b"),
    ]
}

pub(crate) fn matches() -> Vec<Step> {
    [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=NotOlderThan",
        "resourceVersion=1&resourceVersionMatch=Wat",
        "resourceVersion=1&resourceVersionMatch=NotOlderThan&continue=x",
    ]
    .map(|query| Step::Query(Kind::Slice, A, query))
    .to_vec()
}

pub(crate) fn comma() -> Vec<Step> {
    let spec = json!({"ports": [{"port": 80}]});
    let mut steps = vec![Step::Create(Kind::Service, A, service("a", &spec))];
    for query in [
        "labelSelector=app%3Da%2C",
        "labelSelector=app%2C",
        "labelSelector=%2Capp",
        "labelSelector=%2C",
        "labelSelector=app%2C%2Capp%3Da",
        "labelSelector=app%20in%20%28a%2C%29",
        "fieldSelector=metadata.name%3Da%2C",
        "fieldSelector=%2Cmetadata.name%3Da",
    ] {
        steps.push(Step::Query(Kind::Service, A, query));
    }
    steps.push(Step::Watch(Kind::Service, A, "app%3Da%2C", At::Latest));
    steps
}

/// Whether anything is left is known, but not whether it is selected.
pub(crate) fn pages() -> Vec<Step> {
    let spec = json!({"ports": [{"port": 80}]});
    let mut steps = Vec::new();
    // Their labels are their names.
    for name in ["a", "b", "c", "d"] {
        steps.push(Step::Create(Kind::Service, A, service(name, &spec)));
    }
    for selector in [
        "app%3Da",
        "app%3Dd",
        "app%20in%20%28a%2Cb%29",
        "app%3Dnone",
        "",
    ] {
        for limit in [1, 2, 3, 4] {
            for at in [At::Latest, At::Exactly(99)] {
                steps.push(Step::ListAt(Kind::Service, A, selector, at, limit));
            }
        }
    }
    steps
}

pub(crate) fn forgotten() -> Vec<Step> {
    let spec = json!({"ports": [{"port": 80}]});
    let reads = |steps: &mut Vec<Step>| {
        for at in [At::Exactly(0), At::Exactly(50), At::Latest] {
            steps.push(Step::ListAt(Kind::Service, A, "", at, 0));
            steps.push(Step::ListAt(Kind::Service, A, "app%3Da", at, 1));
            steps.push(Step::Watch(Kind::Service, A, "", at));
        }
    };
    let mut steps = Vec::new();
    for name in ["a", "b", "c", "d"] {
        steps.push(Step::Create(Kind::Service, A, service(name, &spec)));
    }
    reads(&mut steps);
    steps.push(Step::Forget);
    reads(&mut steps);
    steps.push(Step::Delete(
        Kind::Service,
        A,
        "a",
        Known::Nothing,
        Known::Nothing,
    ));
    reads(&mut steps);
    steps.push(Step::Forget);
    steps.push(Step::Forget);
    reads(&mut steps);
    steps
}

pub(crate) fn fields() -> Vec<Step> {
    let mut steps = Vec::new();
    for kind in Kind::ALL {
        for query in [
            "fieldSelector=metadata.namespace%3Dnowhere",
            "fieldSelector=metadata.name%3Dnowhere",
        ] {
            steps.push(Step::Query(kind, A, query));
        }
    }
    steps
}
