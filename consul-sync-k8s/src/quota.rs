//! How many services a namespace may have (fault N09).

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
};

use consul_sync_core::{Event, Key, Reason, Rejection, Service};

/// A filter of events that lets no more than some services of each namespace through.
///
/// The oldest services hold the places, by [`Service::precedence`], whatever the order in which they come. The others
/// are [`Rejected`](Event::Rejected) as [over the quota](Reason::OverQuota), and a place that gets free goes to the
/// oldest of them. A service that was never good takes no place. What a listing shows is held back until the listing
/// ends, because who is oldest is not known before.
///
/// One event costs O(log n) in the services of its namespace, and causes at most one other service to lose its place
/// or to get one.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: NonZeroUsize,
    known: Table,
    namespaces: BTreeMap<Arc<str>, Namespace>,
    /// What an open listing has shown so far.
    listing: Option<Table>,
    /// Services that got or lost a place, or were put in or taken out; only grows.
    #[cfg(test)]
    moves: u64,
}

type Events = Vec<Event<Key, Arc<Service>>>;
type Table = BTreeMap<Key, Known>;
/// [`Service::precedence`], owned.
type Rank = (i64, Key);

/// What the source last said of a service.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Its last good value.
    service: Option<Arc<Service>>,
    /// Why it is no longer that.
    rejection: Option<Rejection>,
}

/// The good services of a namespace: none of those beyond the limit goes before one within it.
#[derive(Debug, Default)]
struct Namespace {
    within: BTreeSet<Rank>,
    beyond: BTreeSet<Rank>,
}

impl Quota {
    pub(crate) fn new(limit: NonZeroUsize) -> Self {
        Self {
            limit,
            known: Table::new(),
            namespaces: BTreeMap::new(),
            listing: None,
            #[cfg(test)]
            moves: 0,
        }
    }

    /// Takes an event of the source, and gives those that follow.
    pub(crate) fn take(&mut self, event: Event<Key, Arc<Service>>, out: &mut Events) {
        match event {
            Event::RelistStarted => {
                self.listing = Some(Table::new());
                out.push(Event::RelistStarted);
            }
            Event::RelistDone => {
                if let Some(listed) = self.listing.take() {
                    self.replace(listed, out);
                }
                out.push(Event::RelistDone);
            }
            Event::Upserted(key, service) => {
                let known = Known {
                    service: Some(service),
                    rejection: None,
                };
                self.set(key, Some(known), out);
            }
            Event::Removed(key) => self.set(key, None, out),
            Event::Rejected(key, rejection) => {
                let listed = self.listing.as_ref().and_then(|listed| listed.get(&key));
                let last = listed.or_else(|| self.known.get(&key));
                let service = last
                    .filter(|_| !rejection.reason().withdraws())
                    .and_then(|last| last.service.clone());
                let known = Known {
                    service,
                    rejection: Some(rejection),
                };
                self.set(key, Some(known), out);
            }
        }
    }

    fn set(&mut self, key: Key, known: Option<Known>, out: &mut Events) {
        if let Some(listed) = &mut self.listing {
            match known {
                Some(known) => drop(listed.insert(key, known)),
                None => drop(listed.remove(&key)),
            }
            return;
        }
        let before = self.known.get(&key).and_then(|known| known.rank(&key));
        let after = known.as_ref().and_then(|known| known.rank(&key));
        match known {
            Some(known) => drop(self.known.insert(key.clone(), known)),
            None => drop(self.known.remove(&key)),
        }
        let mut moved = BTreeSet::new();
        if before != after {
            self.rank(key.namespace(), before, after, &mut moved);
        }
        moved.remove(&key);
        self.say(&key, out);
        for key in moved {
            self.say(&key, out);
        }
    }

    /// The listing is all there is.
    fn replace(&mut self, listed: Table, out: &mut Events) {
        self.namespaces.clear();
        self.known = listed;
        let ranks = self.known.iter().filter_map(|(key, known)| known.rank(key));
        let ranks: Vec<Rank> = ranks.collect();
        for rank in ranks {
            let namespace = Arc::clone(rank.1.namespace());
            self.rank(&namespace, None, Some(rank), &mut BTreeSet::new());
        }
        for key in self.known.keys() {
            self.say(key, out);
        }
    }

    /// Takes one rank out and puts another in; notes whose place that changes.
    fn rank(
        &mut self,
        namespace: &Arc<str>,
        before: Option<Rank>,
        after: Option<Rank>,
        moved: &mut BTreeSet<Key>,
    ) {
        let places = self.namespaces.entry(Arc::clone(namespace)).or_default();
        if let Some(rank) = before {
            let _ = places.within.remove(&rank) || places.beyond.remove(&rank);
        }
        if let Some(rank) = after {
            let is_beyond = places.beyond.first().is_some_and(|first| *first < rank);
            let side = if is_beyond {
                &mut places.beyond
            } else {
                &mut places.within
            };
            side.insert(rank);
        }
        while places.within.len() > self.limit.get()
            && let Some(last) = places.within.pop_last()
        {
            moved.insert(last.1.clone());
            places.beyond.insert(last);
        }
        while places.within.len() < self.limit.get()
            && let Some(first) = places.beyond.pop_first()
        {
            moved.insert(first.1.clone());
            places.within.insert(first);
        }
        if places.within.is_empty() {
            self.namespaces.remove(namespace);
        }
        #[cfg(test)]
        {
            self.moves += 1 + moved.len() as u64;
        }
    }

    /// What holds for a service by now.
    fn say(&self, key: &Key, out: &mut Events) {
        let Some(known) = self.known.get(key) else {
            out.push(Event::Removed(key.clone()));
            return;
        };
        let places = self.namespaces.get(key.namespace());
        let is_beyond = known
            .rank(key)
            .zip(places)
            .is_some_and(|(rank, places)| places.beyond.contains(&rank));
        if is_beyond {
            let text = format!(
                "namespace {} has more services than the {} that one may have; the older ones hold the places",
                key.namespace(),
                self.limit
            );
            let rejection = Rejection::new(Reason::OverQuota, text);
            out.push(Event::Rejected(key.clone(), rejection));
            return;
        }
        if let Some(service) = &known.service {
            out.push(Event::Upserted(key.clone(), Arc::clone(service)));
        }
        if let Some(rejection) = &known.rejection {
            out.push(Event::Rejected(key.clone(), rejection.clone()));
        }
    }
}

impl Known {
    fn rank(&self, key: &Key) -> Option<Rank> {
        let service = self.service.as_ref()?;
        Some((service.created, key.clone()))
    }
}

#[cfg(test)]
mod tests;
