//! What comes back: the outcomes of a batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{BatchId, Engine, Notice};
use crate::{BatchReport, Layout, Op, Outcome, Outcomes, Record, RecordId, Rejection, Side, Slot};

/// Batches that were handed out and not settled.
#[derive(Debug)]
pub(super) struct InFlight<R: Record> {
    next: u64,
    batches: BTreeMap<BatchId, (Vec<Op<R>>, Duration)>,
    ops: usize,
    /// Records that become ours, and records that are ours no more.
    creates: usize,
    deletes: usize,
}

/// Operations of one slot without a clear answer, for the brake.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unclear {
    pub(super) creates: usize,
    pub(super) deletes: usize,
}

impl<R: Record> Default for InFlight<R> {
    fn default() -> Self {
        Self {
            next: 0,
            batches: BTreeMap::new(),
            ops: 0,
            creates: 0,
            deletes: 0,
        }
    }
}

impl<R: Record> InFlight<R> {
    pub(super) fn add(&mut self, ops: Vec<Op<R>>, now: Duration) -> BatchId {
        let id = BatchId(self.next);
        self.next += 1;
        self.ops += ops.len();
        self.creates += ops.iter().filter(|op| op.makes_owned()).count();
        self.deletes += ops.iter().filter(|op| op.takes_owned()).count();
        self.batches.insert(id, (ops, now));
        id
    }

    fn take(&mut self, id: BatchId) -> Option<(Vec<Op<R>>, Duration)> {
        let (ops, since) = self.batches.remove(&id)?;
        self.ops -= ops.len();
        self.creates -= ops.iter().filter(|op| op.makes_owned()).count();
        self.deletes -= ops.iter().filter(|op| op.takes_owned()).count();
        Some((ops, since))
    }

    pub(super) fn ops(&self) -> usize {
        self.ops
    }

    pub(super) fn creates(&self) -> usize {
        self.creates
    }

    pub(super) fn deletes(&self) -> usize {
        self.deletes
    }
}

impl<L: Layout> Engine<L> {
    /// Takes the outcomes of a batch, one per operation in their order; `None` when nothing is known of any.
    ///
    /// An operation without a clear outcome is never guessed: its slot is doubtful until it was read.
    /// A batch that is not in flight changes nothing.
    pub fn settle(
        &mut self,
        id: BatchId,
        outcomes: Option<Outcomes<L::Record>>,
        now: Duration,
    ) -> BatchReport {
        let mut report = BatchReport::default();
        let Some((ops, since)) = self.in_flight.take(id) else {
            return report;
        };
        report.took = now.saturating_sub(since);
        let slots: BTreeSet<Slot> = ops.iter().map(|op| op.slot.clone()).collect();
        if outcomes.is_some() {
            self.clear_error(Side::Sink);
        }
        // Outcomes that are missing are as good as unknown.
        let mut outcomes = outcomes.unwrap_or_default().into_iter();
        for op in ops {
            let outcome = outcomes.next().unwrap_or(Outcome::Unknown);
            self.settle_op(&op, outcome, now, &mut report);
        }
        for slot in &slots {
            self.actual.note_written(slot);
            let lanes = self.lanes(slot);
            if let Some(since) = self.slots.answered(slot, &lanes) {
                report.lag = report.lag.max(now.saturating_sub(since));
            }
        }
        if report.written() > 0 {
            self.last_lag = Some(report.lag);
        }
        report
    }

    fn settle_op(
        &mut self,
        op: &Op<L::Record>,
        outcome: Outcome<<L::Record as Record>::Version>,
        now: Duration,
        report: &mut BatchReport,
    ) {
        report.count(op, &outcome);
        if matches!(outcome, Outcome::Unknown) {
            let unclear = self.unclear.entry(op.slot.clone()).or_default();
            unclear.creates += usize::from(op.makes_owned());
            unclear.deletes += usize::from(op.takes_owned());
        }
        match outcome {
            // Nothing else writes to the table of a slot that is busy: it shows what the operation was computed from.
            Outcome::Written(version) => {
                self.quarantine.clear(&op.slot, &op.id());
                self.actual.put(&op.slot, Arc::clone(op.record()), version);
                if op.makes_owned() {
                    *self.matched.entry(op.slot.clone()).or_default() += 1;
                    self.matched_total += 1;
                }
            }
            Outcome::Deleted => {
                self.quarantine.clear(&op.slot, &op.id());
                self.actual.take(&op.slot, &op.id());
            }
            Outcome::Stale | Outcome::Unknown => self.doubt(&op.slot),
            Outcome::Skipped => self.touch(&op.slot, None),
            Outcome::Refused(rejection) => {
                self.refuse(&op.slot, op, rejection, now);
                self.touch(&op.slot, None);
            }
        }
    }

    pub(super) fn refuse(
        &mut self,
        slot: &Slot,
        op: &Op<L::Record>,
        rejection: Rejection,
        now: Duration,
    ) {
        let id: RecordId = op.id();
        self.quarantine.add(slot, Arc::clone(op.record()), now);
        let notice = Notice::Quarantined(slot.clone(), id, rejection);
        self.notices.push(notice);
    }
}

impl BatchReport {
    /// Adds what became of one operation.
    pub(crate) fn count<R: Record>(&mut self, op: &Op<R>, outcome: &Outcome<R::Version>) {
        let counter = match outcome {
            Outcome::Written(_) => match op.verb() {
                "create" => &mut self.created,
                "adopt" => &mut self.adopted,
                _ => &mut self.updated,
            },
            Outcome::Deleted => &mut self.deleted,
            Outcome::Stale => &mut self.stale,
            Outcome::Refused(_) => &mut self.refused,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Unknown => &mut self.unknown,
        };
        *counter += 1;
    }
}
