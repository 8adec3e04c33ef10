//! What the source asks Consul, and what it makes of the answers.

mod nodes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use consul_sync_core::{Key, Reason, Rejection};

pub(super) use self::nodes::{NodeNames, NodeRead, OnNode};
use super::{
    Inner,
    translate::{Found, translate},
};
use crate::{
    Error,
    answer::Answer,
    registration::fold,
    request::Request,
    rights::{self, Rights},
    wire::{Access, CheckPlace, HealthEntry},
};

/// A name for asking about all nodes and services.
const ANY: &str = "consul-sync-any";
/// The node to be near to: none. Naming one keeps the agent from answering by a view of its own.
const NOWHERE: &str = "consul-sync-nowhere";
/// A filter that nothing passes: only the index is asked for.
const NOTHING: &str = "Service.ID == \"\"";
/// The rights to read everything.
const RULES: &str =
    "service_prefix \"\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }";

/// The states of checks that are followed for services without a query of their own.
pub(super) const STATES: [&str; 2] = ["critical", "warning"];

/// A service: the place of its scope, and its name as Consul folds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    pub(super) scope: usize,
    pub(super) name: Arc<str>,
}

/// An answer that was understood: its index, and its content where that was asked for and is not the known one.
#[derive(Clone, Debug)]
pub(super) struct Read<T> {
    pub(super) index: u64,
    pub(super) content: Option<T>,
    pub(super) parse: Duration,
}

/// A service, and what each node has of it.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub(super) found: Found,
    pub(super) nodes: BTreeMap<Box<str>, OnNode>,
}

/// Checks in one state: which they are, by node and ID, and the service they are about; a node's own are about none.
pub(super) type Checks = BTreeMap<(Box<str>, Box<str>), Box<str>>;

// === impl Inner ===

impl Inner {
    pub(super) fn key(&self, id: &Id) -> Key {
        Key::new(Arc::clone(&self.qualifiers[id.scope]), Arc::clone(&id.name))
    }

    // --- the list -------------------------------------------------------------------------------------

    /// Whether Consul lists the names of a scope.
    pub(super) fn lists_names(&self, scope: usize) -> bool {
        self.settings.scopes[scope].peer.is_none()
    }

    /// The names of a scope that Consul does not list.
    pub(super) fn fixed_names(&self, scope: usize) -> Option<BTreeSet<Arc<str>>> {
        if self.lists_names(scope) {
            return None;
        }
        let names = self.settings.allow.iter().filter_map(|name| name.exact());
        let wanted = names.filter(|name| self.settings.wants_name(name));
        Some(wanted.map(Arc::from).collect())
    }

    pub(super) fn names_request(&self, scope: usize) -> Request {
        let request = Request::get(&["catalog", "services"])
            .consistent()
            .patient(6);
        self.settings.scopes[scope]
            .ask(&self.client, request)
            .with_optional("filter", self.settings.filter.as_deref())
    }

    /// The wanted names of a list, folded.
    pub(super) async fn read_names(
        self: &Arc<Self>,
        answer: Answer,
        known: Option<u64>,
    ) -> Result<Read<BTreeSet<Arc<str>>>, Error> {
        let inner = Arc::clone(self);
        read(answer, known, move |answer| {
            // A name in two spellings is two names there, and one service.
            let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let listed: BTreeMap<String, Option<Vec<String>>> = answer.json()?;
            for (name, own) in listed {
                tags.entry(fold(&name))
                    .or_default()
                    .extend(own.unwrap_or_default());
            }
            let wanted = tags.into_iter().filter(|(name, tags)| {
                inner.settings.wants_name(name)
                    && inner.settings.wants_tags(tags.iter().map(String::as_str))
            });
            Ok(wanted.map(|(name, _)| name.into()).collect())
        })
        .await
    }

    // --- a service ------------------------------------------------------------------------------------

    pub(super) fn health_request(&self, id: &Id) -> Request {
        self.service_request(id)
            .with_optional("filter", self.settings.instance_filter.as_deref())
    }

    fn service_request(&self, id: &Id) -> Request {
        let request = Request::get(&["health", "service", &id.name])
            .consistent()
            .with("near", NOWHERE);
        self.settings.scopes[id.scope].ask(&self.client, request)
    }

    /// Looks at a service without waiting. Where it has the known index its content is not transferred.
    pub(super) async fn look(
        self: &Arc<Self>,
        id: &Id,
        known: Option<u64>,
    ) -> Result<Read<Health>, Error> {
        if !is_readable(&id.name) {
            return Ok(Read {
                index: 1,
                content: Some(Health {
                    found: Found::Rejected(Rejection::new(
                        Reason::InvalidName,
                        format!(
                            "consul cannot be asked for the service {:?} by its name; register it under a name without \
                             control characters, dots alone and doubled slashes",
                            id.name
                        ),
                    )),
                    nodes: BTreeMap::new(),
                }),
                parse: Duration::ZERO,
            });
        }
        if known.is_some() {
            let request = self.service_request(id).with("filter", NOTHING);
            let answer = self.client.call(&request).await?;
            let glance = read(answer, known, |_| Ok(())).await?;
            if glance.content.is_none() {
                return Ok(Read {
                    index: glance.index,
                    content: None,
                    parse: glance.parse,
                });
            }
        }
        let answer = self.client.call(&self.health_request(id)).await?;
        self.read_health(id, answer, None).await
    }

    pub(super) async fn read_health(
        self: &Arc<Self>,
        id: &Id,
        answer: Answer,
        known: Option<u64>,
    ) -> Result<Read<Health>, Error> {
        let (inner, key) = (Arc::clone(self), self.key(id));
        read(answer, known, move |answer| {
            let entries: Vec<HealthEntry> = answer.json()?;
            Ok(Health {
                found: translate(&inner.settings, &key, &entries),
                nodes: OnNode::of(&entries),
            })
        })
        .await
    }

    // --- checks ---------------------------------------------------------------------------------------

    pub(super) fn checks_request(&self, scope: usize, state: &str) -> Request {
        let request = Request::get(&["health", "state", state])
            .consistent()
            .patient(6);
        self.settings.scopes[scope].ask(&self.client, request)
    }

    pub(super) async fn read_checks(
        &self,
        answer: Answer,
        known: Option<u64>,
    ) -> Result<Read<Checks>, Error> {
        read(answer, known, |answer| {
            let checks: Vec<CheckPlace> = answer.json()?;
            let each = checks.into_iter().map(|check| {
                let place = (fold(&check.node).into(), check.id.into());
                (place, fold(&check.service_name).into())
            });
            Ok(each.collect())
        })
        .await
    }

    // --- rights ---------------------------------------------------------------------------------------

    /// Makes sure that what a read did not show is not just forbidden to us: without a token Consul does not say so.
    /// Returns whether a scope has no access control.
    ///
    /// # Errors
    /// [`Error::Denied`] with the rules that are missing.
    pub(super) async fn trust_absence(&self, scope: usize) -> Result<bool, Error> {
        if !self.client.is_anonymous() {
            return Ok(false);
        }
        let questions = ["service", "node"].map(|resource| Access {
            resource,
            segment: ANY,
            verb: "read",
        });
        let scope = &self.settings.scopes[scope];
        let (datacenter, partition) = (scope.datacenter.as_deref(), scope.partition.as_deref());
        match rights::ask_there(&self.client, datacenter, partition, &questions).await? {
            Rights::Off => Ok(true),
            Rights::Known(allowed) if allowed.contains(&false) => Err(Error::Denied {
                call: self.client.about("POST", "/v1/internal/acl/authorize"),
                rule: RULES.to_owned(),
                text: "no token is set, and without one consul does not show every service"
                    .to_owned(),
            }),
            Rights::Known(_) | Rights::Unknown => Ok(false),
        }
    }
}

/// Understands an answer, unless its index is the known one.
///
/// # Errors
/// Whenever it cannot be relied upon to be whole.
async fn read<T: Send + 'static>(
    answer: Answer,
    known: Option<u64>,
    content: impl FnOnce(&Answer) -> Result<T, Error> + Send + 'static,
) -> Result<Read<T>, Error> {
    answer.require_consistent()?;
    answer.require_tables()?;
    if answer.is_filtered() {
        return Err(answer.denied(
            RULES.to_owned(),
            "consul left out what the token may not read",
        ));
    }
    let index = answer.index()?;
    if known == Some(index) {
        return Ok(Read {
            index,
            content: None,
            parse: Duration::ZERO,
        });
    }
    let (content, parse) = crate::offload(answer.wire_length(), move || content(&answer)).await;
    Ok(Read {
        index,
        content: Some(content?),
        parse,
    })
}

/// Whether a service of this name can be asked for: a path with such segments is another one when it arrives (fault C17).
pub(super) fn is_readable(name: &str) -> bool {
    !name.chars().any(char::is_control)
        && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c17_names_that_do_not_survive_a_path_are_not_asked_for() {
        for name in ["web", "a/b", "a b", "ü", "..."] {
            assert!(is_readable(name), "{name}");
        }
        for name in ["../x", "a//b", "a/./b", "/", "..", "a\nb", "a\0"] {
            assert!(!is_readable(name), "{name}");
        }
    }
}
