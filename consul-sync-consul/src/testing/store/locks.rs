//! Writes of keys and sessions, with the indexes each of them moves.

use std::sync::Arc;
use std::time::Duration;

use super::super::lock::{KeyValue, Session};
use super::super::model::folded;
use super::{Store, Table, Undo, Written, replace};

// ---- sessions ---------------------------------------------------------------------------------------------------------

impl Store {
    pub(in super::super) fn session(&self, id: &str) -> Option<&Arc<Session>> {
        self.sessions.get(id)
    }

    pub(in super::super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    /// Makes a session on a node that is there, with checks that are there.
    pub(in super::super) fn make_session(
        &mut self,
        index: u64,
        mut session: Session,
    ) -> Written<()> {
        if self.node(&session.node).is_none() {
            return Err("Missing node registration".to_owned());
        }
        for check in session.node_checks.iter().flatten() {
            match self.check(&session.node, check) {
                None => return Err(format!("Missing check '{check}' registration")),
                Some(found) if found.status == "critical" => {
                    return Err(format!("Check '{check}' is in critical state"));
                }
                Some(_) => {}
            }
        }
        session.create_index = index;
        session.modify_index = index;
        self.put_session(&session.id.clone(), Some(Arc::new(session)));
        self.touch(Table::Sessions, index);
        Ok(())
    }

    /// Ends a session and releases what it holds.
    pub(in super::super) fn end_session(&mut self, index: u64, id: &str) {
        let Some(session) = self.session(id).cloned() else {
            return;
        };
        self.put_session(id, None);
        self.touch(Table::Sessions, index);
        let held: Vec<_> = self
            .keys
            .values()
            .filter(|entry| entry.session == id)
            .map(|entry| (**entry).clone())
            .collect();
        for mut entry in held {
            let key = entry.key.clone();
            if session.behavior == "delete" {
                self.remove_key(index, &key);
            } else {
                entry.session.clear();
                self.write_key(index, entry);
            }
            self.released.push((key, session.lock_delay));
        }
    }

    pub(super) fn end_sessions_of_node(&mut self, index: u64, node: &str) {
        let on_it = |session: &&Arc<Session>| folded(&session.node) == folded(node);
        let sessions: Vec<_> = self
            .sessions()
            .filter(on_it)
            .map(|session| session.id.clone())
            .collect();
        for id in sessions {
            self.end_session(index, &id);
        }
    }

    /// Keys that lost their session in the last entry, and for how long they cannot be locked.
    pub(in super::super) fn take_released(&mut self) -> Vec<(String, Duration)> {
        std::mem::take(&mut self.released)
    }

    fn put_session(&mut self, id: &str, session: Option<Arc<Session>>) {
        let was = replace(&mut self.sessions, &id.to_owned(), session);
        self.undo.push(Undo::Session(id.to_owned(), was));
    }
}

// ---- keys -------------------------------------------------------------------------------------------------------------

impl Store {
    pub(in super::super) fn key(&self, key: &str) -> Option<&Arc<KeyValue>> {
        self.keys.get(key)
    }

    pub(in super::super) fn keys(&self) -> impl Iterator<Item = &Arc<KeyValue>> {
        self.keys.values()
    }

    /// Writes a key; who holds it stays.
    pub(in super::super) fn set_key(&mut self, index: u64, mut entry: KeyValue) {
        entry.session.clear();
        if let Some(old) = self.key(&entry.key) {
            entry.session.clone_from(&old.session);
            entry.lock_index = old.lock_index;
        }
        self.write_key(index, entry);
    }

    /// Writes a key if its `modify_index` fits, 0 for none; whether it fitted.
    pub(in super::super) fn set_key_if(&mut self, index: u64, entry: KeyValue) -> bool {
        let found = self.key(&entry.key).map_or(0, |old| old.modify_index);
        if found != entry.modify_index {
            return false;
        }
        self.set_key(index, entry);
        true
    }

    pub(in super::super) fn remove_key(&mut self, index: u64, key: &str) {
        if self.key(key).is_some() {
            let was = replace(&mut self.keys, &key.to_owned(), None);
            self.undo.push(Undo::Key(key.to_owned(), was));
            self.touch(Table::Keys, index);
        }
    }

    /// Removes a key that still has this index, or is gone; whether it had.
    pub(in super::super) fn remove_key_if(&mut self, index: u64, key: &str, asked: u64) -> bool {
        let fits = self.key(key).is_none_or(|old| old.modify_index == asked);
        if fits {
            self.remove_key(index, key);
        }
        fits
    }

    /// Locks a key for its session; whether nobody else holds it.
    pub(in super::super) fn lock_key(&mut self, index: u64, mut entry: KeyValue) -> Written<bool> {
        if entry.session.is_empty() {
            return Err("missing session".to_owned());
        }
        if self.session(&entry.session).is_none() {
            return Err(format!("invalid session {:?}", entry.session));
        }
        entry.lock_index = match self.key(&entry.key) {
            None => 1,
            Some(old) if old.session == entry.session => old.lock_index,
            Some(old) if old.session.is_empty() => old.lock_index + 1,
            Some(_) => return Ok(false),
        };
        self.write_key(index, entry);
        Ok(true)
    }

    /// Releases a key; whether its session held it.
    pub(in super::super) fn unlock_key(
        &mut self,
        index: u64,
        mut entry: KeyValue,
    ) -> Written<bool> {
        if entry.session.is_empty() {
            return Err("missing session".to_owned());
        }
        let Some(old) = self
            .key(&entry.key)
            .filter(|old| old.session == entry.session)
        else {
            return Ok(false);
        };
        entry.lock_index = old.lock_index;
        entry.session.clear();
        self.write_key(index, entry);
        Ok(true)
    }

    fn write_key(&mut self, index: u64, mut entry: KeyValue) {
        entry.create_index = index;
        if let Some(old) = self.keys.get(&entry.key) {
            entry.create_index = old.create_index;
            if entry.is_same(old) {
                return;
            }
        }
        entry.modify_index = index;
        let key = entry.key.clone();
        let was = replace(&mut self.keys, &key, Some(Arc::new(entry)));
        self.undo.push(Undo::Key(key, was));
        self.touch(Table::Keys, index);
    }
}
