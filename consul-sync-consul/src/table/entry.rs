//! One instance of the table.

use std::{num::NonZeroU64, sync::Arc};

use consul_sync_core::{Record, RecordId};

use crate::registration::{Known, Registration, SeenCheck, Version};

/// An instance as the last reads showed it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Registration>,
    pub(crate) version: Version,
    pub(super) mark: Mark,
}

/// What the read that is being taken in mentions of one instance. It is kept beside the instance, so that a read in
/// which everything is new holds no names of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// Whether a read of the instances mentions it.
    pub(super) is_seen: bool,
    /// How many checks of its a read of the checks mentions.
    checks: u8,
    /// Whether those are others than the ones that are known.
    differs: bool,
}

/// By what the checks that an instance takes are found until all were read: where its record lies, which no other
/// instance has.
pub(super) type Place = usize;

// === impl Entry ===

impl Entry {
    pub(super) fn id(&self) -> RecordId {
        self.record.id()
    }

    /// Counts a check that the read mentions, and notes whether it is the one that is known.
    pub(super) fn hear(&mut self, scope: &str, modify_index: u64) {
        self.mark.checks = self.mark.checks.saturating_add(1);
        let is_known = match self.mark.checks {
            1 => {
                let known = self.record.check.as_ref();
                self.version.check() == NonZeroU64::new(modify_index)
                    && known.is_some_and(|check| *check.scope == *scope)
            }
            nth => self
                .record
                .scopes()
                .nth(usize::from(nth) - 1)
                .is_some_and(|known| **known == *scope),
        };
        self.mark.differs |= !is_known;
    }

    /// The read mentioned all its checks: whether they are others than those that are known, or fewer. Then they are
    /// taken.
    pub(super) fn settle(&mut self) -> bool {
        self.mark.differs |= usize::from(self.mark.checks) != self.record.scopes().count();
        self.mark.differs
    }

    /// Takes its checks whatever was heard.
    pub(super) fn take_anyway(&mut self) -> Place {
        self.mark.differs = true;
        self.home()
    }

    /// The place of its checks, where the read takes them.
    pub(super) fn place(&self) -> Option<Place> {
        self.mark.differs.then(|| self.home())
    }

    fn home(&self) -> Place {
        Arc::as_ptr(&self.record) as Place
    }

    /// Whether the read mentions several checks of its.
    pub(super) fn has_several(&self) -> bool {
        self.mark.checks > 1
    }

    /// It has these checks now. Returns whether that is news.
    pub(super) fn take<'a>(
        &mut self,
        known: &Known,
        checks: impl Iterator<Item = &'a SeenCheck> + Clone,
    ) -> bool {
        self.mark.differs = false;
        let (record, check) = (*self.record).clone().with_checks(checks);
        let version = self.version.with_check(check);
        if version == self.version && record == *self.record {
            return false;
        }
        self.record = known.share(record);
        self.version = version;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Entry>(), 24);
    }
}
