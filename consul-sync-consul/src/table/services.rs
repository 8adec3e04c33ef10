//! A read of the instances of a node: `/v1/catalog/node-services/NODE`.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use consul_sync_core::{Record, Slot};

use super::{Entry, Table, loose_key, slot_key};
use crate::{
    Error,
    answer::Answer,
    registration::{Registration, Version},
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

        // The first look takes only IDs and versions, and finds what is new.
        let mut dirty: HashSet<(Box<str>, Box<str>)> = HashSet::new();
        let slots = &mut self.slots;
        let node = answer.parse(|reader| {
            NodeListing::read(reader, |stamp: ServiceStamp| {
                let key = slot_key(has_namespaces, &stamp.namespace, &stamp.name);
                let known = slots.get_mut(key.as_str()).and_then(|entries| {
                    let at = Self::find(entries, &stamp.id).ok()?;
                    entries.get_mut(at)
                });
                match known {
                    Some(entry) if entry.version.service == stamp.modify_index => entry.seen = read,
                    _ => {
                        dirty.insert((key.into(), stamp.id.into()));
                    }
                }
            })
        })?;

        // The second look builds it.
        let mut fresh: Vec<Service> = Vec::with_capacity(dirty.len());
        if !dirty.is_empty() {
            answer.parse(|reader| {
                NodeListing::read(reader, |service: Service| {
                    let key = slot_key(has_namespaces, &service.namespace, &service.name);
                    let pair = (key.into_boxed_str(), service.id.as_str().into());
                    if dirty.contains(&pair) {
                        fresh.push(service);
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
        for service in fresh {
            touched.extend(self.take_service(&service, read, &gone));
        }
        self.interner.sweep();
        self.services_index = index;
        Ok((node, touched))
    }

    fn take_service(&mut self, service: &Service, read: u32, gone: &[Entry]) -> Option<Slot> {
        let record = Registration::from_wire(service, self.has_namespaces, &mut self.interner)?;
        let slot = record.slot()?;
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
        } else {
            let key = loose_key(&service.namespace, &service.id);
            let checks = self.loose.remove(&key).unwrap_or_default();
            let (record, check) = record.with_checks(&checks, &mut self.interner);
            (record, check, (0, 0))
        };
        let entry = Entry {
            record: Arc::new(record),
            version: Version {
                service: service.modify_index,
                check,
            },
            seen: read,
            checks_seen,
        };
        self.keep(slot.clone(), entry);
        Some(slot)
    }
}
