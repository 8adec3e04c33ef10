//! Which nodes there are, and what is registered on one.

use std::{collections::BTreeMap, sync::Arc};

use super::{Read, read};
use crate::{
    Error,
    answer::Answer,
    registration::fold,
    request::Request,
    source::Inner,
    wire::{HealthEntry, Node, NodeListing, ServiceStamp, each_element},
};

/// The nodes: how each is spelled, by its folded name.
pub(in crate::source) type NodeNames = BTreeMap<Arc<str>, String>;

/// What a node has of one service: whatever is registered, changed or removed, this is another value afterwards, because
/// every write has a higher index than those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holding {
    /// How many instances.
    count: usize,
    /// The index of the last write of one of them.
    last: u64,
}

/// What a read of a service showed of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct OnNode {
    /// The index of the last write of the node itself.
    node: u64,
    holding: Holding,
}

/// A node and its services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct NodeRead {
    /// The index of the last write of the node itself; none where there is no such node.
    pub(in crate::source) node: Option<u64>,
    /// By the folded names of the services.
    services: BTreeMap<Arc<str>, Holding>,
}

// === impl Inner ===

impl Inner {
    pub(in crate::source) fn nodes_request(&self, scope: usize) -> Request {
        let request = Request::get(&["catalog", "nodes"]).consistent().patient(6);
        self.settings.scopes[scope].ask(&self.client, request)
    }

    pub(in crate::source) async fn read_nodes(
        &self,
        answer: Answer,
        known: Option<u64>,
    ) -> Result<Read<NodeNames>, Error> {
        read(answer, known, |answer| {
            let mut names = NodeNames::new();
            answer.parse(|reader| {
                each_element(reader, |node: Node| {
                    names.insert(fold(&node.name).into(), node.name);
                })
            })?;
            Ok(names)
        })
        .await
    }

    /// Asks for what is registered on a node, without what came from Kubernetes where nothing of that is wanted: such a
    /// node has instances by the thousand.
    pub(in crate::source) fn node_request(&self, scope: usize, node: &str) -> Request {
        let request = Request::get(&["catalog", "node-services", node])
            .consistent()
            .patient(6);
        let request = self.settings.scopes[scope].ask(&self.client, request);
        let tag = &self.settings.kubernetes_tag;
        // A value in a filter ends at its quote, and knows no escape.
        let is_quotable = !tag.contains(['"', '\\']);
        let filter = (self.settings.other_owners.is_empty() && is_quotable)
            .then(|| format!("\"{tag}\" not in Tags"));
        request.with_optional("filter", filter.as_deref())
    }

    pub(in crate::source) async fn read_node(
        &self,
        answer: Answer,
        known: Option<u64>,
    ) -> Result<Read<NodeRead>, Error> {
        read(answer, known, |answer| {
            let mut services: BTreeMap<Arc<str>, Holding> = BTreeMap::new();
            let node = answer.parse(|reader| {
                NodeListing::read(reader, |stamp: ServiceStamp| {
                    let holding = services.entry(fold(&stamp.name).into()).or_default();
                    holding.add(stamp.modify_index);
                })
            })?;
            Ok(NodeRead {
                node: node.map(|node| node.modify_index),
                services,
            })
        })
        .await
    }
}

// === impl Holding ===

impl Holding {
    fn add(&mut self, modified: u64) {
        self.count += 1;
        self.last = self.last.max(modified);
    }
}

// === impl OnNode ===

impl OnNode {
    /// What the entries of a service show of each node, by its folded name.
    pub(in crate::source) fn of(entries: &[HealthEntry]) -> BTreeMap<Box<str>, Self> {
        let mut nodes: BTreeMap<Box<str>, Self> = BTreeMap::new();
        for HealthEntry { node, service, .. } in entries {
            let on = nodes.entry(fold(&node.name).into()).or_default();
            on.node = node.modify_index;
            on.holding.add(service.modify_index);
        }
        nodes
    }
}

// === impl NodeRead ===

impl NodeRead {
    /// Whether what a read of a service showed of this node is what there is. A server that gives no index says nothing.
    pub(in crate::source) fn is_as(&self, service: &str, seen: Option<&OnNode>) -> bool {
        match (seen, self.services.get(service)) {
            (None, None) => true,
            (Some(seen), Some(holding)) => {
                seen.node > 0
                    && self.node == Some(seen.node)
                    && holding.last > 0
                    && *holding == seen.holding
            }
            _ => false,
        }
    }

    /// The services of which something is not as it was: all of them where the node itself is not.
    pub(in crate::source) fn touched<'a>(&'a self, before: &'a Self) -> Vec<&'a Arc<str>> {
        let is_whole = self.node != before.node;
        let gone = before
            .services
            .keys()
            .filter(|name| !self.services.contains_key(*name));
        let here = self.services.iter();
        let here =
            here.filter(|(name, holding)| is_whole || before.services.get(*name) != Some(*holding));
        gone.chain(here.map(|(name, _)| name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node: u64, services: &[(&str, usize, u64)]) -> NodeRead {
        let services = services.iter();
        NodeRead {
            node: Some(node),
            services: services
                .map(|&(name, count, last)| (name.into(), Holding { count, last }))
                .collect(),
        }
    }

    #[test]
    fn a_service_that_was_read_is_as_a_node_says_where_nothing_was_written_since() {
        let seen = |node, count, last| OnNode {
            node,
            holding: Holding { count, last },
        };
        let read = node(1, &[("a", 2, 5)]);
        let cases = [
            (Some(seen(1, 2, 5)), true),
            (Some(seen(1, 2, 4)), false), // written
            (Some(seen(1, 3, 5)), false), // one is gone, or a filter left another one out
            (Some(seen(9, 2, 5)), false), // the node was written
            (None, false),                // registered
        ];
        for (seen, expected) in cases {
            assert_eq!(read.is_as("a", seen.as_ref()), expected, "{seen:?}");
        }
        assert!(read.is_as("b", None));
        assert!(!read.is_as("b", Some(&seen(1, 1, 3))), "all are gone");
        // Without an index the number alone says nothing.
        assert!(!node(1, &[("a", 1, 0)]).is_as("a", Some(&seen(1, 1, 0))));
        assert!(!node(0, &[("a", 1, 5)]).is_as("a", Some(&seen(0, 1, 5))));
        assert!(!NodeRead::default().is_as("a", Some(&seen(1, 1, 5))));
    }

    #[test]
    fn what_was_registered_changed_or_removed_is_touched_and_nothing_else() {
        let before = node(1, &[("a", 1, 5), ("b", 2, 6), ("c", 1, 7)]);
        let touched = |after: &NodeRead| -> Vec<String> {
            let touched = after.touched(&before);
            touched.into_iter().map(ToString::to_string).collect()
        };
        assert_eq!(touched(&before), [""; 0]);
        let changed = node(1, &[("a", 1, 9), ("b", 2, 6), ("c", 1, 7), ("d", 1, 8)]);
        assert_eq!(touched(&changed), ["a", "d"]);
        // An instance that was not written last is gone, and a whole service.
        assert_eq!(touched(&node(1, &[("a", 1, 5), ("b", 1, 6)])), ["c", "b"]);
        // The node has another address, or is gone.
        let moved = node(9, &[("a", 1, 5), ("b", 2, 6), ("c", 1, 7)]);
        assert_eq!(touched(&moved), ["a", "b", "c"]);
        assert_eq!(touched(&NodeRead::default()), ["a", "b", "c"]);
    }
}
