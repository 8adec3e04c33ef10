//! Where a service of Consul stands in the cluster, and what objects it becomes: the pure half of the sink.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use consul_sync_core::{
    Instance, Key, Placed, Port, Reason, Record, RecordId, Rejection, Service, Slot,
};

use ipnet::IpNet;

use super::{
    address::usable,
    manifest::{Content, Manifest, service_id, slice_id},
    name::{external_name, is_label, service_name},
    ports,
    settings::{ImportSettings, Mode},
    slices::{Endpoint, leaves},
};
use crate::digest;

/// The key of meta by which a service chooses its mode.
pub(crate) const MODE: &str = "kubernetes-mode";
/// The key of meta by which a service chooses its namespace.
pub(crate) const NAMESPACE: &str = "kubernetes-namespace";

/// Services that a cluster has by itself, wherever one has them: a service of Consul never takes their names, also
/// where they are not there yet (fault N06).
const RESERVED: [(&str, &str); 2] = [("default", "kubernetes"), ("kube-system", "kube-dns")];

/// The rules by which services become objects.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) settings: ImportSettings,
    /// The value of the label that names the owner.
    pub(crate) owner: Arc<str>,
}

/// What every object of a service has.
struct Head<'a> {
    placement: &'a Placement,
    namespace: Arc<str>,
    name: Arc<str>,
    service: &'a Service,
}

/// The namespace and name of a slot.
pub(crate) fn parts(slot: &Slot) -> (&str, &str) {
    slot.as_str().split_once('/').unwrap_or(("", slot.as_str()))
}

impl Placement {
    /// Checks a service, and says in which slot it stands.
    pub(crate) fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        let namespace = self.namespace(service)?;
        let name = service_name(&self.settings.prefix, service.name.as_str());
        if RESERVED.contains(&(&*namespace, &name)) {
            return Err(Rejection::new(
                Reason::NotAllowed,
                format!("{namespace}/{name} is a Service of Kubernetes itself; set a prefix"),
            ));
        }
        if self.mode(service)? == Mode::ExternalName {
            let place = service.key.namespace();
            external_name(service.name.as_str(), place, &self.settings.domain)?;
        }
        Slot::new(format!("{namespace}/{name}"))
            .map_err(|error| Rejection::new(Reason::InvalidName, error.to_string()))
    }

    /// The objects of a slot; see [`consul_sync_core::Layout::records`].
    pub(crate) fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<Manifest> {
        let Some((first, others)) = claims.split_first() else {
            return Placed {
                records: Vec::new(),
                refused: Vec::new(),
            };
        };
        let (namespace, name) = parts(slot);
        let head = Head {
            placement: self,
            namespace: namespace.into(),
            name: name.into(),
            service: first,
        };
        let mut refusals = Refusals::default();
        let mut records = head.records(&mut refusals);
        records.sort_unstable_by_key(Record::id);
        let mut refused: Vec<(Key, Rejection)> = refusals
            .rejection()
            .map(|rejection| (first.key.clone(), rejection))
            .into_iter()
            .collect();
        refused.extend(others.iter().map(|other| {
            let text = format!(
                "the Service {slot} stands for {} of {}, and {} has the same name in Kubernetes; rename one of them",
                first.name, first.key, other.name
            );
            (other.key.clone(), Rejection::new(Reason::Taken, text))
        }));
        Placed {
            records: records.into_iter().map(Arc::new).collect(),
            refused,
        }
    }

    fn mode(&self, service: &Service) -> Result<Mode, Rejection> {
        if self.settings.mode_by_meta
            && let Some(text) = meta(service, MODE)?
        {
            return text.parse().map_err(|error| {
                Rejection::new(Reason::InvalidMeta, format!("meta {MODE}: {error}"))
            });
        }
        let name = service.name.as_str();
        let mut rules = self.settings.mode_rules.iter();
        let found = rules.find_map(|rule| rule.mode(name));
        Ok(found.unwrap_or(self.settings.mode))
    }

    fn namespace<'a>(&'a self, service: &'a Service) -> Result<Cow<'a, str>, Rejection> {
        let settings = &self.settings;
        let refused = |text: String| Err(Rejection::new(Reason::NotAllowed, text));
        if let Some(chosen) = meta(service, NAMESPACE)? {
            if settings.names(chosen) {
                return Ok(chosen.into());
            }
            return refused(format!(
                "meta {NAMESPACE}: services may not choose namespace {chosen:?} here"
            ));
        }
        // A source with several places says in the key from which one a service comes.
        let consul = service
            .namespace
            .as_ref()
            .unwrap_or(service.key.namespace());
        let Some(prefix) = settings
            .mirror_namespaces
            .as_ref()
            .filter(|_| !consul.is_empty())
        else {
            return Ok((&settings.namespace).into());
        };
        let namespace = format!("{prefix}{}", consul.to_lowercase().replace('.', "-"));
        if !is_label(&namespace) {
            let text = format!("{namespace:?} cannot be the name of a namespace in Kubernetes");
            return Err(Rejection::new(Reason::InvalidName, text));
        }
        if namespace.starts_with("kube-") && !settings.names(&namespace) {
            return refused(format!(
                "namespace {namespace:?} belongs to Kubernetes; set a prefix of namespaces"
            ));
        }
        Ok(namespace.into())
    }
}

// === impl Head ===

impl Head<'_> {
    fn records(&self, refusals: &mut Refusals) -> Vec<Manifest> {
        let consul: Arc<str> = self.service.name.shared();
        let settings = &self.placement.settings;
        // Both were well when the service was placed.
        let Ok(mode) = self.placement.mode(self.service) else {
            return Vec::new();
        };
        if mode == Mode::ExternalName {
            let place = self.service.key.namespace();
            let host = external_name(&consul, place, &settings.domain).map(Arc::from);
            let content = host.map(|host| Content::ExternalName { consul, host });
            return content
                .map(|content| self.manifest(service_id(), content))
                .into_iter()
                .collect();
        }
        let headless = mode == Mode::Headless;
        let groups = groups(
            &self.service.instances,
            &settings.refused_networks,
            refusals,
        );
        let ports = ports::of_service(groups.keys().map(|(_, ports)| ports), refusals);
        if ports.is_empty() && !headless {
            let text = "no instance has a port, and a Service with an address needs one; register a port, or use mode headless";
            refusals.add(Reason::InvalidPort, || text.to_owned());
            return Vec::new();
        }
        let service = Content::ClusterIp {
            consul,
            headless,
            ports,
        };
        let mut records = vec![self.manifest(service_id(), service)];
        let mut names = BTreeSet::new();
        for ((ipv6, ports), endpoints) in groups {
            let group = group_name(ipv6, headless, &ports);
            if !names.insert(group.clone()) {
                // Two of 2^64 that are equal: nobody gets there but by intent.
                refusals.add(Reason::InvalidPort, || {
                    format!("a list of ports has the digest of another one: {group}")
                });
                continue;
            }
            records.extend(self.slices(&group, ipv6, headless, &ports.into(), endpoints));
        }
        records
    }

    fn slices(
        &self,
        group: &str,
        ipv6: bool,
        headless: bool,
        ports: &Arc<[Port]>,
        endpoints: BTreeMap<IpAddr, bool>,
    ) -> impl Iterator<Item = Manifest> {
        let endpoints = endpoints.into_iter();
        let endpoints = endpoints.map(|(address, ready)| Endpoint { address, ready });
        leaves(endpoints).into_iter().filter_map(move |leaf| {
            let point = if leaf.path.is_empty() { "" } else { "." };
            let id = slice_id(&format!("{}.{group}{point}{}", self.name, leaf.path))?;
            let content = Content::Slice {
                headless,
                ipv6,
                ports: Arc::clone(ports),
                endpoints: leaf.endpoints.into(),
            };
            Some(self.manifest(id, content))
        })
    }

    fn manifest(&self, id: RecordId, content: Content) -> Manifest {
        Manifest {
            id,
            owner: Arc::clone(&self.placement.owner),
            namespace: Arc::clone(&self.namespace),
            service: Arc::clone(&self.name),
            origin: Arc::clone(self.service.key.namespace()),
            content,
            damage: Vec::new(),
        }
    }
}

/// Endpoints that can share a slice: of one family, with the same ports.
type Groups = BTreeMap<(bool, Vec<Port>), BTreeMap<IpAddr, bool>>;

fn groups(instances: &[Instance], refused: &[IpNet], refusals: &mut Refusals) -> Groups {
    let mut groups = Groups::new();
    for instance in instances {
        let address = match usable(&instance.address, refused) {
            Ok(address) => address,
            Err(why) => {
                refusals.add(Reason::InvalidAddress, || {
                    format!("{} {why}", instance.address)
                });
                continue;
            }
        };
        let ports = ports::of_instance(instance, refusals);
        let group = groups.entry((address.is_ipv6(), ports)).or_default();
        // Several instances at one place take traffic while one of them does.
        *group.entry(address).or_default() |= instance.is_live();
    }
    groups
}

/// The part of a slice's name that tells its family, its kind of Service and its ports.
fn group_name(ipv6: bool, headless: bool, ports: &[Port]) -> String {
    let each = ports
        .iter()
        .map(|port| format!("{}={} ", port.name, port.number));
    let text: String = each.collect();
    let family = if ipv6 { "ipv6" } else { "ipv4" };
    let kind = if headless { "h" } else { "" };
    format!("{family}{kind}-{}", digest::hex(text.as_bytes()))
}

/// A value of meta that a service has, or that every instance has which has one.
///
/// # Errors
/// When instances say different things: what the service shall be is not known until they agree.
fn meta<'a>(service: &'a Service, key: &str) -> Result<Option<&'a str>, Rejection> {
    if let Some(value) = service.meta.get(key) {
        return Ok(Some(value));
    }
    let mut said = service
        .instances
        .iter()
        .filter_map(|instance| instance.meta.get(key));
    let first = said.next();
    match said.find(|other| Some(*other) != first) {
        None => Ok(first),
        Some(other) => Err(Rejection::new(
            Reason::InvalidMeta,
            format!(
                "meta {key} is {:?} on one instance and {other:?} on another",
                first.unwrap_or_default()
            ),
        )),
    }
}

/// Parts of one service that have no place: the first is told, the others are counted.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    first: Option<(Reason, String)>,
    more: usize,
}

impl Refusals {
    pub(crate) fn add(&mut self, reason: Reason, text: impl FnOnce() -> String) {
        if self.first.is_none() {
            self.first = Some((reason, text()));
        } else {
            self.more += 1;
        }
    }

    fn rejection(self) -> Option<Rejection> {
        let (reason, first) = self.first?;
        let text = match self.more {
            0 => first,
            more => format!("{first} (and {more} more like it)"),
        };
        Some(Rejection::new(reason, text))
    }
}

#[cfg(test)]
pub(crate) mod tests;
