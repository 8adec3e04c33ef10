//! Services whose names the rules do not allow.

use consul_sync_core::{Event, Reason};

use super::*;

fn named(version: u32, name: &str) -> slim::Service {
    decode(json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u-web", "resourceVersion": version.to_string(),
            "annotations": {"consul.hashicorp.com/service-name": name},
        },
        "spec": {"ports": [{"port": 80}]},
    }))
}

fn ruled() -> (Index, Reader) {
    let settings = ExportSettings {
        name_rules: ["shop=shop-*".parse().unwrap()].into_iter().collect(),
        ..lean()
    };
    let slices = vec![slice("web-1", "web", 1, endpoints(&["10.0.0.1"]))];
    listed(settings, vec![named(1, "shop-web")], slices)
}

#[test]
fn fault_n08_a_name_that_no_rule_allows_is_rejected_whatever_it_comes_from() {
    let (mut index, mut reader) = ruled();
    assert_eq!(
        reader.services[&Key::new("shop", "web")].name.as_str(),
        "shop-web"
    );

    index.apply(Change::Upserted(named(2, "web")));
    let events = index.drain();
    let [Event::Rejected(_, rejection)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(rejection.reason(), Reason::NotAllowed);
    assert_eq!(
        rejection.message(),
        "annotation service-name: no rule allows namespace shop the name \"web\""
    );

    let mut other = cluster_ip("api");
    other.metadata.resource_version = Some("3".to_owned());
    index.apply(Change::Upserted(other));
    assert_eq!(
        reader.read(&mut index),
        ["!shop/api"],
        "its own name is no better"
    );
    index.apply(Change::Upserted(named(4, "shop-2")));
    assert_eq!(reader.read(&mut index), ["+shop/web"]);
}

#[test]
fn a_sign_of_life_does_not_bring_a_rejected_service_back() {
    let (mut index, mut reader) = ruled();
    for (version, spec) in [
        (2, json!({"ports": "many"})),
        (3, json!({"ports": [{"port": 80}]})),
    ] {
        // First undecodable, then of a name that is not allowed.
        index.apply(Change::Upserted(service("web", version, spec)));
        assert_eq!(reader.read(&mut index), ["!shop/web"]);
        index.apply(Change::<slim::Service>::Recovered);
        let events = index.drain();
        assert!(matches!(events[..], [Event::Rejected(..)]), "{events:?}");
    }
}
