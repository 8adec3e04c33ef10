//! At which address the ports of nodes are reached.

use std::{fmt, str::FromStr};

/// At which address of its node an endpoint of a NodePort Service is reached.
///
/// ```
/// use consul_sync_k8s::NodePorts;
/// assert_eq!("ExternalFirst".parse(), Ok(NodePorts::ExternalFirst));
/// assert_eq!(NodePorts::InternalOnly.to_string(), "InternalOnly");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NodePorts {
    /// At its `ExternalIP`; an endpoint on a node without one is not registered.
    #[default]
    ExternalOnly,
    /// At its `InternalIP`.
    InternalOnly,
    /// At its `ExternalIP`, else at its `InternalIP`.
    ExternalFirst,
    /// At none: NodePort Services without external IPs are not exported, and no right to read nodes is needed.
    Off,
}

/// The error of reading [`NodePorts`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is none of ExternalOnly, InternalOnly, ExternalFirst, Off")]
pub struct InvalidNodePorts {
    input: String,
}

impl NodePorts {
    /// Every value.
    pub const ALL: [Self; 4] = [
        Self::ExternalOnly,
        Self::InternalOnly,
        Self::ExternalFirst,
        Self::Off,
    ];

    /// Its name, as it is read back.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExternalOnly => "ExternalOnly",
            Self::InternalOnly => "InternalOnly",
            Self::ExternalFirst => "ExternalFirst",
            Self::Off => "Off",
        }
    }
}

impl FromStr for NodePorts {
    type Err = InvalidNodePorts;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|value| value.as_str() == input);
        found.ok_or_else(|| InvalidNodePorts {
            input: input.to_owned(),
        })
    }
}

impl fmt::Display for NodePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
