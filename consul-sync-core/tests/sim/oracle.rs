//! What the running process was told of both sides, and which rules it broke.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use consul_sync_core::{
    BrakeSettings, Event, Held, Key, Layout, Op, Outcome, Record, RecordId, Service, Slot,
    Standing,
    testing::{MemoryLayout, MemoryRecord},
};
use tokio::time::Instant;

use crate::{catalog::Catalog, knowledge::Knowledge, loss::Loss, world::lay_out};

pub(crate) type Place = (Slot, RecordId);
pub(crate) type Wanted = BTreeMap<RecordId, Arc<MemoryRecord>>;

/// More batches than any story has a reason to hand out while its clock stands still.
const MOST_IN_A_MOMENT: usize = 1_000;

/// What the running process was told, and which rules it broke.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<String>,
    brake: BrakeSettings,
    /// The services that the source has upserted and not removed since.
    told: BTreeMap<Key, (Slot, Arc<Service>)>,
    listed: BTreeSet<Key>,
    /// Keys that are rejected and have no value, and since when.
    pub(crate) rejected: BTreeMap<Key, Instant>,
    is_listing: bool,
    pub(crate) source: Knowledge,
    pub(crate) sink: Knowledge,
    /// What follows from `told`.
    pub(crate) desired: BTreeMap<Slot, Wanted>,
    /// What followed earlier in this moment.
    pub(crate) recent: Vec<(Slot, Wanted)>,
    moment: Option<Instant>,
    /// Records that followed from anything this process was told.
    pub(crate) wanted: BTreeSet<Place>,
    /// What the sink has shown: whose, and whether it is live.
    pub(crate) shown: BTreeMap<Slot, BTreeMap<RecordId, (Standing, bool)>>,
    shown_slots: BTreeSet<Slot>,
    /// Slots written or read since the sink's listing began.
    written: BTreeSet<Slot>,
    /// Slots with operations that were not answered.
    pub(crate) under_way: BTreeMap<Slot, usize>,
    /// Records whose delete was handed out, until an answer or a read tells what became of it.
    pub(crate) vanishing: BTreeSet<Place>,
    /// Slots of which an answer was unclear, and that were not read since.
    pub(crate) unclear: BTreeSet<Slot>,
    /// Batches that were not answered, and how many there may be.
    pub(crate) batches: usize,
    /// When the last batch was handed out, and how many were in that moment.
    handed: (Option<Instant>, usize),
    concurrency: usize,
    /// The process stands still until then.
    pub(crate) frozen: Option<Instant>,
    pub(crate) loss: Loss,
    /// How many deletes a person confirmed that the process may not have heard of, since when.
    confirmed: Option<(Instant, usize)>,
    stood_since: Option<Instant>,
}

impl Oracle {
    pub(crate) fn new(brake: BrakeSettings, concurrency: usize) -> Self {
        Self {
            violations: Vec::new(),
            told: BTreeMap::new(),
            listed: BTreeSet::new(),
            rejected: BTreeMap::new(),
            is_listing: false,
            source: Knowledge::default(),
            sink: Knowledge::default(),
            desired: BTreeMap::new(),
            recent: Vec::new(),
            moment: None,
            wanted: BTreeSet::new(),
            shown: BTreeMap::new(),
            shown_slots: BTreeSet::new(),
            written: BTreeSet::new(),
            under_way: BTreeMap::new(),
            vanishing: BTreeSet::new(),
            unclear: BTreeSet::new(),
            batches: 0,
            handed: (None, 0),
            concurrency,
            frozen: None,
            loss: Loss::new(brake.clone()),
            confirmed: None,
            stood_since: None,
            brake,
        }
    }

    /// A new process starts: it was told nothing.
    pub(crate) fn restart(&mut self) {
        let violations = std::mem::take(&mut self.violations);
        *self = Self {
            violations,
            ..Self::new(self.brake.clone(), self.concurrency)
        };
    }

    /// The source said this.
    pub(crate) fn source_said(&mut self, event: &Event<Key, Arc<Service>>, layout: &MemoryLayout) {
        match event {
            Event::RelistStarted => {
                self.is_listing = true;
                self.source.lose();
                self.listed.clear();
            }
            Event::Upserted(key, service) => {
                self.listed.insert(key.clone());
                self.rejected.remove(key);
                let slot = layout.place(service).unwrap();
                let now = (slot.clone(), Arc::clone(service));
                let before = self.told.insert(key.clone(), now);
                if let Some((left, _)) = before.filter(|(before, _)| *before != slot) {
                    self.wants(left, layout);
                }
                self.wants(slot, layout);
            }
            Event::Removed(key) => {
                self.rejected.remove(key);
                if let Some((slot, _)) = self.told.remove(key) {
                    self.wants(slot, layout);
                }
            }
            Event::Rejected(key, _) => {
                self.listed.insert(key.clone());
                if !self.told.contains_key(key) {
                    self.rejected.entry(key.clone()).or_insert(Instant::now());
                }
            }
            Event::RelistDone => {
                if std::mem::take(&mut self.is_listing) {
                    let told = std::mem::take(&mut self.told);
                    let mut left = BTreeSet::new();
                    for (key, (slot, service)) in told {
                        if self.listed.contains(&key) {
                            self.told.insert(key, (slot, service));
                        } else {
                            left.insert(slot);
                        }
                    }
                    self.rejected.retain(|key, _| self.listed.contains(key));
                    for slot in left {
                        self.wants(slot, layout);
                    }
                    self.source.gain();
                }
            }
        }
    }

    /// The claims on a slot changed.
    fn wants(&mut self, slot: Slot, layout: &MemoryLayout) {
        let now = Instant::now();
        if self.moment.replace(now) != Some(now) {
            self.recent.clear();
        }
        let claims = self.told.values().filter(|(claimed, _)| *claimed == slot);
        let claims = claims.map(|(_, service)| Arc::clone(service)).collect();
        let records = lay_out(layout, &slot, claims);
        let places = records.keys().map(|id| (slot.clone(), id.clone()));
        self.wanted.extend(places);
        let before = if records.is_empty() {
            self.desired.remove(&slot)
        } else {
            self.desired.insert(slot.clone(), records)
        };
        self.recent.push((slot, before.unwrap_or_default()));
    }

    /// What the slot may be wanted to hold: now, and earlier in this moment.
    pub(crate) fn views<'a>(&'a self, slot: &'a Slot) -> impl Iterator<Item = Option<&'a Wanted>> {
        let is_fresh = self.moment == Some(Instant::now());
        let recent = self.recent.iter().filter(move |_| is_fresh);
        let recent = recent.filter(move |(other, _)| other == slot);
        let recent = recent.map(|(_, wanted)| Some(wanted));
        recent.chain(std::iter::once(self.desired.get(slot)))
    }

    /// The sink said this.
    pub(crate) fn sink_said(&mut self, event: &Event<Slot, Held<MemoryRecord>>, catalog: &Catalog) {
        match event {
            Event::RelistStarted => {
                self.sink.lose();
                self.shown_slots.clear();
                self.written.clear();
            }
            Event::Upserted(slot, held) => {
                self.shown_slots.insert(slot.clone());
                self.show(slot, held);
            }
            Event::Removed(slot) => self.show(slot, &Held::empty()),
            Event::Rejected(slot, _) => {
                self.shown_slots.insert(slot.clone());
            }
            Event::RelistDone => {
                let mut unseen: Vec<Slot> = self.shown.keys().cloned().collect();
                unseen.retain(|slot| !self.shown_slots.contains(slot));
                for slot in unseen {
                    self.show(&slot, &Held::empty());
                }
                self.sink.gain();
                let (owned, _) = self.owned_and_matched(catalog);
                self.loss.starts(owned);
            }
        }
    }

    /// What is shown of a slot with operations under way, or written since the listing began, is not to be believed.
    fn show(&mut self, slot: &Slot, held: &Held<MemoryRecord>) {
        if !self.under_way.contains_key(slot) && !self.written.contains(slot) {
            self.know(slot, held);
        }
    }

    fn know(&mut self, slot: &Slot, held: &Held<MemoryRecord>) {
        let records = held.records.iter();
        let shown = records.map(|held| {
            let what = (held.standing, held.record.is_live());
            (held.record.id(), what)
        });
        self.shown.insert(slot.clone(), shown.collect());
    }

    /// A slot was read.
    pub(crate) fn read(&mut self, slot: &Slot, held: &Held<MemoryRecord>) {
        self.unclear.remove(slot);
        self.vanishing.retain(|(other, _)| other != slot);
        self.know(slot, held);
        if !self.sink.is_complete() {
            self.written.insert(slot.clone());
        }
    }

    /// A batch is handed out. In one moment of the paused clock there is an end to what can be new: a process that hands out
    /// more tries again what was refused, or mends what is damaged, as fast as it can.
    pub(crate) fn hands_out(&mut self) {
        self.batches += 1;
        let now = Some(Instant::now());
        let (moment, count) = self.handed;
        self.handed = (now, if moment == now { count + 1 } else { 1 });
        if self.handed.1 > MOST_IN_A_MOMENT {
            let message = format!("{} batches in one moment", self.handed.1);
            self.broke("rule 7: tried again without a pause", message);
        }
    }

    /// A batch was answered, or its call failed.
    pub(crate) fn answered(
        &mut self,
        ops: &[Op<MemoryRecord>],
        outcomes: Option<&Vec<Outcome<u64>>>,
    ) {
        self.batches -= 1;
        for (at, op) in ops.iter().enumerate() {
            let place = (op.slot.clone(), op.id());
            let outcome = outcomes.and_then(|outcomes| outcomes.get(at));
            match outcome {
                Some(Outcome::Written(_)) => {
                    let what = (Standing::Ours, op.record().is_live());
                    let shown = self.shown.entry(place.0.clone()).or_default();
                    shown.insert(place.1.clone(), what);
                }
                Some(Outcome::Deleted) => {
                    self.vanishing.remove(&place);
                    if let Some(shown) = self.shown.get_mut(&place.0) {
                        shown.remove(&place.1);
                    }
                }
                Some(Outcome::Stale) => {
                    self.unclear.insert(op.slot.clone());
                    self.vanishing.remove(&place);
                }
                Some(Outcome::Refused(_) | Outcome::Skipped) => {
                    self.vanishing.remove(&place);
                }
                Some(Outcome::Unknown) | None => {
                    self.unclear.insert(op.slot.clone());
                }
            }
            if let Some(count) = self.under_way.get_mut(&op.slot) {
                *count -= 1;
                if *count == 0 {
                    self.under_way.remove(&op.slot);
                }
            }
            if !self.sink.is_complete() {
                self.written.insert(op.slot.clone());
            }
        }
    }

    /// Records of ours that are there and were shown, and those of them that are wanted.
    fn owned_and_matched(&self, catalog: &Catalog) -> (usize, usize) {
        let (mut owned, mut matched) = (0, 0);
        for (slot, held) in catalog.all() {
            let id = held.record.id();
            let shown = self.shown.get(slot).and_then(|shown| shown.get(&id));
            if held.standing == Standing::Ours
                && shown.is_some_and(|(standing, _)| *standing == Standing::Ours)
            {
                owned += 1;
                let desired = self.desired.get(slot);
                // Nor does it look at a slot that is being written or must be read.
                let is_unknown = self.under_way.contains_key(slot) || self.unclear.contains(slot);
                let desired = desired.filter(|_| !is_unknown);
                matched += usize::from(desired.is_some_and(|desired| desired.contains_key(&id)));
            }
        }
        (owned, matched)
    }

    /// Records that remain ours when everything that was handed out is carried out, as far as the process can know.
    pub(crate) fn remaining(&self, catalog: &Catalog) -> usize {
        let ours = catalog.all();
        let ours = ours.filter(|(_, held)| held.standing == Standing::Ours);
        let mut there: BTreeSet<(&Slot, RecordId)> =
            ours.map(|(slot, held)| (slot, held.record.id())).collect();
        for (slot, shown) in &self.shown {
            let ours = shown.iter();
            let ours = ours.filter(|(_, (standing, _))| *standing == Standing::Ours);
            there.extend(ours.map(|(id, _)| (slot, id.clone())));
        }
        there
            .iter()
            .filter(|(slot, id)| {
                let place = ((*slot).clone(), (*id).clone());
                !self.vanishing.contains(&place)
            })
            .count()
    }

    /// Nothing has changed until now since this was last called.
    pub(crate) fn loss_stands(&mut self, catalog: &Catalog, now: Instant) {
        let since = self.stood_since.replace(now).unwrap_or(now);
        let (owned, matched) = self.owned_and_matched(catalog);
        self.loss.stood(now, owned);
        let is_frozen = self.frozen.is_some_and(|until| since < until);
        if self.batches < self.concurrency && !is_frozen {
            self.loss.wanted(now, since, matched);
        } else {
            // A driver whose batches are all under way does not look at what is wanted.
            self.loss.forget_wanted();
        }
    }

    /// A person confirms as many of the deletes that are held back as they saw.
    pub(crate) fn confirmed(&mut self, catalog: &Catalog, seen: usize) {
        self.confirmed = Some((Instant::now(), seen));
        self.hears_confirmation(catalog);
    }

    /// The process hears of a confirmation, before or after what it is told in the same moment.
    pub(crate) fn hears_confirmation(&mut self, catalog: &Catalog) {
        let Some((at, seen)) = self.confirmed else {
            return;
        };
        if at < Instant::now() {
            self.confirmed = None;
        }
        let (owned, matched) = self.owned_and_matched(catalog);
        let left = owned.saturating_sub(self.vanishing.len() + seen);
        self.loss.confirmed(left.max(matched));
    }

    /// The fewest that must remain.
    pub(crate) fn least(&mut self, catalog: &Catalog) -> usize {
        self.hears_confirmation(catalog);
        self.loss.least()
    }

    pub(crate) fn broke(&mut self, rule: &str, what: impl std::fmt::Display) {
        if self.violations.len() < 5 {
            self.violations.push(format!("{rule}: {what}"));
        }
    }
}
