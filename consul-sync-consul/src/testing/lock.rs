//! Keys and the sessions that lock them: what the fake holds of Consul's key/value store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::store::Store;

/// Consul lets a session live for so many times its TTL after it was last renewed.
const TTL_MULTIPLIER: u32 = 2;
/// No lock is held back for longer.
const LONGEST_LOCK_DELAY: Duration = Duration::from_secs(60);

/// A key with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// Key.
    pub key: String,
    /// Value; `None` is JSON's null.
    pub value: Option<Vec<u8>>,
    /// Free for the writer's use.
    pub flags: u64,
    /// Session that holds the lock on the key; empty for none.
    pub session: String,
    /// How often it was locked.
    pub lock_index: u64,
    /// Raft index of the write that created it.
    pub create_index: u64,
    /// Raft index of the last write that changed it.
    pub modify_index: u64,
}

impl KeyValue {
    /// Whether a write of `self` over `other` would change nothing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let of = |entry: &Self| {
            (
                entry.lock_index,
                entry.flags,
                entry.value.clone().unwrap_or_default(),
                entry.session.clone(),
            )
        };
        of(self) == of(other)
    }

    /// As reads print it; without its value inside the answer of a transaction that did not read.
    pub(super) fn print(&self, with_value: bool) -> Value {
        use base64::Engine as _;
        let value = self.value.as_ref().filter(|_| with_value);
        let value = value.map(|value| base64::engine::general_purpose::STANDARD.encode(value));
        let mut printed = json!({
            "LockIndex": self.lock_index, "Key": self.key, "Flags": self.flags, "Value": value,
            "CreateIndex": self.create_index, "ModifyIndex": self.modify_index,
        });
        if !self.session.is_empty() {
            printed["Session"] = self.session.as_str().into();
        }
        printed
    }
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Session {
    /// UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// Free text.
    pub name: String,
    /// The node that it stands on: it goes with it.
    pub node: String,
    /// For how long its locks cannot be taken after it ended, in nanoseconds.
    #[serde(serialize_with = "nanoseconds")]
    pub lock_delay: Duration,
    /// `release` or `delete`: what becomes of its keys when it ends.
    pub behavior: String,
    /// How long it lives without being renewed, as it was written; empty for ever.
    #[serde(rename = "TTL")]
    pub ttl: String,
    /// Checks of the node that have to pass.
    pub node_checks: Option<Vec<String>>,
    /// Checks of services that have to pass; always null here.
    pub service_checks: Option<Vec<String>>,
    /// Raft index of the write that created it.
    pub create_index: u64,
    /// The same.
    pub modify_index: u64,
}

fn nanoseconds<S: serde::Serializer>(delay: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
}

impl Session {
    fn lifetime(&self) -> Option<Duration> {
        let ttl = super::request::go_duration(&self.ttl).filter(|ttl| !ttl.is_zero())?;
        Some(ttl * TTL_MULTIPLIER)
    }
}

/// What a leading server knows by its clock and keeps in no table.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    /// When sessions end.
    ends: BTreeMap<String, Instant>,
    /// Until when keys cannot be locked.
    delays: BTreeMap<String, Instant>,
}

impl Clocks {
    /// A session was made or renewed.
    pub(super) fn reset(&mut self, session: &Session) {
        if let Some(lifetime) = session.lifetime() {
            self.ends
                .insert(session.id.clone(), Instant::now() + lifetime);
        }
    }

    /// Other tables are in place: their sessions start anew.
    pub(super) fn start_over(&mut self, store: &Store) {
        self.ends.clear();
        self.delays.clear();
        store.sessions().for_each(|session| self.reset(session));
    }

    /// Keys lost their session.
    pub(super) fn delay(&mut self, keys: Vec<(String, Duration)>) {
        for (key, delay) in keys {
            if !delay.is_zero() {
                let until = Instant::now() + delay.min(LONGEST_LOCK_DELAY);
                self.delays.insert(key, until);
            }
        }
    }

    /// Keys that cannot be locked now.
    pub(super) fn delayed(&mut self) -> BTreeSet<String> {
        let now = Instant::now();
        self.delays.retain(|_, until| *until > now);
        self.delays.keys().cloned().collect()
    }

    /// Sessions whose time is over; they are forgotten.
    pub(super) fn ended(&mut self) -> Vec<String> {
        let now = Instant::now();
        let over = |end: &Instant| *end <= now;
        let ended = self.ends.iter().filter(|(_, end)| over(end));
        let ended: Vec<String> = ended.map(|(id, _)| id.clone()).collect();
        self.ends.retain(|_, end| !over(end));
        ended
    }

    /// When the next session ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.values().min().copied()
    }
}
