//! How a destination lays services out: the pure half of a sink.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{Key, Op, Owner, RecordId, Rejection, Service, Slot};

/// The smallest thing a destination writes under one version: for Consul one service instance with its
/// check, for Kubernetes one object.
///
/// Equality is equality of what is written, in a canonical form: a record read back from the destination
/// equals the one that was written (invariant I-A6), and version and ownership are no part of it.
pub trait Record: Eq + fmt::Debug + Send + Sync + 'static {
    /// What the destination compares before a conditional write.
    type Version: Clone + Eq + fmt::Debug + Send + Sync + 'static;

    /// Identity within the slot.
    fn id(&self) -> RecordId;

    /// Whether the record makes its service available (a critical check does not).
    fn is_live(&self) -> bool;

    /// The namespace of the source that it says it came from, where it says so.
    fn origin(&self) -> Option<&str>;

    /// The record of its slot without which it has no place, where there is one. While somebody else holds
    /// that one, this one is neither written nor left: endpoints of ours below a name of theirs would take their
    /// traffic.
    fn needs(&self) -> Option<&RecordId> {
        None
    }

    /// Its fields for people, in a fixed order: what a plan prints.
    fn fields(&self) -> Vec<(Cow<'static, str>, String)>;
}

/// What one batch may hold, and what one operation takes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Operations as the destination counts them.
    pub ops: usize,
    /// Bytes of the request.
    pub bytes: usize,
}

/// The records that a slot should hold, from all claims on it.
#[derive(Debug)]
pub struct Placed<R> {
    /// The records, sorted by [`Record::id`], each id once.
    pub records: Vec<Arc<R>>,
    /// Claims, or parts of claims, that had no place beside the others.
    pub refused: Vec<(Key, Rejection)>,
}

/// The pure half of a destination: no I/O, no clock, the same answer to the same question for ever.
///
/// It is a trait of its own so that the engine, which gets only this half, cannot do I/O.
pub trait Layout: fmt::Debug + Send + Sync {
    /// What the destination stores.
    type Record: Record;

    /// The identity under which this installation writes.
    fn owner(&self) -> &Owner;

    /// The most that one batch may hold.
    fn limits(&self) -> Cost;

    /// What an operation takes of a batch.
    fn cost(&self, op: &Op<Self::Record>) -> Cost;

    /// Checks that the destination can hold the service, and says in which slot.
    ///
    /// # Errors
    /// A [`Rejection`] that names the bad value.
    fn place(&self, service: &Service) -> Result<Slot, Rejection>;

    /// The records of a slot from all services that claim it, in the order of [`Service::precedence`].
    ///
    /// # Contract
    /// Every claim passed [`Layout::place`] with this slot. Claims that can share the slot share it; where they
    /// cannot, the first one wins and the others are in [`Placed::refused`].
    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<Self::Record>;
}

macro_rules! layout_behind_a_pointer {
    ($($pointer:ty),*) => {$(
        impl<L: Layout + ?Sized> Layout for $pointer {
            type Record = L::Record;

            fn owner(&self) -> &Owner {
                (**self).owner()
            }

            fn limits(&self) -> Cost {
                (**self).limits()
            }

            fn cost(&self, op: &Op<Self::Record>) -> Cost {
                (**self).cost(op)
            }

            fn place(&self, service: &Service) -> Result<Slot, Rejection> {
                (**self).place(service)
            }

            fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<Self::Record> {
                (**self).records(slot, claims)
            }
        }
    )*};
}

layout_behind_a_pointer!(&L, Arc<L>);
