//! Tokens and what they may do: the part of Consul's ACL system that a catalog sync meets.
//!
//! A write without the right is refused with Consul's text. A read without the right is answered 200 with the rest: lost
//! rights look like an empty catalog, which is the fault that this part exists to reproduce.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::login::AuthMethod;

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

/// Rights of a token: the policy language's `node`, `service`, `key`, `session` and `agent` rules, exact and by prefix.
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
    management: bool,
    agent: Option<Right>,
    nodes: Grants,
    services: Grants,
    keys: Grants,
    sessions: Grants,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Grants {
    exact: BTreeMap<String, Right>,
    prefix: BTreeMap<String, Right>,
}

impl Grants {
    fn right(&self, name: &str) -> Option<Right> {
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
}

/// What happens where no rule applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultPolicy {
    /// Everything is allowed.
    #[default]
    Allow,
    /// Everything is denied.
    Deny,
}

impl DefaultPolicy {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    fn right(self) -> Right {
        match self {
            Self::Allow => Right::Write,
            Self::Deny => Right::Deny,
        }
    }
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) accessor: String,
    pub(super) index: u64,
    rules: Rules,
    /// What it is described by, where it was made by a login.
    pub(super) login: Option<String>,
    /// When it ends, if ever.
    ends: Option<Instant>,
}

impl Token {
    pub(super) fn is_of_login(&self) -> bool {
        self.login.is_some()
    }
}

/// The ACL system of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Acl {
    pub(super) enabled: bool,
    pub(super) default: DefaultPolicy,
    tokens: BTreeMap<String, Token>,
    methods: BTreeMap<String, AuthMethod>,
    /// Counts the tokens that were made, for their accessors.
    made: u64,
}

impl Acl {
    /// Writes a token with the raft index `index`.
    pub(super) fn put(&mut self, secret: &str, rules: Rules, index: u64) {
        let accessor = if let Some(token) = self.tokens.get(secret) {
            token.accessor.clone()
        } else {
            self.made += 1;
            format!("00000000-0000-4000-8000-{:012x}", self.made)
        };
        self.tokens.insert(
            secret.to_owned(),
            Token {
                accessor,
                index,
                rules,
                login: None,
                ends: None,
            },
        );
    }

    /// Writes a token that a login made.
    pub(super) fn put_login(
        &mut self,
        secret: &str,
        rules: Rules,
        index: u64,
        ends: Option<Instant>,
        description: &str,
    ) {
        self.put(secret, rules, index);
        if let Some(token) = self.tokens.get_mut(secret) {
            token.login = Some(description.to_owned());
            token.ends = ends;
        }
    }

    /// Puts an auth method there.
    pub(super) fn put_method(&mut self, name: &str, method: AuthMethod) {
        self.methods.insert(name.to_owned(), method);
    }

    pub(super) fn method(&self, name: &str) -> Option<&AuthMethod> {
        self.methods.get(name)
    }

    /// The secrets of the tokens that logins made and that are still good, with their descriptions.
    pub(super) fn logins(&self) -> Vec<(String, String)> {
        let logins = self
            .tokens
            .keys()
            .filter_map(|secret| Some((secret.clone(), self.token(secret)?.login.clone()?)));
        logins.collect()
    }

    pub(super) fn revoke(&mut self, secret: &str) {
        self.tokens.remove(secret);
    }

    pub(super) fn token(&self, secret: &str) -> Option<&Token> {
        let now = Instant::now();
        let token = self.tokens.get(secret)?;
        token.ends.is_none_or(|end| now < end).then_some(token)
    }

    /// Index of the last token written.
    pub(super) fn index(&self) -> u64 {
        self.tokens
            .values()
            .map(|token| token.index)
            .max()
            .unwrap_or(1)
    }

    /// What the bearer of `secret` may do; `None` when there is no such token.
    pub(super) fn access(&self, secret: &str) -> Option<Access> {
        if !self.enabled {
            return Some(Access {
                limits: None,
                holder: Holder::Anonymous,
            });
        }
        let (rules, holder) = if secret.is_empty() {
            let anonymous = self.tokens.get("").map(|token| token.rules.clone());
            (anonymous.unwrap_or_default(), Holder::Anonymous)
        } else {
            let token = self.token(secret)?;
            (token.rules.clone(), Holder::Token(token.accessor.clone()))
        };
        let limits = (!rules.management).then_some((rules, self.default.right()));
        Some(Access { limits, holder })
    }
}

#[derive(Clone, Debug)]
enum Holder {
    Anonymous,
    Token(String),
}

/// What one request may do.
#[derive(Clone, Debug)]
pub(super) struct Access {
    limits: Option<(Rules, Right)>,
    holder: Holder,
}

impl Access {
    /// Everything; for the test's own hand.
    pub(super) fn full() -> Self {
        Self {
            limits: None,
            holder: Holder::Anonymous,
        }
    }

    /// Whether an answer may say that something was left out: only to the bearer of a token.
    pub(super) fn may_know_of_filtering(&self) -> bool {
        matches!(self.holder, Holder::Token(_))
    }

    fn allows(&self, grants: impl Fn(&Rules) -> Option<Right>, needed: Right) -> bool {
        match &self.limits {
            None => true,
            Some((rules, default)) => grants(rules).unwrap_or(*default) >= needed,
        }
    }

    /// Whether `access` to `segment` of `resource` is allowed, for those who ask instead of trying.
    pub(super) fn decide(
        &self,
        resource: &str,
        segment: &str,
        access: &str,
    ) -> Result<bool, String> {
        const OTHERS: [&str; 8] = [
            "acl",
            "event",
            "intention",
            "keyring",
            "mesh",
            "operator",
            "query",
            "peering",
        ];
        let needed = match access.to_lowercase().as_str() {
            "read" => Right::Read,
            "write" => Right::Write,
            _ => {
                return Err(format!(
                    "Invalid access level for {resource} resource: {access}"
                ));
            }
        };
        match resource {
            "node" => Ok(self.allows(|rules| rules.nodes.right(segment), needed)),
            "service" => Ok(self.allows(|rules| rules.services.right(segment), needed)),
            "key" => Ok(self.allows(|rules| rules.keys.right(segment), needed)),
            "session" => Ok(self.allows(|rules| rules.sessions.right(segment), needed)),
            "agent" => Ok(self.allows(|rules| rules.agent, needed)),
            other if OTHERS.contains(&other) => Ok(self.allows(|_| None, needed)),
            _ => Err(format!("Invalid ACL resource requested: {resource:?}")),
        }
    }

    pub(super) fn can_read_node(&self, name: &str) -> bool {
        self.allows(|rules| rules.nodes.right(name), Right::Read)
    }

    /// An empty name belongs to no service and is readable.
    pub(super) fn can_read_service(&self, name: &str) -> bool {
        name.is_empty() || self.allows(|rules| rules.services.right(name), Right::Read)
    }

    pub(super) fn can_write_service(&self, name: &str) -> bool {
        self.allows(|rules| rules.services.right(name), Right::Write)
    }

    pub(super) fn can_read_agent(&self) -> bool {
        self.allows(|rules| rules.agent, Right::Read)
    }

    pub(super) fn key_read(&self, key: &str) -> Result<(), String> {
        if self.allows(|rules| rules.keys.right(key), Right::Read) {
            Ok(())
        } else {
            Err(self.denied("key:read", key))
        }
    }

    pub(super) fn key_write(&self, key: &str) -> Result<(), String> {
        if self.allows(|rules| rules.keys.right(key), Right::Write) {
            Ok(())
        } else {
            Err(self.denied("key:write", key))
        }
    }

    pub(super) fn session_write(&self, node: &str) -> Result<(), String> {
        if self.allows(|rules| rules.sessions.right(node), Right::Write) {
            Ok(())
        } else {
            Err(self.denied("session:write", node))
        }
    }

    pub(super) fn node_write(&self, name: &str) -> Result<(), String> {
        if self.allows(|rules| rules.nodes.right(name), Right::Write) {
            Ok(())
        } else {
            Err(self.denied("node:write", name))
        }
    }

    pub(super) fn service_write(&self, name: &str) -> Result<(), String> {
        if self.can_write_service(name) {
            Ok(())
        } else {
            Err(self.denied("service:write", name))
        }
    }

    /// Consul's text for a missing right.
    pub(super) fn denied(&self, right: &str, name: &str) -> String {
        let who = match &self.holder {
            Holder::Anonymous => "anonymous token".to_owned(),
            Holder::Token(accessor) => format!("token with AccessorID '{accessor}'"),
        };
        let on = if name.is_empty() {
            String::new()
        } else {
            format!(" on {name:?}")
        };
        let hint = match &self.holder {
            Holder::Anonymous => {
                ". The anonymous token is used implicitly when a request does not specify a token."
            }
            Holder::Token(_) => "",
        };
        format!("Permission denied: {who} lacks permission '{right}'{on}{hint}")
    }
}
