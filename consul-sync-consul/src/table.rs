//! The last read of the catalog, slot by slot, and what a new read changes of it.
//!
//! Instances and checks are read by two queries, because a change of one does not move the index of the
//! other. Each read is compared with the last one by ID and `ModifyIndex` as it streams in, and only what
//! differs is built: a read without news allocates nothing that stays. What is new is marked by its place in the
//! answer or beside its instance, so that a read in which everything is new holds no names of its own meanwhile.
//!
//! Text and registrations are shared with whoever was given them, so the table itself costs 24 bytes an instance.

mod checks;
mod entry;
mod services;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use consul_sync_core::{Held, HeldRecord, Owner, Record, Slot, Standing};

pub(crate) use self::entry::Entry;
use self::{entry::Mark, services::Interrupted};
use crate::{
    registration::{Interner, Known, Registration, SeenCheck, Version, slot_of},
    wire,
};

/// The catalog's view of one node.
#[derive(Debug)]
pub(crate) struct Table {
    slots: HashMap<Slot, Vec<Entry>>,
    /// Checks whose instance is not known yet, because the other query has not shown it.
    loose: HashMap<(Box<str>, Box<str>), Vec<SeenCheck>>,
    /// What is owed of a read of the instances that failed half-way.
    interrupted: Interrupted,
    /// Slots that a read of the checks changed which failed half-way.
    unsaid: BTreeSet<Slot>,
    has_namespaces: bool,
    interner: Interner,
    known: Arc<Known>,
    /// Index of the last read of the instances.
    pub(crate) services_index: u64,
    /// Index of the last read of the checks.
    pub(crate) checks_index: u64,
}

// === impl Table ===

impl Table {
    pub(crate) fn new(has_namespaces: bool, known: Arc<Known>) -> Self {
        Self {
            slots: HashMap::new(),
            loose: HashMap::new(),
            interrupted: Interrupted::default(),
            unsaid: BTreeSet::new(),
            has_namespaces,
            interner: Interner::default(),
            known,
            services_index: 0,
            checks_index: 0,
        }
    }

    /// The instances of a slot, by ID.
    pub(crate) fn slot(&self, slot: &Slot) -> &[Entry] {
        self.slots.get(slot).map_or(&[], Vec::as_slice)
    }

    /// How many slots hold something.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every slot that holds something, in order.
    pub(crate) fn slots(&self) -> BTreeSet<Slot> {
        self.slots.keys().cloned().collect()
    }

    /// What a slot holds, as the engine takes it.
    pub(crate) fn held(&self, slot: &Slot, owner: &Owner) -> Held<Registration> {
        Held {
            records: self
                .slot(slot)
                .iter()
                .map(|entry| HeldRecord {
                    record: Arc::clone(&entry.record),
                    version: entry.version,
                    standing: entry.record.standing(owner),
                })
                .collect(),
        }
    }

    /// Whose each instance is.
    pub(crate) fn standings(&self, owner: &Owner) -> impl Iterator<Item = Standing> {
        self.slots
            .values()
            .flatten()
            .map(|entry| entry.record.standing(owner))
    }

    /// Where an instance stands in its slot, or where it would.
    fn find(entries: &[Entry], id: &str) -> Result<usize, usize> {
        entries.binary_search_by(|entry| entry.id().cmp_text(id))
    }

    /// Both reads are in: what they showed is what whoever wants the same shall be given.
    pub(crate) fn share(&mut self) {
        for entry in self.slots.values_mut().flatten() {
            entry.record = self.known.adopt(Arc::clone(&entry.record));
        }
    }

    /// A read begins: nothing was mentioned by it yet.
    fn begin(&mut self) {
        for entry in self.slots.values_mut().flatten() {
            entry.mark = Mark::default();
        }
    }

    /// Keeps a new state of an instance in its slot.
    fn keep(&mut self, slot: Slot, entry: Entry) {
        let entries = self.slots.entry(slot).or_default();
        match Self::find(entries, &entry.id().text()) {
            Ok(at) => entries[at] = entry,
            Err(at) => {
                if entries.len() == entries.capacity() {
                    entries.reserve_exact(1 + entries.len() / 8);
                }
                entries.insert(at, entry);
            }
        }
    }
}

/// The text of the slot of a name in an answer.
pub(crate) fn slot_key(has_namespaces: bool, namespace: &str, name: &str) -> String {
    let namespace = if namespace.is_empty() {
        "default"
    } else {
        namespace
    };
    slot_of(has_namespaces.then_some(namespace), name)
}

/// The key of checks that wait for their instance.
fn loose_key(namespace: &str, id: &str) -> (Box<str>, Box<str>) {
    (namespace.into(), id.into())
}

/// Builds the record of an instance of one slot from answers that show it whole.
pub(crate) fn assemble(
    service: &wire::Service,
    checks: &[wire::Check],
    has_namespaces: bool,
    interner: &mut Interner,
    known: &Known,
) -> Option<(Arc<Registration>, Version)> {
    let mut record = Registration::from_wire(service, has_namespaces, interner)?;
    known.liken(&mut record, interner);
    let id = record.id();
    let ours = checks
        .iter()
        .filter(|check| id.cmp_text(&check.service_id).is_eq());
    let seen: Vec<SeenCheck> = ours
        .filter_map(|check| SeenCheck::new(check, interner))
        .collect();
    let (record, check) = record.with_checks(seen.iter());
    let version = Version::new(service.modify_index, check);
    Some((known.share(record), version))
}

#[cfg(test)]
mod damage;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use consul_sync_core::Owner;
    use http::{HeaderMap, StatusCode};
    use proptest::{collection::btree_map, prelude::*};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Call,
        answer::{Answer, Body},
    };

    /// Instances by ID: name, port and version; and whether there is a check, with its version.
    type Catalog = BTreeMap<String, (String, u16, u64, Option<u64>)>;

    fn any_catalog() -> impl Strategy<Value = Catalog> {
        let instance = ("[abA]", 1..3_u16, 1..4_u64, prop::option::of(1..4_u64));
        btree_map("[a-e]", instance, 0..6)
    }

    fn answer(body: &Value) -> Answer {
        let call = Call {
            method: "GET",
            path: "/".into(),
            server: "test".into(),
        };
        let chunks = vec![Bytes::from(body.to_string())];
        let body = Body::new(chunks, false, u64::MAX);
        Answer::new(call, StatusCode::OK, HeaderMap::new(), body)
    }

    fn services(catalog: &Catalog) -> Answer {
        // The content follows from the version, as it does in Consul.
        let services: Vec<Value> = catalog
            .iter()
            .map(|(id, (name, port, version, _))| {
                json!({"ID": id, "Service": name, "Port": u64::from(*port) * version,
                    "ModifyIndex": version * 1000 + u64::from(*port) * 200 + u64::from(name.as_bytes()[0])})
            })
            .collect();
        answer(&json!({"Node": {"Node": "n"}, "Services": services}))
    }

    fn checks(catalog: &Catalog, named_after: &Catalog) -> Answer {
        let checks: Vec<Value> = catalog
            .iter()
            .filter_map(|(id, (.., check))| {
                let name = &named_after.get(id)?.0;
                let version = (*check)?;
                Some(
                    json!({"CheckID": format!("ns/{id}"), "ServiceID": id, "ServiceName": name,
                    "Status": "passing", "Output": version.to_string(), "ModifyIndex": version}),
                )
            })
            .collect();
        answer(&json!(checks))
    }

    fn fresh(catalog: &Catalog) -> Table {
        let mut table = Table::new(false, Arc::default());
        table.read_services(&services(catalog), 1).unwrap();
        table.read_checks(&checks(catalog, catalog), 1).unwrap();
        table
    }

    fn content(table: &Table) -> BTreeMap<String, Vec<(Arc<Registration>, Version)>> {
        let slots = table.slots.iter();
        let entries = |entries: &Vec<Entry>| {
            let pairs = entries.iter().map(|e| (Arc::clone(&e.record), e.version));
            pairs.collect()
        };
        slots
            .map(|(slot, list)| (slot.to_string(), entries(list)))
            .collect()
    }

    proptest! {
        #[test]
        fn reading_what_changed_gives_what_reading_everything_gives(
            before in any_catalog(),
            after in any_catalog(),
            checks_first in any::<bool>(),
        ) {
            let mut table = fresh(&before);
            let old = content(&table);
            // A check bears the name that its instance had when it was written.
            let read_checks = |table: &mut Table| {
                table.read_checks(&checks(&after, &after), 2).unwrap().touched
            };
            let mut touched = BTreeSet::new();
            if checks_first {
                touched.extend(read_checks(&mut table));
            }
            touched.extend(table.read_services(&services(&after), 2).unwrap().1);
            if !checks_first {
                touched.extend(read_checks(&mut table));
            }
            let new = content(&table);
            prop_assert_eq!(&new, &content(&fresh(&after)));
            // Every slot that differs was reported.
            let slots: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for slot in slots {
                if old.get(slot) != new.get(slot) {
                    prop_assert!(touched.contains(&Slot::new(slot.as_str()).unwrap()), "{slot}");
                }
            }
            // Reading the same again reports nothing, and keeps what was built.
            prop_assert!(table.read_services(&services(&after), 3).unwrap().1.is_empty());
            prop_assert!(read_checks(&mut table).is_empty());
            for (slot, records) in content(&table) {
                for ((one, _), (other, _)) in records.iter().zip(&new[&slot]) {
                    prop_assert!(Arc::ptr_eq(one, other));
                }
            }
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_changes_nothing() {
        let one: Catalog = [("a".to_owned(), ("a".to_owned(), 1, 1, Some(1)))].into();
        let mut table = fresh(&one);
        let before = content(&table);
        let broken =
            answer(&json!({"Node": {"Node": "n"}, "Services": [{"ID": "b", "Service": "b"}, 7]}));
        assert!(table.read_services(&broken, 2).is_err());
        assert!(table.read_checks(&answer(&json!([7])), 2).is_err());
        assert_eq!(content(&table), before);
        assert!(
            table
                .read_services(&services(&one), 3)
                .unwrap()
                .1
                .is_empty()
        );
    }

    #[test]
    fn what_was_taken_before_an_instance_that_cannot_be_read_is_told_with_the_next_read() {
        let one = |id: &str, name: &str, version| -> Catalog {
            [(id.to_owned(), (name.to_owned(), 1, version, Some(1)))].into()
        };
        let mut before = one("a", "x", 1);
        before.extend(one("b", "b", 1));
        let mut table = fresh(&before);
        // The first changes its name, and the second has a port that is none, which only the second look finds.
        let mut after = one("a", "y", 2);
        after.extend(one("b", "b", 2));
        let broken = answer(&json!({"Node": {"Node": "n"}, "Services": [
            {"ID": "a", "Service": "y", "Port": 2, "ModifyIndex": 2321},
            {"ID": "b", "Service": "b", "Port": "none", "ModifyIndex": 2300},
        ]}));
        assert!(table.read_services(&broken, 2).is_err());
        assert_eq!(table.services_index, 1);
        let (_, touched) = table.read_services(&services(&after), 3).unwrap();
        let slots = ["b", "x", "y"].map(|name| Slot::new(name).unwrap());
        assert_eq!(touched, BTreeSet::from(slots));
        let entries = table.slot(&Slot::new("y").unwrap());
        assert_eq!(entries.len(), 1);
        assert!(entries[0].record.check().is_some());
        assert!(table.slot(&Slot::new("x").unwrap()).is_empty());
    }

    #[test]
    fn what_was_taken_before_a_check_that_cannot_be_read_is_told_with_the_next_read() {
        let both = |version| -> Catalog {
            let instance = |name: &str| (name.to_owned(), (name.to_owned(), 1, 1, Some(version)));
            [instance("a"), instance("b")].into()
        };
        let mut table = fresh(&both(1));
        // Only the second look reads the status.
        let broken = answer(&json!([
            {"CheckID": "ns/a", "ServiceID": "a", "ServiceName": "a", "Status": "passing", "Output": "2", "ModifyIndex": 2},
            {"CheckID": "ns/b", "ServiceID": "b", "ServiceName": "b", "Status": 7, "ModifyIndex": 2},
        ]));
        assert!(table.read_checks(&broken, 2).is_err());
        assert_eq!(table.checks_index, 1);
        let read = table.read_checks(&checks(&both(2), &both(2)), 3).unwrap();
        let slots = ["a", "b"].map(|name| Slot::new(name).unwrap());
        assert_eq!(read.touched, BTreeSet::from(slots));
        assert!(read.doubtful.is_empty());
        assert_eq!(content(&table), content(&fresh(&both(2))));
    }

    #[test]
    fn an_instance_that_got_another_name_keeps_its_check() {
        let old: Catalog = [("a".to_owned(), ("x".to_owned(), 1, 1, Some(1)))].into();
        let new: Catalog = [("a".to_owned(), ("y".to_owned(), 1, 2, Some(1)))].into();
        for checks_first in [false, true] {
            let mut table = fresh(&old);
            let stale = checks(&new, &old);
            if checks_first {
                table.read_checks(&stale, 2).unwrap();
            }
            table.read_services(&services(&new), 2).unwrap();
            table.read_checks(&stale, 3).unwrap();
            let entries = table.slot(&Slot::new("y").unwrap());
            assert_eq!(entries.len(), 1);
            assert!(entries[0].record.check().is_some());
            assert!(table.slot(&Slot::new("x").unwrap()).is_empty());
        }
    }

    #[test]
    fn a_node_that_is_gone_holds_nothing() {
        let one: Catalog = [("a".to_owned(), ("a".to_owned(), 1, 1, Some(1)))].into();
        let mut table = fresh(&one);
        let gone = answer(&json!({"Node": null, "Services": null}));
        let (node, touched) = table.read_services(&gone, 2).unwrap();
        assert!(node.is_none() && touched.len() == 1);
        assert!(
            table
                .held(&Slot::new("a").unwrap(), &Owner::new("me").unwrap())
                .records
                .is_empty()
        );
    }
}
