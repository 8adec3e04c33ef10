//! What would be done: the engine's operations, without doing them.

use std::{borrow::Cow, fmt};

use crate::{Action, Key, Op, Record, RecordId, Rejection, Slot};

/// Every operation that would bring the sink to what the source wants, and what stands in the way.
///
/// The order is fixed: by slot, then creates and updates before deletes, each by record id.
#[derive(Debug)]
pub struct Plan<R: Record> {
    /// What would be done.
    pub ops: Vec<Op<R>>,
    /// Services that cannot be used.
    pub rejected: Vec<(Key, Rejection)>,
    /// Records that are wanted where somebody else's stand.
    pub blocked: Vec<(Slot, RecordId)>,
    /// Records of nobody's that nobody wants.
    pub orphans: Vec<(Slot, RecordId)>,
    /// Records that are as they should be.
    pub unchanged: usize,
    /// Whether a running engine would stop the plan's deletes until a person confirms.
    pub brake: bool,
}

/// A plan in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Summary {
    /// Records to create.
    pub create: usize,
    /// Records to change.
    pub update: usize,
    /// Records of nobody's to take over.
    pub adopt: usize,
    /// Records to delete.
    pub delete: usize,
}

/// One field of a record before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FieldChange {
    /// The field.
    pub field: Cow<'static, str>,
    /// Its value before; `None` where it had none.
    pub before: Option<String>,
    /// Its value after; `None` where it will have none.
    pub after: Option<String>,
}

impl<R: Record> Plan<R> {
    /// A plan with nothing in it.
    pub(crate) fn empty() -> Self {
        Self {
            ops: Vec::new(),
            rejected: Vec::new(),
            blocked: Vec::new(),
            orphans: Vec::new(),
            unchanged: 0,
            brake: false,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The plan in numbers.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for op in &self.ops {
            match &op.action {
                Action::Create(_) => summary.create += 1,
                Action::Update { adopts: false, .. } => summary.update += 1,
                Action::Update { adopts: true, .. } => summary.adopt += 1,
                Action::Delete(_) => summary.delete += 1,
            }
        }
        summary
    }
}

impl<R: Record> Op<R> {
    /// The fields that the operation changes: all of them for a create or a delete, the differing ones for an update.
    pub fn changes(&self) -> Vec<FieldChange> {
        let (before, after) = match &self.action {
            Action::Create(record) => (Vec::new(), record.fields()),
            Action::Update {
                record, previous, ..
            } => (previous.fields(), record.fields()),
            Action::Delete(deletion) => (deletion.record().fields(), Vec::new()),
        };
        let mut changes: Vec<FieldChange> = Vec::new();
        for (field, value) in &after {
            let old = before.iter().find(|(name, _)| name == field);
            if old.is_none_or(|(_, old)| old != value) {
                changes.push(FieldChange {
                    field: field.clone(),
                    before: old.map(|(_, old)| old.clone()),
                    after: Some(value.clone()),
                });
            }
        }
        for (field, value) in before {
            if !after.iter().any(|(name, _)| *name == field) {
                changes.push(FieldChange {
                    field,
                    before: Some(value),
                    after: None,
                });
            }
        }
        changes
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to add, {} to change, ", self.create, self.update)?;
        if self.adopt > 0 {
            write!(f, "{} to adopt, ", self.adopt)?;
        }
        write!(f, "{} to delete", self.delete)
    }
}
