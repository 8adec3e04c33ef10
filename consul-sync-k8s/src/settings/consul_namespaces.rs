//! Which Consul namespace a service goes to.

/// The Consul namespaces (an Enterprise feature) that services are registered in.
///
/// ```
/// use consul_sync_k8s::ConsulNamespaces;
/// let mirrored = ConsulNamespaces::Mirrored { prefix: "k8s-".to_owned() };
/// assert_eq!(mirrored.of("shop").as_deref(), Some("k8s-shop"));
/// assert_eq!(ConsulNamespaces::Off.of("shop"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConsulNamespaces {
    /// No namespace is named in any request.
    #[default]
    Off,
    /// All go to this one.
    Single(String),
    /// Each goes to the one that is named like its Kubernetes namespace.
    Mirrored {
        /// What stands before the name.
        prefix: String,
    },
}

impl ConsulNamespaces {
    /// The Consul namespace of services from a Kubernetes namespace.
    pub fn of(&self, namespace: &str) -> Option<String> {
        match self {
            Self::Off => None,
            Self::Single(name) => Some(name.clone()),
            Self::Mirrored { prefix } => Some(format!("{prefix}{namespace}")),
        }
    }
}
