//! A read of the checks of a node: `/v1/health/node/NODE`.

use std::collections::{BTreeSet, HashMap};

use consul_sync_core::{Record, Slot};

use super::{Entry, Table, loose_key, slot_key};
use crate::{
    Error,
    answer::Answer,
    registration::{SeenCheck, Version, scope_of},
    wire::{Check, CheckStamp, each_element},
};

/// The check that only the node of an agent has.
const AGENT_CHECK: &str = "serfHealth";

/// What a read of the checks says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChecksRead {
    /// The slots that it changed.
    pub(crate) touched: BTreeSet<Slot>,
    /// Those of them in which an instance lost its check. It may itself be gone, which only the other query
    /// shows.
    pub(crate) doubtful: BTreeSet<Slot>,
    /// Whether the node belongs to a running agent.
    pub(crate) is_agent: bool,
}

type Key = (Box<str>, Box<str>);

impl Table {
    /// Takes a read in. On an error nothing changed.
    pub(crate) fn read_checks(&mut self, answer: &Answer, index: u64) -> Result<ChecksRead, Error> {
        self.reads = self.reads.wrapping_add(1);
        let read = self.reads;
        let has_namespaces = self.has_namespaces;
        let mut is_agent = false;

        // The first look takes only IDs and versions, and finds the instances whose checks differ.
        let mut dirty: HashMap<Key, Vec<SeenCheck>> = HashMap::new();
        let mut has_loose = false;
        let slots = &mut self.slots;
        answer.parse(|reader| {
            each_element(reader, |stamp: CheckStamp| {
                is_agent |= stamp.id == AGENT_CHECK && stamp.service_id.is_empty();
                let Some(scope) = scope_of(&stamp.id, &stamp.service_id) else {
                    return;
                };
                let key = slot_key(has_namespaces, &stamp.namespace, &stamp.service_name);
                let entry = slots.get_mut(key.as_str()).and_then(|entries| {
                    let at = Self::find(entries, &stamp.service_id).ok()?;
                    entries.get_mut(at)
                });
                let Some(entry) = entry else {
                    has_loose = true;
                    return;
                };
                if !entry.expects(read, scope, stamp.modify_index) {
                    let key = (key.into(), stamp.service_id.into());
                    dirty.entry(key).or_default();
                }
            })
        })?;
        for (slot, entries) in &self.slots {
            for entry in entries {
                let count = if entry.checks_seen.0 == read {
                    entry.checks_seen.1
                } else {
                    0
                };
                if usize::from(count) != entry.record.scopes().count() {
                    let key = (slot.as_str().into(), entry.record.id().as_str().into());
                    dirty.entry(key).or_default();
                }
            }
        }

        // The second look takes their checks.
        let mut loose: HashMap<Key, Vec<SeenCheck>> = HashMap::new();
        if has_loose || !dirty.is_empty() {
            let slots = &self.slots;
            let interner = &mut self.interner;
            answer.parse(|reader| {
                each_element(reader, |check: Check| {
                    if scope_of(&check.id, &check.service_id).is_none() {
                        return;
                    }
                    let key = slot_key(has_namespaces, &check.namespace, &check.service_name);
                    let is_known = slots
                        .get(key.as_str())
                        .is_some_and(|entries| Self::find(entries, &check.service_id).is_ok());
                    let key = (key.into_boxed_str(), check.service_id.as_str().into());
                    if let Some(fresh) = dirty.get_mut(&key) {
                        fresh.extend(SeenCheck::new(&check, interner));
                    } else if !is_known {
                        let key = loose_key(&check.namespace, &check.service_id);
                        let loose = loose.entry(key).or_default();
                        loose.extend(SeenCheck::new(&check, interner));
                    }
                })
            })?;
        }
        self.adopt_renamed(&mut loose, &mut dirty);

        let mut changes = ChecksRead {
            is_agent,
            ..ChecksRead::default()
        };
        for (key, checks) in dirty {
            let Some(slot) = self.take_checks(&key, &checks) else {
                continue;
            };
            if checks.is_empty() {
                changes.doubtful.insert(slot.clone());
            }
            changes.touched.insert(slot);
        }
        self.loose = loose;
        self.checks_index = index;
        Ok(changes)
    }

    /// A check keeps the name that its instance had when the check was written; when the instance was written
    /// again under another name, its check is found by the ID.
    fn adopt_renamed(
        &self,
        loose: &mut HashMap<Key, Vec<SeenCheck>>,
        dirty: &mut HashMap<Key, Vec<SeenCheck>>,
    ) {
        loose.retain(|(_, id), checks| {
            let home = self
                .slots
                .iter()
                .find(|(_, entries)| Self::find(entries, id).is_ok());
            let Some((slot, _)) = home else {
                return true;
            };
            let key: Key = (slot.as_str().into(), id.clone());
            dirty.entry(key).or_default().append(checks);
            false
        });
    }

    fn take_checks(&mut self, key: &Key, checks: &[SeenCheck]) -> Option<Slot> {
        let (slot, entries) = self.slots.get_key_value(&*key.0)?;
        let at = Self::find(entries, &key.1).ok()?;
        let slot = slot.clone();
        let entry = self.slots.get_mut(&slot)?.get_mut(at)?;
        let record = (*entry.record).clone();
        let (record, check) = record.with_checks(checks);
        let version = Version {
            service: entry.version.service,
            check,
        };
        if version == entry.version && record == *entry.record {
            return None;
        }
        entry.record = self.known.share(record);
        entry.version = version;
        Some(slot)
    }
}

impl Entry {
    /// Whether the next check of this read is the one that is known; counts it.
    fn expects(&mut self, read: u32, scope: &str, modify_index: u64) -> bool {
        let (last, count) = &mut self.checks_seen;
        if *last != read {
            (*last, *count) = (read, 0);
        }
        *count = count.saturating_add(1);
        match *count {
            1 => {
                let known = self.record.check.as_ref();
                self.version.check == Some(modify_index)
                    && known.is_some_and(|check| *check.scope == *scope)
            }
            nth => self
                .record
                .scopes()
                .nth(usize::from(nth) - 1)
                .is_some_and(|known| **known == *scope),
        }
    }
}
