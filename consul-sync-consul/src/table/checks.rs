//! A read of the checks of a node: `/v1/health/node/NODE`.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    iter, mem,
};

use consul_sync_core::Slot;

use super::{Table, entry::Place, loose_key, slot_key};
use crate::{
    Error,
    answer::Answer,
    registration::{SeenCheck, scope_of},
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
/// A check, and the place of the instance that takes it.
type Taken = (Place, SeenCheck);

impl Table {
    /// Takes a read in. What was changed before a check which cannot be read is said with the next read.
    pub(crate) fn read_checks(&mut self, answer: &Answer, index: u64) -> Result<ChecksRead, Error> {
        self.begin();
        let has_namespaces = self.has_namespaces;
        let mut is_agent = false;

        // The first look takes only IDs and versions, and finds the instances whose checks differ.
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
                match entry {
                    Some(entry) => entry.hear(scope, stamp.modify_index),
                    None => has_loose = true,
                }
            })
        })?;
        let mut is_news = has_loose;
        for entry in self.slots.values_mut().flatten() {
            is_news |= entry.settle();
        }

        // The second look takes their checks.
        let mut taken: Vec<Taken> = Vec::new();
        let mut loose: HashMap<Key, Vec<SeenCheck>> = HashMap::new();
        let mut touched = mem::take(&mut self.unsaid);
        if is_news {
            let slots = &mut self.slots;
            let interner = &mut self.interner;
            let looked = answer.parse(|reader| {
                each_element(reader, |check: Check| {
                    if scope_of(&check.id, &check.service_id).is_none() {
                        return;
                    }
                    let key = slot_key(has_namespaces, &check.namespace, &check.service_name);
                    let entry = slots.get_mut(key.as_str()).and_then(|entries| {
                        let at = Self::find(entries, &check.service_id).ok()?;
                        entries.get_mut(at)
                    });
                    if let Some(entry) = entry {
                        let Some(place) = entry.place() else { return };
                        let Some(seen) = SeenCheck::new(&check, interner) else {
                            return;
                        };
                        if has_loose || entry.has_several() {
                            taken.push((place, seen));
                        } else if entry.take(&self.known, iter::once(&seen)) {
                            // All that is new at once would be as much again.
                            let slot = slots.get_key_value(key.as_str());
                            touched.extend(slot.map(|(slot, _)| slot.clone()));
                        }
                    } else {
                        let key = loose_key(&check.namespace, &check.service_id);
                        let loose = loose.entry(key).or_default();
                        loose.extend(SeenCheck::new(&check, interner));
                    }
                })
            });
            if let Err(error) = looked {
                self.unsaid = touched;
                return Err(error);
            }
        }
        self.adopt_renamed(&mut loose, &mut taken);
        self.loose = loose;
        self.checks_index = index;
        let changes = ChecksRead {
            touched,
            is_agent,
            ..ChecksRead::default()
        };
        Ok(self.take_checks(changes, taken))
    }

    /// A check keeps the name that its instance had when the check was written; when the instance was written
    /// again under another name, its check is found by the ID.
    fn adopt_renamed(&mut self, loose: &mut HashMap<Key, Vec<SeenCheck>>, taken: &mut Vec<Taken>) {
        if loose.is_empty() {
            return;
        }
        let ids: HashSet<&str> = loose.keys().map(|(_, id)| &**id).collect();
        let mut homes: HashMap<Box<str>, Place> = HashMap::new();
        for entry in self.slots.values_mut().flatten() {
            let id = entry.id();
            let id = id.text();
            if ids.contains(&*id) && !homes.contains_key(&*id) {
                homes.insert((*id).into(), entry.take_anyway());
            }
        }
        loose.retain(|(_, id), checks| {
            let Some(place) = homes.get(id) else {
                return true;
            };
            taken.extend(checks.drain(..).map(|seen| (*place, seen)));
            false
        });
    }

    fn take_checks(&mut self, mut changes: ChecksRead, mut taken: Vec<Taken>) -> ChecksRead {
        taken.sort_by_key(|(place, _)| *place);
        for (slot, entries) in &mut self.slots {
            for entry in entries {
                let Some(place) = entry.place() else {
                    continue;
                };
                let first = taken.partition_point(|(other, _)| *other < place);
                let own = taken[first..]
                    .iter()
                    .take_while(|(other, _)| *other == place)
                    .map(|(_, seen)| seen);
                if !entry.take(&self.known, own.clone()) {
                    continue;
                }
                if own.clone().next().is_none() {
                    changes.doubtful.insert(slot.clone());
                }
                changes.touched.insert(slot.clone());
            }
        }
        changes
    }
}
