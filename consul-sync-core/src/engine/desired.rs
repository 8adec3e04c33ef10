//! The desired table: services by key, and which of them claim which slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use super::{
    listing::Listing,
    stored::{Kinds, Stored},
};
use crate::{Key, Reason, Rejection, Service, Slot};

/// Services as the source wants them, with the last good value of those it rejects.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    pub(crate) listing: Listing,
    services: BTreeMap<Key, Entry>,
    /// What instances of many services have in common.
    kinds: Kinds,
    /// The keys that claim each slot, sorted: mostly one, for which a list takes a tenth of what a tree takes.
    claims: BTreeMap<Slot, Vec<Key>>,
    rejected: BTreeMap<Key, Rejected>,
    /// How many of these there are of each reason.
    reasons: BTreeMap<Reason, usize>,
    /// Namespaces of keys that are rejected and have no last good value, counted.
    unknown: BTreeMap<Arc<str>, usize>,
    /// Whether `unknown` lost a namespace since somebody asked.
    is_relieved: bool,
}

#[derive(Debug)]
struct Entry {
    /// Boxed, because a tree leaves much of its room empty.
    service: Box<Stored>,
    slot: Slot,
    seen: u32,
}

#[derive(Debug)]
struct Rejected {
    rejection: Rejection,
    seen: u32,
    /// Whether `unknown` counts it.
    is_unknown: bool,
}

/// Slots whose claims changed by one event: none, one, or two when a service moves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// A slot that lost a claim.
    pub(crate) left: Option<Slot>,
    /// A slot that gained a claim, or whose claim has another value.
    pub(crate) joined: Option<Slot>,
}

impl Desired {
    /// The key now has this value. Nothing is touched when it is the one it had.
    pub(crate) fn upsert(&mut self, slot: Slot, service: &Service) -> Touched {
        let seen = self.listing.generation();
        let key = service.key.clone();
        let service = Stored::new(service, &mut self.kinds);
        self.forget_rejection(&key);
        match self.services.get_mut(&key) {
            Some(entry) if entry.slot == slot => {
                entry.seen = seen;
                if *entry.service == service {
                    return Touched::default();
                }
                *entry.service = service;
                Touched {
                    left: None,
                    joined: Some(slot),
                }
            }
            _ => {
                let left = self.remove_value(&key);
                let keys = self.claims.entry(slot.clone()).or_default();
                if let Err(at) = keys.binary_search(&key) {
                    if keys.is_empty() {
                        keys.reserve_exact(1);
                    }
                    keys.insert(at, key.clone());
                }
                let entry = Entry {
                    service: Box::new(service),
                    slot: slot.clone(),
                    seen,
                };
                self.services.insert(key, entry);
                Touched {
                    left,
                    joined: Some(slot),
                }
            }
        }
    }

    /// The key is gone. Returns the slot that lost its claim.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Slot> {
        self.forget_rejection(key);
        self.remove_value(key)
    }

    /// The key exists and cannot be used; its last good value stays. Returns whether that is news.
    pub(crate) fn reject(&mut self, key: Key, rejection: Rejection) -> bool {
        let is_unknown = !self.services.contains_key(&key);
        let known = self.rejected.get(&key);
        if is_unknown && !known.is_some_and(|known| known.is_unknown) {
            *self.unknown.entry(Arc::clone(key.namespace())).or_default() += 1;
        }
        self.note_rejection(key, rejection, is_unknown)
    }

    /// The key exists and must not be registered; nothing of it stays. Returns the slot that lost its claim, and
    /// whether the rejection is news.
    pub(crate) fn withdraw(&mut self, key: Key, rejection: Rejection) -> (Option<Slot>, bool) {
        if self.rejected.get(&key).is_some_and(|r| r.is_unknown) {
            self.forget_rejection(&key);
        }
        let left = self.remove_value(&key);
        (left, self.note_rejection(key, rejection, false))
    }

    fn note_rejection(&mut self, key: Key, rejection: Rejection, is_unknown: bool) -> bool {
        let seen = self.listing.generation();
        let known = self.rejected.get(&key);
        let is_news = known.is_none_or(|known| known.rejection != rejection);
        let rejected = Rejected {
            rejection,
            seen,
            is_unknown,
        };
        *self.reasons.entry(rejected.rejection.reason()).or_default() += 1;
        let before = self.rejected.insert(key, rejected);
        self.uncount(before.as_ref());
        is_news
    }

    /// The listing ended: what it did not show is gone. Returns the keys that went, with the slots that lost a claim.
    pub(crate) fn sweep(&mut self) -> Vec<(Key, Option<Slot>)> {
        let generation = self.listing.generation();
        // A listing comes in the order of keys, which leaves every node of a tree half empty.
        self.services = mem::take(&mut self.services).into_iter().collect();
        self.claims = mem::take(&mut self.claims).into_iter().collect();
        let gone: BTreeSet<Key> = self
            .services
            .iter()
            .filter(|(_, entry)| entry.seen != generation)
            .map(|(key, _)| key.clone())
            .chain(
                self.rejected
                    .iter()
                    .filter(|(_, rejected)| rejected.seen != generation)
                    .map(|(key, _)| key.clone()),
            )
            .collect();
        let mut swept = Vec::new();
        for key in gone {
            let is_seen = self
                .services
                .get(&key)
                .is_some_and(|e| e.seen == generation)
                || self
                    .rejected
                    .get(&key)
                    .is_some_and(|r| r.seen == generation);
            if !is_seen {
                let slot = self.remove(&key);
                swept.push((key, slot));
            }
        }
        swept
    }

    /// The services that claim a slot, in the order of their precedence, made of what is stored. Cost: O(their
    /// instances).
    pub(crate) fn claims(&self, slot: &Slot) -> Vec<Arc<Service>> {
        let keys = self.claims.get(slot).into_iter().flatten();
        let stored = |key| Some(self.services.get(key)?.service.service(key));
        let mut services: Vec<_> = keys.filter_map(stored).map(Arc::new).collect();
        services.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
        services
    }

    /// The namespaces of a slot's claims, each once.
    pub(crate) fn namespaces(&self, slot: &Slot) -> Vec<Arc<str>> {
        let keys = self.claims.get(slot).into_iter().flatten();
        let mut namespaces: Vec<Arc<str>> = keys.map(|key| Arc::clone(key.namespace())).collect();
        // Keys are in the order of their namespaces.
        namespaces.dedup();
        namespaces
    }

    /// Every claimed slot, in order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.claims.keys()
    }

    /// How many services there are.
    pub(crate) fn len(&self) -> usize {
        self.services.len()
    }

    /// The rejected keys.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = (&Key, &Rejection)> {
        self.rejected.iter().map(|(key, r)| (key, &r.rejection))
    }

    /// How many keys are rejected, by reason.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (Reason, usize)> {
        let reasons = self.reasons.iter().map(|(reason, count)| (*reason, *count));
        reasons.filter(|(_, count)| *count > 0)
    }

    /// Whether the key is rejected.
    pub(crate) fn is_rejected(&self, key: &Key) -> bool {
        self.rejected.contains_key(key)
    }

    /// Whether a record that this engine never saw wanted may belong to a key that is rejected and whose last good value is not
    /// known, because it was rejected before this process first saw it good. Such a record keeps standing (K14).
    pub(crate) fn may_be_of_rejected(&self, origin: Option<&str>) -> bool {
        match origin {
            Some(namespace) => self.unknown.contains_key(namespace),
            None => !self.unknown.is_empty(),
        }
    }

    /// Whether [`Desired::may_be_of_rejected`] may say no where it said yes, since this was last asked.
    pub(crate) fn take_is_relieved(&mut self) -> bool {
        std::mem::take(&mut self.is_relieved)
    }

    fn remove_value(&mut self, key: &Key) -> Option<Slot> {
        let entry = self.services.remove(key)?;
        if let Some(keys) = self.claims.get_mut(&entry.slot) {
            if let Ok(at) = keys.binary_search(key) {
                keys.remove(at);
            }
            if keys.is_empty() {
                self.claims.remove(&entry.slot);
            }
        }
        Some(entry.slot)
    }

    fn uncount(&mut self, rejected: Option<&Rejected>) {
        let reason = rejected.map(|rejected| rejected.rejection.reason());
        if let Some(count) = reason.and_then(|reason| self.reasons.get_mut(&reason)) {
            *count = count.saturating_sub(1);
        }
    }

    fn forget_rejection(&mut self, key: &Key) {
        let rejected = self.rejected.remove(key);
        self.uncount(rejected.as_ref());
        if rejected.is_some_and(|rejected| rejected.is_unknown)
            && let Some(count) = self.unknown.get_mut(key.namespace())
        {
            *count -= 1;
            if *count == 0 {
                self.unknown.remove(key.namespace());
                self.is_relieved = true;
            }
        }
    }
}
