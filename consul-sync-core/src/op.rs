//! Operations: the only way anything is written.

use std::sync::Arc;

use crate::{HeldRecord, Record, RecordId, Slot, Standing};

/// One conditional write to one record.
///
/// A delete cannot be built outside this crate: it takes a proof that both sides were listed completely
/// (design rule 1), which only the engine can hold.
#[derive(Debug)]
pub struct Op<R: Record> {
    /// The slot.
    pub slot: Slot,
    /// What to do there.
    pub action: Action<R>,
}

/// What an operation does.
#[derive(Debug)]
pub enum Action<R: Record> {
    /// Write a record that must not exist yet.
    Create(Arc<R>),
    /// Write over a record that must still have the version given.
    Update {
        /// What it shall be.
        record: Arc<R>,
        /// What it was, for reports.
        previous: Arc<R>,
        /// The version it must still have.
        expected: R::Version,
        /// Whether the record was nobody's and becomes ours by this write.
        adopts: bool,
    },
    /// Delete a record that must still have its version.
    Delete(Deletion<R>),
}

/// A conditional delete.
#[derive(Debug)]
pub struct Deletion<R: Record> {
    record: Arc<R>,
    expected: R::Version,
    standing: Standing,
}

/// Proof that the desired side was listed completely and the actual side authoritatively.
#[derive(Debug)]
pub(crate) struct Authority(());

impl Authority {
    /// The proof, from what each side last said. The only place that makes one for the engine.
    pub(crate) fn from_listings(source_complete: bool, sink_complete: bool) -> Option<Self> {
        (source_complete && sink_complete).then_some(Self(()))
    }

    /// The proof of a person who asked for it by name, over an authoritative listing of the sink.
    pub(crate) fn from_operator(sink_complete: bool) -> Option<Self> {
        sink_complete.then_some(Self(()))
    }
}

impl<R: Record> Deletion<R> {
    pub(crate) fn new(held: HeldRecord<R>, _proof: &Authority) -> Self {
        Self {
            record: held.record,
            expected: held.version,
            standing: held.standing,
        }
    }

    /// The record as it was last seen.
    pub fn record(&self) -> &Arc<R> {
        &self.record
    }

    /// The version it must still have.
    pub fn expected(&self) -> &R::Version {
        &self.expected
    }
}

impl<R: Record> Op<R> {
    /// The record's id.
    pub fn id(&self) -> RecordId {
        self.record().id()
    }

    /// The record that is written, or the one that is deleted.
    pub fn record(&self) -> &Arc<R> {
        match &self.action {
            Action::Create(record) | Action::Update { record, .. } => record,
            Action::Delete(deletion) => &deletion.record,
        }
    }

    /// Whether the operation deletes.
    pub fn is_delete(&self) -> bool {
        matches!(self.action, Action::Delete(_))
    }

    /// Whether one more record is ours after it.
    pub(crate) fn makes_owned(&self) -> bool {
        matches!(
            self.action,
            Action::Create(_) | Action::Update { adopts: true, .. }
        )
    }

    /// Whether one record less is ours after it.
    pub(crate) fn takes_owned(&self) -> bool {
        matches!(&self.action, Action::Delete(deletion) if deletion.standing == Standing::Ours)
    }

    /// What it is called in logs and metrics.
    pub fn verb(&self) -> &'static str {
        match &self.action {
            Action::Create(_) => "create",
            Action::Update { adopts: false, .. } => "update",
            Action::Update { adopts: true, .. } => "adopt",
            Action::Delete(_) => "delete",
        }
    }
}

impl<R: Record> Clone for Op<R> {
    fn clone(&self) -> Self {
        Self {
            slot: self.slot.clone(),
            action: self.action.clone(),
        }
    }
}

impl<R: Record> Clone for Action<R> {
    fn clone(&self) -> Self {
        match self {
            Self::Create(record) => Self::Create(Arc::clone(record)),
            Self::Update {
                record,
                previous,
                expected,
                adopts,
            } => Self::Update {
                record: Arc::clone(record),
                previous: Arc::clone(previous),
                expected: expected.clone(),
                adopts: *adopts,
            },
            Self::Delete(deletion) => Self::Delete(deletion.clone()),
        }
    }
}

impl<R: Record> Clone for Deletion<R> {
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            expected: self.expected.clone(),
            standing: self.standing,
        }
    }
}

/// What outside this crate looks like a delete does not compile, and compiles where it is none:
///
/// ```
/// use std::sync::Arc;
/// use consul_sync_core::{Action, Deletion, testing::MemoryRecord};
/// fn create(record: Arc<MemoryRecord>) -> Action<MemoryRecord> {
///     Action::Create(record)
/// }
/// fn again(deletion: Deletion<MemoryRecord>) -> Action<MemoryRecord> {
///     Action::Delete(deletion)
/// }
/// ```
///
/// A delete that stands on nothing:
///
/// ```compile_fail,E0451
/// use std::sync::Arc;
/// use consul_sync_core::{Action, Deletion, testing::MemoryRecord};
/// fn delete(record: Arc<MemoryRecord>) -> Action<MemoryRecord> {
///     Action::Delete(Deletion { record, expected: 7 })
/// }
/// ```
///
/// One of another version than the engine saw:
///
/// ```compile_fail,E0616
/// use consul_sync_core::{Deletion, testing::MemoryRecord};
/// fn change(mut deletion: Deletion<MemoryRecord>) -> Deletion<MemoryRecord> {
///     deletion.expected = 7;
///     deletion
/// }
/// ```
///
/// The proof itself, which nobody outside can name:
///
/// ```compile_fail,E0603
/// use consul_sync_core::op::Authority;
/// fn proof() -> Option<Authority> {
///     Authority::from_listings(true, true)
/// }
/// ```
#[cfg(doctest)]
fn a_delete_from_weak_knowledge_does_not_compile() {}
