//! What the reader of the events is told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
};

use consul_sync_core::{Event, Key, Rejection, Service};

use super::{Index, Phase, kinds::LastGood, record::Record, store::pack};
use crate::{
    slim::{IngressBody, NodeBody},
    translate::{Head, Inputs, Slice, service},
};

type Events = Vec<Event<Key, Arc<Service>>>;

/// What follows for one service.
enum Desired {
    /// It is not exported.
    Nothing,
    Rejected(Rejection),
    Service(Service),
}

impl Index {
    /// What changed since the last call.
    ///
    /// Empty until every needed kind was listed completely. Then once everything, from
    /// [`Event::RelistStarted`] to [`Event::RelistDone`]; afterwards only what is different from what was last
    /// said. After [`Change::Lost`](super::Change::Lost) changes still come, and when the kind was listed again,
    /// everything comes again, so that the reader is whole again. After
    /// [`Change::Recovered`](super::Change::Recovered) at least one event comes, if need be one that says nothing new;
    /// as long as all that the reader knows waits for nodes, that is when they are listed.
    pub fn drain(&mut self) -> Vec<Event<Key, Arc<Service>>> {
        self.drain_some(usize::MAX)
    }

    /// The next part of what [`Index::drain`] gives: of a listing at most so many services, because all at once take
    /// much more than the index holds of them. The parts are taken until there is nothing more, before anything else
    /// is applied.
    pub(crate) fn drain_some(&mut self, most: usize) -> Events {
        if !self.to_list.is_empty() {
            return self.list_some(Events::new(), most);
        }
        let complete = self.is_complete();
        let mut events = match self.phase {
            Phase::Fresh if !complete => Vec::new(),
            Phase::Fresh | Phase::Lost if complete => self.everything(most),
            _ => self.changes(),
        };
        if events.is_empty() && self.phase == Phase::Whole && self.recovered {
            self.sign_of_life(&mut events);
            self.recovered = events.is_empty();
        }
        events
    }

    /// Something the reader knows, as it knows it: the first service, or that there is none. What was said of a
    /// service that waits is not known any more.
    fn sign_of_life(&mut self, events: &mut Events) {
        let mut known = self.records.iter().filter(|(_, record)| record.is_known());
        match known.find(|(key, _)| !self.waiting.contains(key)) {
            Some((key, _)) => self.say(key.clone(), true, events),
            None if self.waiting.is_empty() => {
                events.extend([Event::RelistStarted, Event::RelistDone]);
            }
            None => {}
        }
    }

    fn changes(&mut self) -> Events {
        if self.nodes.was_listed() {
            self.due.append(&mut self.waiting);
        }
        let mut events = Events::new();
        for key in mem::take(&mut self.due) {
            self.say(key, false, &mut events);
        }
        events
    }

    fn everything(&mut self, most: usize) -> Events {
        self.phase = Phase::Whole;
        self.due.clear();
        self.waiting.clear();
        let listed = self.services.iter().map(|(key, _)| key);
        let known = self
            .records
            .iter()
            .filter(|(_, record)| record.is_known())
            .map(|(key, _)| key);
        let keys: BTreeSet<Key> = listed.chain(known).cloned().collect();
        self.to_list.extend(keys);
        self.list_some(vec![Event::RelistStarted], most)
    }

    /// Says so many of the services that are to be listed, and that this was all after the last one.
    fn list_some(&mut self, mut events: Events, most: usize) -> Events {
        for _ in 0..most {
            let Some(key) = self.to_list.pop_front() else {
                break;
            };
            self.say(key, true, &mut events);
        }
        if self.to_list.is_empty() {
            self.to_list = VecDeque::new();
            pack(&mut self.records);
            events.push(Event::RelistDone);
        }
        events
    }

    /// Says what holds for a service by now; outside a listing only when it is something else than before. Where
    /// nothing changed for it since, that is what was said before.
    fn say(&mut self, key: Key, listing: bool, events: &mut Events) {
        // Without its nodes it would have no instances, and lose those that it has.
        if self.follows_nodes(&key) && !self.nodes.was_listed() {
            self.waiting.insert(key);
            return;
        }
        let (desired, nodes) = self.desired(&key);
        self.follow_nodes(&key, &nodes);
        if let Desired::Service(service) = &desired {
            self.work.translations += 1;
            self.work.instances += service.instances.len() as u64;
        }
        match desired {
            Desired::Nothing => {
                let Some(record) = self.records.get_mut(&key) else {
                    return;
                };
                let known = record.is_known();
                record.said = None;
                record.rejected = None;
                self.forget_idle(&key);
                // In a listing, what is not mentioned is gone.
                if known && !listing {
                    events.push(Event::Removed(key));
                }
            }
            Desired::Rejected(rejection) => {
                let record = self.records.entry(key.clone()).or_default();
                if rejection.reason().withdraws() {
                    record.said = None;
                }
                if listing || record.rejected.as_deref() != Some(&rejection) {
                    record.rejected = Some(rejection.clone().into());
                    events.push(Event::Rejected(key, rejection));
                }
            }
            Desired::Service(service) => {
                let record = self.records.entry(key.clone()).or_default();
                self.work.comparisons += 1;
                let said = Some(self.digests.of(&service));
                let same = mem::replace(&mut record.said, said) == said;
                let recovered = record.rejected.take().is_some();
                if listing || recovered || !same {
                    events.push(Event::Upserted(key, Arc::new(service)));
                }
            }
        }
    }

    fn follows_nodes(&self, key: &Key) -> bool {
        matches!(self.services.get(key), Some(Ok(Some(head))) if head.follows_nodes())
    }

    /// What follows for a service, and the nodes that this depends on.
    fn desired(&self, key: &Key) -> (Desired, BTreeSet<Arc<str>>) {
        let mut nodes = BTreeSet::new();
        let desired = self
            .try_desired(key, &mut nodes)
            .unwrap_or_else(Desired::Rejected);
        (desired, nodes)
    }

    fn try_desired(&self, key: &Key, nodes: &mut BTreeSet<Arc<str>>) -> Result<Desired, Rejection> {
        let Some(head) = self.services.get(key) else {
            return Ok(Desired::Nothing);
        };
        if matches!(head, Ok(None)) || !self.selects_namespace(key.namespace())? {
            return Ok(Desired::Nothing);
        }
        let head = match head {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(Desired::Nothing),
            Err(rejection) => return Err(rejection.clone()),
        };
        let none = Record::default();
        let record = self.records.get(key).unwrap_or(&none);
        let slices = self.slices_of(head, key, record)?;
        if head.follows_nodes() {
            let found = slices.iter().flat_map(|slice| slice.nodes(&self.words));
            nodes.extend(found);
        }
        let addresses = self.addresses_of(nodes)?;
        Ok(Desired::Service(service(&Inputs {
            settings: &self.settings,
            words: &self.words,
            head,
            slices,
            ingresses: self.ingresses_of(head, key, record)?,
            node: &|name| addresses.get(name).copied(),
        })))
    }

    fn selects_namespace(&self, namespace: &Arc<str>) -> Result<bool, Rejection> {
        if !self.needs.namespaces {
            return Ok(true);
        }
        match self.namespaces.get(&Key::new("", Arc::clone(namespace))) {
            None => Ok(false),
            Some(namespace) => match (namespace.good, &namespace.problem) {
                (Some(selected), _) => Ok(selected),
                (None, Some(problem)) => Err(problem.clone()),
                (None, None) => Ok(false),
            },
        }
    }

    fn slices_of(&self, head: &Head, key: &Key, record: &Record) -> Result<Vec<&Slice>, Rejection> {
        let mut slices = Vec::new();
        let names = if head.follows_slices() {
            record.slices.as_ref()
        } else {
            &[]
        };
        for name in names {
            let found = self
                .slices
                .get(&Key::new(Arc::clone(key.namespace()), Arc::clone(name)));
            if let Some(slice) = found {
                slices.push(slice.body.as_ref().map_err(Clone::clone)?);
            }
        }
        Ok(slices)
    }

    fn ingresses_of(
        &self,
        head: &Head,
        key: &Key,
        record: &Record,
    ) -> Result<Vec<&IngressBody>, Rejection> {
        let mut ingresses = Vec::new();
        let names = if head.follows_ingresses() {
            record.ingresses.as_ref()
        } else {
            &[]
        };
        for name in names {
            let found = self
                .ingresses
                .get(&Key::new(Arc::clone(key.namespace()), Arc::clone(name)));
            if let Some(ingress) = found {
                ingresses.push(ingress.body.as_ref().map_err(Clone::clone)?);
            }
        }
        Ok(ingresses)
    }

    /// Those of the nodes that are known.
    fn addresses_of<'a>(
        &'a self,
        nodes: &'a BTreeSet<Arc<str>>,
    ) -> Result<BTreeMap<&'a str, &'a NodeBody>, Rejection> {
        let mut found = BTreeMap::new();
        let cluster: Arc<str> = Arc::default();
        for name in nodes {
            match self
                .nodes
                .get(&Key::new(Arc::clone(&cluster), Arc::clone(name)))
            {
                Some(LastGood {
                    good: Some(node), ..
                }) => drop(found.insert(name.as_ref(), node)),
                Some(LastGood {
                    problem: Some(problem),
                    ..
                }) => return Err(problem.clone()),
                _ => {}
            }
        }
        Ok(found)
    }
}
