//! What an index is told.

use crate::slim::{EndpointSlice, Ingress, Namespace, Node, Service};

/// A change of one kind of object.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Of Services.
    Service(Change<Service>),
    /// Of EndpointSlices.
    EndpointSlice(Change<EndpointSlice>),
    /// Of Nodes.
    Node(Change<Node>),
    /// Of Ingresses.
    Ingress(Change<Ingress>),
    /// Of Namespaces.
    Namespace(Change<Namespace>),
}

/// One step of a watch of one kind of object.
///
/// An object that could not be decoded is upserted as it is: its body says why.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T> {
    /// A complete listing begins; nothing is removed yet. One that was begun before is void.
    RelistStarted,
    /// The object now is this. Within a listing: it was listed.
    Upserted(T),
    /// The object is gone; this is the last that was seen of it.
    Deleted(T),
    /// The listing was complete: what was not upserted since [`Change::RelistStarted`] is gone.
    RelistDone,
    /// The kind is no longer known completely: the right was withdrawn, or the watch broke for good.
    /// What is known stays, and the next complete listing makes it whole.
    Lost,
    /// The kind had been out of reach, and is watched again; nothing of it was missed.
    Recovered,
}

impl From<Change<Service>> for Update {
    fn from(change: Change<Service>) -> Self {
        Self::Service(change)
    }
}

impl From<Change<EndpointSlice>> for Update {
    fn from(change: Change<EndpointSlice>) -> Self {
        Self::EndpointSlice(change)
    }
}

impl From<Change<Node>> for Update {
    fn from(change: Change<Node>) -> Self {
        Self::Node(change)
    }
}

impl From<Change<Ingress>> for Update {
    fn from(change: Change<Ingress>) -> Self {
        Self::Ingress(change)
    }
}

impl From<Change<Namespace>> for Update {
    fn from(change: Change<Namespace>) -> Self {
        Self::Namespace(change)
    }
}
