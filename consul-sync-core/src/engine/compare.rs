//! One slot's comparison, and which of its surplus may be deleted.

use std::{sync::Arc, time::Duration};

use super::{Engine, diff::Difference, diff::difference, exclusive::Holder};
use crate::{
    Action, Deletion, HeldRecord, Key, Layout, Op, Policy, Record, Rejection, Slot, Standing,
    op::Authority,
};

/// What a comparison of one slot found.
#[derive(Debug)]
pub(super) struct Comparison<R: Record> {
    /// What should be there.
    pub(super) desired: Vec<Arc<R>>,
    /// What separates the slot from that, without what the policy or a quarantine forbids.
    pub(super) difference: Difference<R>,
    /// Claims that had no place beside the others.
    pub(super) refused: Vec<(Key, Rejection)>,
    /// Who holds the slot, where one namespace alone may.
    pub(super) holder: Option<Holder>,
}

impl<L: Layout> Engine<L> {
    /// Compares one slot. Cost: O(its claims' instances + its records).
    pub(super) fn compare(&self, slot: &Slot, now: Duration) -> Comparison<L::Record> {
        let admission = self.admit(slot);
        let mut placed = self.layout.records(slot, &admission.claims);
        placed.refused.extend(admission.refused);
        let held = self.actual.held(slot);
        let mut difference = difference(slot, &placed.records, held, self.settings.orphans);
        let policy = self.settings.policy;
        difference.puts.retain(|op| {
            let is_allowed = policy != Policy::CreateOnly || matches!(op.action, Action::Create(_));
            is_allowed && !self.quarantine.holds(slot, op.record(), now)
        });
        difference
            .surplus
            .retain(|held| !self.quarantine.holds(slot, &held.record, now));
        // What was refused before comes last: what follows a refusal in its slot is not done (I-L3).
        let was_refused = |record: &L::Record| self.quarantine.knows(slot, &record.id());
        difference
            .puts
            .sort_by_key(|op| was_refused(op.record().as_ref()));
        difference
            .surplus
            .sort_by_key(|held| was_refused(held.record.as_ref()));
        Comparison {
            desired: placed.records,
            difference,
            refused: placed.refused,
            holder: admission.holder,
        }
    }

    /// The part of the surplus that may be deleted, once both sides are complete and the brake allows it:
    ///
    /// - nothing, unless the policy deletes;
    /// - nothing that was never wanted and may belong to a service which is rejected and was never seen good (rule 7);
    /// - nothing live, while the slot's live successors are not there (rule 5).
    pub(super) fn deletable(
        &self,
        slot: &Slot,
        found: &Comparison<L::Record>,
    ) -> Vec<HeldRecord<L::Record>> {
        let surplus = &found.difference.surplus;
        if surplus.is_empty() || self.settings.policy != Policy::Sync {
            return Vec::new();
        }
        let is_covered = self.is_covered(slot, found);
        surplus
            .iter()
            .filter(|held| {
                self.actual.is_known(slot, &held.record.id())
                    || !self.desired.may_be_of_rejected(held.record.origin())
            })
            .filter(|held| is_covered || !held.record.is_live())
            .cloned()
            .collect()
    }

    /// Whether the slot stays live without its surplus: nothing live is wanted, or something live that is wanted
    /// is there or is written before the deletes.
    fn is_covered(&self, slot: &Slot, found: &Comparison<L::Record>) -> bool {
        // What somebody else blocks may never come: nothing waits for it.
        let blocked = &found.difference.blocked;
        let mut live = found
            .desired
            .iter()
            .filter(|want| want.is_live() && blocked.binary_search(&want.id()).is_err())
            .peekable();
        if live.peek().is_none() {
            return true;
        }
        live.any(|want| {
            let is_held = self
                .actual
                .get(slot, &want.id())
                .is_some_and(|held| held.standing == Standing::Ours && held.record.is_live());
            is_held || found.difference.puts.iter().any(|op| op.id() == want.id())
        })
    }
}

/// The operation that deletes a held record.
pub(super) fn delete<R: Record>(slot: &Slot, held: HeldRecord<R>, authority: &Authority) -> Op<R> {
    Op {
        slot: slot.clone(),
        action: Action::Delete(Deletion::new(held, authority)),
    }
}
