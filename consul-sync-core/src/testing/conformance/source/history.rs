//! What the world held, and when: every event is held against it.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{Address, Key, Service};

/// A moment of the history. Later is greater.
pub(super) type Moment = u64;

/// What a service was from some moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Gone,
    /// With these addresses, sorted.
    Held(Vec<IpAddr>),
    Spoiled,
}

/// How a value that was told relates to the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is what was put at that moment.
    Exactly(Moment),
    /// Some of what was put then, not all.
    Part,
    /// Nothing that ever was.
    Never,
}

/// Every state of every service.
#[derive(Debug, Default)]
pub(super) struct History {
    now: Moment,
    states: BTreeMap<Key, Vec<(Moment, State)>>,
}

impl History {
    pub(super) fn now(&self) -> Moment {
        self.now
    }

    /// Notes a state that holds from now on.
    pub(super) fn note(&mut self, key: &Key, state: State) {
        self.now += 1;
        let states = self.states.entry(key.clone()).or_default();
        states.push((self.now, state));
    }

    /// The addresses for a put: never used before, by no service.
    pub(super) fn fresh(&self, count: u8) -> Vec<IpAddr> {
        let [.., high, low] = (self.now + 1).to_be_bytes();
        (1..=count)
            .map(|last| IpAddr::from([10, high, low, last]))
            .collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.states.keys()
    }

    pub(super) fn knows(&self, key: &Key) -> bool {
        self.states.contains_key(key)
    }

    /// What a service is now, and since when.
    pub(super) fn current(&self, key: &Key) -> (Moment, &State) {
        self.of(key)
            .last()
            .map_or((0, &State::Gone), |(at, state)| (*at, state))
    }

    /// The first moment not before `since` at which a service was in such a state.
    pub(super) fn first(
        &self,
        key: &Key,
        since: Moment,
        wanted: impl Fn(&State) -> bool,
    ) -> Option<Moment> {
        // Before everything there was nothing.
        if since == 0 && wanted(&State::Gone) {
            return Some(0);
        }
        self.of(key)
            .iter()
            .find(|(at, state)| *at >= since && wanted(state))
            .map(|(at, _)| *at)
    }

    /// Whether a service was there at that moment and ever since.
    pub(super) fn stayed(&self, key: &Key, since: Moment) -> bool {
        let states = self.of(key);
        let then = states.iter().rev().find(|(at, _)| *at <= since);
        let later = states.iter().filter(|(at, _)| *at > since);
        then.is_some_and(|(_, state)| *state != State::Gone)
            && later.clone().all(|(_, state)| *state != State::Gone)
    }

    /// Where a told value stands in the history.
    pub(super) fn place(&self, key: &Key, service: &Service) -> Told {
        let mut told: Vec<IpAddr> = Vec::with_capacity(service.instances.len());
        for instance in &service.instances {
            match &instance.address {
                Address::Ip(ip) => told.push(*ip),
                Address::Host(_) => return Told::Never,
            }
        }
        told.sort_unstable();
        let held = self.of(key).iter().rev().filter_map(|(at, state)| {
            let State::Held(addresses) = state else {
                return None;
            };
            Some((*at, addresses))
        });
        if let Some((at, _)) = held.clone().find(|(_, addresses)| **addresses == told) {
            return Told::Exactly(at);
        }
        let known: Vec<IpAddr> = held.flat_map(|(_, addresses)| addresses).copied().collect();
        if !known.is_empty() && told.iter().all(|address| known.contains(address)) {
            Told::Part
        } else {
            Told::Never
        }
    }

    fn of(&self, key: &Key) -> &[(Moment, State)] {
        self.states.get(key).map_or(&[], Vec::as_slice)
    }
}
