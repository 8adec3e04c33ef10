//! Tokens and what they may do: the part of Consul's ACL system that a catalog sync meets.
//!
//! A write without the right is refused with Consul's text. A read without the right is answered 200 with the rest: lost
//! rights look like an empty catalog, which is the fault that this part exists to reproduce.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::login::AuthMethod;
use super::tenancy::plain;

mod rules;

pub use rules::{Right, Rules};

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
        const OTHERS: [&str; 6] = ["event", "intention", "keyring", "mesh", "query", "peering"];
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
            "operator" => Ok(self.allows(|rules| rules.operator, needed)),
            "acl" => Ok(self.allows(|rules| rules.acl, needed)),
            other if OTHERS.contains(&other) => Ok(self.allows(|_| None, needed)),
            _ => Err(format!("Invalid ACL resource requested: {resource:?}")),
        }
    }

    pub(super) fn can_read_node(&self, name: &str) -> bool {
        self.allows(|rules| rules.nodes.right(name), Right::Read)
    }

    /// An empty name belongs to no service and is readable.
    pub(super) fn can_read_service(&self, name: &str) -> bool {
        name.is_empty() || self.allows(|rules| rules.services.right(plain(name)), Right::Read)
    }

    pub(super) fn can_write_service(&self, name: &str) -> bool {
        self.allows(|rules| rules.services.right(plain(name)), Right::Write)
    }

    pub(super) fn can_read_agent(&self) -> bool {
        self.allows(|rules| rules.agent, Right::Read)
    }

    /// Whether namespaces are shown: to whom has a right in them, or may see how Consul is run.
    pub(super) fn can_see_namespaces(&self) -> bool {
        self.allows(|rules| rules.operator.or(rules.services.any()), Right::Read)
    }

    pub(super) fn operator_write(&self) -> Result<(), String> {
        if self.allows(|rules| rules.operator, Right::Write) {
            Ok(())
        } else {
            Err(self.denied("operator:write", ""))
        }
    }

    pub(super) fn acl_write(&self) -> Result<(), String> {
        if self.allows(|rules| rules.acl, Right::Write) {
            Ok(())
        } else {
            Err(self.denied("acl:write", ""))
        }
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
        let name = plain(name);
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
