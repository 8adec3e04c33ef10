//! One request, told so that it can be made of both servers.

use serde_json::Value;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Service,
    Slice,
    Ingress,
    Node,
    Namespace,
    Lease,
}

/// A place: one of the two namespaces of a run, or one that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    A,
    B,
    Missing,
}

/// Which version or UID a write says it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    Current,
    /// The first that was seen.
    First,
    Wrong,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(Kind, Place, Value),
    Update(Kind, Place, &'static str, Value, Known, Known),
    Merge(Kind, Place, &'static str, Value),
    MergeStatus(Kind, Place, &'static str, Value),
    Apply(Kind, Place, &'static str, Value),
    Delete(Kind, Place, &'static str, Known, Known),
    Get(Kind, Place, &'static str),
    List(Kind, Place, &'static str),
    /// A listing as of some version, in pages of that size; 0 for one piece.
    ListAt(Kind, Place, &'static str, At, u32),
    /// The changes since some version.
    Watch(Kind, Place, &'static str, At),
    /// A listing with a query that may be no good.
    Query(Kind, Place, &'static str),
    /// The store forgets what was before now. Only for a server that answers from its store alone.
    Forget,
    /// The same by somebody who may do nothing.
    Denied(Box<Step>),
}

/// The version that a read names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Any: 0.
    Any,
    /// Not older than the latest that was seen.
    Latest,
    /// Exactly the one that was seen so many percent into all that were seen.
    Exactly(u8),
}

impl Step {
    /// The kind of object that it is about.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Create(kind, ..)
            | Self::Update(kind, ..)
            | Self::Merge(kind, ..)
            | Self::MergeStatus(kind, ..)
            | Self::Apply(kind, ..)
            | Self::Delete(kind, ..)
            | Self::Get(kind, ..)
            | Self::List(kind, ..)
            | Self::ListAt(kind, ..)
            | Self::Watch(kind, ..)
            | Self::Query(kind, ..) => *kind,
            Self::Forget => Kind::Namespace,
            Self::Denied(step) => step.kind(),
        }
    }

    /// The operation's name, as it is counted.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::Create(..) => "create",
            Self::Update(..) => "update",
            Self::Merge(..) => "merge",
            Self::MergeStatus(..) => "merge status",
            Self::Apply(..) => "apply",
            Self::Delete(..) => "delete",
            Self::Get(..) => "get",
            Self::List(..) => "list",
            Self::ListAt(_, _, _, At::Any, _) => "list any version",
            Self::ListAt(_, _, _, At::Latest, _) => "list not older",
            Self::ListAt(_, _, _, At::Exactly(_), _) => "list exactly",
            Self::Watch(..) => "watch",
            Self::Query(..) => "list with odd query",
            Self::Forget => "compaction",
            Self::Denied(..) => "without rights",
        }
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Service,
        Self::Slice,
        Self::Ingress,
        Self::Node,
        Self::Namespace,
        Self::Lease,
    ];

    pub(crate) fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace)
    }

    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::Node | Self::Namespace => "v1",
            Self::Slice => "discovery.k8s.io/v1",
            Self::Ingress => "networking.k8s.io/v1",
            Self::Lease => "coordination.k8s.io/v1",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Slice => "EndpointSlice",
            Self::Ingress => "Ingress",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::Lease => "Lease",
        }
    }

    /// The collection's path.
    pub(crate) fn path(self, namespace: Option<&str>) -> String {
        let plural = match self {
            Self::Service => "services",
            Self::Slice => "endpointslices",
            Self::Ingress => "ingresses",
            Self::Node => "nodes",
            Self::Namespace => "namespaces",
            Self::Lease => "leases",
        };
        let version = self.api_version();
        let root = if version == "v1" { "api" } else { "apis" };
        match namespace.filter(|_| self.is_namespaced()) {
            Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
            None => format!("/{root}/{version}/{plural}"),
        }
    }
}
