//! One copy of each registration.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use consul_sync_core::{Record, RecordId};
use hashbrown::HashTable;

use super::{Interner, RegisteredCheck, Registration};

/// Below so many the dead ones are not worth looking for.
const FEW: usize = 1024;

/// The registrations that live anywhere in the process, wanted or read, so that one which is both exists once.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By the hash of their IDs. Of one ID there may be two, because the one that is wanted and the one that is read
    /// differ while a write is on its way. The registration has the ID, so an entry is no more than a pointer.
    table: HashTable<Weak<Registration>>,
    hasher: RandomState,
    /// The number at which the dead ones are dropped next.
    sweep_at: usize,
    /// The checks of those that are wanted: two for each namespace of the source.
    checks: HashSet<Arc<RegisteredCheck>>,
}

// === impl Known ===

impl Known {
    /// The living registration that equals this one, or this one.
    pub(crate) fn share(&self, registration: Registration) -> Arc<Registration> {
        let mut inner = self.lock();
        inner
            .find(&registration)
            .unwrap_or_else(|| inner.note(Arc::new(registration)))
    }

    /// The same for one that is shared already.
    pub(crate) fn adopt(&self, registration: Arc<Registration>) -> Arc<Registration> {
        let mut inner = self.lock();
        inner
            .find(&registration)
            .unwrap_or_else(|| inner.note(registration))
    }

    /// The living registration that equals this one, or this one without a note of it: it may be half of what was
    /// read, and a note of it would push one out that lasts.
    pub(crate) fn find(&self, registration: Registration) -> Arc<Registration> {
        let found = self.lock().find(&registration);
        found.unwrap_or_else(|| Arc::new(registration))
    }

    /// Lets a registration that was read take its common part and pairs from the living one of the same ID, where they
    /// are equal, and otherwise its common part from those that were read, so that it costs no more than itself while
    /// its check is not known.
    pub(crate) fn liken(&self, registration: &mut Registration, interner: &mut Interner) {
        let inner = self.lock();
        let id = registration.id();
        for known in inner.living(&id) {
            if registration.common.is_alike(&known.common) && registration.pairs().eq(known.pairs())
            {
                registration.common = Arc::clone(&known.common);
                registration.own.set_meta(known.own.meta().clone());
                return;
            }
        }
        registration.common = interner.common(Arc::clone(&registration.common));
    }

    /// The one copy of a check.
    pub(crate) fn check(&self, check: RegisteredCheck) -> Arc<RegisteredCheck> {
        let checks = &mut self.lock().checks;
        if let Some(known) = checks.get(&check) {
            return Arc::clone(known);
        }
        // The last few are enough: whoever is given another copy only takes more room.
        if checks.len() >= FEW {
            checks.clear();
        }
        let check = Arc::new(check);
        checks.insert(Arc::clone(&check));
        check
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn living<'a>(
        &self,
        id: &'a RecordId,
    ) -> impl Iterator<Item = Arc<Registration>> + use<'_, 'a> {
        let found = self.table.iter_hash(self.hasher.hash_one(id));
        found
            .filter_map(Weak::upgrade)
            .filter(move |known| known.id() == *id)
    }

    fn find(&self, registration: &Registration) -> Option<Arc<Registration>> {
        self.living(&registration.id())
            .find(|known| **known == *registration)
    }

    fn note(&mut self, registration: Arc<Registration>) -> Arc<Registration> {
        let Self { table, hasher, .. } = self;
        let hash = hasher.hash_one(registration.id());
        // The dead of the same ID make room, or one that changes often would leave a long row of them.
        let is_dead = |known: &Weak<Registration>| known.strong_count() == 0;
        while let Ok(dead) = table.find_entry(hash, is_dead) {
            dead.remove();
        }
        if table.len() >= self.sweep_at.max(FEW) {
            // A dead one holds its memory until then, so they may be an eighth of all: that costs an insertion a look at
            // eight others.
            table.retain(|known| !is_dead(known));
            self.sweep_at = table.len() + table.len() / 8;
            table.shrink_to(self.sweep_at, rehash(hasher));
        }
        table.insert_unique(hash, Arc::downgrade(&registration), rehash(hasher));
        registration
    }
}

/// The dead have no ID any more; wherever they are put, the next sweep finds them.
fn rehash(hasher: &RandomState) -> impl Fn(&Weak<Registration>) -> u64 {
    |known| {
        let known = known.upgrade();
        known.map_or(0, |known| hasher.hash_one(known.id()))
    }
}

#[cfg(test)]
mod tests {
    use consul_sync_core::{Meta, Packed, ServiceName};

    use super::*;
    use crate::registration::{Common, Extra};

    fn registration(id: &str, port: u16) -> Registration {
        let common = Common {
            name: ServiceName::new("web").unwrap(),
            namespace: None,
            tags: Arc::default(),
            weight: 1,
            meta: Meta::default(),
            owner: None,
        };
        Registration {
            common: Arc::new(common),
            own: Packed::new(None, Meta::default(), port),
            check: None,
            extra: Some(Box::new(Extra {
                id: Some(RecordId::new(id).unwrap()),
                ..Extra::default()
            })),
            hash: Default::default(),
        }
    }

    #[test]
    fn equal_registrations_are_one_while_one_of_them_lives() {
        let known = Known::default();
        let first = known.share(registration("a", 80));
        assert!(Arc::ptr_eq(&first, &known.share(registration("a", 80))));
        let other = known.share(registration("a", 81));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(other.port(), 81);
        assert!(Arc::ptr_eq(&first, &known.share(registration("a", 80))));
    }

    #[test]
    fn the_dead_of_an_id_go_when_it_gets_another_state() {
        let known = Known::default();
        for port in 1..=500 {
            known.share(registration("a", port));
        }
        assert_eq!(known.0.lock().unwrap().table.len(), 1);
    }

    #[test]
    fn the_dead_take_no_more_room_than_the_living() {
        let known = Known::default();
        let living: Vec<_> = (0..100)
            .map(|n| known.share(registration(&format!("living-{n}"), 80)))
            .collect();
        for n in 0..20_000 {
            known.share(registration(&format!("dead-{n}"), 80));
        }
        let count = known.0.lock().unwrap().table.len();
        assert!(count <= FEW.max(2 * living.len()) + 1, "{count}");
    }
}
