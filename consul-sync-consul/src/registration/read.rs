//! Registrations made from Consul's answers.

use std::{net::IpAddr, num::NonZeroU64, sync::Arc};

use consul_sync_core::{Address, Meta, Packed, RecordId, ServiceName, Status};

use super::{Common, Extra, Interner, NamedPort, OWNER_META, RegisteredCheck, Registration};
use crate::wire;

/// How the keys begin whose pairs differ from instance to instance.
const OWN_META: [&str; 3] = [
    "external-k8s-ref-",
    "external-k8s-node-name",
    "external-k8s-topology-zone",
];
/// The key whose value no two instances have in common.
const UNIQUE_META: &str = "external-k8s-ref-name";

/// The text of the slot of a name. Consul folds the case of names.
pub(crate) fn slot_of(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{}/{}", fold(namespace), fold(name)),
        None => fold(name),
    }
}

/// A name as Consul folds it: character by character, each to one. A whole text would be folded otherwise where a
/// letter depends on its place, as a sigma at the end of a word does, or becomes two, as a capital I with a dot does.
pub(crate) fn fold(name: &str) -> String {
    let lower = |c: char| c.to_lowercase().next().unwrap_or(c);
    name.chars().map(lower).collect()
}

// === impl Registration ===

impl Registration {
    /// The instance without its checks. `None` where its ID cannot be one of a record: nothing of ours. What it has in
    /// common with others is its own so far.
    pub(crate) fn from_wire(
        service: &wire::Service,
        has_namespaces: bool,
        interner: &mut Interner,
    ) -> Option<Self> {
        let hash = RecordId::hash_in(&service.id, &service.name);
        let id = match hash {
            Some(_) => None,
            None => Some(RecordId::new(service.id.as_str()).ok()?),
        };
        let mut fields = Vec::new();
        let ports = named_ports(service, interner);
        // One endpoint shows the default of the list as the port, too, and another does not.
        let default = ports.iter().find(|port| port.is_default);
        let port = default.map_or(service.port, |port| i64::from(port.number));
        let port = u16::try_from(port).unwrap_or_else(|_| {
            fields.push(("port out of range", service.port.to_string()));
            0
        });
        let weight = u32::try_from(service.weights.passing).unwrap_or_else(|_| {
            fields.push(("weight out of range", service.weights.passing.to_string()));
            0
        });
        fields.extend(extra_fields(service));
        let extra = Extra {
            id,
            ports,
            fields,
            scopes: Vec::new(),
        };
        let (own, shared) = split(service, interner);
        let common = Common {
            name: ServiceName::new(interner.text(&service.name)).ok()?,
            namespace: has_namespaces.then(|| {
                let namespace = service.namespace.as_str();
                interner.text(if namespace.is_empty() {
                    "default"
                } else {
                    namespace
                })
            }),
            tags: service.tags.iter().map(|tag| interner.text(tag)).collect(),
            weight,
            meta: shared,
            owner: service
                .meta
                .get(OWNER_META)
                .map(|owner| interner.text(owner)),
        };
        Some(Self {
            common: Arc::new(common),
            own: Packed::new(address(&service.address, interner), own, port),
            check: None,
            extra: (extra != Extra::default()).then(|| Box::new(extra)),
            hash: hash.unwrap_or_default(),
        })
    }

    /// The same with these checks of its own, as they stand in Consul. Also returns the version of the check that
    /// is compared.
    pub(crate) fn with_checks<'a>(
        mut self,
        checks: impl Iterator<Item = &'a SeenCheck> + Clone,
    ) -> (Self, Option<NonZeroU64>) {
        self.check = None;
        let mut extra = self.extra.take().map_or_else(Extra::default, |old| *old);
        extra.scopes.clear();
        extra.fields.retain(|(name, _)| !name.starts_with("check."));
        let first = checks.clone().min_by_key(|seen| &seen.check.scope);
        if let Some(seen) = first {
            if let Some(status) = &seen.odd_status {
                let field = ("check.status of no known kind", status.to_string());
                extra.fields.push(field);
            }
            self.check = Some(Arc::clone(&seen.check));
            if checks.clone().nth(1).is_some() {
                let scopes = checks.map(|seen| &seen.check.scope);
                extra.scopes.extend(scopes.cloned());
                extra.scopes.sort();
                extra.scopes.remove(0);
            }
        }
        self.extra = (extra != Extra::default()).then(|| Box::new(extra));
        (
            self,
            first.and_then(|seen| NonZeroU64::new(seen.modify_index)),
        )
    }

    /// The same with the checks that another state of the instance has.
    pub(crate) fn with_checks_of(mut self, other: &Self) -> Self {
        self.check.clone_from(&other.check);
        let mut extra = self.extra.take().map_or_else(Extra::default, |old| *old);
        if let Some(other) = &other.extra {
            extra.scopes.clone_from(&other.scopes);
            let checks = other
                .fields
                .iter()
                .filter(|(name, _)| name.starts_with("check."));
            extra.fields.extend(checks.cloned());
        }
        self.extra = (extra != Extra::default()).then(|| Box::new(extra));
        self
    }
}

/// A check of our form as a read shows it. Its texts are shared: a hundred thousand checks say the same few things.
#[derive(Clone, Debug)]
pub(crate) struct SeenCheck {
    check: Arc<RegisteredCheck>,
    /// A status that Consul is not known to have, which counts as critical.
    odd_status: Option<Box<str>>,
    modify_index: u64,
}

impl SeenCheck {
    /// `None` for a check that is not of our form: it is somebody else's.
    pub(crate) fn new(check: &wire::Check, interner: &mut Interner) -> Option<Self> {
        let scope = scope_of(&check.id, &check.service_id)?;
        let status = status(&check.status);
        let registered = RegisteredCheck {
            scope: interner.text(scope),
            name: interner.text(&check.name),
            kind: interner.text(&check.kind),
            status: status.unwrap_or(Status::Critical),
            output: interner.text(&check.output),
        };
        Some(Self {
            check: interner.check(registered),
            odd_status: status.is_none().then(|| check.status.as_str().into()),
            modify_index: check.modify_index,
        })
    }
}

/// The pairs of an instance alone, and those that its neighbours have, too. How they are split has no meaning,
/// only a price: what repeats is kept once.
fn split(service: &wire::Service, interner: &mut Interner) -> (Meta, Meta) {
    let is_own = |key: &str| OWN_META.iter().any(|own| key.starts_with(own));
    let pairs = || service.meta.iter().filter(|(key, _)| *key != OWNER_META);
    let own = pairs()
        .filter(|(key, _)| is_own(key) && *key != UNIQUE_META)
        .map(|(key, value)| (interner.text(key), interner.text(value)))
        .collect();
    let own = match service.meta.get(UNIQUE_META) {
        Some(name) => {
            let key = interner.text(UNIQUE_META);
            interner.forms.form(own, &key).fill(name)
        }
        None => own,
    };
    let shared = pairs()
        .filter(|(key, _)| !is_own(key))
        .map(|(key, value)| (interner.text(key), interner.text(value)))
        .collect();
    (own, shared)
}

/// The scope of a check of our form.
pub(crate) fn scope_of<'a>(check: &'a str, service: &str) -> Option<&'a str> {
    check
        .strip_suffix(service)?
        .strip_suffix('/')
        .filter(|scope| !scope.is_empty())
}

/// The list of named ports in canonical order: Consul keeps the order in which it was written first.
fn named_ports(service: &wire::Service, interner: &mut Interner) -> Vec<NamedPort> {
    let mut ports: Vec<NamedPort> = service
        .ports
        .iter()
        .map(|port| NamedPort {
            name: interner.text(&port.name),
            number: u16::try_from(port.port).unwrap_or(0),
            is_default: port.default,
        })
        .collect();
    ports.sort();
    ports
}

fn extra_fields(service: &wire::Service) -> impl Iterator<Item = (&'static str, String)> {
    // Consul adds virtual addresses of its own accord; they are not for anybody to take away.
    let tagged: Vec<String> = service
        .tagged_addresses
        .iter()
        .filter(|(name, _)| !name.starts_with("consul-virtual"))
        .map(|(name, at)| format!("{name}={}:{}", at.address, at.port))
        .collect();
    let warning = service.weights.warning;
    let flag = |set: bool| if set { "true" } else { "" }.to_owned();
    [
        ("kind", service.kind.clone()),
        ("tag override", flag(service.enable_tag_override)),
        ("socket path", service.socket_path.clone()),
        ("tagged addresses", tagged.join(", ")),
        ("connect native", flag(service.connect.native)),
        ("proxy of", service.proxy.destination_service_name.clone()),
        (
            "warning weight",
            if warning == 1 {
                String::new()
            } else {
                warning.to_string()
            },
        ),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
}

/// An address in canonical form; one that is spelled otherwise stays text, and so unequal to it.
fn address(text: &str, interner: &mut Interner) -> Option<Address> {
    if text.is_empty() {
        return None;
    }
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.to_string() == text => Some(Address::Ip(ip)),
        _ => Some(Address::Host(interner.text(text))),
    }
}

fn status(text: &str) -> Option<Status> {
    [Status::Passing, Status::Warning, Status::Critical]
        .into_iter()
        .find(|status| status.as_str() == text)
}
