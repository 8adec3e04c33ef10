//! The reading endpoints: which index an answer carries, and what is in it.
//!
//! The two are apart because a blocked query has to look at its index after every write and at the catalog only once.

use super::acl::Access;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::filter::{Filter, Shape};
use super::model::folded;
use super::request::Query;
use super::server::Identity;
use super::store::{Store, Table};
use super::tenancy::{self, qualified};

mod listing;

use listing::Listing;

/// A reading endpoint that can block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// `/v1/catalog/nodes`
    Nodes,
    /// `/v1/catalog/services`
    Services,
    /// `/v1/catalog/service/NAME`
    Service(String),
    /// `/v1/catalog/node/NAME`
    Node(String),
    /// `/v1/catalog/node-services/NAME`
    NodeServices(String),
    /// `/v1/health/node/NAME`
    NodeChecks(String),
    /// `/v1/health/checks/NAME`
    ServiceChecks(String),
    /// `/v1/health/state/STATE`
    ChecksInState(String),
    /// `/v1/health/service/NAME`
    ServiceHealth(String),
    /// `/v1/internal/ui/node/NAME`
    UiNode(String),
    /// `/v1/kv/KEY`
    Key(String),
}

/// Shortest name that is tried as the start of a node ID.
const SHORTEST_NODE_ID: usize = 2;

impl Read {
    /// A read of `name` at `endpoint`, if it is one that can block.
    pub(super) fn new(endpoint: Endpoint, name: &str) -> Option<Self> {
        let name = || name.to_owned();
        Some(match endpoint {
            Endpoint::Nodes => Self::Nodes,
            Endpoint::Services => Self::Services,
            Endpoint::Service => Self::Service(name()),
            Endpoint::Node => Self::Node(name()),
            Endpoint::NodeServices => Self::NodeServices(name()),
            Endpoint::NodeChecks => Self::NodeChecks(name()),
            Endpoint::ServiceChecks => Self::ServiceChecks(name()),
            Endpoint::ChecksInState => Self::ChecksInState(name()),
            Endpoint::ServiceHealth => Self::ServiceHealth(name()),
            Endpoint::UiNode => Self::UiNode(name()),
            Endpoint::Key => Self::Key(name()),
            _ => return None,
        })
    }

    /// The same read of the names in a namespace; listings look at the query themselves.
    pub(super) fn within(self, namespace: &str) -> Self {
        match self {
            Self::Service(name) => Self::Service(qualified(namespace, &name)),
            Self::ServiceChecks(name) => Self::ServiceChecks(qualified(namespace, &name)),
            Self::ServiceHealth(name) => Self::ServiceHealth(qualified(namespace, &name)),
            other => other,
        }
    }

    /// What Consul says when the name is missing.
    pub(super) fn missing_name(&self) -> Option<&'static str> {
        match self {
            Self::Service(name) | Self::ServiceChecks(name) | Self::ServiceHealth(name)
                if name.is_empty() =>
            {
                Some("Missing service name")
            }
            Self::Node(name)
            | Self::NodeServices(name)
            | Self::NodeChecks(name)
            | Self::UiNode(name)
                if name.is_empty() =>
            {
                Some("Missing node name")
            }
            Self::ChecksInState(state) if state.is_empty() => Some("Missing check state"),
            Self::Key(key) if key.is_empty() => Some("Missing key name"),
            _ => None,
        }
    }

    /// Index of the answer; at least 1, so that nobody asks again with 0 and never blocks.
    pub(super) fn index(&self, store: &Store, query: &Query) -> u64 {
        let index = match self {
            Self::Nodes => store.index(&Table::Nodes),
            Self::Services if query.has("node-meta") => store
                .index(&Table::Services)
                .max(store.index(&Table::Nodes)),
            Self::Services => store.index(&Table::Services),
            Self::Service(name) => store.service_index(
                name,
                store.instances_of_service(name).next().is_some(),
                false,
            ),
            Self::ServiceHealth(name) => store.service_index(
                name,
                store.instances_of_service(name).next().is_some(),
                true,
            ),
            Self::Node(name) | Self::NodeServices(name) => match store.node(name) {
                Some(_) => store.index(&Table::Node(folded(name))),
                None if name.len() < SHORTEST_NODE_ID => 0,
                None => store.index(&Table::NodeExtinction),
            },
            Self::NodeChecks(_) | Self::ServiceChecks(_) | Self::ChecksInState(_) => {
                store.index(&Table::Checks)
            }
            Self::UiNode(_) => store.catalog_index(true),
            Self::Key(key) => store
                .key(key)
                .map_or(store.index(&Table::Keys), |entry| entry.modify_index),
        };
        index.max(1)
    }

    /// What wakes a query that is held, where it is not every move of its index: that of the nodes moves with their
    /// services, which do not wake it.
    pub(super) fn watched(&self, store: &Store) -> Option<u64> {
        (*self == Self::Nodes).then(|| store.index(&Table::NodeRecords))
    }

    /// Whether it is a key that is not there: the index of all keys stands for it then, and a query that blocks on it
    /// waits until it is there.
    pub(super) fn is_missing_key(&self, store: &Store) -> bool {
        matches!(self, Self::Key(key) if store.key(key).is_none())
    }

    /// Service whose health is asked for.
    pub(super) fn health_of(&self) -> Option<&str> {
        match self {
            Self::ServiceHealth(name) => Some(name),
            _ => None,
        }
    }

    /// What a read leaves behind: the UI's endpoint writes the version of the member at the node's address into the meta
    /// of the node, for everyone to see.
    pub(super) fn side_effect(&self, store: &mut Store, identity: &Identity) {
        if let Self::UiNode(name) = self
            && store
                .node(name)
                .is_some_and(|node| identity.is_own_address(&node.address))
        {
            store.note_version(name, listing::VERSION, &identity.version);
        }
    }

    fn shape(&self) -> Option<Shape> {
        Some(match self {
            Self::Nodes => Shape::Node,
            Self::Services | Self::Service(_) => Shape::Catalog,
            Self::Node(_) | Self::NodeServices(_) => Shape::Service,
            Self::NodeChecks(_) | Self::ServiceChecks(_) | Self::ChecksInState(_) => Shape::Check,
            Self::ServiceHealth(_) => Shape::Health,
            Self::UiNode(_) | Self::Key(_) => return None,
        })
    }

    /// The answer without its index; the flag says whether rights left something out.
    pub(super) fn answer(
        &self,
        store: &Store,
        query: &Query,
        access: &Access,
        identity: &Identity,
    ) -> Result<(Answer, bool), Answer> {
        let filter = match (query.get("filter"), self.shape()) {
            (Some(text), Some(shape)) => {
                Some(Filter::new(text, shape).map_err(|why| Answer::text(500, why))?)
            }
            _ => None,
        };
        let mut listing = Listing {
            namespace: query.get("ns").unwrap_or(tenancy::DEFAULT),
            store,
            query,
            access,
            identity,
            filter,
            left_out: false,
        };
        let answer = match self {
            Self::Nodes => listing.nodes(),
            Self::Services => listing.services(),
            Self::Service(name) => listing.service(name),
            Self::Node(name) => listing.node(name),
            Self::NodeServices(name) => listing.node_services(name),
            Self::NodeChecks(name) => listing.checks(store.checks_of_node(name)),
            Self::ServiceChecks(name) => {
                let name = folded(name);
                listing.checks(
                    store
                        .checks()
                        .filter(|check| folded(&check.service_name) == name),
                )
            }
            Self::ChecksInState(state) => listing.checks(
                store
                    .checks()
                    .filter(|check| state == "any" || check.status == *state),
            ),
            Self::ServiceHealth(name) => {
                let passing = query.flag("passing");
                let passing =
                    passing.map_err(|()| Answer::text(400, "Invalid value for ?passing"))?;
                listing.health(name, passing)
            }
            Self::Key(key) => {
                access.key_read(key).map_err(|why| Answer::text(403, why))?;
                match store.key(key) {
                    Some(entry) => Answer::json(200, &[entry.print(true)]),
                    None => Answer::empty(404),
                }
            }
            // The head is written before the query's part of it: no index, no flag.
            Self::UiNode(name) => listing.ui_node(name).ok_or_else(|| Answer::empty(404))?,
        };
        Ok((answer, listing.left_out && access.may_know_of_filtering()))
    }
}
