//! The catalog's tables, their indexes and the writes that one raft entry makes.
//!
//! Which index moves on which write is the part that matters: a blocking query returns when, and only when, the index of
//! its endpoint passes the one it was asked with. The rules here are those of Consul's state store, down to its oddities
//! (deleting a check of a node moves the index of `/v1/catalog/services`; a service written under a new name leaves the
//! old name's index in place).
//!
//! A write that fails half way is taken back by an undo log, so a transaction costs what it touches and not the size of
//! the catalog.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::lock::{KeyValue, Session};
use super::model::{Check, Instance, Node, folded};
use super::namespace::Namespace;
use super::tenancy;

mod events;
mod locks;
mod namespaces;
mod writes;

pub(super) use events::Event;

/// Names of indexes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Nodes,
    /// The nodes themselves: the index of nodes moves with their services, too.
    NodeRecords,
    Services,
    Checks,
    /// Last time a service name lost its last instance.
    ServiceExtinction,
    /// Last time a node went.
    NodeExtinction,
    /// One node, folded.
    Node(String),
    /// One service name, folded.
    Service(String),
    Keys,
    Sessions,
}

/// Node and instance or check ID, both folded.
pub(super) type Place = (String, String);

#[derive(Clone, Debug)]
enum Undo {
    Node(String, Option<Arc<Node>>),
    Instance(Place, Option<Arc<Instance>>),
    Check(Place, Option<Arc<Check>>),
    Index(Table, Option<u64>),
    Key(String, Option<Arc<KeyValue>>),
    Session(String, Option<Arc<Session>>),
}

/// The tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    nodes: BTreeMap<String, Arc<Node>>,
    instances: BTreeMap<Place, Arc<Instance>>,
    instances_by_name: BTreeMap<String, BTreeSet<Place>>,
    checks: BTreeMap<Place, Arc<Check>>,
    checks_by_instance: BTreeMap<Place, BTreeSet<String>>,
    indexes: HashMap<Table, u64>,
    keys: BTreeMap<String, Arc<KeyValue>>,
    sessions: BTreeMap<String, Arc<Session>>,
    /// Namespaces by name. They are written by entries of their own, so they need no undo.
    pub(super) namespaces: BTreeMap<String, Namespace>,
    /// Keys that lost their session in this entry, with its lock delay.
    released: Vec<(String, Duration)>,
    undo: Vec<Undo>,
    /// Index of the last raft entry.
    pub(super) raft: u64,
}

/// What a raft entry did.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) any: bool,
    pub(super) events: Vec<Event>,
}

/// Consul's words for a lookup by an empty name.
pub(super) const MISSING_KEY: &str = "index error: object is missing a value for this index";

const MISSING_SERVICE: &str = "Missing service registration";

/// Failure of a write, in Consul's words.
pub(super) type Written<T> = Result<T, String>;

// ---- raft entries -----------------------------------------------------------------------------------------------------

impl Store {
    /// An empty catalog after the raft entry `raft`.
    pub(super) fn starting_at(raft: u64) -> Self {
        let builtin = Namespace::builtin();
        Self {
            raft,
            namespaces: BTreeMap::from([(tenancy::DEFAULT.to_owned(), builtin)]),
            ..Self::default()
        }
    }

    /// Runs `write` as one raft entry: all of it happens or nothing does. The second value says what changed, with the
    /// events if `with_events`.
    pub(super) fn entry<T, E>(
        &mut self,
        with_events: bool,
        write: impl FnOnce(&mut Self, u64) -> Result<T, E>,
    ) -> (Result<T, E>, Change) {
        self.raft += 1;
        let result = write(self, self.raft);
        if result.is_err() {
            self.roll_back();
            self.released.clear();
        }
        let events = if with_events {
            self.events()
        } else {
            Vec::new()
        };
        let change = Change {
            any: !self.undo.is_empty(),
            events,
        };
        self.undo.clear();
        (result, change)
    }

    fn roll_back(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Node(key, was) => drop(replace(&mut self.nodes, &key, was)),
                Undo::Instance(place, was) => drop(self.swap_instance(&place, was)),
                Undo::Check(place, was) => drop(self.swap_check(&place, was)),
                Undo::Index(table, Some(was)) => drop(self.indexes.insert(table, was)),
                Undo::Index(table, None) => drop(self.indexes.remove(&table)),
                Undo::Key(key, was) => drop(replace(&mut self.keys, &key, was)),
                Undo::Session(id, was) => drop(replace(&mut self.sessions, &id, was)),
            }
        }
    }

    fn put_node(&mut self, key: String, node: Option<Arc<Node>>) {
        let was = replace(&mut self.nodes, &key, node);
        self.undo.push(Undo::Node(key, was));
    }

    fn put_instance(&mut self, place: &Place, instance: Option<Arc<Instance>>) {
        let was = self.swap_instance(place, instance);
        self.undo.push(Undo::Instance(place.clone(), was));
    }

    fn put_check(&mut self, place: &Place, check: Option<Arc<Check>>) {
        let was = self.swap_check(place, check);
        self.undo.push(Undo::Check(place.clone(), was));
    }

    fn swap_instance(
        &mut self,
        place: &Place,
        instance: Option<Arc<Instance>>,
    ) -> Option<Arc<Instance>> {
        let new_name = instance.as_ref().map(|i| folded(&i.service));
        let was = replace(&mut self.instances, place, instance);
        if let Some(old) = &was {
            unlink(&mut self.instances_by_name, &folded(&old.service), place);
        }
        if let Some(name) = new_name {
            self.instances_by_name
                .entry(name)
                .or_default()
                .insert(place.clone());
        }
        was
    }

    fn swap_check(&mut self, place: &Place, check: Option<Arc<Check>>) -> Option<Arc<Check>> {
        let new_owner = check
            .as_ref()
            .map(|c| (place.0.clone(), folded(&c.service_id)));
        let was = replace(&mut self.checks, place, check);
        if let Some(old) = &was {
            unlink(
                &mut self.checks_by_instance,
                &(place.0.clone(), folded(&old.service_id)),
                &place.1,
            );
        }
        if let Some(owner) = new_owner {
            self.checks_by_instance
                .entry(owner)
                .or_default()
                .insert(place.1.clone());
        }
        was
    }

    fn touch(&mut self, table: Table, index: u64) {
        let was = self.indexes.insert(table.clone(), index);
        self.undo.push(Undo::Index(table, was));
    }

    fn forget(&mut self, table: Table) {
        let was = self.indexes.remove(&table);
        self.undo.push(Undo::Index(table, was));
    }
}

// ---- lookups ----------------------------------------------------------------------------------------------------------

impl Store {
    pub(super) fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(&folded(name))
    }

    pub(super) fn node_by_id(&self, id: &str) -> Option<&Arc<Node>> {
        self.nodes
            .values()
            .find(|node| !node.id.is_empty() && node.id.eq_ignore_ascii_case(id))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    pub(super) fn instance(&self, node: &str, id: &str) -> Option<&Arc<Instance>> {
        self.instances.get(&(folded(node), folded(id)))
    }

    pub(super) fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.values()
    }

    pub(super) fn instances_of_node(&self, node: &str) -> impl Iterator<Item = &Arc<Instance>> {
        let node = folded(node);
        let from = (node.clone(), String::new());
        self.instances
            .range(from..)
            .take_while(move |(place, _)| place.0 == node)
            .map(|(_, instance)| instance)
    }

    pub(super) fn instances_of_service(&self, name: &str) -> impl Iterator<Item = &Arc<Instance>> {
        let places = self
            .instances_by_name
            .get(&folded(name))
            .into_iter()
            .flatten();
        places.filter_map(|place| self.instances.get(place))
    }

    pub(super) fn check(&self, node: &str, id: &str) -> Option<&Arc<Check>> {
        self.checks.get(&(folded(node), folded(id)))
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &Arc<Check>> {
        self.checks.values()
    }

    pub(super) fn checks_of_node(&self, node: &str) -> impl Iterator<Item = &Arc<Check>> {
        let node = folded(node);
        let from = (node.clone(), String::new());
        self.checks
            .range(from..)
            .take_while(move |(place, _)| place.0 == node)
            .map(|(_, check)| check)
    }

    /// Checks of one instance; with an empty ID those of the node itself.
    pub(super) fn checks_of_instance(
        &self,
        node: &str,
        id: &str,
    ) -> impl Iterator<Item = &Arc<Check>> {
        let owner = (folded(node), folded(id));
        let ids = self.checks_by_instance.get(&owner).into_iter().flatten();
        ids.filter_map(move |check| self.checks.get(&(owner.0.clone(), check.clone())))
    }

    /// Value of an index, 0 when nothing moved it yet.
    pub(super) fn index(&self, table: &Table) -> u64 {
        self.indexes.get(table).copied().unwrap_or(0)
    }

    /// Index that answers about one service name carry.
    pub(super) fn service_index(&self, name: &str, exists: bool, with_checks: bool) -> u64 {
        if !exists && let Some(index) = self.indexes.get(&Table::ServiceExtinction) {
            return *index;
        }
        match self.indexes.get(&Table::Service(folded(name))) {
            Some(index) => *index,
            None => self.catalog_index(with_checks),
        }
    }

    /// Highest index of services and nodes, and of checks if asked.
    pub(super) fn catalog_index(&self, with_checks: bool) -> u64 {
        let checks = if with_checks {
            self.index(&Table::Checks)
        } else {
            0
        };
        self.index(&Table::Services)
            .max(self.index(&Table::Nodes))
            .max(checks)
    }
}

fn replace<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}

fn unlink<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
