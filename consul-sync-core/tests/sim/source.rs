//! A source that fails and lies.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{Event, Key, Reason, Rejection, Service, Source, SourceError};
use futures::stream::BoxStream;

use crate::{
    fault::Fault,
    stream::{Listing, Side, Told, minutes_from_now, watch},
    world::{State, World},
};

/// What the source has for a key: nothing, something unusable, or a service.
pub(crate) type Value = Option<Option<Arc<Service>>>;

#[derive(Debug)]
pub(crate) struct SimSource(pub(crate) World);

/// What should be, and everything that ever should have been.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// `None` for a service that cannot be used.
    pub(crate) services: BTreeMap<Key, Option<Arc<Service>>>,
    pub(crate) journal: Vec<(Key, Value)>,
}

struct Desired;

impl Source for SimSource {
    fn name(&self) -> &'static str {
        "simulation"
    }

    fn watch(&self) -> BoxStream<'static, Result<Event<Key, Arc<Service>>, SourceError>> {
        watch::<Desired>(&self.0)
    }
}

impl Truth {
    pub(crate) fn set(&mut self, key: &Key, value: Value) {
        match value.clone() {
            Some(service) => self.services.insert(key.clone(), service),
            None => self.services.remove(key),
        };
        self.journal.push((key.clone(), value));
    }

    /// The state after the first changes.
    fn at(&self, change: usize) -> BTreeMap<Key, Option<Arc<Service>>> {
        let changes = self.journal.iter().take(change).cloned();
        let state: BTreeMap<Key, Value> = changes.collect();
        let state = state.into_iter();
        state
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }
}

impl Side for Desired {
    type Key = Key;
    type Value = Arc<Service>;
    const FAULTS: [Fault; 5] = [
        Fault::SourceBreaksOff,
        Fault::SourceForbidden,
        Fault::SourceEnds,
        Fault::SourceTrouble,
        Fault::SourceDawdles,
    ];

    fn list(state: &mut State) -> Listing<Told<Self>> {
        let mut upto = state.truth.journal.len();
        if let Some(rng) = state.faults.strikes(Fault::SourceIsStale) {
            upto = usize::try_from(rng.below(upto as u64 + 1)).unwrap();
        }
        let mut services: Vec<_> = state.truth.at(upto).into_iter().collect();
        state.rng.shuffle(&mut services);
        let mut mended = None;
        if let Some(rng) = state.faults.strikes(Fault::SourceLies) {
            let left = rng.below(services.len() as u64 + 1) * rng.below(2);
            services.truncate(usize::try_from(left).unwrap());
            mended = Some(minutes_from_now(rng.below(400)));
            state.tally.lies += 1;
        }
        let told = |(key, service)| told(key, Some(service), upto, true);
        let mut events: Vec<_> = services.into_iter().map(told).collect();
        hang(state, &mut events);
        Listing {
            events,
            upto,
            mended,
        }
    }

    fn follow(state: &mut State, from: usize) -> (Vec<Told<Self>>, usize) {
        let upto = state.truth.journal.len();
        let mut changes: Vec<(Key, Value)> = state.truth.journal[from..].to_vec();
        if state.faults.strikes(Fault::SourceRepeats).is_some() {
            changes.extend(changes.clone());
        }
        if let Some(rng) = state.faults.strikes(Fault::SourceReorders) {
            rng.shuffle(&mut changes);
            for (key, value) in &mut changes {
                *value = state.truth.services.get(key).cloned();
            }
        }
        let told = |(key, value)| told(key, value, upto, false);
        let mut events: Vec<_> = changes.into_iter().map(told).collect();
        hang(state, &mut events);
        (events, upto)
    }

    fn deliver(world: &World, told: Told<Self>) -> Event<Key, Arc<Service>> {
        let mut state = world.lock();
        state.tick();
        state.oracle.source_said(&told.event, &world.layout);
        state.note(|| format!("source: {:?}", told.event));
        told.event
    }

    fn lose(state: &mut State) {
        state.oracle.source.lose();
    }
}

fn told(key: Key, value: Value, change: usize, is_listing: bool) -> Told<Desired> {
    let event = match value {
        Some(Some(service)) => Event::Upserted(key, service),
        Some(None) => Event::Rejected(key, Rejection::new(Reason::Undecodable, "by the story")),
        None => Event::Removed(key),
    };
    Told {
        event,
        change,
        is_listing,
        after: None,
    }
}

fn hang(state: &mut State, events: &mut [Told<Desired>]) {
    if let Some(first) = events.first_mut()
        && let Some(rng) = state.faults.strikes(Fault::SourceHangs)
    {
        first.after = Some(minutes_from_now(rng.below(600)));
    }
}
