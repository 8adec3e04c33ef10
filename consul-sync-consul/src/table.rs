//! The last read of the catalog, slot by slot, and what a new read changes of it.
//!
//! Instances and checks are read by two queries, because a change of one does not move the index of the
//! other. Each read is compared with the last one by ID and `ModifyIndex` as it streams in, and only what
//! differs is built: a read without news allocates nothing that stays.
//!
//! Text and registrations are shared with whoever was given them, so the table itself costs some 40 bytes an
//! instance.

mod checks;
mod services;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use consul_sync_core::{Held, HeldRecord, Owner, Record, Slot, Standing};

use crate::{
    registration::{Interner, Registration, Version, slot_of},
    wire,
};

/// The catalog's view of one node.
#[derive(Debug)]
pub(crate) struct Table {
    slots: HashMap<Slot, Vec<Entry>>,
    /// Checks whose instance is not known yet, because the other query has not shown it.
    loose: HashMap<(Box<str>, Box<str>), Vec<wire::Check>>,
    /// Counts reads, so that what a read did not mention is found without a set of its own.
    reads: u32,
    has_namespaces: bool,
    interner: Interner,
    /// Index of the last read of the instances.
    pub(crate) services_index: u64,
    /// Index of the last read of the checks.
    pub(crate) checks_index: u64,
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Registration>,
    pub(crate) version: Version,
    /// The read of the instances that mentioned it last.
    seen: u32,
    /// The read of the checks that mentioned a check of it last, and how many it mentioned.
    checks_seen: (u32, u16),
}

// === impl Table ===

impl Table {
    pub(crate) fn new(has_namespaces: bool) -> Self {
        Self {
            slots: HashMap::new(),
            loose: HashMap::new(),
            reads: 0,
            has_namespaces,
            interner: Interner::default(),
            services_index: 0,
            checks_index: 0,
        }
    }

    /// The instances of a slot, by ID.
    pub(crate) fn slot(&self, slot: &Slot) -> &[Entry] {
        self.slots.get(slot).map_or(&[], Vec::as_slice)
    }

    /// Every slot that holds something, in order.
    pub(crate) fn slots(&self) -> BTreeSet<Slot> {
        self.slots.keys().cloned().collect()
    }

    /// What a slot holds, as the engine takes it.
    pub(crate) fn held(&self, slot: &Slot, owner: &Owner) -> Held<Registration> {
        Held {
            records: self
                .slot(slot)
                .iter()
                .map(|entry| HeldRecord {
                    record: Arc::clone(&entry.record),
                    version: entry.version,
                    standing: entry.record.standing(owner),
                })
                .collect(),
        }
    }

    /// Whose each instance is.
    pub(crate) fn standings(&self, owner: &Owner) -> impl Iterator<Item = Standing> {
        self.slots
            .values()
            .flatten()
            .map(|entry| entry.record.standing(owner))
    }

    /// Where an instance stands in its slot, or where it would.
    fn find(entries: &[Entry], id: &str) -> Result<usize, usize> {
        entries.binary_search_by(|entry| entry.record.id().as_str().cmp(id))
    }

    /// Keeps a new state of an instance in its slot.
    fn keep(&mut self, slot: Slot, entry: Entry) {
        let entries = self.slots.entry(slot).or_default();
        match Self::find(entries, entry.record.id().as_str()) {
            Ok(at) => entries[at] = entry,
            Err(at) => entries.insert(at, entry),
        }
    }
}

/// The text of the slot of a name in an answer.
fn slot_key(has_namespaces: bool, namespace: &str, name: &str) -> String {
    let namespace = if namespace.is_empty() {
        "default"
    } else {
        namespace
    };
    slot_of(has_namespaces.then_some(namespace), name)
}

/// The key of checks that wait for their instance.
fn loose_key(namespace: &str, id: &str) -> (Box<str>, Box<str>) {
    (namespace.into(), id.into())
}

/// Builds the record of an instance of one slot from answers that show it whole.
pub(crate) fn assemble(
    service: &wire::Service,
    checks: &[wire::Check],
    has_namespaces: bool,
    interner: &mut Interner,
) -> Option<(Arc<Registration>, Version)> {
    let record = Registration::from_wire(service, has_namespaces, interner)?;
    let (record, check) = record.with_checks(checks, interner);
    let version = Version {
        service: service.modify_index,
        check,
    };
    Some((Arc::new(record), version))
}
