//! The programs that a test can run against.

use std::fmt;

/// A program that the testbed can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Program {
    /// The store of the API server.
    Etcd,
    /// The Kubernetes API server.
    KubeApiserver,
    /// A Consul agent in server mode.
    Consul(ConsulVersion),
    /// A cluster's DNS server.
    CoreDns,
    /// What renders the chart: no server, and built like one.
    Helm,
}

/// A minor version of Consul that is tested against.
///
/// Two, because their write paths differ: 1.22 takes the `Ports` list of a registration and 1.21
/// answers 400 to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConsulVersion {
    /// Consul 1.21.
    V1_21,
    /// Consul 1.22, the default.
    #[default]
    V1_22,
}

// ---- Program ----

impl Program {
    /// Every program, in the order in which `dev/servers/build` builds them.
    pub const ALL: [Self; 6] = [
        Self::Etcd,
        Self::Consul(ConsulVersion::V1_22),
        Self::KubeApiserver,
        Self::Consul(ConsulVersion::V1_21),
        Self::CoreDns,
        Self::Helm,
    ];

    /// The name of its folder under `dev/servers`.
    pub const fn server(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Consul(ConsulVersion::V1_21) => "consul-1.21",
            Self::Consul(ConsulVersion::V1_22) => "consul-1.22",
            Self::CoreDns => "coredns",
            Self::Helm => "helm",
        }
    }

    /// The environment variable that names a file to use in place of the built one.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Etcd => "CONSUL_SYNC_ETCD",
            Self::KubeApiserver => "CONSUL_SYNC_KUBE_APISERVER",
            Self::Consul(ConsulVersion::V1_21) => "CONSUL_SYNC_CONSUL_1_21",
            Self::Consul(ConsulVersion::V1_22) => "CONSUL_SYNC_CONSUL_1_22",
            Self::CoreDns => "CONSUL_SYNC_COREDNS",
            Self::Helm => "CONSUL_SYNC_HELM",
        }
    }

    /// The name of the program's file where a distribution installs it.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Consul(_) => "consul",
            Self::CoreDns => "coredns",
            Self::Helm => "helm",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd | Self::KubeApiserver | Self::CoreDns | Self::Helm => {
                f.write_str(self.file_name())
            }
            Self::Consul(version) => write!(f, "consul {version}"),
        }
    }
}

// ---- ConsulVersion ----

impl ConsulVersion {
    /// Both, the older one first.
    pub const ALL: [Self; 2] = [Self::V1_21, Self::V1_22];

    /// Major and minor, as in `1.22`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_21 => "1.21",
            Self::V1_22 => "1.22",
        }
    }
}

impl fmt::Display for ConsulVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
