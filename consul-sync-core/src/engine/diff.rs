//! The difference of one slot: desired records against held ones.
//!
//! | desired | held | result |
//! | --- | --- | --- |
//! | yes | no | create |
//! | yes | ours, equal | nothing |
//! | yes | ours, other content | update |
//! | yes | an orphan | update that adopts |
//! | yes | foreign | blocked: reported, never written |
//! | yes, and [needs](Record::needs) a foreign one | any | blocked, and held as if it was not wanted |
//! | no | ours | surplus: deleted when that is safe |
//! | no | an orphan | reported; surplus when the operator says so |
//! | no | foreign | nothing |

use std::{cmp::Ordering, sync::Arc};

use crate::{Action, HeldRecord, Op, Orphans, Record, RecordId, Slot, Standing};

/// What separates a slot from what it should be.
#[derive(Debug)]
pub(crate) struct Difference<R: Record> {
    /// Creates and updates, by record id.
    pub(crate) puts: Vec<Op<R>>,
    /// Held records that nobody wants: candidates for a delete, not yet operations.
    pub(crate) surplus: Vec<HeldRecord<R>>,
    /// Wanted ids that somebody else holds, or that need one, sorted.
    pub(crate) blocked: Vec<RecordId>,
    /// Unwanted orphans that stay.
    pub(crate) orphans: Vec<RecordId>,
    /// Records that are as they should be.
    pub(crate) unchanged: usize,
    /// Records of ours that are wanted, as they should be or not.
    pub(crate) matched: usize,
    /// Pairs of records that were compared.
    pub(crate) comparisons: usize,
}

/// Compares both sides, each sorted by id with every id once. Cost: O(desired + held).
pub(crate) fn difference<R: Record>(
    slot: &Slot,
    desired: &[Arc<R>],
    held: &[HeldRecord<R>],
    orphans: Orphans,
) -> Difference<R> {
    let mut out = Difference {
        puts: Vec::new(),
        surplus: Vec::new(),
        blocked: Vec::new(),
        orphans: Vec::new(),
        unchanged: 0,
        matched: 0,
        comparisons: 0,
    };
    let is_barred = |want: &&Arc<R>| want.needs().is_some_and(|needed| is_foreign(held, needed));
    let barred = desired.iter().filter(is_barred);
    out.blocked.extend(barred.map(|want| want.id()));
    let wants = desired.iter().filter(|want| !is_barred(want));
    let (mut wants, mut haves) = (wants.peekable(), held.iter().peekable());
    loop {
        let order = match (wants.peek(), haves.peek()) {
            (None, None) => {
                out.blocked.sort_unstable();
                return out;
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(want), Some(have)) => want.id().cmp(&have.record.id()),
        };
        out.comparisons += 1;
        match order {
            Ordering::Less => {
                if let Some(want) = wants.next() {
                    out.put(slot, Action::Create(Arc::clone(want)));
                }
            }
            Ordering::Greater => {
                if let Some(have) = haves.next() {
                    out.unwanted(have, orphans);
                }
            }
            Ordering::Equal => {
                if let (Some(want), Some(have)) = (wants.next(), haves.next()) {
                    out.both(slot, want, have);
                }
            }
        }
    }
}

fn is_foreign<R: Record>(held: &[HeldRecord<R>], id: &RecordId) -> bool {
    held.binary_search_by(|have| have.record.id().cmp(id))
        .ok()
        .and_then(|at| held.get(at))
        .is_some_and(|have| have.standing == Standing::Foreign)
}

impl<R: Record> Difference<R> {
    fn put(&mut self, slot: &Slot, action: Action<R>) {
        self.puts.push(Op {
            slot: slot.clone(),
            action,
        });
    }

    fn unwanted(&mut self, have: &HeldRecord<R>, orphans: Orphans) {
        match (have.standing, orphans) {
            (Standing::Ours, _) | (Standing::Orphan, Orphans::Delete) => {
                self.surplus.push(have.clone());
            }
            (Standing::Orphan, Orphans::Report) => self.orphans.push(have.record.id()),
            (Standing::Foreign, _) => {}
        }
    }

    fn both(&mut self, slot: &Slot, want: &Arc<R>, have: &HeldRecord<R>) {
        let adopts = match have.standing {
            Standing::Foreign => {
                self.blocked.push(want.id());
                return;
            }
            Standing::Orphan => true,
            Standing::Ours => {
                self.matched += 1;
                if Arc::ptr_eq(want, &have.record) || *want == have.record {
                    self.unchanged += 1;
                    return;
                }
                false
            }
        };
        self.put(
            slot,
            Action::Update {
                record: Arc::clone(want),
                previous: Arc::clone(&have.record),
                expected: have.version.clone(),
                adopts,
            },
        );
    }
}
