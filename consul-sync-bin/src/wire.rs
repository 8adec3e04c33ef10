//! From settings to the two sides: the only place that knows both adapters.

mod elect;
mod look;

use consul_sync_consul::{
    Client as ConsulClient, ConsulSink, ConsulSource, Leftovers, SinkSettings, TokenSource,
};
use consul_sync_core::{AdapterError, Layout, Owner, Settings as SyncSettings};
use consul_sync_k8s::{KubeSink, KubeSource, Rights, WatchSettings};
use kube::Client as KubeClient;

use crate::{cluster, direction::Direction, election::Election, settings::Settings};

pub(crate) use self::{
    elect::{election, lock_name, rights_to_elect},
    look::{look_at_consul, look_at_kubernetes},
};

/// One direction: what should be, where it is written, and by which rules.
#[derive(Debug)]
pub(crate) struct Route<S, K> {
    /// What should be.
    pub(crate) source: S,
    /// Where it is written.
    pub(crate) target: Target<K>,
    /// How the two are joined.
    pub(crate) sync: SyncSettings,
}

/// Where one direction writes. It is all that is needed to delete what is there.
#[derive(Debug)]
pub(crate) struct Target<K> {
    /// The direction.
    pub(crate) direction: Direction,
    /// What is, and how it is changed.
    pub(crate) sink: K,
    /// Where that is, for people, such as `node k8s-sync`.
    pub(crate) place: String,
    /// The Consul node, where services go there.
    pub(crate) node: Option<String>,
    /// What has to be held before anything is written, where there is an election.
    pub(crate) election: Option<Election>,
}

/// Clients of both sides; nothing was asked of either yet.
#[derive(Clone)]
pub(crate) struct Clients {
    /// The API server's.
    pub(crate) kubernetes: KubeClient,
    /// Its address, for people.
    pub(crate) kubernetes_server: String,
    /// Consul's.
    pub(crate) consul: ConsulClient,
}

impl Clients {
    /// Clients by these settings.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let (kubernetes, kubernetes_server) = cluster::client(&settings.cluster)?;
        Ok(Self {
            kubernetes,
            kubernetes_server,
            consul: consul(settings)?,
        })
    }
}

/// Consul's client alone.
///
/// # Errors
/// Names the setting that cannot be used.
pub(crate) fn consul(settings: &Settings) -> Result<ConsulClient, String> {
    ConsulClient::new(settings.consul.clone()).map_err(|error| match &error {
        consul_sync_consul::Error::Token(_) => {
            let flag = match settings.consul.token {
                TokenSource::Login(_) => "--consul-login-bearer-token-file",
                _ => "--consul-token-file",
            };
            format!("{flag} (or its variable): {error}")
        }
        _ => format!("settings of Consul: {error}"),
    })
}

/// A client to log out with, where there is a login. It shares the login of every other one that these settings make.
pub(crate) fn login(settings: &Settings) -> Option<ConsulClient> {
    match settings.consul.token {
        // What cannot be used is told by the command itself.
        TokenSource::Login(_) => ConsulClient::new(settings.consul.clone()).ok(),
        _ => None,
    }
}

/// The owner, read once where it is the cluster's identity.
///
/// # Errors
/// When the cluster cannot be asked.
pub(crate) async fn owner(settings: &Settings, client: &KubeClient) -> Result<Owner, AdapterError> {
    match &settings.owner {
        Some(owner) => Ok(owner.clone()),
        None => consul_sync_k8s::owner(client).await,
    }
}

/// Whether instances have the list of their named ports; asked once, because an instance must not be written in one
/// way now and in the other later.
///
/// # Errors
/// When that depends on Consul's version, and it cannot be read.
pub(crate) async fn named_ports(
    settings: &Settings,
    client: &ConsulClient,
) -> Result<bool, AdapterError> {
    Ok(settings.place.ports.decide(client).await?)
}

/// The cluster as what should be.
pub(crate) fn cluster_source(settings: &Settings, client: &KubeClient) -> KubeSource {
    KubeSource::new(client.clone(), settings.export.clone()).with_watch_settings(watching(settings))
}

/// From Kubernetes to Consul.
pub(crate) fn to_consul<S>(
    settings: &Settings,
    cluster: S,
    target: Target<ConsulSink>,
) -> Route<S, ConsulSink> {
    Route {
        source: cluster,
        target,
        sync: settings.sync.clone(),
    }
}

/// From Consul to Kubernetes.
///
/// # Errors
/// Names the setting that cannot be used.
pub(crate) fn to_k8s(
    settings: &Settings,
    clients: &Clients,
    target: Target<KubeSink>,
) -> Result<Route<ConsulSource, KubeSink>, String> {
    let source = consul_source(settings, &clients.consul, target.sink.owner())?;
    Ok(Route {
        source,
        target,
        sync: SyncSettings {
            // Names are those of Kubernetes namespaces there; here a name in Consul is one service already.
            exclusive: false,
            ..settings.sync.clone()
        },
    })
}

fn watching(settings: &Settings) -> WatchSettings {
    WatchSettings {
        streaming_lists: settings.streaming_lists,
        ..WatchSettings::default()
    }
}

fn consul_source(
    settings: &Settings,
    client: &ConsulClient,
    owner: &Owner,
) -> Result<ConsulSource, String> {
    // The owner is the one thing that was not known when the settings were read.
    ConsulSource::new(client.clone(), settings.import.source(owner.clone()))
        .map_err(|error| format!("--import-owners: {error}"))
}

/// Consul as what is written.
pub(crate) fn consul_target(
    settings: &Settings,
    client: &ConsulClient,
    owner: &Owner,
    named_ports: bool,
    election: Option<Election>,
) -> Target<ConsulSink> {
    let mut sink = sink_settings(settings, owner.clone());
    sink.fence = election.as_ref().and_then(Election::fence);
    sink.named_ports = named_ports;
    let sink = ConsulSink::new(client.clone(), sink);
    Target {
        direction: Direction::ToConsul,
        place: format!("node {}", sink.node()),
        node: Some(sink.node().as_str().to_owned()),
        sink,
        election,
    }
}

/// The cluster as what is written.
///
/// # Errors
/// Names the setting that cannot be used.
pub(crate) fn kubernetes_target(
    settings: &Settings,
    client: &KubeClient,
    owner: &Owner,
    election: Option<Election>,
) -> Result<Target<KubeSink>, String> {
    let written = settings.import.sink(owner.clone());
    let place = match &written.mirror_namespaces {
        Some(prefix) if prefix.is_empty() => "the namespaces of Consul's names".to_owned(),
        Some(prefix) => format!("the namespaces {prefix}*"),
        None => {
            let mut namespaces = written.meta_namespaces.clone();
            namespaces.insert(written.namespace.clone());
            let plural = if namespaces.len() > 1 { "s" } else { "" };
            let names: Vec<String> = namespaces.into_iter().collect();
            format!("namespace{plural} {}", names.join(", "))
        }
    };
    let mut sink = KubeSink::new(client.clone(), written)
        .map_err(|error| format!("settings of the import: {error}"))?
        .with_watch_settings(watching(settings));
    if let Some(election) = election.clone() {
        sink = sink.with_gate(move || election.is_sure());
    }
    Ok(Target {
        direction: Direction::ToK8s,
        sink,
        place,
        node: None,
        election,
    })
}

/// Every right in Kubernetes that the directions need which are on, and the election. `namespace`: where Leases are, where
/// that is not set.
pub(crate) fn rights(settings: &Settings, namespace: &str) -> Rights {
    let identity = settings.owner.is_none();
    let export = || Rights::needed(&settings.export, identity);
    let import = || Rights::to_import(settings.import.written(), identity);
    let synchronising = match (settings.to_consul, settings.to_k8s) {
        (true, false) => export(),
        (false, _) => import(),
        (true, true) => export().and(import()),
    };
    synchronising.and(rights_to_elect(settings, namespace))
}

/// The sink's settings under an owner.
pub(crate) fn sink_settings(settings: &Settings, owner: Owner) -> SinkSettings {
    let mut sink = SinkSettings::new(owner);
    let place = &settings.place;
    if let Some(node) = &place.node {
        sink.node = node.clone();
    }
    if let Some(address) = place.node_address {
        sink.node_address = address;
    }
    if let Some(wait) = place.wait {
        sink.wait = wait;
    }
    sink.checks = place.checks;
    sink.namespace.clone_from(&place.namespace);
    sink.create_namespaces = place.create_namespaces;
    sink.namespace_policy.clone_from(&place.namespace_policy);
    if place.mirrored {
        // Every service names its own; what names none would be in Consul's own default.
        sink.namespace = Some("default".to_owned());
        sink.all_namespaces = true;
    }
    sink
}

/// What was found that may be from before the node or the owner had another name, and how it is removed.
pub(crate) fn leftovers(sink: &ConsulSink, left: &Leftovers) -> String {
    let Leftovers { node, owner, count } = left;
    let own = sink.node();
    if *owner == sink.owner().as_str() {
        format!(
            "the node {node} holds {count} instances with our mark, and they are left alone, as our node is {own}; if \
             {own} had that name before, consul-sync purge --consul-node {node} --owner {owner} removes them"
        )
    } else {
        format!(
            "the node {node} holds {count} instances with the mark {owner}, and they are left alone, as ours is {}; if \
             that was ours before, consul-sync purge --consul-node {node} --owner {owner} removes them",
            sink.owner()
        )
    }
}
