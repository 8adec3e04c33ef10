//! One instance of the table.

use std::{num::NonZeroU64, sync::Arc};

use consul_sync_core::Record;

use crate::registration::{Registration, SeenCheck, Version};

/// An instance as the last reads showed it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Registration>,
    pub(crate) version: Version,
    /// The read of the instances that mentioned it last.
    pub(super) seen: u32,
    /// What the reads of the checks mentioned last.
    pub(super) heard: Heard,
}

/// What a read of the checks mentions of one instance. It is kept beside the instance, so that a read in which
/// everything is new holds no names of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    read: u32,
    /// Where its checks stand among those that are taken, once that is settled.
    place: u32,
    count: u16,
    differs: bool,
}

// === impl Entry ===

impl Entry {
    pub(super) fn id(&self) -> &str {
        self.record.id().as_str()
    }

    /// Counts a check that this read mentions, and notes whether it is the one that is known.
    pub(super) fn hear(&mut self, read: u32, scope: &str, modify_index: u64) {
        self.heard.begin(read);
        self.heard.count = self.heard.count.saturating_add(1);
        let is_known = match self.heard.count {
            1 => {
                let known = self.record.check.as_ref();
                self.version.check == NonZeroU64::new(modify_index)
                    && known.is_some_and(|check| *check.scope == *scope)
            }
            nth => self
                .record
                .scopes()
                .nth(usize::from(nth) - 1)
                .is_some_and(|known| **known == *scope),
        };
        self.heard.differs |= !is_known;
    }

    /// The read mentioned all its checks: whether they are others than those that are known, or fewer. Then they are
    /// taken under this number.
    pub(super) fn settle(&mut self, read: u32, place: u32) -> bool {
        self.heard.begin(read);
        self.heard.differs |= usize::from(self.heard.count) != self.record.scopes().count();
        self.heard.place = place;
        self.heard.differs
    }

    /// Takes its checks under this number whatever was heard, unless they are taken already.
    pub(super) fn take_anyway(&mut self, read: u32, place: u32) -> bool {
        if self.place(read).is_some() {
            return false;
        }
        self.heard.begin(read);
        self.heard.differs = true;
        self.heard.place = place;
        true
    }

    /// The number under which this read takes its checks.
    pub(super) fn place(&self, read: u32) -> Option<u32> {
        let Heard { differs, place, .. } = self.heard;
        (self.heard.read == read && differs).then_some(place)
    }

    /// The same instance with these checks; `None` when they are those that it has.
    pub(super) fn with_checks<'a>(
        &self,
        checks: impl Iterator<Item = &'a SeenCheck> + Clone,
    ) -> Option<(Registration, Version)> {
        let (record, check) = (*self.record).clone().with_checks(checks);
        let version = Version {
            check,
            ..self.version
        };
        (version != self.version || record != *self.record).then_some((record, version))
    }
}

// === impl Heard ===

impl Heard {
    fn begin(&mut self, read: u32) {
        if self.read != read {
            *self = Self {
                read,
                ..Self::default()
            };
        }
    }
}
