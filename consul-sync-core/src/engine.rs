//! The engine: two tables, the slots that are due, and the batches that bring one table to the other.
//!
//! It is synchronous and knows no I/O, no clock and no lock: events and outcomes go in with the time of their
//! arrival, batches come out. It never looks at more than the slots that an event touched.
//!
//! A slot is idle, or in one of four states:
//!
//! ```text
//!            event                handed out              unknown, stale
//!   idle ------------> due ------------------> busy ---------------------> doubtful
//!    ^  nothing to do   |   ^   again           |   all answered              | handed out for a read
//!    +------------------+   +-------------------+                             v
//!    |                      ^                                              reading
//!    +----------------------+---------------- the answer ---------------------+
//! ```

mod actual;
mod alarm;
mod batch;
mod brake;
mod compare;
mod desired;
mod diff;
mod events;
mod exclusive;
mod listing;
mod quarantine;
mod queue;
mod repairs;
mod settle;
mod slots;
mod stored;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub use batch::{Batch, BatchId};

use self::{
    actual::Actual,
    batch::Deletes,
    brake::Brake,
    desired::Desired,
    quarantine::Quarantine,
    repairs::Repairs,
    settle::{InFlight, Unclear},
    slots::Slots,
};
use crate::{
    AdapterError, ErrorKind, Key, Layout, Plan, Record, RecordId, Rejection, Settings, Side,
    SideStatus, Slot, Standing, SyncStatus, op::Authority,
};

/// Joins what should be with what is, one slot at a time.
///
/// Times are durations since any fixed moment, and never go back.
///
/// # Examples
/// ```
/// use std::{sync::Arc, time::Duration};
/// use consul_sync_core::{Engine, Event, Held, Settings, testing::{MemoryLayout, service}};
///
/// let mut engine = Engine::new(MemoryLayout::default(), Settings::default());
/// let now = Duration::ZERO;
/// engine.sink_event(Event::RelistStarted, now);
/// engine.sink_event(Event::RelistDone, now);
/// engine.source_event(Event::RelistStarted, now);
/// let web = service("default/web", ["10.0.0.1"]);
/// engine.source_event(Event::Upserted(web.key.clone(), Arc::new(web)), now);
/// let batch = engine.next_batch(now).expect("one instance is missing");
/// assert_eq!(batch.ops()[0].verb(), "create");
/// ```
#[derive(Debug)]
pub struct Engine<L: Layout> {
    layout: L,
    settings: Settings,
    desired: Desired,
    actual: Actual<L::Record>,
    slots: Slots,
    quarantine: Quarantine<L::Record>,
    repairs: Repairs,
    /// Slots that somebody else changed since they were last compared.
    damaged: BTreeSet<Slot>,
    brake: Brake,
    /// Deletes that are wanted and not handed out, by slot.
    held: BTreeMap<Slot, Deletes>,
    held_total: Deletes,
    /// Slots whose surplus stays for another reason than the brake: a rejected service may own it, or its live
    /// successors are not there.
    kept: BTreeSet<Slot>,
    /// Owned records in each slot that are wanted, and their sum.
    matched: BTreeMap<Slot, usize>,
    matched_total: usize,
    /// Slots that were written without a clear answer and not read since.
    unclear: BTreeMap<Slot, Unclear>,
    blocked: BTreeMap<Slot, Vec<RecordId>>,
    refused: BTreeMap<Slot, Vec<(Key, Rejection)>>,
    /// The namespace that holds each slot, where one alone may.
    holders: BTreeMap<Slot, Arc<str>>,
    in_flight: InFlight<L::Record>,
    errors: [Option<(ErrorKind, String)>; 2],
    notices: Vec<Notice>,
    last_lag: Option<Duration>,
    work: Work,
}

/// Something that an observer should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A service became unusable, or for another reason than before.
    Rejected(Key, Rejection),
    /// A rejected service is usable again, or gone.
    Accepted(Key),
    /// The sink refused one record.
    Quarantined(Slot, RecordId, Rejection),
    /// Somebody else holds a wanted record, or one that it needs.
    Blocked(Slot, RecordId),
    /// The brake was engaged (`true`) or released.
    Brake(bool),
}

/// Work done since the engine was made, for tests that count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Slots that were compared.
    pub slots: u64,
    /// Pairs of records that were compared.
    pub comparisons: u64,
    /// Records that were laid out.
    pub records: u64,
}

impl<L: Layout> Engine<L> {
    /// An engine that knows nothing yet: it hands out no batch before the sink was listed, and no delete
    /// before both sides were.
    pub fn new(layout: L, settings: Settings) -> Self {
        Self {
            layout,
            desired: Desired::default(),
            actual: Actual::default(),
            slots: Slots::default(),
            quarantine: Quarantine::new(settings.retry.clone()),
            repairs: Repairs::new(settings.retry.clone()),
            damaged: BTreeSet::new(),
            brake: Brake::new(settings.brake.clone()),
            held: BTreeMap::new(),
            held_total: Deletes::default(),
            kept: BTreeSet::new(),
            matched: BTreeMap::new(),
            matched_total: 0,
            unclear: BTreeMap::new(),
            blocked: BTreeMap::new(),
            refused: BTreeMap::new(),
            holders: BTreeMap::new(),
            in_flight: InFlight::default(),
            errors: [None, None],
            notices: Vec::new(),
            last_lag: None,
            work: Work::default(),
            settings,
        }
    }

    /// A side reported an error in its stream. If it means that what is known may be incomplete, deletes stop until
    /// that side was listed again.
    pub fn failed(&mut self, side: Side, error: &AdapterError) {
        if error.kind().weakens() {
            match side {
                Side::Source => self.desired.listing.weaken(),
                Side::Sink => self.actual.listing.weaken(),
            }
        }
        self.note_error(side, error);
    }

    /// A call of the sink failed as a whole. That says nothing of what was listed.
    pub fn call_failed(&mut self, error: &AdapterError) {
        self.note_error(Side::Sink, error);
    }

    fn note_error(&mut self, side: Side, error: &AdapterError) {
        self.errors[side as usize] = Some((error.kind(), error.to_string()));
    }

    /// A person confirms deletes that the brake holds back, as many as they saw: the
    /// [`held_deletes`](crate::BrakeStatus::held_deletes) of some earlier status. What is held back besides is not confirmed.
    pub fn release_brake(&mut self, seen: usize) {
        let was_engaged = self.brake.status(0).engaged;
        let (remaining, _) = self.after_deletes();
        let held = self.held_total;
        let unseen = held.all.saturating_sub(seen).min(held.owned);
        self.brake.release(remaining + unseen);
        if was_engaged {
            self.notices.push(Notice::Brake(false));
        }
    }

    /// When there may be something to do without any event.
    pub fn next_wakeup(&self) -> Option<Duration> {
        let times = [self.quarantine.next(), self.repairs.next()];
        times.into_iter().flatten().min()
    }

    /// What observers should hear of, once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The work done so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Services that cannot be used, whole or in part.
    pub fn rejections(&self) -> impl Iterator<Item = (&Key, &Rejection)> {
        let refused = self.refused.values().flatten().map(|(key, r)| (key, r));
        self.desired.rejected().chain(refused)
    }

    /// What the engine knows of itself now.
    pub fn status(&self) -> SyncStatus {
        let counts = self.actual.counts();
        let mut status = SyncStatus {
            source: self.side(Side::Source),
            sink: self.side(Side::Sink),
            services: self.desired.len(),
            owned: counts.owned,
            orphans: counts.orphans,
            foreign: counts.foreign,
            pending_slots: self.slots.len(),
            in_flight: self.in_flight.ops(),
            blocked: self.blocked.values().map(Vec::len).sum(),
            quarantined: self.quarantine.len(),
            brake: self.brake.status(self.held_total.all),
            last_lag: self.last_lag,
            ..SyncStatus::default()
        };
        status.rejected = self.desired.reasons().collect();
        for (_, rejection) in self.refused.values().flatten() {
            *status.rejected.entry(rejection.reason()).or_default() += 1;
        }
        status
    }

    fn side(&self, side: Side) -> SideStatus {
        let listing = match side {
            Side::Source => &self.desired.listing,
            Side::Sink => &self.actual.listing,
        };
        SideStatus {
            listed: listing.is_listed(),
            complete: listing.is_complete(),
            error: self.errors[side as usize].clone(),
        }
    }

    /// Everything that separates the two tables now, by slot, without doing any of it.
    ///
    /// Deletes are in it only when both sides are complete.
    pub fn plan(&self, now: Duration) -> Plan<L::Record> {
        let mut plan = Plan::empty();
        let slots: BTreeSet<&Slot> = self.desired.slots().chain(self.actual.slots()).collect();
        let authority = self.authority();
        let (mut creates, mut deletes) = (0, 0);
        for slot in slots {
            let found = self.compare(slot, now);
            creates += found.difference.puts.len();
            let surplus = self.deletable(slot, &found);
            plan.ops.extend(found.difference.puts);
            if let Some(authority) = &authority {
                deletes += Deletes::of(&surplus).owned;
                let ops = surplus
                    .into_iter()
                    .map(|held| compare::delete(slot, held, authority));
                plan.ops.extend(ops);
            }
            let named = |id| (slot.clone(), id);
            plan.blocked
                .extend(found.difference.blocked.into_iter().map(named));
            plan.orphans
                .extend(found.difference.orphans.into_iter().map(named));
            plan.rejected.extend(found.refused);
            plan.unchanged += found.difference.unchanged;
        }
        let rejected = self.desired.rejected();
        plan.rejected
            .extend(rejected.map(|(key, r)| (key.clone(), r.clone())));
        plan.rejected.sort_by(|a, b| a.0.cmp(&b.0));
        let owned = self.actual.counts().owned;
        let mut brake = Brake::new(self.settings.brake.clone());
        brake.observe(now, owned, owned);
        let remaining = owned.saturating_sub(deletes);
        brake.allows(deletes, remaining, remaining + creates);
        plan.brake = brake.status(deletes).engaged;
        plan
    }

    /// Deletes of everything that is ours, and of orphans too when `unowned` is set: what a person asks for by name.
    /// Empty until the sink was listed.
    pub fn purge(&self, unowned: bool) -> Plan<L::Record> {
        let mut plan = Plan::empty();
        let Some(authority) = Authority::from_operator(self.actual.listing.is_complete()) else {
            return plan;
        };
        for slot in self.actual.slots() {
            for held in self.actual.held(slot) {
                match held.standing {
                    Standing::Foreign => {}
                    Standing::Orphan if !unowned => {
                        plan.orphans.push((slot.clone(), held.record.id()));
                    }
                    Standing::Orphan | Standing::Ours => {
                        plan.ops
                            .push(compare::delete(slot, held.clone(), &authority));
                    }
                }
            }
        }
        plan
    }

    fn authority(&self) -> Option<Authority> {
        Authority::from_listings(
            self.desired.listing.is_complete(),
            self.actual.listing.is_complete(),
        )
    }
}
