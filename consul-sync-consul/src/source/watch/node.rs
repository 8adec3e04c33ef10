//! The nodes of a scope, each followed by a query of its own.

use std::{collections::BTreeMap, sync::Arc};

use super::follow::Open;
use crate::{
    block::{Cursor, Query},
    source::ask::NodeRead,
};

/// The nodes, and the query that tells which they are.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) cursor: Cursor,
    pub(super) query: Query,
    pub(super) open: Option<Open>,
    /// Whether every node there is stands below, as far as the last answer says.
    pub(super) is_complete: bool,
    /// The last query failed.
    pub(super) is_troubled: bool,
    /// By their folded names. None where there are too many, or one that cannot be asked for by its name.
    pub(super) by_name: BTreeMap<Arc<str>, Node>,
}

/// A node that is followed.
#[derive(Debug)]
pub(super) struct Node {
    /// Tells it from another one of its name that was there before.
    pub(super) serial: u64,
    /// Its name as it is spelled.
    pub(super) name: String,
    pub(super) cursor: Cursor,
    pub(super) query: Query,
    pub(super) open: Option<Open>,
    /// What is registered there.
    pub(super) read: Option<NodeRead>,
    /// The last query failed.
    pub(super) is_troubled: bool,
}

// === impl Nodes ===

impl Nodes {
    pub(super) fn new() -> Self {
        Self {
            cursor: Cursor::default(),
            query: Query::new(),
            open: None,
            is_complete: false,
            is_troubled: false,
            by_name: BTreeMap::new(),
        }
    }

    /// Whether no instance can change anywhere without one of these queries telling it.
    pub(super) fn cover(&self) -> bool {
        let is_covered = |node: &Node| node.read.is_some() && !node.is_troubled;
        self.is_complete && !self.is_troubled && self.by_name.values().all(is_covered)
    }

    /// Whatever is held may hang: each is asked once without being held, and says what it missed.
    pub(super) fn let_go(&mut self) {
        self.open = None;
        self.query.probe();
        for node in self.by_name.values_mut() {
            node.open = None;
            node.query.probe();
        }
    }
}

// === impl Node ===

impl Node {
    /// A node that was not read yet.
    pub(super) fn new(serial: u64, name: String) -> Self {
        Self {
            serial,
            name,
            cursor: Cursor::default(),
            query: Query::new(),
            open: None,
            read: None,
            is_troubled: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_were_all_read_and_whose_queries_go_on_tell_every_change() {
        let node = || {
            let mut node = Node::new(1, "n".to_owned());
            node.read = Some(NodeRead::default());
            node
        };
        let mut nodes = Nodes::new();
        nodes.by_name.insert("n".into(), node());
        assert!(!nodes.cover(), "there may be others");
        nodes.is_complete = true;
        assert!(nodes.cover());
        let unlike: [fn(&mut Node); 2] = [|node| node.read = None, |node| node.is_troubled = true];
        for change in unlike {
            let mut other = node();
            change(&mut other);
            nodes.by_name.insert("o".into(), other);
            assert!(!nodes.cover());
        }
        nodes.by_name.insert("o".into(), node());
        nodes.is_troubled = true;
        assert!(!nodes.cover(), "one may be new");
    }
}
