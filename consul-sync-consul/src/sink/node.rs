//! The node that holds our instances: whether it is there, and whether it may be ours.

use std::sync::PoisonError;

use super::Inner;
use crate::{
    Error,
    answer::Answer,
    registration::{KUBERNETES, SOURCE_META},
    request::Request,
    wire::{Node, NodeListing, ServiceStamp},
};

/// What is known of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    /// Nothing yet, or it moved since.
    Unknown,
    /// It has to be written first: a new one (0), or over this version.
    Due(u64),
    /// It is there.
    Present,
    /// It is an agent's. Only a listing without an agent's check, or a look that does not find it, says otherwise:
    /// a look shows nothing of its checks.
    Agents,
}

// === impl Inner ===

impl Inner {
    /// What is known of the node; asks where nothing is.
    pub(crate) async fn node_state(&self) -> Result<NodeState, Error> {
        let known = *self.node.lock().unwrap_or_else(PoisonError::into_inner);
        if let NodeState::Due(_) | NodeState::Present = known {
            return Ok(known);
        }
        // A filter that nothing passes: the node comes without its instances.
        let request = self.node_request().with("filter", "ID == \"\"");
        let answer = self.client.call(&request).await?;
        answer.require_consistent()?;
        let node = answer.parse(|reader| NodeListing::read(reader, |_: ServiceStamp| ()))?;
        self.learn_node(&answer, node.as_ref())
    }

    /// Takes note of what a write showed. It is no proof against an agent that was seen meanwhile.
    pub(crate) fn note_node_state(&self, state: NodeState) {
        if !self.is_agents_node() {
            self.set_node_state(state);
        }
    }

    fn set_node_state(&self, state: NodeState) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The checks of the node were listed, and no agent's is among them.
    pub(crate) fn saw_no_agent(&self) {
        if self.is_agents_node() {
            self.set_node_state(NodeState::Unknown);
        }
    }

    fn is_agents_node(&self) -> bool {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) == NodeState::Agents
    }

    /// A listing of the node's instances.
    pub(crate) fn node_request(&self) -> Request {
        self.node_request_of(self.settings.node.as_str())
    }

    /// A listing of the instances of any node.
    pub(crate) fn node_request_of(&self, node: &str) -> Request {
        let path = ["catalog", "node-services", node];
        let request = Request::get(&path).consistent().patient(6);
        self.client
            .scoped(request)
            .with_optional("ns", self.read_namespace())
    }

    /// A listing of the node's checks.
    pub(crate) fn checks_request(&self) -> Request {
        let path = ["health", "node", self.settings.node.as_str()];
        let request = Request::get(&path).consistent().patient(6);
        self.client
            .scoped(request)
            .with_optional("ns", self.read_namespace())
    }

    /// The namespace that listings are about.
    fn read_namespace(&self) -> Option<&str> {
        let namespace = self.settings.namespace.as_deref()?;
        Some(if self.settings.all_namespaces {
            "*"
        } else {
            namespace
        })
    }

    /// Judges a node as a listing showed it.
    ///
    /// # Errors
    /// When it belongs to an agent, or is another node that Consul took the name for.
    pub(crate) fn learn_node(
        &self,
        answer: &Answer,
        node: Option<&Node>,
    ) -> Result<NodeState, Error> {
        let name = self.settings.node.as_str();
        let state = match node {
            None if answer.is_filtered() => {
                return Err(answer.denied(
                    format!("node \"{name}\" {{ policy = \"read\" }}"),
                    "the token may not read the node",
                ));
            }
            None => NodeState::Due(0),
            // Consul looks a name that no node has up among the IDs of nodes, too.
            Some(node) if !node.name.eq_ignore_ascii_case(name) => NodeState::Due(0),
            Some(node) if node.name != name => {
                return Err(Error::Settings(format!(
                    "consul has the node {:?}, which differs from {name:?} only in case; \
                     choose that spelling or another name",
                    node.name
                )));
            }
            Some(node) if !node.id.is_empty() || self.is_agents_node() => {
                return Err(self.agents_node());
            }
            Some(node) => {
                let is_ours = node.meta.get(SOURCE_META).is_some_and(|v| v == KUBERNETES);
                if is_ours && node.address != self.settings.node_address.to_string() {
                    NodeState::Due(node.modify_index)
                } else {
                    NodeState::Present
                }
            }
        };
        self.set_node_state(state);
        Ok(state)
    }

    /// The node is an agent's: it would take away what it did not register itself (fault T11).
    pub(crate) fn agents_node(&self) -> Error {
        self.set_node_state(NodeState::Agents);
        Error::Settings(format!(
            "the consul node {:?} is the node of a running agent, which removes every service that was not \
             registered through it; choose a node name that no agent has",
            self.settings.node.as_str()
        ))
    }
}
