//! Everything known of a cluster, and what follows from it for the services it exports.

mod update;

use std::sync::Arc;

use consul_sync_core::{Event, Key, Service};

pub use update::{Change, Update};

use crate::ExportSettings;

/// The state of every watched object, and the services that follow from it. No I/O, no clock.
#[derive(Debug)]
pub struct Index {
    settings: Arc<ExportSettings>,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new(settings: Arc<ExportSettings>) -> Self {
        Self { settings }
    }

    /// Takes one change of one kind of object. Kinds that the settings do not need are ignored.
    pub fn apply(&mut self, update: impl Into<Update>) {
        let _ = (&self.settings, update.into());
    }

    /// What changed since the last call.
    ///
    /// Empty until every needed kind was listed once; then a complete listing; then only what changed.
    pub fn drain(&mut self) -> Vec<Event<Key, Arc<Service>>> {
        Vec::new()
    }
}
