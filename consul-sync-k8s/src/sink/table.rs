//! What the watches have shown, slot by slot.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use consul_sync_core::{Held, HeldRecord, Key, Record, RecordId, Slot};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    journal::{Entry, Last},
    manifest::Manifest,
    place::parts,
};
use crate::{
    mark,
    slim::{EndpointSlice, Service},
    watch::number,
};

/// Every Service, and every slice that carries our mark.
#[derive(Debug)]
pub(crate) struct Table {
    /// The value of the label that names the owner.
    owner: Arc<str>,
    slots: HashMap<Slot, Vec<HeldRecord<Manifest>>>,
    /// The slot that each slice stands in.
    slices: HashMap<Key, Slot>,
    services: KindState,
    endpoint_slices: KindState,
}

/// What is known of one kind as a whole.
#[derive(Debug, Default)]
struct KindState {
    /// Objects that the listing under way has not shown yet.
    unlisted: HashSet<Key>,
    /// The highest version shown in each namespace since the last listing began.
    highest: HashMap<Arc<str>, u64>,
}

/// The slot of a Service.
pub(crate) fn slot(namespace: &str, name: &str) -> Option<Slot> {
    Slot::new(mark::object(namespace, name)).ok()
}

impl Table {
    pub(crate) fn new(owner: Arc<str>) -> Self {
        Self {
            owner,
            slots: HashMap::new(),
            slices: HashMap::new(),
            services: KindState::default(),
            endpoint_slices: KindState::default(),
        }
    }

    /// What a slot holds.
    pub(crate) fn held(&self, slot: &Slot) -> Held<Manifest> {
        Held {
            records: self.slots.get(slot).cloned().unwrap_or_default(),
        }
    }

    /// Every slot that holds something, in order.
    pub(crate) fn slots(&self) -> BTreeSet<Slot> {
        self.slots.keys().cloned().collect()
    }

    /// A listing of a kind begins: what it does not show is gone when it ends.
    pub(crate) fn begin(&mut self, slices: bool) {
        let unlisted = if slices {
            self.slices.keys().cloned().collect()
        } else {
            let services = self
                .slots
                .iter()
                .filter(|(_, held)| held.first().is_some_and(|first| !first.record.is_slice()));
            services
                .map(|(slot, _)| {
                    let (namespace, name) = parts(slot);
                    Key::new(namespace, name)
                })
                .collect()
        };
        *self.kind(slices) = KindState {
            unlisted,
            highest: HashMap::new(),
        };
    }

    /// The listing is complete.
    pub(crate) fn end(&mut self, slices: bool) {
        for key in std::mem::take(&mut self.kind(slices).unlisted) {
            if slices {
                self.remove_slice(&key);
            } else if let Some(slot) = slot(key.namespace(), key.name()) {
                self.remove(&slot, &super::manifest::service_id());
            }
        }
    }

    /// A Service is this. Answers its slot.
    pub(crate) fn upsert_service(&mut self, object: &Service) -> Option<Slot> {
        self.saw(false, &object.metadata);
        let key = object.key();
        let slot = slot(key.namespace(), key.name())?;
        let held = Manifest::of_service(object, &self.owner);
        self.put(&slot, held);
        Some(slot)
    }

    /// A Service is gone. Answers its slot.
    pub(crate) fn delete_service(&mut self, object: &Service) -> Option<Slot> {
        self.saw(false, &object.metadata);
        let key = object.key();
        let slot = slot(key.namespace(), key.name())?;
        self.remove(&slot, &super::manifest::service_id());
        Some(slot)
    }

    /// A slice is this. Answers the slots that it left and that it stands in.
    pub(crate) fn upsert_slice(&mut self, object: &EndpointSlice) -> Vec<Slot> {
        self.saw(true, &object.metadata);
        let key = object.key();
        let mut touched = Vec::new();
        let home = object.service().and_then(|name| {
            let service: Arc<str> = name.into();
            let held = Manifest::of_slice(object, &service, &self.owner)?;
            Some((slot(key.namespace(), name)?, held))
        });
        let stays = home.as_ref().map(|(slot, _)| slot);
        if self.slices.get(&key) != stays {
            touched.extend(self.remove_slice(&key));
        }
        if let Some((slot, held)) = home {
            self.put(&slot, held);
            self.slices.insert(key, slot.clone());
            touched.push(slot);
        }
        touched
    }

    /// A slice is gone. Answers the slot that it stood in.
    pub(crate) fn delete_slice(&mut self, object: &EndpointSlice) -> Option<Slot> {
        self.saw(true, &object.metadata);
        self.remove_slice(&object.key())
    }

    /// Whether a write has been shown.
    pub(crate) fn has_shown(&self, slot: &Slot, entry: &Entry) -> bool {
        let (Last::Written(version) | Last::Deleted(version)) = &entry.last;
        let Some(number) = number(&version.resource_version) else {
            // Without an order there is nothing to wait for.
            return true;
        };
        let kind = if entry.is_slice {
            &self.endpoint_slices
        } else {
            &self.services
        };
        let (namespace, _) = parts(slot);
        let has_come = kind
            .highest
            .get(namespace)
            .is_some_and(|highest| *highest >= number);
        let is_gone = || {
            self.get(slot, &entry.id).is_none_or(|held| {
                let now = &held.version;
                now.uid != version.uid || later(&now.resource_version, number)
            })
        };
        has_come && (matches!(entry.last, Last::Written(_)) || is_gone())
    }

    fn get(&self, slot: &Slot, id: &RecordId) -> Option<&HeldRecord<Manifest>> {
        let held = self.slots.get(slot)?;
        held.get(find(held, id).ok()?)
    }

    fn kind(&mut self, slices: bool) -> &mut KindState {
        if slices {
            &mut self.endpoint_slices
        } else {
            &mut self.services
        }
    }

    fn saw(&mut self, slices: bool, metadata: &ObjectMeta) {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let kind = self.kind(slices);
        if !kind.unlisted.is_empty() {
            let name = metadata.name.as_deref().unwrap_or_default();
            kind.unlisted.remove(&Key::new(namespace, name));
        }
        let version = metadata.resource_version.as_deref().unwrap_or_default();
        let Some(version) = number(version) else {
            return;
        };
        match kind.highest.get_mut(namespace) {
            Some(highest) => *highest = version.max(*highest),
            None => drop(kind.highest.insert(namespace.into(), version)),
        }
    }

    fn put(&mut self, slot: &Slot, held: HeldRecord<Manifest>) {
        let records = self.slots.entry(slot.clone()).or_default();
        match find(records, &held.record.id()) {
            Ok(at) => records[at] = held,
            Err(at) => records.insert(at, held),
        }
    }

    fn remove(&mut self, slot: &Slot, id: &RecordId) {
        let Some(records) = self.slots.get_mut(slot) else {
            return;
        };
        if let Ok(at) = find(records, id) {
            records.remove(at);
        }
        if records.is_empty() {
            self.slots.remove(slot);
        }
    }

    fn remove_slice(&mut self, key: &Key) -> Option<Slot> {
        let slot = self.slices.remove(key)?;
        if let Some(id) = super::manifest::slice_id(key.name()) {
            self.remove(&slot, &id);
        }
        Some(slot)
    }
}

/// Whether a version comes after another one.
fn later(version: &str, than: u64) -> bool {
    number(version).is_none_or(|number| number > than)
}

fn find(records: &[HeldRecord<Manifest>], id: &RecordId) -> Result<usize, usize> {
    records.binary_search_by(|held| held.record.id().cmp(id))
}
