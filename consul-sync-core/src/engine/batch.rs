//! What goes out: bounded batches, creates and updates before deletes.

use std::{collections::BTreeMap, time::Duration};

use super::{Engine, Notice, compare, compare::Comparison, exclusive::Holder};
use crate::{Cost, HeldRecord, Layout, Op, Reason, Record, Rejection, Slot, Standing};

/// Operations for one call of [`Sink::apply`](crate::Sink::apply), within the layout's limits.
#[derive(Debug)]
pub struct Batch<R: Record> {
    id: BatchId,
    ops: Vec<Op<R>>,
}

/// Names a batch until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub(super) u64);

impl<R: Record> Batch<R> {
    /// Its name, for [`Engine::settle`].
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// Its operations: within a slot creates and updates come before deletes.
    pub fn ops(&self) -> &[Op<R>] {
        &self.ops
    }
}

/// A batch that is being filled.
struct Draft<R: Record> {
    ops: Vec<Op<R>>,
    left: Cost,
    is_full: bool,
}

enum Added {
    Yes,
    Full,
    TooLarge,
}

/// Deletes that are wanted and not handed out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deletes {
    pub(super) all: usize,
    /// Those of records that are ours: the brake counts no others.
    pub(super) owned: usize,
}

/// A slot with deletes, which wait until every due slot was compared.
struct Wanting<R: Record> {
    slot: Slot,
    since: Option<Duration>,
    surplus: Vec<HeldRecord<R>>,
}

impl<L: Layout> Engine<L> {
    /// The next batch, or `None` when there is nothing to do or nothing that may be done.
    ///
    /// Deletes join only a batch that leaves no slot uncompared: by then the brake knows how many are wanted.
    pub fn next_batch(&mut self, now: Duration) -> Option<Batch<L::Record>> {
        if !self.actual.listing.is_listed() || self.awaits_claims() {
            return None;
        }
        for slot in self.quarantine.due(now) {
            self.touch(&slot, None);
        }
        for slot in self.repairs.due(now) {
            self.damaged.insert(slot.clone());
            self.touch(&slot, None);
        }
        let owned = self.actual.counts().owned;
        self.brake.observe(now, owned, self.matched_total);
        let mut draft = Draft::new(self.layout.limits());
        loop {
            let wanting = self.fill(&mut draft, now);
            let may_delete = self.slots.nothing_due() && !draft.is_full && self.may_delete(&draft);
            for wanting in wanting {
                if may_delete {
                    self.add_deletes(&mut draft, wanting);
                } else if !self.slots.nothing_due() || draft.is_full {
                    self.touch(&wanting.slot, wanting.since);
                }
            }
            if !may_delete || draft.is_full {
                break;
            }
            // Deletes that were held back earlier are allowed now.
            let idle = self.held.keys().filter(|slot| self.slots.is_idle(slot));
            let idle: Vec<Slot> = idle.cloned().collect();
            if idle.is_empty() {
                break;
            }
            for slot in idle {
                self.touch(&slot, None);
            }
        }
        if draft.ops.is_empty() {
            return None;
        }
        let id = self.in_flight.add(draft.ops.clone(), now);
        Some(Batch { id, ops: draft.ops })
    }

    /// Compares due slots and takes their creates and updates, until the draft is full or nothing is due.
    fn fill(&mut self, draft: &mut Draft<L::Record>, now: Duration) -> Vec<Wanting<L::Record>> {
        let mut wanting = Vec::new();
        while !draft.is_full {
            let Some((slot, since)) = self.slots.pop_due() else {
                break;
            };
            let mut found = self.compare(&slot, now);
            self.note(&slot, &found);
            let surplus = self.deletable(&slot, &found);
            self.hold(&slot, Deletes::of(&surplus));
            let is_vacant = found.holder.as_ref().is_some_and(Holder::is_absent);
            if surplus.len() < found.difference.surplus.len() || is_vacant {
                self.kept.insert(slot.clone());
            } else {
                self.kept.remove(&slot);
            }
            let mut puts = std::mem::take(&mut found.difference.puts);
            let is_repair = self.damaged.remove(&slot) && since.is_none();
            if is_repair && !puts.is_empty() && !self.repairs.allows(&slot, now) {
                puts.clear();
            }
            let (mut taken, mut is_whole) = (0, true);
            for op in puts {
                match draft.add(op, &self.layout) {
                    (Added::Yes, _) => taken += 1,
                    (Added::Full, _) => {
                        is_whole = false;
                        break;
                    }
                    (Added::TooLarge, op) => {
                        let rejection = Rejection::new(
                            Reason::TooLarge,
                            "the record alone is larger than the sink takes in one request",
                        );
                        self.refuse(&slot, &op, rejection, now);
                        is_whole = false;
                    }
                }
            }
            match (taken, is_whole) {
                (0, false) if draft.is_full => self.slots.push_front(&slot, since),
                (0, _) => {}
                (_, whole) => self.slots.hand_out(&slot, since, !whole),
            }
            if is_whole && !surplus.is_empty() {
                wanting.push(Wanting {
                    slot,
                    since,
                    surplus,
                });
            }
        }
        wanting
    }

    fn may_delete(&mut self, draft: &Draft<L::Record>) -> bool {
        if self.authority().is_none() {
            return false;
        }
        let (remaining, expected) = self.after_deletes();
        let creates = draft.ops.iter().filter(|op| op.makes_owned()).count();
        let deletes = draft.ops.iter().filter(|op| op.takes_owned()).count();
        let was_engaged = self.brake.status(0).engaged;
        let allowed = self.brake.allows(
            self.held_total.all,
            remaining.saturating_sub(deletes),
            (expected + creates).saturating_sub(deletes),
        );
        let is_engaged = self.brake.status(0).engaged;
        if was_engaged != is_engaged {
            self.notices.push(Notice::Brake(is_engaged));
        }
        allowed
    }

    /// How many records remain ours when every delete that is under way, without an answer or held back is done: for
    /// certain, and with the creates that are under way or without an answer.
    pub(super) fn after_deletes(&self) -> (usize, usize) {
        let owned = self.actual.counts().owned;
        let unclear = self.unclear.values();
        let (creates, deletes) = unclear.fold((0, 0), |(creates, deletes), unclear| {
            (creates + unclear.creates, deletes + unclear.deletes)
        });
        let gone = self.in_flight.deletes() + deletes + self.held_total.owned;
        let made = self.in_flight.creates() + creates;
        (
            owned.saturating_sub(gone),
            (owned + made).saturating_sub(gone),
        )
    }

    fn add_deletes(&mut self, draft: &mut Draft<L::Record>, wanting: Wanting<L::Record>) {
        let Some(authority) = self.authority() else {
            return;
        };
        let Wanting {
            slot,
            since,
            surplus,
        } = wanting;
        let count = surplus.len();
        let mut taken = 0;
        let mut left = Deletes::of(&surplus);
        for held in surplus {
            let op = compare::delete(&slot, held, &authority);
            let is_owned = op.takes_owned();
            if !matches!(draft.add(op, &self.layout).0, Added::Yes) {
                break;
            }
            taken += 1;
            left.all -= 1;
            left.owned -= usize::from(is_owned);
        }
        self.hold(&slot, left);
        if taken > 0 {
            self.slots.hand_out(&slot, since, taken < count);
        } else {
            self.touch(&slot, since);
        }
    }

    /// Remembers what a comparison found besides operations.
    fn note(&mut self, slot: &Slot, found: &Comparison<L::Record>) {
        self.work.slots += 1;
        self.work.comparisons += found.difference.comparisons as u64;
        self.work.records += found.desired.len() as u64;
        let difference = &found.difference;
        self.quarantine.keep(slot, |id| {
            let is_wanted = |want: &std::sync::Arc<L::Record>| want.id().cmp(id);
            found.desired.binary_search_by(is_wanted).is_ok() || self.actual.get(slot, id).is_some()
        });
        let before = count(&mut self.matched, slot, difference.matched);
        self.matched_total = self.matched_total + difference.matched - before;
        let known = self.blocked.get(slot).map_or(&[][..], Vec::as_slice);
        for id in difference.blocked.iter().filter(|id| !known.contains(id)) {
            self.notices.push(Notice::Blocked(slot.clone(), id.clone()));
        }
        set_or_remove(&mut self.blocked, slot, difference.blocked.clone());
        let known = self.refused.get(slot).map_or(&[][..], Vec::as_slice);
        if known != found.refused {
            for (key, rejection) in &found.refused {
                if !known.contains(&(key.clone(), rejection.clone())) {
                    let notice = Notice::Rejected(key.clone(), rejection.clone());
                    self.notices.push(notice);
                }
            }
            for (key, _) in known {
                if !found.refused.iter().any(|(refused, _)| refused == key) {
                    self.notices.push(Notice::Accepted(key.clone()));
                }
            }
            set_or_remove(&mut self.refused, slot, found.refused.clone());
        }
        self.actual.know(slot, &found.desired);
        self.remember_holder(slot, found.holder.as_ref());
    }

    fn hold(&mut self, slot: &Slot, deletes: Deletes) {
        let before = if deletes.all == 0 {
            self.held.remove(slot)
        } else {
            self.held.insert(slot.clone(), deletes)
        };
        let before = before.unwrap_or_default();
        self.held_total.all = self.held_total.all + deletes.all - before.all;
        self.held_total.owned = self.held_total.owned + deletes.owned - before.owned;
    }
}

impl Deletes {
    pub(super) fn of<R: Record>(surplus: &[HeldRecord<R>]) -> Self {
        let ours = |held: &&HeldRecord<R>| held.standing == Standing::Ours;
        Self {
            all: surplus.len(),
            owned: surplus.iter().filter(ours).count(),
        }
    }
}

impl<R: Record> Draft<R> {
    fn new(limits: Cost) -> Self {
        Self {
            ops: Vec::new(),
            left: limits,
            is_full: false,
        }
    }

    fn add<L: Layout<Record = R>>(&mut self, op: Op<R>, layout: &L) -> (Added, Op<R>) {
        let cost = layout.cost(&op);
        let limits = layout.limits();
        if cost.ops > limits.ops || cost.bytes > limits.bytes {
            return (Added::TooLarge, op);
        }
        if cost.ops > self.left.ops || cost.bytes > self.left.bytes {
            self.is_full = true;
            return (Added::Full, op);
        }
        self.left.ops -= cost.ops;
        self.left.bytes -= cost.bytes;
        self.ops.push(op.clone());
        (Added::Yes, op)
    }
}

/// Sets a slot's number, where zero is no entry; returns what it was.
fn count(numbers: &mut BTreeMap<Slot, usize>, slot: &Slot, number: usize) -> usize {
    let before = if number == 0 {
        numbers.remove(slot)
    } else {
        numbers.insert(slot.clone(), number)
    };
    before.unwrap_or(0)
}

fn set_or_remove<T>(map: &mut BTreeMap<Slot, Vec<T>>, slot: &Slot, value: Vec<T>) {
    if value.is_empty() {
        map.remove(slot);
    } else {
        map.insert(slot.clone(), value);
    }
}
