//! From the health of a service, as Consul tells it, to the model.
//!
//! | in Consul | in the model |
//! | --- | --- |
//! | scope, and the name in lower case | the key |
//! | the name as it is spelled, the first spelling in order where instances differ | the name |
//! | tags of any instance | the service's tags, in order |
//! | meta that every instance has alike | the service's meta; what is left is the instance's |
//! | the service's address, else its node's | the instance's address |
//! | the list of ports (1.22), else the port as `default` | the instance's ports, the default one first |
//! | all checks of the instance and of its node: critical before warning before passing | the instance's one check |
//!
//! A check's output is left out: it changes without end and says nothing that a reader of the service acts upon. The time
//! of creation is 0, because Consul has none: of two services that want one place the one with the smaller key has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use consul_sync_core::{
    Address, Check, Instance, Key, Meta, Port, Reason, Rejection, Service, ServiceName, Status,
};

use super::{SourceSettings, origin};
use crate::wire::{self, HealthEntry};

/// What a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No instance of it is wanted: it is not there.
    Nothing,
    /// It is there.
    Service(Arc<Service>),
    /// It is there and cannot be used.
    Rejected(Rejection),
}

/// Translates a service of this key.
pub(super) fn translate(settings: &SourceSettings, key: &Key, entries: &[HealthEntry]) -> Found {
    let wanted: Vec<&HealthEntry> = entries
        .iter()
        .filter(|entry| is_wanted(settings, &entry.service))
        .collect();
    let spelled = wanted.iter().map(|entry| entry.service.name.as_str()).min();
    let Some(spelled) = spelled else {
        return Found::Nothing;
    };
    let name = match ServiceName::new(spelled) {
        Ok(name) => name,
        Err(why) => return Found::Rejected(Rejection::new(Reason::InvalidName, why.to_string())),
    };
    let mut service = Service::new(key.clone(), name);
    let tags: BTreeSet<&str> = wanted
        .iter()
        .flat_map(|entry| entry.service.tags.iter().map(String::as_str))
        .collect();
    service.tags = tags.into_iter().map(Arc::from).collect();
    let shared = shared_meta(&wanted);
    service.meta = meta(shared.iter().map(|(key, value)| (*key, *value)));
    let mut problem = None;
    let mut usable = 0_usize;
    for entry in wanted {
        match instance(key, entry, &shared) {
            Ok(instance) => {
                usable += 1;
                let is_passing =
                    (instance.check.as_ref()).is_none_or(|check| check.status == Status::Passing);
                if is_passing || !settings.passing_only {
                    service.instances.push(instance);
                }
            }
            Err(why) => {
                tracing::debug!(service = %key, instance = entry.service.id, %why, "left out an instance");
                problem.get_or_insert(why);
            }
        }
    }
    if let Some(problem) = problem.filter(|_| usable == 0) {
        return Found::Rejected(problem);
    }
    service.instances.sort();
    service.instances.dedup();
    Found::Service(Arc::new(service))
}

fn is_wanted(settings: &SourceSettings, service: &wire::Service) -> bool {
    let has = |tag: &String| service.tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
    origin::may_be_read(settings, &service.meta, &service.tags)
        && settings.required_tags.iter().all(has)
        && !settings.refused_tags.iter().any(has)
}

/// The pairs that all instances have alike.
fn shared_meta<'a>(entries: &[&'a HealthEntry]) -> BTreeMap<&'a str, &'a str> {
    let Some((first, rest)) = entries.split_first() else {
        return BTreeMap::new();
    };
    let pairs = first.service.meta.iter();
    pairs
        .filter(|(key, value)| {
            rest.iter()
                .all(|entry| entry.service.meta.get(*key) == Some(*value))
        })
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

fn meta<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Meta {
    pairs.into_iter().collect()
}

/// # Errors
/// It has no address, or a port that is none.
fn instance(
    key: &Key,
    entry: &HealthEntry,
    shared: &BTreeMap<&str, &str>,
) -> Result<Instance, Rejection> {
    let service = &entry.service;
    let mut instance = Instance::new(address(entry)?);
    instance.ports = ports(service)?.into();
    let own = service
        .meta
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    instance.meta = meta(own.filter(|(key, _)| !shared.contains_key(key)));
    instance.check = Some(
        Check {
            scope: Arc::clone(key.namespace()),
            name: "Consul health checks".into(),
            kind: "consul".into(),
            status: status(&entry.checks),
            output: Arc::default(),
        }
        .into(),
    );
    Ok(instance)
}

fn address(entry: &HealthEntry) -> Result<Address, Rejection> {
    let own = entry.service.address.as_str();
    let text = if own.is_empty() {
        entry.node.address.as_str()
    } else {
        own
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Address::Ip(ip));
    }
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Rejection::new(
            Reason::InvalidAddress,
            format!(
                "instance {:?} on node {:?} has the address {text:?}; register it with an ip address or a host name",
                entry.service.id, entry.node.name
            ),
        ));
    }
    Ok(Address::Host(text.into()))
}

/// The default port first, the others in their order.
fn ports(service: &wire::Service) -> Result<Vec<Port>, Rejection> {
    let number = |port: i64| {
        u16::try_from(port).map_err(|_| {
            Rejection::new(
                Reason::InvalidPort,
                format!(
                    "instance {:?} has the port {port}; ports are 1 to 65535",
                    service.id
                ),
            )
        })
    };
    let port = |name: &str, port: i64| -> Result<Option<Port>, Rejection> {
        Ok(Some(number(port)?)
            .filter(|number| *number != 0)
            .map(|number| Port {
                name: name.into(),
                number,
            }))
    };
    if service.ports.is_empty() {
        return Ok(port("default", service.port)?.into_iter().collect());
    }
    let mut ports = Vec::with_capacity(service.ports.len());
    let (first, rest): (Vec<_>, Vec<_>) = service.ports.iter().partition(|named| named.default);
    for named in first.into_iter().chain(rest) {
        ports.extend(port(&named.name, named.port)?);
    }
    Ok(ports)
}

/// What all checks come to. Maintenance is a critical check of its own. A word that Consul does not know is no reason to
/// send nothing there: its DNS answers with such an instance, too.
fn status(checks: &[wire::Check]) -> Status {
    let each = checks.iter().map(|check| match check.status.as_str() {
        "passing" => Status::Passing,
        "critical" => Status::Critical,
        _ => Status::Warning,
    });
    each.max().unwrap_or(Status::Passing)
}

#[cfg(test)]
mod tests;
