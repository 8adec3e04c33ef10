//! Nodes, where there are few enough of them: what is registered on each, for services without a query of their own.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use futures::FutureExt;

use super::{Came, Following, Reply};
use crate::{
    Error,
    block::News,
    source::{
        ask::{NodeNames, NodeRead, is_readable},
        watch::{
            Item,
            follow::Stage,
            node::{Node, Nodes},
        },
    },
};

// --- queries ------------------------------------------------------------------------------------------

impl Following {
    /// How many nodes of a scope may have a query of their own.
    fn most_nodes(&self) -> usize {
        let settings = &self.source.settings;
        settings.node_queries.min(settings.queries) / self.lists.len().max(1)
    }

    /// How many queries the nodes have.
    pub(super) fn held_by_nodes(&self) -> usize {
        self.lists.iter().map(|list| list.nodes.by_name.len()).sum()
    }

    /// Asks for the nodes of a scope and for each of them, where a service there may need it.
    pub(super) fn ask_nodes(&mut self, scope: usize) {
        if !self.has_unheld() || self.most_nodes() == 0 || !self.source.lists_names(scope) {
            self.lists[scope].nodes = Nodes::new();
            return;
        }
        if !self.is_listed {
            return;
        }
        if self.lists[scope].nodes.open.is_none() {
            self.ask_node_names(scope);
        }
        let nodes = &self.lists[scope].nodes.by_name;
        let unasked = nodes.iter().filter(|(_, node)| node.open.is_none());
        let unasked: Vec<Arc<str>> = unasked.map(|(name, _)| Arc::clone(name)).collect();
        for name in unasked {
            self.ask_node(scope, &name);
        }
    }

    fn ask_node_names(&mut self, scope: usize) {
        let (source, least) = (Arc::clone(&self.source), self.source.settings.wait);
        let Nodes { cursor, query, .. } = &self.lists[scope].nodes;
        let (index, client) = (cursor.index(), &self.source.client);
        let request = source.nodes_request(scope);
        let reply = Reply::to(query, client, request, index, least, async move |answer| {
            source.read_nodes(answer, Some(index)).await
        });
        let ask = self.ask(reply.map(move |reply| Came::NodeNames(scope, reply)));
        self.lists[scope].nodes.open = Some(ask);
    }

    fn ask_node(&mut self, scope: usize, name: &Arc<str>) {
        let Some(node) = self.lists[scope].nodes.by_name.get(name) else {
            return;
        };
        let (source, least) = (
            Arc::clone(&self.source),
            self.source.settings.service_wait(),
        );
        let (query, client) = (&node.query, &self.source.client);
        let (serial, index) = (node.serial, node.cursor.index());
        let request = source.node_request(scope, &node.name);
        let reply = Reply::to(query, client, request, index, least, async move |answer| {
            source.read_node(answer, Some(index)).await
        });
        let asked = Arc::clone(name);
        let ask = self.ask(reply.map(move |reply| Came::Node(scope, asked, serial, reply)));
        if let Some(node) = self.lists[scope].nodes.by_name.get_mut(name) {
            node.open = Some(ask);
        }
    }
}

// --- answers ------------------------------------------------------------------------------------------

impl Following {
    pub(super) fn take_node_names(
        &mut self,
        scope: usize,
        reply: Reply<NodeNames>,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        let nodes = &mut self.lists[scope].nodes;
        nodes.open = None;
        nodes.is_troubled = reply.result.is_err();
        let (cursor, client) = (Some(&mut nodes.cursor), &self.source.client);
        let (names, tell) = match reply.fresh(&mut nodes.query, cursor, client, "/v1/catalog/nodes")
        {
            Ok(Some(fresh)) => fresh.split(),
            Ok(None) => return Ok(()),
            Err(error) => return self.failed_beside(scope, error, items),
        };
        // A node may change without end, and the next new one is not to wait for long.
        let is_known = names.keys().eq(nodes.by_name.keys());
        let news = if is_known { News::Echo } else { News::Change };
        tell(&mut nodes.query, news);
        let is_usable =
            names.len() <= self.most_nodes() && names.values().all(|name| is_readable(name));
        let was_complete = std::mem::replace(&mut self.lists[scope].nodes.is_complete, is_usable);
        if !is_usable {
            self.lists[scope].nodes.by_name.clear();
            return Ok(());
        }
        self.take_nodes(scope, names);
        if !was_complete {
            self.look_at_strangers(scope);
        }
        Ok(())
    }

    /// Looks at the services of nodes that went before the nodes were known: no query tells of those. What is being looked
    /// at now may be one of them.
    fn look_at_strangers(&mut self, scope: usize) {
        let known = &self.lists[scope].nodes.by_name;
        let strangers = self.unheld(|id, follow| {
            id.scope == scope
                && (matches!(follow.stage, Stage::Looking { .. })
                    || follow
                        .nodes
                        .keys()
                        .any(|node| !known.contains_key(node.as_ref())))
        });
        self.look_at_first(&strangers);
    }

    /// Follows the nodes that are new, and leaves those that are gone.
    fn take_nodes(&mut self, scope: usize, names: NodeNames) {
        let nodes = &self.lists[scope].nodes.by_name;
        let gone = nodes.keys().filter(|name| !names.contains_key(*name));
        let gone: Vec<Arc<str>> = gone.cloned().collect();
        for name in gone {
            let node = self.lists[scope].nodes.by_name.remove(&name);
            if let Some(read) = node.and_then(|node| node.read) {
                self.look_at_touched(scope, &name, Some(&read), &NodeRead::default());
            }
        }
        for (name, spelled) in names {
            if !self.lists[scope].nodes.by_name.contains_key(&name) {
                let node = Node::new(self.next_count(), spelled);
                self.lists[scope].nodes.by_name.insert(name, node);
            }
        }
        self.make_room();
    }

    pub(super) fn take_node(
        &mut self,
        scope: usize,
        name: &Arc<str>,
        serial: u64,
        reply: Reply<NodeRead>,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        let node = self.lists[scope].nodes.by_name.get_mut(name);
        let Some(node) = node.filter(|node| node.serial == serial) else {
            return Ok(());
        };
        node.open = None;
        node.is_troubled = reply.result.is_err();
        // Of a node that is gone Consul says when the last one went, which may be long ago.
        let content = reply
            .result
            .as_ref()
            .ok()
            .and_then(|read| read.content.as_ref());
        let is_gone = content.is_some_and(|read| read.node.is_none());
        let cursor = (!is_gone).then_some(&mut node.cursor);
        let (client, path) = (&self.source.client, "/v1/catalog/node-services");
        let (after, tell) = match reply.fresh(&mut node.query, cursor, client, path) {
            Ok(Some(fresh)) => fresh.split(),
            Ok(None) => return Ok(()),
            Err(error) => return self.failed_beside(scope, error, items),
        };
        let before = node.read.take();
        let news = self.look_at_touched(scope, name, before.as_ref(), &after);
        if let Some(node) = self.lists[scope].nodes.by_name.get_mut(name) {
            tell(&mut node.query, news);
            node.read = Some(after);
        }
        Ok(())
    }

    /// Looks at the services of which something changed on a node. When it is read for the first time, something did where
    /// it has not what the read of the service showed of it; what is known of the service is then compared by its index.
    fn look_at_touched(
        &mut self,
        scope: usize,
        node: &Arc<str>,
        before: Option<&NodeRead>,
        after: &NodeRead,
    ) -> News {
        let nothing = NodeRead::default();
        let touched = after.touched(before.unwrap_or(&nothing));
        if touched.is_empty() && before.is_some() {
            return News::None;
        }
        let touched: BTreeSet<&Arc<str>> = touched.into_iter().collect();
        let is_followed = |name: &Arc<str>| self.is_followed(scope, name);
        let is_ours = touched.iter().any(|name| is_followed(name));
        let unheld = self.unheld(|id, follow| {
            id.scope == scope
                && match before {
                    Some(_) => touched.contains(&id.name),
                    None => !after.is_as(&id.name, follow.nodes.get(node.as_ref())),
                }
        });
        if before.is_some() {
            self.leave_to_queries(|id| id.scope == scope && touched.contains(&id.name));
            for id in &unheld {
                self.distrust(id);
            }
        }
        self.look_at_first(&unheld);
        if is_ours { News::Change } else { News::Echo }
    }
}
