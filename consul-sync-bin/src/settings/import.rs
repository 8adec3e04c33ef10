//! What is imported from Consul, and what becomes of it.

use std::collections::BTreeSet;

use consul_sync_consul::{Scope, SourceSettings};
use consul_sync_core::Owner;

use crate::args::{
    given::Given,
    table::{consul, import},
};

/// Which services of Consul are written to Kubernetes, and as what. The owner is known later, see
/// [`source`](Self::source) and [`sink`](Self::sink).
#[derive(Clone, Debug)]
pub(crate) struct ImportSettings {
    source: SourceSettings,
    sink: consul_sync_k8s::ImportSettings,
}

/// Stands where the owner will be; no owner that is given or read looks like it.
const NOBODY: &str = "?";

// === impl ImportSettings ===

impl ImportSettings {
    /// Reads them. `tag` is the one of exported services, which are not imported again.
    pub(super) fn read(given: &mut Given, tag: &str) -> Self {
        let nobody = nobody();
        let mut source = SourceSettings::new(nobody.clone());
        source.other_owners = given.many(&import::OTHER_OWNERS).into_iter().collect();
        if !tag.trim().is_empty() {
            tag.clone_into(&mut source.kubernetes_tag);
        }
        source.allow = given.many(&import::ALLOW_NAMES);
        source.deny = given.many(&import::DENY_NAMES);
        source.filter = given.optional(&import::FILTER);
        source.instance_filter = given.optional(&import::INSTANCE_FILTER);
        source.required_tags = given.many(&import::REQUIRED_TAGS);
        source.refused_tags = given.many(&import::REFUSED_TAGS);
        source.passing_only = given.one(&import::PASSING_ONLY);
        source.queries = given.one(&import::QUERIES);
        source.node_queries = SourceSettings::node_queries_of(source.queries);
        if let Some(wait) = given.optional(&consul::WAIT) {
            source.wait = wait;
        }
        let parts = Parts::read(given);
        check(given, &mut source, &parts);
        let mut sink = consul_sync_k8s::ImportSettings::new(nobody);
        sink.mode = given.one(&import::MODE);
        sink.mode_rules = given.many(&import::MODE_FOR);
        sink.mode_by_meta = given.one(&import::MODE_BY_META);
        sink.prefix = given.one(&import::SERVICE_PREFIX);
        sink.domain = given.one(&import::DOMAIN);
        sink.namespace = given.one(&import::WRITE_NAMESPACE);
        let prefix = given.one(&import::MIRROR_PREFIX);
        sink.mirror_namespaces = given.one(&import::MIRROR_NAMESPACES).then_some(prefix);
        sink.meta_namespaces = given.many(&import::META_NAMESPACES).into_iter().collect();
        sink.refused_networks = given.many(&import::REFUSED_NETWORKS);
        sink.events = given.one(&import::EVENTS);
        Self { source, sink }
    }

    /// What is read from Consul under an owner.
    pub(crate) fn source(&self, owner: Owner) -> SourceSettings {
        let mut settings = self.source.clone();
        settings.owner = owner;
        settings
    }

    /// What is written to Kubernetes under an owner.
    pub(crate) fn sink(&self, owner: Owner) -> consul_sync_k8s::ImportSettings {
        let mut settings = self.sink.clone();
        settings.owner = owner;
        settings
    }

    /// What is written to Kubernetes, for what does not depend on the owner.
    pub(crate) fn written(&self) -> &consul_sync_k8s::ImportSettings {
        &self.sink
    }

    /// The parts of Consul that are read.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.source.scopes
    }
}

pub(crate) fn nobody() -> Owner {
    Owner::new(NOBODY).expect("one printable letter is an owner")
}

/// Notes what does not go together, and sets the parts of Consul.
fn check(given: &mut Given, source: &mut SourceSettings, parts: &Parts) {
    source.scopes = parts.own();
    if let Err(problem) = source.check() {
        given.refuse(
            &import::REFUSED_TAGS,
            format!("expected otherwise: {problem}"),
        );
        return;
    }
    source.scopes.extend(parts.of_peers());
    if let Err(problem) = source.check() {
        given.refuse(&import::PEERS, format!("expected otherwise: {problem}"));
    }
}

/// The names that make scopes, each once.
struct Parts {
    datacenters: BTreeSet<String>,
    partitions: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    peers: BTreeSet<String>,
}

// === impl Parts ===

impl Parts {
    fn read(given: &mut Given) -> Self {
        let mut namespaces: BTreeSet<String> =
            given.many(&import::NAMESPACES).into_iter().collect();
        if namespaces.is_empty() {
            namespaces.extend(given.optional(&consul::NAMESPACE));
        }
        Self {
            datacenters: given.many(&import::DATACENTERS).into_iter().collect(),
            partitions: given.many(&import::PARTITIONS).into_iter().collect(),
            namespaces,
            peers: given.many(&import::PEERS).into_iter().collect(),
        }
    }

    /// Every namespace of every partition of every datacenter.
    fn own(&self) -> Vec<Scope> {
        self.scopes(&each(&self.datacenters), &[None])
    }

    /// The same of every peer; peers are those of the datacenter that is asked.
    fn of_peers(&self) -> Vec<Scope> {
        let peers: Vec<Option<String>> = self.peers.iter().cloned().map(Some).collect();
        self.scopes(&[None], &peers)
    }

    fn scopes(&self, datacenters: &[Option<String>], peers: &[Option<String>]) -> Vec<Scope> {
        let mut scopes = Vec::new();
        for datacenter in datacenters {
            for partition in each(&self.partitions) {
                for namespace in each(&self.namespaces) {
                    for peer in peers {
                        let mut scope = Scope::default();
                        scope.datacenter.clone_from(datacenter);
                        scope.partition.clone_from(&partition);
                        scope.namespace.clone_from(&namespace);
                        scope.peer.clone_from(peer);
                        scopes.push(scope);
                    }
                }
            }
        }
        scopes
    }
}

/// The names, or none where none is given: the client's own.
fn each(names: &BTreeSet<String>) -> Vec<Option<String>> {
    if names.is_empty() {
        return vec![None];
    }
    names.iter().cloned().map(Some).collect()
}
