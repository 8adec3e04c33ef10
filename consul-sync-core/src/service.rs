//! The model: a service and its instances, in no system's terms.

use std::{fmt, net::IpAddr, sync::Arc};

use crate::{Key, Meta, ServiceName};

/// A service as its source wants it to be known: the whole value, with all its instances.
///
/// ```
/// use consul_sync_core::{Address, Instance, Key, Service, ServiceName};
/// let mut service = Service::new(Key::new("default", "web"), ServiceName::new("web")?);
/// service.instances.push(Instance::new(Address::Ip([10, 0, 0, 1].into())).port("http", 8080));
/// assert_eq!(service.instances[0].default_port(), Some(8080));
/// # Ok::<(), consul_sync_core::InvalidText>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Identity in the source.
    pub key: Key,
    /// The name it shall have in the destination.
    pub name: ServiceName,
    /// The destination's namespace, where the destination has namespaces and the source names one.
    pub namespace: Option<Arc<str>>,
    /// When the source says the service was created, in seconds since 1970. Decides between two
    /// services that claim one slot: the older one comes first.
    pub created: i64,
    /// Tags, in the order they shall have.
    pub tags: Arc<[Arc<str>]>,
    /// Pairs that every instance carries.
    pub meta: Meta,
    /// Share of traffic of a passing instance, where the source names one.
    pub weight: Option<u32>,
    /// The instances. Their order has no meaning.
    pub instances: Vec<Instance>,
}

/// One address at which a service is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance {
    /// Where it is served.
    pub address: Address,
    /// The address that tells it from its siblings, where that is another one: a pod behind a port of its
    /// node is served at the node, as are the other pods there, and is identified by its own address.
    pub identified_by: Option<Box<Address>>,
    /// Its ports, the default one first. May be empty.
    pub ports: Arc<[Port]>,
    /// Pairs of this instance alone, on top of its service's.
    pub meta: Meta,
    /// What the source knows of its health; `None` where it knows nothing. Shared, because a hundred thousand
    /// instances are in few states.
    pub check: Option<Arc<Check>>,
}

/// An IP address or a host name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A DNS name.
    Host(Arc<str>),
}

/// A named port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// Name, unique within its instance.
    pub name: Arc<str>,
    /// Number, 1 to 65535.
    pub number: u16,
}

/// A health check as the source reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Check {
    /// Where in the source the check belongs: part of the check's identity in the destination.
    pub scope: Arc<str>,
    /// Name, for people.
    pub name: Arc<str>,
    /// Kind, for programs.
    pub kind: Arc<str>,
    /// Result.
    pub status: Status,
    /// One line that says why.
    pub output: Arc<str>,
}

/// Result of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Takes traffic.
    Passing,
    /// Takes traffic, with a complaint.
    Warning,
    /// Takes no traffic.
    Critical,
}

// === impl Service ===

impl Service {
    /// A service without instances.
    pub fn new(key: Key, name: ServiceName) -> Self {
        Self {
            key,
            name,
            namespace: None,
            created: 0,
            tags: Arc::default(),
            meta: Meta::default(),
            weight: None,
            instances: Vec::new(),
        }
    }

    /// What decides between two claims on one slot: the older service comes first, then the smaller key.
    /// Total and independent of the order of arrival.
    pub fn precedence(&self) -> (i64, &Key) {
        (self.created, &self.key)
    }
}

// === impl Instance ===

impl Instance {
    /// An instance without ports, pairs or check.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            identified_by: None,
            ports: Arc::default(),
            meta: Meta::default(),
            check: None,
        }
    }

    /// The same with one more port.
    #[must_use]
    pub fn port(mut self, name: impl Into<Arc<str>>, number: u16) -> Self {
        let mut ports = self.ports.to_vec();
        ports.push(Port {
            name: name.into(),
            number,
        });
        self.ports = ports.into();
        self
    }

    /// The address that its identity in a destination is made of.
    pub fn identity(&self) -> &Address {
        self.identified_by.as_deref().unwrap_or(&self.address)
    }

    /// The first port's number.
    pub fn default_port(&self) -> Option<u16> {
        self.ports.first().map(|port| port.number)
    }

    /// Whether it takes traffic: everything but a critical check.
    pub fn is_live(&self) -> bool {
        self.check
            .as_ref()
            .is_none_or(|check| check.status != Status::Critical)
    }
}

// === impl Address ===

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Host(host) => f.write_str(host),
        }
    }
}

// === impl Status ===

impl Status {
    /// The word both Consul and people use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
