//! Writes on their way, as the watches have to know them.

use std::{collections::HashSet, num::NonZeroU64, sync::Arc};

use consul_sync_core::{Action, Op, Slot};

use crate::{
    journal::{Journal, Sign},
    registration::{Registration, Version},
    sink::Inner,
};

/// Tells every watch that slots are being written, until it is dropped, also when the call is cancelled.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    journals: Vec<Arc<Journal>>,
    slots: HashSet<&'a Slot>,
}

// === impl UnderWay ===

impl<'a> UnderWay<'a> {
    pub(super) fn new(sink: &Inner, ops: &'a [Op<Registration>]) -> Self {
        let slots: HashSet<&Slot> = ops.iter().map(|op| &op.slot).collect();
        let journals = sink.journals();
        for journal in &journals {
            journal.begin(slots.iter().copied());
        }
        Self { journals, slots }
    }

    /// A record was written. `highest`: the highest index that reads had shown when it was sent.
    pub(super) fn written(&self, op: &Op<Registration>, version: Version, highest: u64) {
        // A new record bears the newest index that there is.
        let went_backwards = matches!(op.action, Action::Create(_)) && version.service() < highest;
        let dropped = dropped_check(op);
        for journal in &self.journals {
            if went_backwards {
                journal.raise_alarm();
            }
            journal.wrote(&op.slot, &op.id(), Sign::Written { version, dropped });
        }
    }

    /// A record was deleted.
    pub(super) fn deleted(&self, op: &Op<Registration>) {
        let Action::Delete(deletion) = &op.action else {
            return;
        };
        for journal in &self.journals {
            journal.wrote(&op.slot, &op.id(), Sign::Deleted(*deletion.expected()));
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        for journal in &self.journals {
            journal.end(self.slots.iter().copied());
        }
    }
}

/// The version of the check that an update takes away; 0 for none.
fn dropped_check(op: &Op<Registration>) -> u64 {
    match &op.action {
        Action::Update {
            record, expected, ..
        } if record.check.is_none() => expected.check().map_or(0, NonZeroU64::get),
        _ => 0,
    }
}
