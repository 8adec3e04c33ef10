//! What others put into the catalog.

use consul_sync_consul::testing::{Check, FakeConsul, Instance, Node};

pub(crate) const NODE: &str = "n1";

/// A catalog with two nodes.
pub(crate) async fn consul() -> FakeConsul {
    with_nodes(FakeConsul::start().await.unwrap())
}

pub(crate) fn with_nodes(consul: FakeConsul) -> FakeConsul {
    for (name, address) in [(NODE, "10.9.0.1"), ("n2", "10.9.0.2")] {
        consul.put_node(node(name, address)).unwrap();
    }
    consul
}

pub(crate) fn node(name: &str, address: &str) -> Node {
    Node {
        node: name.into(),
        address: address.into(),
        ..Node::default()
    }
}

/// The instance of a service with that number.
pub(crate) fn instance(service: &str, number: u8) -> Instance {
    Instance {
        node: NODE.into(),
        id: format!("{service}-{number}"),
        service: service.into(),
        address: format!("10.0.0.{number}"),
        port: 80,
        ..Instance::default()
    }
}

/// Registers so many instances of a service.
pub(crate) fn put(consul: &FakeConsul, service: &str, count: u8) {
    for number in 1..=count {
        consul.put_instance(instance(service, number)).unwrap();
    }
}

/// Makes services of one instance each, `s0` and on.
pub(crate) fn fill(consul: &FakeConsul, count: usize) {
    for number in 0..count {
        put(consul, &format!("s{number}"), 1);
    }
}

/// A check of an instance; of the node where no instance is named.
pub(crate) fn check(id: &str, instance: &str, status: &str) -> Check {
    Check {
        node: NODE.into(),
        check_id: id.into(),
        name: "a check".into(),
        service_id: instance.into(),
        status: status.into(),
        ..Check::default()
    }
}
