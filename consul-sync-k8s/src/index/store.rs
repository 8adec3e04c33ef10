//! The objects of one kind, as last heard of.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem,
};

use consul_sync_core::Key;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::uid::Uid;

/// The objects of one kind, and how far they are known.
#[derive(Debug)]
pub(super) struct Store<V> {
    objects: BTreeMap<Key, Held<V>>,
    /// Counts listings. An object that was heard of since the last one began carries its number.
    listing: u32,
    /// Whether a listing has begun and not ended.
    in_listing: bool,
    complete: bool,
    /// Whether it was complete once.
    listed: bool,
}

#[derive(Debug)]
struct Held<V> {
    uid: Uid,
    /// The resource version, where it is a number: only then can two be compared.
    version: Option<u64>,
    listing: u32,
    /// Whether the last listing showed an older version than this one.
    contested: bool,
    value: V,
}

/// Whether what was heard of an object counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is at least as new as what is held.
    Take,
    /// It is older: somebody served the past.
    Stale,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            listing: 0,
            in_listing: false,
            complete: false,
            listed: false,
        }
    }
}

impl<V> Store<V> {
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether it was completely known once. Then what is held is true, or was.
    pub(super) fn was_listed(&self) -> bool {
        self.listed
    }

    pub(super) fn get(&self, key: &Key) -> Option<&V> {
        self.objects.get(key).map(|held| &held.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.objects.iter().map(|(key, held)| (key, &held.value))
    }

    /// The objects of one namespace.
    pub(super) fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Key> {
        let first = Key::new(namespace, "");
        let range = self.objects.range(first..).map(|(key, _)| key);
        range.take_while(move |key| key.namespace().as_ref() == namespace)
    }

    /// Notes that an object was heard of, and says whether what was heard counts.
    ///
    /// Only versions of one UID are compared: a new object under an old name is another one. An older version
    /// is what a lagging server shows (fault catalogue K11), and is ignored; but when two listings in a row
    /// show it, it is the truth that went back, as after a restore of etcd (K22).
    pub(super) fn hear(&mut self, key: &Key, metadata: &ObjectMeta) -> Verdict {
        let Some(held) = self.objects.get_mut(key) else {
            return Verdict::Take;
        };
        held.listing = self.listing;
        let older = match (held.version, version(metadata)) {
            (Some(held), Some(heard)) => heard < held,
            _ => false,
        };
        if !older || held.uid != Uid::of(metadata) {
            return Verdict::Take;
        }
        let confirmed = held.contested && self.in_listing;
        held.contested |= self.in_listing;
        if confirmed {
            Verdict::Take
        } else {
            Verdict::Stale
        }
    }

    /// Holds an object; returns what was held under its name.
    pub(super) fn insert(&mut self, key: Key, metadata: &ObjectMeta, value: V) -> Option<V> {
        let held = Held {
            uid: Uid::of(metadata),
            version: version(metadata),
            listing: self.listing,
            contested: false,
            value,
        };
        match self.objects.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(held);
                None
            }
            Entry::Occupied(mut occupied) => Some(occupied.insert(held).value),
        }
    }

    /// Removes an object, unless another one has its name by now.
    pub(super) fn remove(&mut self, key: &Key, metadata: &ObjectMeta) -> Option<V> {
        let held = self.objects.get(key)?;
        if held.uid != Uid::of(metadata) && metadata.uid.is_some() {
            return None;
        }
        self.objects.remove(key).map(|held| held.value)
    }

    pub(super) fn start_listing(&mut self) {
        self.listing = self.listing.wrapping_add(1);
        self.in_listing = true;
    }

    /// Ends a listing; returns what it did not show. Without a beginning there is no end, and nothing is gone.
    pub(super) fn finish_listing(&mut self) -> Vec<(Key, V)> {
        if !self.in_listing {
            return Vec::new();
        }
        self.in_listing = false;
        self.complete = true;
        if !self.listed {
            pack(&mut self.objects);
        }
        self.listed = true;
        let old = self
            .objects
            .iter()
            .filter(|(_, held)| held.listing != self.listing);
        let gone: Vec<Key> = old.map(|(key, _)| key.clone()).collect();
        gone.into_iter()
            .filter_map(|key| {
                let held = self.objects.remove(&key)?;
                Some((key, held.value))
            })
            .collect()
    }

    /// The kind is not completely known any more. What is held stays.
    pub(super) fn lose(&mut self) {
        self.in_listing = false;
        self.complete = false;
    }
}

/// Makes a map that was filled in the order of its keys anew: so filled, every node of it is half empty.
pub(super) fn pack<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    *map = mem::take(map).into_iter().collect();
}

fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: &str, version: &str) -> ObjectMeta {
        ObjectMeta {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn held(uid: &str, version: &str) -> (Store<u8>, Key) {
        let mut store = Store::default();
        let key = Key::new("ns", "name");
        store.insert(key.clone(), &meta(uid, version), 1);
        (store, key)
    }

    #[test]
    fn an_older_version_of_the_same_object_is_stale() {
        let (mut store, key) = held("a", "10");
        assert_eq!(store.hear(&key, &meta("a", "9")), Verdict::Stale);
        assert_eq!(store.hear(&key, &meta("a", "10")), Verdict::Take);
        assert_eq!(store.hear(&key, &meta("a", "11")), Verdict::Take);
    }

    #[test]
    fn versions_that_are_no_numbers_are_not_compared() {
        let (mut store, key) = held("a", "10");
        assert_eq!(store.hear(&key, &meta("a", "x9")), Verdict::Take);
        let (mut store, key) = held("a", "x10");
        assert_eq!(store.hear(&key, &meta("a", "9")), Verdict::Take);
    }

    #[test]
    fn a_new_uid_replaces_whatever_its_version() {
        let (mut store, key) = held("a", "10");
        assert_eq!(store.hear(&key, &meta("b", "9")), Verdict::Take);
    }

    #[test]
    fn an_older_version_counts_when_two_listings_in_a_row_show_it() {
        let (mut store, key) = held("a", "10");
        store.start_listing();
        assert_eq!(store.hear(&key, &meta("a", "9")), Verdict::Stale);
        assert!(
            store.finish_listing().is_empty(),
            "it was listed, so it is not gone"
        );
        // Events between the listings decide nothing.
        assert_eq!(store.hear(&key, &meta("a", "9")), Verdict::Stale);
        store.start_listing();
        assert_eq!(store.hear(&key, &meta("a", "9")), Verdict::Take);
    }

    #[test]
    fn a_delete_of_the_former_object_of_a_name_is_ignored() {
        let (mut store, key) = held("b", "10");
        assert_eq!(store.remove(&key, &meta("a", "9")), None);
        assert_eq!(store.remove(&key, &meta("b", "11")), Some(1));
    }

    #[test]
    fn the_end_of_a_listing_that_never_began_removes_nothing() {
        let (mut store, _) = held("a", "10");
        assert!(store.finish_listing().is_empty());
        assert!(!store.is_complete());
        store.start_listing();
        store.lose();
        assert!(store.finish_listing().is_empty());
        assert!(!store.is_complete());
        assert_eq!(store.iter().count(), 1);
    }
}
