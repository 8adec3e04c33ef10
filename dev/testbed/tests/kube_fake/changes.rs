//! What counts as a change.

use serde_json::{Value, json};

use super::{
    side::service,
    step::{Kind, Known, Place, Step},
};

const A: Place = Place::A;

/// The whole Service anew, whatever is there.
fn update(object: Value) -> Step {
    Step::Update(
        Kind::Service,
        A,
        "a",
        object,
        Known::Nothing,
        Known::Nothing,
    )
}

/// A write that changes nothing is none.
pub(crate) fn nothing() -> Vec<Step> {
    let object = service("a", &json!({"type": "NodePort", "ports": [{"port": 80}]}));
    vec![
        Step::Create(Kind::Service, A, object.clone()),
        Step::Merge(Kind::Service, A, "a", json!({})),
        update(object),
        Step::Merge(
            Kind::Service,
            A,
            "a",
            json!({"metadata": {"labels": {"app": "a"}}}),
        ),
        Step::Merge(Kind::Service, A, "a", json!({"spec": {"type": "NodePort"}})),
    ]
}

/// An address that was given and is left out.
pub(crate) fn address() -> Vec<Step> {
    let update = |spec: Value| update(service("a", &spec));
    let ports = json!([{"port": 80}]);
    vec![
        Step::Create(
            Kind::Service,
            A,
            service("a", &json!({"clusterIP": "None", "ports": ports})),
        ),
        Step::Merge(Kind::Service, A, "a", json!({"spec": {"ports": null}})),
        update(json!({})),
        update(json!({})),
        update(json!({"clusterIP": "None"})),
        update(json!({})),
        Step::Delete(Kind::Service, A, "a", Known::Nothing, Known::Nothing),
        Step::Create(
            Kind::Service,
            A,
            service("a", &json!({"clusterIP": "None"})),
        ),
        Step::Merge(
            Kind::Service,
            A,
            "a",
            json!({"spec": {"type": "ExternalName", "externalName": "x.example.com"}}),
        ),
        Step::Merge(
            Kind::Service,
            A,
            "a",
            json!({"metadata": {"labels": {"none": null}}}),
        ),
        Step::Delete(Kind::Service, A, "a", Known::Nothing, Known::Nothing),
        // One that the server chose was never said.
        Step::Create(Kind::Service, A, service("a", &json!({"ports": ports}))),
        update(json!({"ports": ports})),
        Step::Get(Kind::Service, A, "a"),
    ]
}
