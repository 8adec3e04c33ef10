//! What the suite needs to change what is behind a source.

use std::{fmt, net::IpAddr};

use async_trait::async_trait;

use crate::{Key, Source};

/// What is behind a source, as the suite changes it. Two methods are enough; every other one widens what is checked.
///
/// A change must have happened when its method returns: what a source reads from then on shows it. Whether a source
/// was told is the source's business.
#[async_trait]
pub trait World: Send + Sync {
    /// The source that is checked.
    type Source: Source;

    /// The source over this world. One and the same, which is watched any number of times.
    fn source(&self) -> &Self::Source;

    /// The suite's services, counted from 0. Each number is another key.
    fn key(&self, number: usize) -> Key {
        Key::new("suite", format!("service-{number}"))
    }

    /// Makes the service exist with exactly these addresses, whatever it was before. They were never its before.
    async fn put(&mut self, key: &Key, addresses: &[IpAddr]);

    /// Makes the service not exist.
    async fn delete(&mut self, key: &Key);

    /// Makes the service exist in a form that the source cannot use. Answers whether that can be done.
    async fn spoil(&mut self, key: &Key) -> bool {
        let _ = key;
        false
    }

    /// Begins a disturbance. Answers whether it can be done; those that can be are part of the check.
    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        let _ = disturbance;
        false
    }

    /// Ends a disturbance that [lasts](Disturbance::lasts).
    async fn end(&mut self, disturbance: Disturbance) {
        let _ = disturbance;
    }

    /// Time enough for a source that says more than it should to say it: longer than it waits before it tries again, or
    /// for a sign that all is well again. For a source in memory, none.
    async fn moment(&self) {}

    /// Longer than a source may take to tell what happened, whatever was in its way. It bounds what would else be
    /// waited for without end. For a source in memory, none.
    async fn limit(&self) {}

    /// What is open behind the streams that live: connections, tasks, queries. `None` when it cannot be counted.
    fn open(&self) -> Option<usize> {
        None
    }

    /// Whether a put takes effect as a whole. A source that joins several objects may tell a service between two of
    /// them, or with one of them as it was before: then the values in between are not judged, only what it comes to.
    fn is_atomic(&self) -> bool {
        true
    }
}

/// What goes wrong between a source and what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Disturbance {
    /// Connections break. Nothing is lost for a source that resumes.
    Break,
    /// Connections stay open and say nothing any more.
    Silence,
    /// Connections break, and what changed is forgotten: only a listing tells what is there.
    Forget,
    /// Every request fails, as when a server is away. It lasts.
    Outage,
    /// The rights to read (a part) are withdrawn, and what is open ends. It lasts.
    Denied,
    /// Connections break, what changed is forgotten, and listings break off before their end. It lasts.
    Cut,
}

impl Disturbance {
    /// Every disturbance.
    pub const ALL: [Self; 6] = [
        Self::Break,
        Self::Silence,
        Self::Forget,
        Self::Denied,
        Self::Outage,
        Self::Cut,
    ];

    /// Whether it goes on until it is ended.
    pub fn lasts(self) -> bool {
        matches!(self, Self::Outage | Self::Denied | Self::Cut)
    }

    /// Whether a report on it must say that what was known may no longer be complete
    /// ([`ErrorKind::weakens`](crate::ErrorKind::weakens)); `None` where either is right.
    pub(super) fn weakens(self) -> Option<bool> {
        match self {
            Self::Denied => Some(true),
            Self::Outage => Some(false),
            Self::Break | Self::Silence | Self::Forget | Self::Cut => None,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Break => "connections break",
            Self::Silence => "connections fall silent",
            Self::Forget => "connections break and the past is forgotten",
            Self::Outage => "an outage",
            Self::Denied => "rights are missing",
            Self::Cut => "listings break off",
        })
    }
}
