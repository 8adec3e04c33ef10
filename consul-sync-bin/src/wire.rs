//! From settings to the two sides: the only place that knows both adapters.

use consul_sync_consul::{
    Client as ConsulClient, ConsulSink, Leftovers, Lock, LockSettings, SinkSettings,
};
use consul_sync_core::{AdapterError, Layout, Owner};
use consul_sync_k8s::{KubeSource, WatchSettings};
use kube::Client as KubeClient;

use crate::{
    check::{Finding, Side, State},
    cluster,
    settings::Settings,
};

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
    pub(crate) async fn new(settings: &Settings) -> Result<Self, String> {
        let (kubernetes, kubernetes_server) = cluster::client(&settings.cluster).await?;
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
            format!("--consul-token-file (or its variable): {error}")
        }
        _ => format!("settings of Consul: {error}"),
    })
}

/// What should be.
pub(crate) fn source(settings: &Settings, client: &KubeClient) -> KubeSource {
    let watching = WatchSettings {
        streaming_lists: settings.streaming_lists,
        ..WatchSettings::default()
    };
    KubeSource::new(client.clone(), settings.export.clone()).with_watch_settings(watching)
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

/// What the API server shows: its version and each right.
pub(crate) async fn look_at_kubernetes(settings: &Settings, client: &KubeClient) -> Vec<Finding> {
    let found =
        consul_sync_k8s::preflight(client, &settings.export, settings.owner.is_none()).await;
    found
        .into_iter()
        .map(|found| finding(Side::Kubernetes, found.good, found.message, found.remedy))
        .collect()
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

/// The lock without which nothing is written, where there is an election. It has a client of its own, so that a
/// renewal never waits behind a listing.
///
/// # Errors
/// Names the setting that cannot be used.
pub(crate) fn lock(settings: &Settings, owner: &Owner) -> Result<Option<Lock>, String> {
    let Some(asked) = &settings.lock else {
        return Ok(None);
    };
    let sink = sink_settings(settings, owner.clone());
    let mut lock = LockSettings::new(owner);
    lock.prefix.clone_from(&asked.prefix);
    lock.ttl = asked.ttl;
    lock.lock_delay = asked.delay;
    lock.holder.host = host();
    lock.node = sink.node;
    lock.node_address = sink.node_address;
    Ok(Some(Lock::new(consul(settings)?, lock)))
}

/// The name of the pod or machine, for people; empty where the system does not say.
fn host() -> String {
    let variable = std::env::var("HOSTNAME").ok();
    let name = variable.filter(|name| !name.is_empty()).or_else(|| {
        ["/proc/sys/kernel/hostname", "/etc/hostname"]
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok())
    });
    name.unwrap_or_default().trim().chars().take(253).collect()
}

/// What is, and how it is changed.
pub(crate) fn sink(
    settings: &Settings,
    client: &ConsulClient,
    owner: Owner,
    named_ports: bool,
    lock: Option<&Lock>,
) -> ConsulSink {
    let mut sink = sink_settings(settings, owner);
    sink.fence = lock.map(Lock::fence);
    sink.named_ports = named_ports;
    ConsulSink::new(client.clone(), sink)
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
    if place.mirrored {
        // Every service names its own; what names none would be in Consul's own default.
        sink.namespace = Some("default".to_owned());
        sink.all_namespaces = true;
    }
    sink
}

/// What Consul shows: its version, each right, and the node.
pub(crate) async fn look_at_consul(settings: &Settings, clients: &Clients) -> Vec<Finding> {
    // Only to count what is ours; that the cluster cannot be asked is the other side's finding.
    let mut lock = None;
    let owner = match owner(settings, &clients.kubernetes).await {
        Ok(owner) => {
            // It does not run: only the rights that it needs are asked for.
            lock = self::lock(settings, &owner).ok().flatten();
            owner
        }
        Err(_) => match Owner::new("unknown") {
            Ok(unknown) => unknown,
            Err(_) => return Vec::new(),
        },
    };
    let sink = sink(settings, &clients.consul, owner, false, lock.as_ref());
    let found = consul_sync_consul::preflight(&sink).await;
    let is_well = found.iter().all(|found| found.good);
    let mut findings: Vec<Finding> = found
        .into_iter()
        .map(|found| finding(Side::Consul, found.good, found.message, found.remedy))
        .collect();
    if is_well && let Ok(left) = consul_sync_consul::leftovers(&sink).await {
        findings.extend(left.iter().map(|left| {
            let message = leftovers(&sink, left);
            finding(Side::Consul, true, message, None)
        }));
    }
    findings
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

fn finding(side: Side, good: bool, message: String, fix: Option<String>) -> Finding {
    Finding {
        side,
        state: match (good, &fix) {
            (true, None) => State::Ok,
            (true, Some(_)) => State::Warning,
            (false, _) => State::Failed,
        },
        message,
        fix,
    }
}
