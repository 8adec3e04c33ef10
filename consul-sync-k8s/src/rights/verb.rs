//! The verbs of the Kubernetes API.

use std::fmt;

/// A verb of the Kubernetes API, as RBAC names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// One object by name.
    Get,
    /// A collection.
    List,
    /// The changes of a collection.
    Watch,
    /// A new object.
    Create,
    /// A whole object replaced.
    Update,
    /// A part of an object changed.
    Patch,
    /// One object removed.
    Delete,
    /// A whole collection removed.
    DeleteCollection,
}

impl Verb {
    /// The verb as RBAC writes it.
    ///
    /// ```
    /// use consul_sync_k8s::Verb;
    /// assert_eq!(Verb::List.as_str(), "list");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
