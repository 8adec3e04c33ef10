//! What others put into the catalog.

use consul_sync_consul::testing::{Check, Instance, Node};

use super::support::NODE;

/// The node as somebody registered it, who says nothing of himself.
pub(crate) fn node() -> Node {
    Node {
        node: NODE.into(),
        address: "127.0.0.1".into(),
        ..Node::default()
    }
}

/// The node as an agent registers it.
pub(crate) fn agents_node() -> Node {
    Node {
        id: "40e4a748-2192-161a-0510-9bf59fe950b5".into(),
        ..node()
    }
}

/// An instance of somebody else.
pub(crate) fn instance(id: &str, service: &str) -> Instance {
    Instance {
        node: NODE.into(),
        id: id.into(),
        service: service.into(),
        address: "192.0.2.1".into(),
        ..Instance::default()
    }
}

/// The check that every agent has on its node.
pub(crate) fn serf_health() -> Check {
    Check {
        node: NODE.into(),
        check_id: "serfHealth".into(),
        name: "Serf Health Status".into(),
        status: "passing".into(),
        ..Check::default()
    }
}
