//! Settings of the sink.

use std::{fmt, net::IpAddr, time::Duration};

use consul_sync_core::Owner;

use crate::{Checks, Error, Fence, block};

/// How the catalog is written.
///
/// ```
/// use consul_sync_consul::{NodeName, SinkSettings};
/// use consul_sync_core::Owner;
/// let mut settings = SinkSettings::new(Owner::new("cluster-a")?);
/// settings.node = NodeName::new("k8s-sync-a")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SinkSettings {
    /// The identity under which instances are marked.
    pub owner: Owner,
    /// The node that holds them: a synthetic one, no agent's.
    pub node: NodeName,
    /// The node's address. Instances have addresses of their own, so it only has to be one.
    pub node_address: IpAddr,
    /// The Consul namespace of services that name none (Consul Enterprise). Unset means that namespaces are
    /// not used at all.
    pub namespace: Option<String>,
    /// Whether services may name namespaces of their own, so that all of them are read.
    pub all_namespaces: bool,
    /// Whether a namespace that is not there is made before something is written into it, which takes the right
    /// `operator = "write"`. It says nothing where namespaces are not used. On unless set.
    pub create_namespaces: bool,
    /// The ACL policy that every token of a namespace made so has by default, which takes the right `acl = "write"`, too.
    pub namespace_policy: Option<String>,
    /// Whether instances are registered with the list of their named ports, as [`Ports::decide`](crate::Ports::decide) says.
    pub named_ports: bool,
    /// Which instances have their health as a check.
    pub checks: Checks,
    /// For how long a blocking query asks to be held.
    pub wait: Duration,
    /// The fence of the lock without which nothing is written, where there is one. Lists of named ports cannot be
    /// written behind a fence, and are refused.
    pub fence: Option<Fence>,
}

/// The name of the node that holds the instances: 1 to 63 letters, digits and dashes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NodeName(Box<str>);

// === impl SinkSettings ===

impl SinkSettings {
    /// The defaults: node `k8s-sync` at 127.0.0.1, no namespaces.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            node: NodeName("k8s-sync".into()),
            node_address: IpAddr::from([127, 0, 0, 1]),
            namespace: None,
            all_namespaces: false,
            create_namespaces: true,
            namespace_policy: None,
            named_ports: false,
            checks: Checks::default(),
            wait: block::WAIT,
            fence: None,
        }
    }
}

// === impl NodeName ===

impl NodeName {
    /// Checks a name.
    ///
    /// ```
    /// use consul_sync_consul::NodeName;
    /// assert!(NodeName::new("k8s-sync").is_ok());
    /// assert!(NodeName::new("k8s.sync").is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::Settings`] that says what a name may hold.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        let is_good = (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if is_good {
            Ok(Self(name.into()))
        } else {
            Err(Error::Settings(format!(
                "consul node name {name:?} is not 1 to 63 letters, digits and dashes"
            )))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
