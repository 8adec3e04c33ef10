//! Which slots have something to do, and in which state each is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::queue::Queue;
use crate::Slot;

/// The slots that are not idle. Those that are due, and those in doubt, wait in queues that are fair to namespaces:
/// `lanes` are the namespaces of a slot, at least one.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    states: BTreeMap<Slot, Entry>,
    due: Queue,
    doubtful: Queue,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// The oldest change of the source that is not written yet.
    since: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Due,
    Busy { again: bool, doubt: bool },
    Doubtful,
    Reading(Meanwhile),
}

/// What was shown of a slot while it was read: the read's answer may be older than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Nothing.
    Nothing,
    /// Something that the table has taken.
    Shown,
    /// Something that could not be believed.
    Doubted,
}

impl Slots {
    /// Something about the slot changed. `since` is given when the source changed.
    pub(crate) fn touch(&mut self, slot: &Slot, since: Option<Duration>, lanes: &[Arc<str>]) {
        let Some(entry) = self.states.get_mut(slot) else {
            self.insert(slot, State::Due, since);
            self.due.push(slot, lanes);
            return;
        };
        entry.since = match (entry.since, since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match &mut entry.state {
            State::Busy { again, .. } => *again = true,
            // It may be a slot of other namespaces now.
            State::Due => self.due.push(slot, lanes),
            // It is due when it was read.
            State::Doubtful | State::Reading(_) => {}
        }
    }

    /// What the slot holds is not known.
    pub(crate) fn doubt(&mut self, slot: &Slot, lanes: &[Arc<str>]) {
        let since = match self.states.get_mut(slot) {
            None => None,
            Some(entry) => match &mut entry.state {
                State::Busy { doubt, .. } => {
                    *doubt = true;
                    return;
                }
                State::Reading(meanwhile) => {
                    *meanwhile = Meanwhile::Doubted;
                    return;
                }
                State::Doubtful => return,
                State::Due => {
                    self.due.remove(slot);
                    entry.since
                }
            },
        };
        self.insert(slot, State::Doubtful, since);
        self.doubtful.push(slot, lanes);
    }

    /// The table has taken what was shown of the slot.
    pub(crate) fn shown(&mut self, slot: &Slot) {
        if let Some(entry) = self.states.get_mut(slot)
            && entry.state == State::Reading(Meanwhile::Nothing)
        {
            entry.state = State::Reading(Meanwhile::Shown);
        }
    }

    /// The next slot that is due; it is idle now unless something is done with it.
    pub(crate) fn pop_due(&mut self) -> Option<(Slot, Option<Duration>)> {
        let slot = self.due.pop()?;
        let since = self.states.remove(&slot).and_then(|entry| entry.since);
        Some((slot, since))
    }

    /// The slot is due before all others: it was taken and could not be served.
    pub(crate) fn push_front(&mut self, slot: &Slot, since: Option<Duration>) {
        self.insert(slot, State::Due, since);
        self.due.push_front(slot);
    }

    /// Whether no slot is due.
    pub(crate) fn nothing_due(&self) -> bool {
        self.due.is_empty()
    }

    /// Operations on the slot were handed out. `again`: it has more to do after them.
    pub(crate) fn hand_out(&mut self, slot: &Slot, since: Option<Duration>, more: bool) {
        if let Some(entry) = self.states.get_mut(slot)
            && let State::Busy { again, .. } = &mut entry.state
        {
            *again |= more;
            return;
        }
        let state = State::Busy {
            again: more,
            doubt: false,
        };
        self.insert(slot, state, since);
    }

    /// All operations on the slot were answered. Returns since when the source had waited for it.
    pub(crate) fn answered(&mut self, slot: &Slot, lanes: &[Arc<str>]) -> Option<Duration> {
        let entry = self.states.remove(slot)?;
        match entry.state {
            State::Busy { doubt: true, .. } => {
                self.insert(slot, State::Doubtful, entry.since);
                self.doubtful.push(slot, lanes);
            }
            State::Busy { again: true, .. } => {
                self.insert(slot, State::Due, entry.since);
                self.due.push(slot, lanes);
            }
            State::Busy { .. } => {}
            state => self.insert(slot, state, entry.since),
        }
        entry.since
    }

    /// Doubtful slots, at most this many, which are to be read now.
    pub(crate) fn take_doubtful(&mut self, most: usize) -> Vec<Slot> {
        let taken: Vec<Slot> = std::iter::from_fn(|| self.doubtful.pop())
            .take(most)
            .collect();
        for slot in &taken {
            if let Some(entry) = self.states.get_mut(slot) {
                entry.state = State::Reading(Meanwhile::Nothing);
            }
        }
        taken
    }

    /// What was shown of the slot since its read began; `None` when it is not being read.
    pub(crate) fn meanwhile(&self, slot: &Slot) -> Option<Meanwhile> {
        match self.states.get(slot)?.state {
            State::Reading(meanwhile) => Some(meanwhile),
            _ => None,
        }
    }

    /// A read tells what the slot holds (`known`), or does not; then the slot is doubtful again.
    pub(crate) fn read_answered(&mut self, slot: &Slot, known: bool, lanes: &[Arc<str>]) {
        let Some(entry) = self.states.get_mut(slot) else {
            return;
        };
        if !matches!(entry.state, State::Reading(_)) {
            return;
        }
        if known {
            entry.state = State::Due;
            self.due.push(slot, lanes);
        } else {
            entry.state = State::Doubtful;
            self.doubtful.push(slot, lanes);
        }
    }

    /// Whether operations on the slot are under way.
    pub(crate) fn is_busy(&self, slot: &Slot) -> bool {
        self.states
            .get(slot)
            .is_some_and(|entry| matches!(entry.state, State::Busy { .. }))
    }

    /// Whether the slot is in no state.
    pub(crate) fn is_idle(&self, slot: &Slot) -> bool {
        !self.states.contains_key(slot)
    }

    /// How many slots are not idle.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether a slot waits to be read.
    pub(crate) fn has_doubtful(&self) -> bool {
        !self.doubtful.is_empty()
    }

    fn insert(&mut self, slot: &Slot, state: State, since: Option<Duration>) {
        self.states.insert(slot.clone(), Entry { state, since });
    }
}
