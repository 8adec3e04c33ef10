//! Settings of the source.

use std::{collections::BTreeSet, time::Duration};

use consul_sync_core::Owner;

use super::{NamePattern, Scope};
use crate::{Error, block};

/// Queries, unless somebody says how many: enough below the 200 connections that Consul takes of a client.
const QUERIES: usize = 128;

/// Which services are read, and which of their instances.
///
/// ```
/// use consul_sync_consul::{NamePattern, SourceSettings};
/// use consul_sync_core::Owner;
/// let mut settings = SourceSettings::new(Owner::new("cluster-a")?);
/// settings.deny = vec![NamePattern::new("*-sidecar-proxy")?, NamePattern::new("consul")?];
/// settings.refused_tags = vec!["internal".into()];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceSettings {
    /// The identity under which this installation marks what it writes. What has this mark is never read.
    pub owner: Owner,
    /// Owners of other clusters whose services are read though they come from Kubernetes. Without them nothing that
    /// comes from a Kubernetes cluster is.
    pub other_owners: BTreeSet<Owner>,
    /// The tag that services from Kubernetes carry: a service that has it at any instance is left out as a whole,
    /// unless there are [`other_owners`](Self::other_owners); then it is judged instance by instance.
    pub kubernetes_tag: String,
    /// The parts of Consul that are read.
    pub scopes: Vec<Scope>,
    /// Names that are read; without any, all are.
    pub allow: Vec<NamePattern>,
    /// Names that are not read, whatever is allowed.
    pub deny: Vec<NamePattern>,
    /// A filter expression over instances as `/v1/catalog/services` takes it (such as `ServiceMeta.team == "a"`):
    /// services of which no instance fits are not read. The whole of the others is.
    pub filter: Option<String>,
    /// A filter expression over instances as `/v1/health/service` takes it (such as `Node.Meta.zone == "a"`):
    /// instances that do not fit are not read.
    pub instance_filter: Option<String>,
    /// Tags that an instance must have, each of them, in any case.
    pub required_tags: Vec<String>,
    /// Tags of which an instance must have none.
    pub refused_tags: Vec<String>,
    /// Whether instances that are not passing are left out. A service that has no other is still there, without
    /// instances.
    pub passing_only: bool,
    /// How many services and nodes are each followed by a query of their own, which takes a connection each. Consul takes
    /// 200 connections of a client unless `limits.http_max_conns_per_client` says otherwise.
    pub queries: usize,
    /// How many of these may be nodes'. Where there are more services than queries, and not more nodes than this, each node
    /// has one, and tells which service changed; otherwise all services without a query are looked at for that.
    pub node_queries: usize,
    /// For how long the query for the list of services asks to be held.
    pub wait: Duration,
}

// === impl SourceSettings ===

impl SourceSettings {
    /// The defaults: everything in the client's own datacenter that does not come from Kubernetes, with 128 queries, 112 of
    /// which may be nodes'.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            other_owners: BTreeSet::new(),
            kubernetes_tag: "k8s".into(),
            scopes: vec![Scope::default()],
            allow: Vec::new(),
            deny: Vec::new(),
            filter: None,
            instance_filter: None,
            required_tags: Vec::new(),
            refused_tags: Vec::new(),
            passing_only: false,
            queries: QUERIES,
            node_queries: Self::node_queries_of(QUERIES),
            wait: block::WAIT,
        }
    }

    /// How many of so many queries the nodes may have: seven of eight. A service without a query is told by its nodes' as
    /// soon, for two short requests more, so a few are enough for those that change all the time.
    ///
    /// ```
    /// use consul_sync_consul::SourceSettings;
    /// assert_eq!(SourceSettings::node_queries_of(128), 112);
    /// assert_eq!(SourceSettings::node_queries_of(1), 0);
    /// ```
    pub fn node_queries_of(queries: usize) -> usize {
        queries - queries.div_ceil(8)
    }

    /// Whether these settings go together.
    ///
    /// # Errors
    /// [`Error::Settings`] that names the first thing that does not.
    ///
    /// ```
    /// use consul_sync_consul::SourceSettings;
    /// use consul_sync_core::Owner;
    /// let mut settings = SourceSettings::new(Owner::new("cluster-a")?);
    /// settings.required_tags = vec!["public".into()];
    /// assert!(settings.check().is_ok());
    /// settings.refused_tags = vec!["Public".into()];
    /// assert!(settings.check().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |problem: String| Err(Error::Settings(problem));
        if self.other_owners.contains(&self.owner) {
            return wrong(format!(
                "owner {:?} is this installation's own: what it registered in consul must not come back; name only owners of \
                 other clusters",
                self.owner.as_str()
            ));
        }
        if self.kubernetes_tag.trim().is_empty() {
            return wrong(
                "the tag of services from kubernetes is empty; the usual one is k8s".into(),
            );
        }
        if self.scopes.is_empty() {
            return wrong("no part of consul is named to read services from".into());
        }
        let mut seen = BTreeSet::new();
        for scope in &self.scopes {
            scope.check()?;
            let qualifier = scope.qualifier();
            if !seen.insert(qualifier.clone()) {
                return wrong(format!(
                    "consul is told to be read twice at {qualifier}; name each part once"
                ));
            }
            let has_pattern = self.allow.iter().any(|name| name.exact().is_none());
            if scope.peer.is_some() && (self.allow.is_empty() || has_pattern) {
                return wrong(format!(
                    "consul does not list the services of a peer: for {qualifier} every name that is allowed must be \
                     there in full, without *"
                ));
            }
        }
        for (what, texts) in [
            ("filter", self.filter.as_slice()),
            ("instance filter", self.instance_filter.as_slice()),
            ("required tag", &self.required_tags),
            ("refused tag", &self.refused_tags),
        ] {
            if texts.iter().any(|text| text.trim().is_empty()) {
                return wrong(format!("a {what} is empty; leave it out instead"));
            }
        }
        let both = |tag: &&String| {
            self.refused_tags
                .iter()
                .any(|t| t.eq_ignore_ascii_case(tag))
        };
        if let Some(tag) = self.required_tags.iter().find(both) {
            return wrong(format!(
                "tag {tag:?} is required and refused: no instance would fit"
            ));
        }
        Ok(())
    }

    /// Whether a service of this name, folded, is read at all.
    pub(super) fn wants_name(&self, name: &str) -> bool {
        let any = |patterns: &[NamePattern]| patterns.iter().any(|p| p.matches_folded(name));
        (self.allow.is_empty() || any(&self.allow)) && !any(&self.deny)
    }

    /// Whether a service whose instances have these tags may have one that is read.
    pub(super) fn wants_tags<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> bool {
        let mut required = vec![false; self.required_tags.len()];
        for tag in tags {
            if self.other_owners.is_empty() && tag.eq_ignore_ascii_case(&self.kubernetes_tag) {
                return false;
            }
            for (seen, wanted) in required.iter_mut().zip(&self.required_tags) {
                *seen |= tag.eq_ignore_ascii_case(wanted);
            }
        }
        required.into_iter().all(|seen| seen)
    }

    /// For how long the query of one service asks to be held: what the list's query notices is noticed there.
    pub(super) fn service_wait(&self) -> Duration {
        (self.wait * 5).min(block::LONGEST_WAIT.max(self.wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut SourceSettings)) -> SourceSettings {
        let mut settings = SourceSettings::new(Owner::new("a").unwrap());
        change(&mut settings);
        settings
    }

    fn pattern(text: &str) -> NamePattern {
        NamePattern::new(text).unwrap()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        type Change = Box<dyn FnOnce(&mut SourceSettings)>;
        let peer = || Scope {
            peer: Some("east".into()),
            ..Scope::default()
        };
        let cases: Vec<(Change, &str)> = vec![
            (
                Box::new(|s| s.other_owners = [Owner::new("a").unwrap()].into()),
                "own",
            ),
            (Box::new(|s| s.kubernetes_tag = " ".into()), "tag"),
            (Box::new(|s| s.scopes.clear()), "no part"),
            (Box::new(|s| s.scopes.push(Scope::default())), "twice"),
            (Box::new(move |s| s.scopes.push(peer())), "peer"),
            (
                Box::new(move |s| {
                    s.scopes.push(peer());
                    s.allow = vec![pattern("web"), pattern("d*")];
                }),
                "in full",
            ),
            (Box::new(|s| s.filter = Some(String::new())), "filter"),
            (Box::new(|s| s.required_tags = vec![" ".into()]), "required"),
            (
                Box::new(|s| {
                    s.required_tags = vec!["A".into()];
                    s.refused_tags = vec!["a".into()];
                }),
                "no instance",
            ),
        ];
        for (change, words) in cases {
            let error = settings(change).check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(settings(|_| ()).check().is_ok());
        let named = settings(|s| {
            s.scopes.push(peer());
            s.allow = vec![pattern("web")];
        });
        assert!(named.check().is_ok());
    }

    #[test]
    fn a_denied_name_is_not_read_whatever_is_allowed() {
        let settings = settings(|s| {
            s.allow = vec![pattern("web*")];
            s.deny = vec![pattern("*-proxy")];
        });
        assert!(settings.wants_name("web-shop"));
        assert!(!settings.wants_name("web-proxy"));
        assert!(!settings.wants_name("db"));
    }

    #[test]
    fn a_service_with_the_kubernetes_tag_is_looked_at_only_for_other_owners() {
        let mut settings = settings(|s| s.required_tags = vec!["public".into()]);
        assert!(settings.wants_tags(["Public", "x"]));
        assert!(!settings.wants_tags(["x"]));
        assert!(!settings.wants_tags(["public", "K8S"]));
        settings.other_owners = [Owner::new("b").unwrap()].into();
        assert!(settings.wants_tags(["public", "k8s"]));
    }
}
