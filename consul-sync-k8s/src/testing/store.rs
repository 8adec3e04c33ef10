//! The objects with their history: one revision for everything, as etcd has it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    kind::{KINDS, Kind, KindId},
    status::Failure,
};

/// How many changes are remembered; watches that fall behind further must list again.
const HISTORY: usize = 100_000;

/// An object, shared between the store, its history and the answers under way.
pub(super) type Shared = Arc<Value>;

/// One change: what was before, what is after, and when.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) kind: KindId,
    pub(super) before: Option<Shared>,
    /// The object that is there now; for a deletion the last one, at the deletion's revision.
    pub(super) object: Shared,
    pub(super) deleted: bool,
}

/// All objects by kind and path, in the order in which etcd keeps them.
#[derive(Debug)]
pub(super) struct Store {
    revision: u64,
    compacted: u64,
    objects: BTreeMap<(KindId, String), Shared>,
    history: VecDeque<Change>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            revision: 1,
            compacted: 0,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
        }
    }

    /// The version of the whole.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest version that can still be read or watched from.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Forgets what was before now: reads and watches from older versions fail.
    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
    }

    /// Makes time go on without a change, as writes to other kinds of object do.
    pub(super) fn advance(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Moves time to this version and forgets everything before: a restored backup.
    pub(super) fn rewind(&mut self, revision: u64) {
        self.revision = revision;
        self.compacted = revision;
        self.history.clear();
    }

    pub(super) fn get(&self, kind: KindId, path: &str) -> Option<&Shared> {
        self.objects.get(&(kind, path.to_owned()))
    }

    /// The objects of a kind, by path.
    pub(super) fn of(&self, kind: KindId) -> impl Iterator<Item = (&str, &Shared)> {
        self.objects
            .range((kind, String::new())..(kind + 1, String::new()))
            .map(|((_, path), object)| (path.as_str(), object))
    }

    /// The objects of a kind as they were at an older version.
    pub(super) fn at(
        &self,
        kind: KindId,
        revision: u64,
    ) -> Result<BTreeMap<String, Shared>, Failure> {
        if revision < self.compacted {
            return Err(Failure::too_old(revision, self.compacted));
        }
        let mut objects: BTreeMap<String, Shared> = self
            .of(kind)
            .map(|(path, object)| (path.to_owned(), Arc::clone(object)))
            .collect();
        let newer = self
            .history
            .iter()
            .rev()
            .take_while(|change| change.revision > revision);
        for change in newer.filter(|change| change.kind == kind) {
            let path = path_of(&change.object);
            match &change.before {
                Some(before) => objects.insert(path, Arc::clone(before)),
                None => objects.remove(&path),
            };
        }
        Ok(objects)
    }

    /// The changes after a version, oldest first.
    pub(super) fn since(&self, revision: u64) -> impl Iterator<Item = &Change> {
        let first = self
            .history
            .partition_point(|change| change.revision <= revision);
        self.history.range(first..)
    }

    /// Whether every change after this version is still known.
    pub(super) fn remembers(&self, revision: u64) -> bool {
        self.history
            .front()
            .is_none_or(|oldest| oldest.revision <= revision + 1)
            || revision >= self.compacted
    }

    /// Stores an object under its own path at a new version.
    pub(super) fn put(&mut self, kind: KindId, mut object: Value) -> Shared {
        self.revision += 1;
        set(
            &mut object,
            "/metadata",
            "resourceVersion",
            json!(self.revision.to_string()),
        );
        let object = Arc::new(object);
        let before = self
            .objects
            .insert((kind, path_of(&object)), Arc::clone(&object));
        self.remember(Change {
            revision: self.revision,
            kind,
            before,
            object: Arc::clone(&object),
            deleted: false,
        });
        object
    }

    /// Holds an object as it is, at no new version.
    pub(super) fn restore(&mut self, kind: KindId, object: Value) {
        self.objects
            .insert((kind, path_of(&object)), Arc::new(object));
    }

    /// Removes an object; answers its last form at the version of the deletion.
    pub(super) fn remove(&mut self, kind: KindId, path: &str) -> Option<Shared> {
        let before = self.objects.remove(&(kind, path.to_owned()))?;
        self.revision += 1;
        let mut last = Value::clone(&before);
        set(
            &mut last,
            "/metadata",
            "resourceVersion",
            json!(self.revision.to_string()),
        );
        let last = Arc::new(last);
        self.remember(Change {
            revision: self.revision,
            kind,
            before: Some(before),
            object: Arc::clone(&last),
            deleted: true,
        });
        Some(last)
    }

    fn remember(&mut self, change: Change) {
        self.history.push_back(change);
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.compacted = self.compacted.max(oldest.revision);
        }
    }
}

/// Namespace and name as one key, ordered as etcd orders them.
pub(super) fn path(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

/// The path of an object by its metadata.
pub(super) fn path_of(object: &Value) -> String {
    path(
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    )
}

/// The text at a JSON pointer, or the empty one.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Sets a field of the object at a pointer, which is made where it is missing.
pub(super) fn set(object: &mut Value, pointer: &str, field: &str, value: Value) {
    let mut at = object;
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        if !at.is_object() {
            *at = json!({});
        }
        let Some(map) = at.as_object_mut() else {
            return;
        };
        at = map.entry(part).or_insert_with(|| json!({}));
    }
    if !at.is_object() {
        *at = json!({});
    }
    if let Some(map) = at.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}

/// Removes a field of the object at a pointer.
pub(super) fn unset(object: &mut Value, pointer: &str, field: &str) {
    if let Some(map) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
        map.remove(field);
    }
}

/// The kind by its place.
pub(super) fn kind_of(id: KindId) -> &'static Kind {
    KINDS.get(id).unwrap_or(&KINDS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, value: u32) -> Value {
        json!({"metadata": {"namespace": "a", "name": name}, "value": value})
    }

    #[test]
    fn an_older_version_is_read_as_it_was() {
        let mut store = Store::new();
        store.put(0, object("x", 1));
        let then = store.revision();
        store.put(0, object("x", 2));
        store.put(0, object("y", 3));
        store.remove(0, "a/x");
        let objects = store.at(0, then).unwrap();
        assert_eq!(objects.keys().collect::<Vec<_>>(), ["a/x"]);
        assert_eq!(objects["a/x"]["value"], 1);
        store.compact();
        assert_eq!(store.at(0, then).unwrap_err().code, 410);
    }

    #[test]
    fn every_change_has_a_version_of_its_own_and_a_deletion_too() {
        let mut store = Store::new();
        store.put(0, object("x", 1));
        let put = store.revision();
        let last = store.remove(0, "a/x").unwrap();
        assert_eq!(
            text(&last, "/metadata/resourceVersion"),
            (put + 1).to_string()
        );
        let changes: Vec<_> = store
            .since(put)
            .map(|change| (change.revision, change.deleted))
            .collect();
        assert_eq!(changes, [(put + 1, true)]);
    }
}
