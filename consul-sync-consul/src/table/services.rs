//! A read of the instances of a node: `/v1/catalog/node-services/NODE`.

use std::{collections::BTreeSet, mem};

use consul_sync_core::{Record, Slot};

use super::{Entry, Table, entry::Mark, loose_key, slot_key};
use crate::{
    Error,
    answer::Answer,
    registration::{Interner, Known, Registration, Version},
    wire::{Node, NodeListing, Service, ServiceStamp},
};

impl Table {
    /// Takes a read in, and returns the node and the slots that it changed. Those that were changed before an instance
    /// which cannot be read are returned with the next read.
    pub(crate) fn read_services(
        &mut self,
        answer: &Answer,
        index: u64,
    ) -> Result<(Option<Node>, BTreeSet<Slot>), Error> {
        self.begin();
        let has_namespaces = self.has_namespaces;

        // The first look takes only IDs and versions, and finds what is new. A listing is all new.
        let is_listing = self.slots.is_empty();
        let mut is_new: Vec<bool> = Vec::new();
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
                    is_new.push(known.is_none_or(|entry| {
                        entry.mark.is_seen = true;
                        entry.version.service() != stamp.modify_index
                    }));
                })
            })?;
        }

        let Interrupted {
            mut touched,
            mut gone,
        } = mem::take(&mut self.interrupted);
        self.slots.retain(|slot, entries| {
            let is_kept = |entry: &Entry| entry.mark.is_seen;
            if !entries.iter().all(is_kept) {
                let (kept, lost) = entries.drain(..).partition(is_kept);
                *entries = kept;
                gone.extend::<Vec<Entry>>(lost);
                touched.insert(slot.clone());
            }
            !entries.is_empty()
        });

        // The second look builds it, one after the other: all that is new at once would be as much again.
        if is_listing || is_new.contains(&true) {
            let mut places = is_new.into_iter();
            let mut last: Option<Slot> = None;
            let looked = answer.parse(|reader| {
                NodeListing::read(reader, |service: Service| {
                    if !places.next().unwrap_or(is_listing) {
                        return;
                    }
                    let (interner, known) = (&mut self.interner, &self.known);
                    let fresh = Fresh::new(service, has_namespaces, interner, known, last.as_ref());
                    if let Some(fresh) = fresh {
                        let slot = self.take_service(fresh, &gone);
                        touched.insert(slot.clone());
                        last = Some(slot);
                    }
                })
            });
            match looked {
                Ok(seen) => node = seen,
                Err(error) => {
                    self.interrupted = Interrupted { touched, gone };
                    return Err(error);
                }
            }
        }
        // Lists that grew by one instance after the other have twice the room that they need.
        for slot in &touched {
            if let Some(entries) = self.slots.get_mut(slot) {
                entries.shrink_to_fit();
            }
        }
        self.interner.sweep();
        self.services_index = index;
        Ok((node, touched))
    }

    fn take_service(&mut self, fresh: Fresh, gone: &[Entry]) -> Slot {
        let Fresh {
            slot,
            record,
            version,
            namespace,
        } = fresh;
        let id = record.id();
        let id = &*id.text();
        let known = self
            .slots
            .get(&slot)
            .and_then(|entries| entries.get(Self::find(entries, id).ok()?))
            // An instance that got another name stands in another slot now and has its checks still.
            .or_else(|| gone.iter().find(|entry| entry.id().cmp_text(id).is_eq()));
        let (record, check) = if let Some(known) = known {
            let check = known.version.check();
            (record.with_checks_of(&known.record), check)
        } else if self.loose.is_empty() {
            (record, None)
        } else {
            let key = loose_key(&namespace, id);
            let checks = self.loose.remove(&key).unwrap_or_default();
            record.with_checks(checks.iter())
        };
        let entry = Entry {
            // A new one may have a check that the other read shows.
            record: self.known.find(record),
            version: Version::new(version, check),
            mark: Mark::default(),
        };
        self.keep(slot.clone(), entry);
        slot
    }
}

/// What a read had done when it came to an instance that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Interrupted {
    /// The slots that it changed.
    touched: BTreeSet<Slot>,
    /// The instances that it did not find under their names.
    gone: Vec<Entry>,
}

/// An instance that is new or changed.
struct Fresh {
    slot: Slot,
    record: Registration,
    version: u64,
    namespace: Box<str>,
}

impl Fresh {
    /// `last` is the slot of the one before, which mostly is that of this one, too.
    fn new(
        service: Service,
        has_namespaces: bool,
        interner: &mut Interner,
        known: &Known,
        last: Option<&Slot>,
    ) -> Option<Self> {
        let mut record = Registration::from_wire(&service, has_namespaces, interner)?;
        known.liken(&mut record, interner);
        let slot = record.slot()?;
        let slot = last.filter(|last| **last == slot).cloned().unwrap_or(slot);
        Some(Self {
            slot,
            record,
            version: service.modify_index,
            namespace: service.namespace.into(),
        })
    }
}
