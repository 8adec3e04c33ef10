//! What is exported from a cluster, and how.

mod consul_namespaces;
mod name_rules;
mod node_ports;

use std::{collections::BTreeSet, num::NonZeroUsize};

pub use consul_namespaces::ConsulNamespaces;
pub(crate) use name_rules::matches;
pub use name_rules::{InvalidNameRule, NameRule, NameRules};
pub use node_ports::{InvalidNodePorts, NodePorts};

use crate::Selector;

/// The entry of a list of namespaces that stands for all of them.
const ALL: &str = "*";

/// What is exported from a cluster, and how. Reading it from flags or a file is the business of others.
///
/// ```
/// use consul_sync_k8s::{ExportSettings, NodePorts};
///
/// let settings = ExportSettings {
///     namespace_suffix: true,
///     node_ports: NodePorts::Off,
///     ..ExportSettings::default()
/// };
/// assert!(!settings.needs().nodes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, with no state between them"
)]
pub struct ExportSettings {
    /// Whether a Service without the annotation `service-sync` is exported. Default: yes.
    pub default_sync: bool,
    /// The only namespace that is exported; it takes the place of `allow_namespaces`. Default: none.
    pub source_namespace: Option<String>,
    /// Namespaces that are exported; `*` stands for all. Default: `*`.
    pub allow_namespaces: BTreeSet<String>,
    /// Namespaces that are not exported, whatever allows them; `*` stands for all. Default: none.
    pub deny_namespaces: BTreeSet<String>,
    /// Labels of the namespaces that are exported. Default: all.
    pub namespace_selector: Selector,
    /// Labels of the Services that are exported. Default: all.
    pub service_selector: Selector,
    /// What stands before the name of a Service. Default: nothing.
    pub prefix: String,
    /// Whether `-` and the namespace stand after the name of a Service. Default: no.
    pub namespace_suffix: bool,
    /// Which names the services of which namespaces may have, those of annotations included. Default: any.
    pub name_rules: NameRules,
    /// How many services of one namespace are exported at most, the oldest ones. Default: any number.
    pub services_per_namespace: Option<NonZeroUsize>,
    /// The first tag of every service; empty for none. Default: `k8s`.
    pub tag: String,
    /// Whether Services of type ClusterIP are exported. Default: yes.
    pub cluster_ip: bool,
    /// Whether Services of type LoadBalancer are exported by their endpoints, not by their balancer's
    /// addresses. Default: no.
    pub load_balancer_endpoints: bool,
    /// At which address of its node an endpoint of a NodePort Service is reached. Default: `ExternalOnly`.
    pub node_ports: NodePorts,
    /// Whether the hosts of Ingresses take the place of the endpoints of the ClusterIP Services behind them.
    /// Default: no.
    pub ingress: bool,
    /// Whether the load balancer's IP addresses of an Ingress take the place of its hosts. Default: no.
    pub ingress_load_balancer_ips: bool,
    /// Whether endpoints that are terminating and still serving take traffic while no endpoint of their
    /// Service is ready, as kube-proxy lets them. Default: no, they are critical.
    pub serve_terminating: bool,
    /// The Consul namespaces that services are registered in. Default: off.
    pub consul_namespaces: ConsulNamespaces,
}

/// The kinds of objects that must be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one independent answer per kind"
)]
pub struct Needs {
    /// Services: always.
    pub services: bool,
    /// EndpointSlices: always.
    pub slices: bool,
    /// Nodes: for NodePort Services, unless they are not exported.
    pub nodes: bool,
    /// Ingresses: when they take the place of endpoints.
    pub ingresses: bool,
    /// Namespaces: when they are selected by labels.
    pub namespaces: bool,
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self {
            default_sync: true,
            source_namespace: None,
            allow_namespaces: BTreeSet::from([ALL.to_owned()]),
            deny_namespaces: BTreeSet::new(),
            namespace_selector: Selector::default(),
            service_selector: Selector::default(),
            prefix: String::new(),
            namespace_suffix: false,
            name_rules: NameRules::default(),
            services_per_namespace: None,
            tag: "k8s".to_owned(),
            cluster_ip: true,
            load_balancer_endpoints: false,
            node_ports: NodePorts::ExternalOnly,
            ingress: false,
            ingress_load_balancer_ips: false,
            serve_terminating: false,
            consul_namespaces: ConsulNamespaces::Off,
        }
    }
}

impl ExportSettings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The kinds that these settings may need. Of these, nodes are not needed before a Service comes up that
    /// follows them; see [`Index::needs`](crate::Index::needs).
    pub fn needs(&self) -> Needs {
        Needs {
            services: true,
            slices: true,
            nodes: self.node_ports != NodePorts::Off,
            ingresses: self.ingress,
            namespaces: !self.namespace_selector.is_empty(),
        }
    }

    /// Whether a namespace is exported by its name; its labels may still say otherwise.
    pub fn allows_namespace(&self, namespace: &str) -> bool {
        let lists = |list: &BTreeSet<String>| list.contains(ALL) || list.contains(namespace);
        if lists(&self.deny_namespaces) {
            return false;
        }
        match &self.source_namespace {
            Some(only) => only == namespace,
            None => lists(&self.allow_namespaces),
        }
    }
}

#[cfg(test)]
mod tests;
