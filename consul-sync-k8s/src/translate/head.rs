//! What follows from a Service alone: everything but its instances' endpoints.

use std::sync::Arc;

use consul_sync_core::{
    Address, Check, Instance, Key, Meta, Reason, Rejection, Service, ServiceName, Status,
};

use super::ports::Ports;
use crate::{
    ExportSettings, NodePorts,
    annotations::Annotations,
    mark,
    slim::{self, Kind, Object, ServiceBody, ServiceType, Undecodable},
    strings::{Strings, Words},
};

/// The longest name that Consul can answer for.
const MAX_NAME: usize = 255;

/// What follows from a Service alone, made once per change of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The service, without those instances that follow from other objects.
    pub(super) base: Service,
    pub(super) ports: Ports,
    pub(super) reached: Reached,
    /// The checks of its endpoints.
    pub(super) passing: Arc<Check>,
    pub(super) critical: Arc<Check>,
}

/// Where the instances come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// From the Service alone: they are in the base.
    Alone,
    /// From its endpoints.
    AtEndpoints,
    /// From its endpoints, unless an Ingress stands before them.
    AtIngressOrEndpoints,
    /// From its endpoints, at the addresses of their nodes.
    AtNodes,
}

impl Head {
    /// The head of a Service; nothing when the settings or the Service itself say that it is not exported.
    ///
    /// # Errors
    /// It is exported and cannot be: undecodable, or an annotation that names what does not exist.
    pub(crate) fn new(
        settings: &ExportSettings,
        service: &slim::Service,
        strings: &mut Strings,
        words: &Words,
    ) -> Result<Option<Self>, Rejection> {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let annotations = Annotations::new(service.metadata.annotations.as_ref());
        if !settings.allows_namespace(namespace)
            || !annotations.sync().unwrap_or(settings.default_sync)
        {
            return Ok(None);
        }
        let mut labels = service.metadata.labels.iter().flatten();
        if labels.any(|(label, _)| label == mark::OWNER) {
            // A sync from Consul wrote it, of whatever cluster: it does not go back, whatever its annotations say.
            return Ok(None);
        }
        let body = match &service.body {
            Ok(body) => body,
            Err(bad) => {
                // Labels that could be read still leave it out; labels that are not there may be the bad part.
                let left_out = service
                    .metadata
                    .labels
                    .as_ref()
                    .is_some_and(|l| !settings.service_selector.matches(l));
                return if left_out {
                    Ok(None)
                } else {
                    Err(undecodable(service, bad))
                };
            }
        };
        let no_labels = std::collections::BTreeMap::new();
        let labels = service.metadata.labels.as_ref().unwrap_or(&no_labels);
        if !settings.service_selector.matches(labels) {
            return Ok(None);
        }
        let Some(reached) = reached(settings, body) else {
            return Ok(None);
        };
        let key = Key::new(strings.get(namespace), strings.share(service.key().name()));
        let ports = Ports::new(body, annotations.port(), strings)?;
        let mut base = Service::new(key, name(settings, annotations, service, strings)?);
        base.namespace = settings
            .consul_namespaces
            .of(namespace)
            .map(|name| strings.get(&name));
        base.created = service
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(0, |time| time.0.as_second());
        base.tags = tags(settings, annotations, strings);
        base.meta = meta(namespace, body, annotations, strings, words);
        base.weight = annotations.weight();
        if reached == Reached::Alone {
            let of_service = ports.of_service();
            base.instances = own_addresses(body)
                .into_iter()
                .map(|address| Instance {
                    ports: Arc::clone(&of_service),
                    ..Instance::new(address)
                })
                .collect();
        }
        let mut check = |status, output: &Arc<str>| {
            strings.share_check(Check {
                scope: Arc::clone(base.key.namespace()),
                name: Arc::clone(&words.check_name),
                kind: Arc::clone(&words.check_kind),
                status,
                output: Arc::clone(output),
            })
        };
        Ok(Some(Self {
            ports,
            reached,
            passing: check(Status::Passing, &words.passing),
            critical: check(Status::Critical, &words.failing),
            base,
        }))
    }

    /// Whether the addresses of nodes matter.
    pub(crate) fn follows_nodes(&self) -> bool {
        self.reached == Reached::AtNodes
    }

    /// Whether Ingresses matter.
    pub(crate) fn follows_ingresses(&self) -> bool {
        self.reached == Reached::AtIngressOrEndpoints
    }

    /// Whether EndpointSlices matter.
    pub(crate) fn follows_slices(&self) -> bool {
        self.reached != Reached::Alone
    }
}

/// The rejection of an object that could not be decoded, by its kind and name.
pub(crate) fn undecodable<B: Kind>(object: &Object<B>, bad: &Undecodable) -> Rejection {
    let kind = B::KIND;
    let message = match object.metadata.namespace.as_deref() {
        Some(_) => format!("{kind} {}: {bad}", object.key()),
        None => format!("{kind} {}: {bad}", object.key().name()),
    };
    Rejection::new(Reason::Undecodable, message)
}

fn reached(settings: &ExportSettings, body: &ServiceBody) -> Option<Reached> {
    // A type that is switched off stays so whatever else the Service has.
    if body.type_ == ServiceType::ClusterIp && !settings.cluster_ip {
        return None;
    }
    if !body.external_ips.is_empty() {
        return Some(Reached::Alone);
    }
    match body.type_ {
        ServiceType::ClusterIp if settings.ingress => Some(Reached::AtIngressOrEndpoints),
        ServiceType::ClusterIp => Some(Reached::AtEndpoints),
        // Not a type that is switched off, but addresses that are: external IPs need no node.
        ServiceType::NodePort if settings.node_ports == NodePorts::Off => None,
        ServiceType::NodePort => Some(Reached::AtNodes),
        ServiceType::LoadBalancer if settings.load_balancer_endpoints => Some(Reached::AtEndpoints),
        ServiceType::LoadBalancer => Some(Reached::Alone),
        ServiceType::ExternalName => None,
    }
}

/// The addresses that a Service names itself, each once, sorted.
fn own_addresses(body: &ServiceBody) -> Vec<Address> {
    let mut addresses = if body.external_ips.is_empty() {
        let of_entry = |entry: &slim::LoadBalancerIngress| {
            entry
                .ip
                .clone()
                .or_else(|| entry.hostname.clone().map(Address::Host))
        };
        body.load_balancer.iter().filter_map(of_entry).collect()
    } else {
        body.external_ips.clone()
    };
    addresses.sort();
    addresses.dedup();
    addresses
}

fn name(
    settings: &ExportSettings,
    annotations: Annotations<'_>,
    service: &slim::Service,
    strings: &Strings,
) -> Result<ServiceName, Rejection> {
    let key = service.key();
    let (origin, name) = match annotations.name() {
        Some(name) => ("annotation service-name", name.to_owned()),
        None if settings.namespace_suffix => (
            "name with prefix and suffix",
            format!("{}{}-{}", settings.prefix, key.name(), key.namespace()),
        ),
        None => (
            "name with prefix",
            format!("{}{}", settings.prefix, key.name()),
        ),
    };
    let length = name.chars().count();
    if !(1..=MAX_NAME).contains(&length) {
        let message =
            format!("{origin} has {length} characters, 1 to {MAX_NAME} can be registered");
        return Err(Rejection::new(Reason::InvalidName, message));
    }
    if !settings.name_rules.allow(key.namespace(), &name) {
        let message = format!(
            "{origin}: no rule allows namespace {} the name {name:?}",
            key.namespace()
        );
        return Err(Rejection::new(Reason::NotAllowed, message));
    }
    ServiceName::new(strings.known(name.into()))
        .map_err(|problem| Rejection::new(Reason::InvalidName, format!("{origin}: {problem}")))
}

fn tags(
    settings: &ExportSettings,
    annotations: Annotations<'_>,
    strings: &mut Strings,
) -> Arc<[Arc<str>]> {
    let first = (!settings.tag.is_empty()).then(|| strings.get(&settings.tag));
    let more = annotations.tags();
    let more = more.iter().map(|tag| strings.get(tag));
    let tags = first.into_iter().chain(more).collect();
    strings.share_tags(tags)
}

/// The pairs of the service, those of annotations last, so that they win.
fn meta(
    namespace: &str,
    body: &ServiceBody,
    annotations: Annotations<'_>,
    strings: &mut Strings,
    words: &Words,
) -> Meta {
    let mut pairs = vec![
        (
            Arc::clone(&words.external_source),
            Arc::clone(&words.kubernetes),
        ),
        (Arc::clone(&words.namespace), strings.get(namespace)),
    ];
    for port in &body.ports {
        pairs.push((
            strings.get(&format!("port-{}", port.name)),
            strings.get(&port.port.to_string()),
        ));
    }
    for (key, value) in annotations.meta() {
        pairs.push((strings.get(key), strings.get(value)));
    }
    strings.share_meta(pairs.into_iter().collect())
}
