//! A queue that is fair to the tenants of a source.
//!
//! One namespace with a hundred thousand slots waiting must not hold up another one's single change (fault catalogue
//! P13, N09). Every namespace has a lane of its own, in the order of arrival, and the lanes take turns. A slot that
//! several namespaces claim waits in the lane of each, and is taken from the one whose turn comes first.
//!
//! A slot that arrives in a lane behind `k` others is taken after at most `k + 1` rounds over the lanes that wait.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::Slot;

/// Slots that wait, each once. Every step costs O(lanes of that slot), apart from look-ups in ordered maps.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// What waits in each lane, by arrival. A lane is here as long as it has a turn.
    lanes: BTreeMap<Arc<str>, BTreeMap<u64, Slot>>,
    turns: VecDeque<Arc<str>>,
    /// Slots that go before every lane.
    first: VecDeque<Slot>,
    /// Where each slot waits; nowhere else than in `first` when empty.
    places: BTreeMap<Slot, Vec<(Arc<str>, u64)>>,
    arrivals: u64,
}

impl Queue {
    /// The slot waits in these lanes, at the end of those where it does not wait yet.
    pub(crate) fn push(&mut self, slot: &Slot, lanes: &[Arc<str>]) {
        let places = self
            .places
            .entry(slot.clone())
            .or_insert_with(|| Vec::with_capacity(lanes.len()));
        for lane in lanes {
            if places.iter().any(|(known, _)| known == lane) {
                continue;
            }
            self.arrivals += 1;
            places.push((Arc::clone(lane), self.arrivals));
            if let Some(waiting) = self.lanes.get_mut(lane) {
                waiting.insert(self.arrivals, slot.clone());
            } else {
                let waiting = BTreeMap::from([(self.arrivals, slot.clone())]);
                self.lanes.insert(Arc::clone(lane), waiting);
                self.turns.push_back(Arc::clone(lane));
            }
        }
    }

    /// The slot goes before all others.
    pub(crate) fn push_front(&mut self, slot: &Slot) {
        self.places.entry(slot.clone()).or_default();
        self.first.push_front(slot.clone());
    }

    /// The next slot.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        if let Some(slot) = self.first.pop_front() {
            self.leave(&slot);
            return Some(slot);
        }
        while let Some(lane) = self.turns.pop_front() {
            let first = self.lanes.get(&lane).and_then(BTreeMap::first_key_value);
            let Some(slot) = first.map(|(_, slot)| slot.clone()) else {
                // What waited here was taken from another lane.
                self.lanes.remove(&lane);
                continue;
            };
            self.leave(&slot);
            if self.lanes.get(&lane).is_some_and(|rest| !rest.is_empty()) {
                self.turns.push_back(lane);
            } else {
                self.lanes.remove(&lane);
            }
            return Some(slot);
        }
        None
    }

    /// The slot does not wait any more.
    pub(crate) fn remove(&mut self, slot: &Slot) {
        self.leave(slot);
        self.first.retain(|first| first != slot);
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn leave(&mut self, slot: &Slot) {
        for (lane, arrival) in self.places.remove(slot).unwrap_or_default() {
            if let Some(waiting) = self.lanes.get_mut(&lane) {
                waiting.remove(&arrival);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(name: &dyn ToString) -> Slot {
        Slot::new(name.to_string()).unwrap()
    }

    fn lanes(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn all(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop())
            .map(|slot| slot.to_string())
            .collect()
    }

    #[test]
    fn lanes_take_turns_and_keep_their_order() {
        let mut queue = Queue::default();
        for name in ["a1", "a2", "a3"] {
            queue.push(&slot(&name), &lanes(&["a"]));
        }
        for name in ["b1", "b2"] {
            queue.push(&slot(&name), &lanes(&["b"]));
        }
        assert_eq!(all(&mut queue), ["a1", "b1", "a2", "b2", "a3"]);
        assert!(queue.is_empty() && queue.lanes.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn a_slot_of_several_lanes_is_taken_once_and_from_the_first() {
        let mut queue = Queue::default();
        for name in ["a1", "a2"] {
            queue.push(&slot(&name), &lanes(&["a"]));
        }
        queue.push(&slot(&"both"), &lanes(&["a"]));
        queue.push(&slot(&"both"), &lanes(&["a", "b"]));
        queue.push(&slot(&"b1"), &lanes(&["b"]));
        assert_eq!(all(&mut queue), ["a1", "both", "a2", "b1"]);
        assert!(queue.is_empty() && queue.lanes.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn what_could_not_be_served_goes_first() {
        let mut queue = Queue::default();
        queue.push(&slot(&"a1"), &lanes(&["a"]));
        queue.push(&slot(&"b1"), &lanes(&["b"]));
        let taken = queue.pop().unwrap();
        queue.push_front(&taken);
        queue.push(&taken, &lanes(&["a"]));
        assert_eq!(all(&mut queue), ["a1", "b1"]);
    }

    /// What is done to a queue: a slot is pushed into one or two lanes, one is taken, one is removed.
    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, u8, Option<u8>),
        Pop,
        Remove(u8),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..40_u8, 0..4_u8, prop::option::of(0..4_u8))
                .prop_map(|(slot, lane, other)| Step::Push(slot, lane, other)),
            3 => Just(Step::Pop),
            1 => (0..40_u8).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// For every lane a slot waits in: it is taken before more others are than the lanes can take in the rounds
        /// that those ahead of it in its lane need, and its own.
        #[test]
        fn fault_p13_a_slot_waits_for_as_many_rounds_as_its_own_lane_is_long(
            steps in prop::collection::vec(any_step(), 0..300)
        ) {
            let mut queue = Queue::default();
            // Each slot's bound, by slot; and the slots that wait in each lane, by arrival.
            let mut bounds: BTreeMap<Slot, usize> = BTreeMap::new();
            let mut model: BTreeMap<u8, Vec<Slot>> = BTreeMap::new();
            let forget = |model: &mut BTreeMap<u8, Vec<Slot>>, gone: &Slot| {
                for lane in model.values_mut() {
                    lane.retain(|slot| slot != gone);
                }
            };
            for step in steps.into_iter().chain(std::iter::repeat_n(Step::Pop, 41)) {
                match step {
                    Step::Push(name, lane, other) => {
                        let slot = slot(&name);
                        let mut names: Vec<Arc<str>> = Vec::new();
                        for lane in [Some(lane), other].into_iter().flatten() {
                            names.push(Arc::from(lane.to_string()));
                            let waiting = model.entry(lane).or_default();
                            if !waiting.contains(&slot) {
                                waiting.push(slot.clone());
                                // Four lanes: a round takes at most four.
                                let bound = 4 * waiting.len();
                                let known = bounds.entry(slot.clone()).or_insert(bound);
                                *known = bound.min(*known);
                            }
                        }
                        queue.push(&slot, &names);
                    }
                    Step::Pop => {
                        let taken = queue.pop();
                        prop_assert_eq!(taken.is_none(), bounds.is_empty(), "{:?} of {:?}", taken, bounds);
                        let Some(taken) = taken else { continue };
                        let is_first = model.values().any(|lane| lane.first() == Some(&taken));
                        prop_assert!(is_first, "{} is first in no lane", taken);
                        prop_assert!(bounds.remove(&taken).is_some());
                        forget(&mut model, &taken);
                        for (slot, left) in &mut bounds {
                            prop_assert!(*left > 1, "{} waits too long", slot);
                            *left -= 1;
                        }
                    }
                    Step::Remove(name) => {
                        queue.remove(&slot(&name));
                        bounds.remove(&slot(&name));
                        forget(&mut model, &slot(&name));
                    }
                }
                prop_assert_eq!(queue.is_empty(), bounds.is_empty());
            }
            prop_assert!(queue.lanes.values().all(BTreeMap::is_empty));
        }
    }
}
