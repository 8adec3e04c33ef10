//! The election of each direction, from the settings.

use consul_sync_consul::{Lock, LockSettings};
use consul_sync_core::{Holder, Owner};
use consul_sync_k8s::{Lease, LeaseSettings, Rights};
use kube::Client as KubeClient;

use super::{consul, sink_settings};
use crate::{direction::Direction, election::Election, settings::Settings};

/// What has to be held before anything is written in a direction, where there is an election. Each direction has one, so
/// that it has one writer whether one process runs both or each has its own. A lock has a client of its own, so that a
/// renewal never waits behind a listing.
///
/// # Errors
/// Names the setting that cannot be used.
pub(crate) fn election(
    settings: &Settings,
    owner: &Owner,
    direction: Direction,
    kubernetes: Option<&KubeClient>,
) -> Result<Option<Election>, String> {
    let lock = lock(settings, owner, direction)?;
    let Some(asked) = &settings.lease else {
        return Ok(lock.map(Election::Lock));
    };
    let client = kubernetes.ok_or("a lease needs the cluster")?;
    let namespace = lease_namespace(settings, client);
    // The name of this process is the same in both.
    let mut lease = LeaseSettings::new(
        namespace,
        lease_name(&asked.name, direction),
        holder(LockSettings::new(owner).holder),
    );
    lease.ttl = asked.ttl;
    Ok(Some(match lock {
        Some(lock) => {
            lease.holder = lock.holder().clone();
            Election::Both(Lease::new(client.clone(), lease), lock)
        }
        None => Election::Lease(Lease::new(client.clone(), lease)),
    }))
}

/// The lock in Consul that a direction needs.
///
/// # Errors
/// Names the setting that cannot be used.
pub(crate) fn lock(
    settings: &Settings,
    owner: &Owner,
    direction: Direction,
) -> Result<Option<Lock>, String> {
    let Some(asked) = settings.lock_of(direction) else {
        return Ok(None);
    };
    let sink = sink_settings(settings, owner.clone());
    let mut lock = LockSettings::new(owner);
    lock.prefix.clone_from(&asked.prefix);
    lock_name(direction).clone_into(&mut lock.name);
    lock.ttl = asked.ttl;
    lock.lock_delay = asked.delay;
    lock.holder = holder(lock.holder);
    lock.node = sink.node;
    lock.node_address = sink.node_address;
    Ok(Some(Lock::new(consul(settings)?, lock)))
}

/// The rights to take part in the elections of the directions that are on. `namespace`: where the Leases are, where that
/// is not set.
pub(crate) fn rights_to_elect(settings: &Settings, namespace: &str) -> Rights {
    let Some(lease) = &settings.lease else {
        return Rights::default();
    };
    let directions = settings.directions().into_iter();
    let names: Vec<String> = directions
        .map(|direction| lease_name(&lease.name, direction))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Rights::to_elect(lease.namespace.as_deref().unwrap_or(namespace), &names)
}

/// Where the Leases are: with the pod, or in the kubeconfig's namespace.
fn lease_namespace(settings: &Settings, client: &KubeClient) -> String {
    let lease = settings.lease.as_ref();
    let named = lease.and_then(|lease| lease.namespace.as_deref());
    named.unwrap_or(client.default_namespace()).to_owned()
}

/// The name of a direction's Lease.
fn lease_name(name: &str, direction: Direction) -> String {
    match direction {
        Direction::ToConsul => name.to_owned(),
        Direction::ToK8s => format!("{name}-to-k8s"),
    }
}

/// The last part of a direction's key.
pub(crate) fn lock_name(direction: Direction) -> &'static str {
    match direction {
        Direction::ToConsul => "leader",
        Direction::ToK8s => "leader-to-k8s",
    }
}

fn holder(process: Holder) -> Holder {
    Holder {
        host: host(),
        ..process
    }
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
