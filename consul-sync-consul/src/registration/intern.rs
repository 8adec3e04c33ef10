//! One copy of what repeats.

use std::{collections::HashSet, sync::Arc};

use consul_sync_core::MetaForms;

use super::{Common, RegisteredCheck};

/// Keeps one copy of each text, each common part and each check that reads have shown. A hundred thousand
/// instances have some thousand of them.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: HashSet<Arc<str>>,
    commons: HashSet<Arc<Common>>,
    checks: HashSet<Arc<RegisteredCheck>>,
    /// What instances on one node have in common.
    pub(super) forms: MetaForms,
}

// === impl Interner ===

impl Interner {
    /// The one copy of a text.
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// The one copy of a common part.
    pub(crate) fn common(&mut self, common: Arc<Common>) -> Arc<Common> {
        if let Some(known) = self.commons.get(&common) {
            return Arc::clone(known);
        }
        self.commons.insert(Arc::clone(&common));
        common
    }

    /// The one copy of a check.
    pub(crate) fn check(&mut self, check: RegisteredCheck) -> Arc<RegisteredCheck> {
        if let Some(known) = self.checks.get(&check) {
            return Arc::clone(known);
        }
        let check = Arc::new(check);
        self.checks.insert(Arc::clone(&check));
        check
    }

    /// Drops what nothing uses any more.
    pub(crate) fn sweep(&mut self) {
        self.commons.retain(|common| Arc::strong_count(common) > 1);
        self.checks.retain(|check| Arc::strong_count(check) > 1);
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }
}
