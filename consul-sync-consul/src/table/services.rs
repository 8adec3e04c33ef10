//! A read of the instances of a node: `/v1/catalog/node-services/NODE`.

use std::collections::{BTreeSet, HashSet};

use consul_sync_core::{Record, Slot};

use super::{Entry, Table, loose_key, slot_key};
use crate::{
    Error,
    answer::Answer,
    registration::{Interner, Registration, Version},
    wire::{Node, NodeListing, Service, ServiceStamp},
};

impl Table {
    /// Takes a read in, and returns the node and the slots that it changed. On an error nothing changed.
    pub(crate) fn read_services(
        &mut self,
        answer: &Answer,
        index: u64,
    ) -> Result<(Option<Node>, BTreeSet<Slot>), Error> {
        self.reads = self.reads.wrapping_add(1);
        let read = self.reads;
        let has_namespaces = self.has_namespaces;

        // The first look takes only IDs and versions, and finds what is new. A listing is all new.
        let is_listing = self.slots.is_empty();
        let mut dirty: HashSet<(Box<str>, Box<str>)> = HashSet::new();
        let mut node = None;
        if !is_listing {
            let slots = &mut self.slots;
            node = answer.parse(|reader| {
                NodeListing::read(reader, |stamp: ServiceStamp| {
                    let key = slot_key(has_namespaces, &stamp.namespace, &stamp.name);
                    let known = slots.get_mut(key.as_str()).and_then(|entries| {
                        let at = Self::find(entries, &stamp.id).ok()?;
                        entries.get_mut(at)
                    });
                    match known {
                        Some(entry) if entry.version.service == stamp.modify_index => {
                            entry.seen = read;
                        }
                        _ => {
                            dirty.insert((key.into(), stamp.id.into()));
                        }
                    }
                })
            })?;
        }

        // The second look builds it.
        let mut fresh: Vec<Fresh> = Vec::with_capacity(dirty.len());
        if is_listing || !dirty.is_empty() {
            let interner = &mut self.interner;
            node = answer.parse(|reader| {
                NodeListing::read(reader, |service: Service| {
                    let key = slot_key(has_namespaces, &service.namespace, &service.name);
                    let pair = (key.into_boxed_str(), service.id.as_str().into());
                    if is_listing || dirty.contains(&pair) {
                        fresh.extend(Fresh::new(service, has_namespaces, interner));
                    }
                })
            })?;
        }

        let mut touched = BTreeSet::new();
        let mut gone: Vec<Entry> = Vec::new();
        self.slots.retain(|slot, entries| {
            let is_kept = |entry: &Entry| {
                entry.seen == read
                    || dirty.contains(&(slot.as_str().into(), entry.record.id().as_str().into()))
            };
            if !entries.iter().all(is_kept) {
                let (kept, lost) = entries.drain(..).partition(is_kept);
                *entries = kept;
                gone.extend::<Vec<Entry>>(lost);
                touched.insert(slot.clone());
            }
            !entries.is_empty()
        });
        for fresh in fresh {
            touched.insert(self.take_service(fresh, read, &gone));
        }
        self.interner.sweep();
        self.services_index = index;
        Ok((node, touched))
    }

    fn take_service(&mut self, fresh: Fresh, read: u32, gone: &[Entry]) -> Slot {
        let Fresh {
            slot,
            record,
            version,
            namespace,
        } = fresh;
        let id = record.id().as_str();
        let known = self
            .slots
            .get(&slot)
            .and_then(|entries| entries.get(Self::find(entries, id).ok()?))
            // An instance that got another name stands in another slot now and has its checks still.
            .or_else(|| gone.iter().find(|entry| entry.record.id().as_str() == id));
        let (record, check, checks_seen) = if let Some(known) = known {
            let (check, seen) = (known.version.check, known.checks_seen);
            (record.with_checks_of(&known.record), check, seen)
        } else if self.loose.is_empty() {
            (record, None, (0, 0))
        } else {
            let key = loose_key(&namespace, id);
            let checks = self.loose.remove(&key).unwrap_or_default();
            let (record, check) = record.with_checks(&checks);
            (record, check, (0, 0))
        };
        let entry = Entry {
            record: self.known.share(record),
            version: Version {
                service: version,
                check,
            },
            seen: read,
            checks_seen,
        };
        self.keep(slot.clone(), entry);
        slot
    }
}

/// An instance that is new or changed.
struct Fresh {
    slot: Slot,
    record: Registration,
    version: u64,
    namespace: Box<str>,
}

impl Fresh {
    fn new(service: Service, has_namespaces: bool, interner: &mut Interner) -> Option<Self> {
        let record = Registration::from_wire(&service, has_namespaces, interner)?;
        Some(Self {
            slot: record.slot()?,
            record,
            version: service.modify_index,
            namespace: service.namespace.into(),
        })
    }
}
