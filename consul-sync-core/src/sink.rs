//! What is, and how it is changed.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{Event, Layout, Op, Record, Rejection, SinkError, Slot};

/// Everything that a slot of the destination holds, whoever wrote it.
#[derive(Debug)]
pub struct Held<R: Record> {
    /// The records, sorted by [`Record::id`], each id once.
    pub records: Vec<HeldRecord<R>>,
}

/// One record as the destination holds it.
#[derive(Debug)]
pub struct HeldRecord<R: Record> {
    /// Its content, in canonical form.
    pub record: Arc<R>,
    /// What a conditional write compares.
    pub version: R::Version,
    /// Whose it is.
    pub standing: Standing,
}

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It carries our owner mark: we may change and delete it.
    Ours,
    /// It looks like one of a synchroniser's, and nobody's mark is on it. If it is wanted it is adopted;
    /// if not it is reported, and deleted only on the operator's word.
    Orphan,
    /// Somebody else's: seen, reported, never written.
    Foreign,
}

/// What became of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<V> {
    /// Written; this is the new version.
    Written(V),
    /// Deleted, or found to be gone.
    Deleted,
    /// The version had moved: nothing was changed, and what is there must be read again.
    Stale,
    /// The destination will not take this record as it is.
    Refused(Rejection),
    /// Not tried, or rolled back with its neighbours: nothing was changed.
    Skipped,
    /// No clear answer: it may or may not have been applied, and what is there must be read again.
    Unknown,
}

impl<V> Outcome<V> {
    /// The outcome as a label.
    ///
    /// ```
    /// # use consul_sync_core::Outcome;
    /// assert_eq!(Outcome::Written(7).as_str(), "written");
    /// ```
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Written(_) => "written",
            Self::Deleted => "deleted",
            Self::Stale => "stale",
            Self::Refused(_) => "refused",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

/// A system that holds services: the actual side, and the only one that is written.
///
/// # Contract
/// - [`Sink::watch`] starts with a listing that is complete and authoritative, and only such a listing
///   ends with [`Event::RelistDone`]. Outside a listing it never shows a slot in a state older than the
///   last outcome that [`Sink::apply`] returned for it. Errors are reports: the stream goes on.
/// - A slot that is shown while a call of [`Sink::apply`] writes to it costs a [`Sink::read`]: nobody can tell whether
///   it is from before or after. A sink that watches holds it back until the call has ended.
/// - [`Sink::apply`] keeps the order of operations within a slot. If one fails, the later ones of its slot are
///   not applied ([`Outcome::Skipped`]), so that a name is never emptied because its successor was refused.
/// - Every write is conditional on the version that its operation carries; a create on absence.
/// - The sink never writes a record whose [`Standing`] is [`Standing::Foreign`].
///
/// # Cancellation
/// Dropping the stream ends everything behind it. A dropped [`Sink::apply`] leaves its operations unknown.
#[async_trait]
pub trait Sink: Layout + 'static {
    /// A short name for logs and metrics, from a closed set.
    fn name(&self) -> &'static str;

    /// Everything that is held, then every change, ours included.
    fn watch(&self) -> WatchStream<Self::Record>;

    /// What these slots hold now, by an authoritative read; a slot that holds nothing is answered as empty.
    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<Self::Record>)>, SinkError>;

    /// Applies a batch within [`Layout::limits`]: one outcome per operation, in their order.
    ///
    /// # Errors
    /// Then nothing is known of any of them.
    async fn apply(&self, ops: &[Op<Self::Record>]) -> Result<Outcomes<Self::Record>, SinkError>;
}

/// What [`Sink::watch`] returns.
pub type WatchStream<R> = BoxStream<'static, Result<Event<Slot, Held<R>>, SinkError>>;

/// One outcome per operation.
pub type Outcomes<R> = Vec<Outcome<<R as Record>::Version>>;

impl<R: Record> Held<R> {
    /// Nothing held.
    pub fn empty() -> Self {
        Self {
            records: Vec::new(),
        }
    }
}

impl<R: Record> Clone for Held<R> {
    fn clone(&self) -> Self {
        Self {
            records: self.records.clone(),
        }
    }
}

impl<R: Record> Clone for HeldRecord<R> {
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            version: self.version.clone(),
            standing: self.standing,
        }
    }
}
