//! The rules of a token's policies.

use std::collections::BTreeMap;

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Nothing, against a wider rule or the default policy.
    Deny,
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// Rights of a token: the policy language's `node`, `service`, `key`, `session`, `agent`, `operator` and `acl` rules,
/// exact and by prefix where they have names.
///
/// The exact rule of a name wins, then the longest prefix, then the default policy.
///
/// ```
/// use consul_sync_consul::testing::{Right, Rules};
///
/// let rules = Rules::new().node("k8s-sync", Right::Write).node_prefix("", Right::Read).service_prefix("", Right::Write);
/// assert_eq!(rules, Rules::sync("k8s-sync"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(super) management: bool,
    pub(super) agent: Option<Right>,
    pub(super) operator: Option<Right>,
    pub(super) acl: Option<Right>,
    pub(super) nodes: Grants,
    pub(super) services: Grants,
    pub(super) keys: Grants,
    pub(super) sessions: Grants,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grants {
    exact: BTreeMap<String, Right>,
    prefix: BTreeMap<String, Right>,
}

impl Grants {
    /// The right on `name`; of none that was given the default policy decides.
    pub(super) fn right(&self, name: &str) -> Option<Right> {
        let prefixes = self
            .prefix
            .iter()
            .filter(|(prefix, _)| name.starts_with(prefix.as_str()));
        let longest = prefixes
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, right)| right);
        self.exact.get(name).or(longest).copied()
    }
}

impl Grants {
    /// The widest of all.
    pub(super) fn any(&self) -> Option<Right> {
        self.exact
            .values()
            .chain(self.prefix.values())
            .max()
            .copied()
    }
}

impl Rules {
    /// No rights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every right, as the policy `global-management` has.
    pub fn management() -> Self {
        Self {
            management: true,
            ..Self::default()
        }
    }

    /// The rights that the documentation asks an operator to give to the sync for its node.
    pub fn sync(node: &str) -> Self {
        Self::new()
            .node(node, Right::Write)
            .node_prefix("", Right::Read)
            .service_prefix("", Right::Write)
    }

    /// Rule `node "NAME"`.
    #[must_use]
    pub fn node(mut self, name: &str, right: Right) -> Self {
        self.nodes.exact.insert(name.to_owned(), right);
        self
    }

    /// Rule `node_prefix "PREFIX"`.
    #[must_use]
    pub fn node_prefix(mut self, prefix: &str, right: Right) -> Self {
        self.nodes.prefix.insert(prefix.to_owned(), right);
        self
    }

    /// Rule `service "NAME"`.
    #[must_use]
    pub fn service(mut self, name: &str, right: Right) -> Self {
        self.services.exact.insert(name.to_owned(), right);
        self
    }

    /// Rule `service_prefix "PREFIX"`.
    #[must_use]
    pub fn service_prefix(mut self, prefix: &str, right: Right) -> Self {
        self.services.prefix.insert(prefix.to_owned(), right);
        self
    }

    /// Rule `key "KEY"`.
    #[must_use]
    pub fn key(mut self, key: &str, right: Right) -> Self {
        self.keys.exact.insert(key.to_owned(), right);
        self
    }

    /// Rule `key_prefix "PREFIX"`.
    #[must_use]
    pub fn key_prefix(mut self, prefix: &str, right: Right) -> Self {
        self.keys.prefix.insert(prefix.to_owned(), right);
        self
    }

    /// Rule `session "NODE"`.
    #[must_use]
    pub fn session(mut self, node: &str, right: Right) -> Self {
        self.sessions.exact.insert(node.to_owned(), right);
        self
    }

    /// Rule `session_prefix "PREFIX"`.
    #[must_use]
    pub fn session_prefix(mut self, prefix: &str, right: Right) -> Self {
        self.sessions.prefix.insert(prefix.to_owned(), right);
        self
    }

    /// Rule `agent_prefix ""`.
    #[must_use]
    pub fn agents(mut self, right: Right) -> Self {
        self.agent = Some(right);
        self
    }

    /// Rule `operator`.
    #[must_use]
    pub fn operator(mut self, right: Right) -> Self {
        self.operator = Some(right);
        self
    }

    /// Rule `acl`.
    #[must_use]
    pub fn acl(mut self, right: Right) -> Self {
        self.acl = Some(right);
        self
    }
}
