//! At which address of a node its ports are reached.

use consul_sync_core::Address;

use crate::{NodePorts, slim::NodeBody};

/// The first address of the node that the policy allows and that is of the endpoint's family: a node that has
/// addresses of both families serves each family of a Service at its own.
pub(super) fn address<'a>(
    policy: NodePorts,
    node: &'a NodeBody,
    endpoint: &Address,
) -> Option<&'a Address> {
    let first = |list: &'a [Address]| list.iter().find(|address| same_family(address, endpoint));
    match policy {
        NodePorts::ExternalOnly => first(&node.external),
        NodePorts::InternalOnly => first(&node.internal),
        NodePorts::ExternalFirst => first(&node.external).or_else(|| first(&node.internal)),
        NodePorts::Off => None,
    }
}

/// Names are of any family.
fn same_family(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Ip(a), Address::Ip(b)) => a.is_ipv4() == b.is_ipv4(),
        _ => true,
    }
}
