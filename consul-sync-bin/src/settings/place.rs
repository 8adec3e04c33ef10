//! Where in Consul's catalog instances are registered.

use std::{net::IpAddr, time::Duration};

use consul_sync_consul::{Checks, NodeName, Ports};

use crate::args::{
    given::{Given, Origin},
    table::consul,
};

/// The node, its namespaces, and what instances have there.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaceSettings {
    /// The node.
    pub(crate) node: Option<NodeName>,
    /// Its address.
    pub(crate) node_address: Option<IpAddr>,
    /// Whether instances have the list of their named ports.
    pub(crate) ports: Ports,
    /// Which instances have a check.
    pub(crate) checks: Checks,
    /// How long a blocking query asks to be held.
    pub(crate) wait: Option<Duration>,
    /// The namespace of all of them.
    pub(crate) namespace: Option<String>,
    /// Whether each Kubernetes namespace has one of its own.
    pub(crate) mirrored: bool,
    /// Whether namespaces that are not there are made.
    pub(crate) create_namespaces: bool,
    /// The policy that those have.
    pub(crate) namespace_policy: Option<String>,
}

// === impl PlaceSettings ===

impl PlaceSettings {
    /// Reads them.
    pub(super) fn read(given: &mut Given) -> Self {
        let namespace = given.optional(&consul::NAMESPACE);
        let mirrored = given.one(&consul::MIRROR_NAMESPACES);
        // A variable may be there for other programs; a flag was meant.
        if mirrored && given.origin(&consul::NAMESPACE) == Origin::Flag {
            given.refuse(
                &consul::NAMESPACE,
                "expected without --consul-mirror-namespaces, which names another one for each",
            );
        }
        Self {
            node: given.optional(&consul::NODE),
            node_address: given.optional(&consul::NODE_ADDRESS),
            ports: given.one(&consul::PORTS),
            checks: given.one(&consul::CHECKS),
            wait: given.optional(&consul::WAIT),
            namespace,
            mirrored,
            create_namespaces: given.one(&consul::CREATE_NAMESPACES),
            namespace_policy: given.optional(&consul::CROSS_NAMESPACE_POLICY),
        }
    }
}
