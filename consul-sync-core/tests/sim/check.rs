//! The rules, checked by name whenever a batch is handed out and after every operation.

use std::collections::BTreeSet;

use consul_sync_core::{Op, Record, Slot, Standing, testing::MemoryRecord};
use tokio::time::Instant;

use crate::{
    catalog::expected,
    oracle::{Place, Wanted},
    sink::name,
    world::State,
};

/// What was known when a batch was handed out.
pub(crate) struct Handed {
    /// Slots in which something live is wanted that nobody blocks.
    wants_live: BTreeSet<Slot>,
    /// Deletes in whose slot something else is live, as far as the process can know.
    covered: BTreeSet<Place>,
}

impl State {
    /// A batch is handed out.
    pub(crate) fn check_batch(&mut self, ops: &[Op<MemoryRecord>], limit: usize) -> Handed {
        if ops.is_empty() || ops.len() > limit {
            let message = format!("{} operations of {limit}", ops.len());
            self.oracle.broke("limits", message);
        }
        self.note(|| {
            let ops: Vec<_> = ops.iter().map(name).collect();
            format!("handed out: {ops:?}")
        });
        let mut handed = Handed {
            wants_live: BTreeSet::new(),
            covered: BTreeSet::new(),
        };
        let mut deleting: BTreeSet<Slot> = BTreeSet::new();
        let slots: BTreeSet<&Slot> = ops.iter().map(|op| &op.slot).collect();
        for slot in &slots {
            if self.oracle.unclear.contains(*slot) {
                self.oracle
                    .broke("rule 6: not read after an unclear answer", slot);
            }
            if self.oracle.under_way.contains_key(*slot) {
                self.oracle
                    .broke("rule 6: written again before it was answered", slot);
            }
            let wants_live = self.oracle.views(slot).all(|wanted| {
                let mut wanted = wanted.into_iter().flatten();
                wanted.any(|(id, record)| record.is_live() && !self.is_blocked(slot, id))
            });
            if wants_live {
                handed.wants_live.insert((*slot).clone());
            }
        }
        self.oracle.hands_out();
        let mut is_deleting = false;
        for op in ops {
            let place = (op.slot.clone(), op.id());
            let name = name(op);
            if op.is_delete() {
                is_deleting = true;
                deleting.insert(op.slot.clone());
                self.check_delete(op, &place, &name);
                self.oracle.vanishing.insert(place);
            } else {
                if deleting.contains(&op.slot) {
                    self.oracle.broke("rule 5: delete before put", &name);
                }
                let is_told = |wanted: &Wanted| wanted.get(&op.id()) == Some(op.record());
                if !self.oracle.views(&op.slot).flatten().any(is_told) {
                    self.oracle.broke(
                        "I-S2: written, and not what this process was told last",
                        &name,
                    );
                }
            }
            *self.oracle.under_way.entry(op.slot.clone()).or_default() += 1;
        }
        for op in ops.iter().filter(|op| op.is_delete()) {
            let shown = self.oracle.shown.get(&op.slot).into_iter().flatten();
            let mut others = shown.filter(|(id, (_, is_live))| {
                let place = (op.slot.clone(), (*id).clone());
                **id != op.id() && *is_live && !self.oracle.vanishing.contains(&place)
            });
            if others.next().is_some() {
                let place = (op.slot.clone(), op.id());
                handed.covered.insert(place);
            }
        }
        if is_deleting {
            let remaining = self.oracle.remaining(&self.catalog);
            let least = self.oracle.least(&self.catalog);
            if remaining < least {
                let (vanishing, loss) = (&self.oracle.vanishing, &self.oracle.loss);
                let message = format!(
                    "{remaining} would remain of at least {least} without {vanishing:?}; {loss:?}"
                );
                self.oracle.broke("I-S6: more vanishes than may", message);
            }
        }
        handed
    }

    fn check_delete(&mut self, op: &Op<MemoryRecord>, place: &Place, name: &str) {
        let oracle = &mut self.oracle;
        if !oracle.source.holds() {
            oracle.broke("I-S3: delete before the source was complete", name);
        }
        if !oracle.sink.holds() {
            oracle.broke("I-S4: delete while the sink was not complete", name);
        }
        let is_wanted = |wanted: Option<&Wanted>| wanted.is_some_and(|w| w.contains_key(&op.id()));
        if oracle.views(&op.slot).all(is_wanted) {
            oracle.broke("rule 1: delete of what is wanted", name);
        }
        let origin = op.record().origin();
        let now = Instant::now();
        let may_be_of_rejected = !oracle.wanted.contains(place)
            && oracle
                .rejected
                .iter()
                .any(|(key, since)| *since < now && Some(&**key.namespace()) == origin);
        if may_be_of_rejected {
            oracle.broke("rule 7: delete of what a rejected service may own", name);
        }
    }

    /// One operation is about to be applied.
    pub(crate) fn check_op(&mut self, op: &Op<MemoryRecord>, handed: &Handed) {
        let Some(held) = self.catalog.get(&op.slot, &op.id()) else {
            return;
        };
        if expected(op) != Some(held.version) {
            return;
        }
        let name = name(op);
        if held.standing == Standing::Foreign {
            self.oracle
                .broke("I-S1: write to somebody else's record", &name);
        }
        if !op.is_delete() {
            return;
        }
        let (standing, is_live) = (held.standing, held.record.is_live());
        if standing == Standing::Orphan && !self.deletes_orphans {
            self.oracle
                .broke("I-S1: delete of a record that is not ours", &name);
        }
        let records = self.catalog.slots.get(&op.slot).into_iter().flatten();
        let mut others = records.filter(|(id, held)| **id != op.id() && held.record.is_live());
        let place = (op.slot.clone(), op.id());
        if is_live
            && others.next().is_none()
            && handed.wants_live.contains(&op.slot)
            && !handed.covered.contains(&place)
        {
            self.oracle.broke(
                "I-S7: a name that has a live instance before and after was emptied",
                &name,
            );
        }
    }

    /// After every step.
    pub(crate) fn check_step(&mut self) {
        if let Some((slot, id)) = self.catalog.hurt() {
            let name = format!("{slot}/{id}");
            self.oracle.broke("I-S1: somebody else's changed", name);
        }
    }
}
