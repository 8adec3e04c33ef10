//! One copy of each registration.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use consul_sync_core::RecordId;

use super::Registration;

/// Below so many the dead ones are not worth looking for.
const FEW: usize = 1024;

/// The registrations that live anywhere in the process, wanted or read, so that one which is both exists once.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The two last ones of each ID, the newer first. Two, because the one that is wanted and the one that is read
    /// differ while a write is on its way, and neither must push the other out.
    by_id: HashMap<RecordId, [Weak<Registration>; 2]>,
    /// The number at which the dead ones are dropped next.
    sweep_at: usize,
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

    /// Lets a registration that was read take its texts and pairs from the living one of the same ID, where they
    /// are equal, so that it costs no more than itself while its check is not known.
    pub(crate) fn liken(&self, registration: &mut Registration) {
        let inner = self.lock();
        let id = registration.id.clone();
        for known in inner.living(&id) {
            registration.id = known.id.clone();
            if registration.common.is_alike(&known.common) && registration.pairs().eq(known.pairs())
            {
                registration.common = Arc::clone(&known.common);
                registration.own = known.own.clone();
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn living(&self, id: &RecordId) -> impl Iterator<Item = Arc<Registration>> {
        let known = self.by_id.get(id);
        known.into_iter().flatten().filter_map(Weak::upgrade)
    }

    fn find(&self, registration: &Registration) -> Option<Arc<Registration>> {
        self.living(&registration.id)
            .find(|known| **known == *registration)
    }

    fn note(&mut self, registration: Arc<Registration>) -> Arc<Registration> {
        self.sweep();
        let known = self.by_id.entry(registration.id.clone()).or_default();
        known.rotate_right(1);
        known[0] = Arc::downgrade(&registration);
        registration
    }

    /// Drops the dead ones each time their number may have doubled: a constant share of each insertion.
    fn sweep(&mut self) {
        if self.by_id.len() >= self.sweep_at.max(FEW) {
            self.by_id
                .retain(|_, known| known.iter().any(|known| known.strong_count() > 0));
            self.sweep_at = self.by_id.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use consul_sync_core::Meta;

    use super::*;
    use crate::registration::Common;

    fn registration(id: &str, port: u16) -> Registration {
        let common = Common {
            name: "web".into(),
            namespace: None,
            tags: Arc::default(),
            weight: 1,
            meta: Meta::default(),
            owner: None,
        };
        Registration {
            id: RecordId::new(id).unwrap(),
            common: Arc::new(common),
            address: None,
            own: Meta::default(),
            check: None,
            extra: None,
            port,
        }
    }

    #[test]
    fn equal_registrations_are_one_while_one_of_them_lives() {
        let known = Known::default();
        let first = known.share(registration("a", 80));
        assert!(Arc::ptr_eq(&first, &known.share(registration("a", 80))));
        let other = known.share(registration("a", 81));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(other.port, 81);
        assert!(Arc::ptr_eq(&first, &known.share(registration("a", 80))));
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
        let count = known.0.lock().unwrap().by_id.len();
        assert!(count <= FEW.max(2 * living.len()) + 1, "{count}");
    }
}
