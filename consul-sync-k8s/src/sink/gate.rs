//! Whether anything may be written at this moment.

use std::sync::Arc;

/// Asked before each write. Without a question everything may be written.
#[derive(Clone, Default)]
pub(super) struct Gate(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Gate {
    pub(super) fn new(may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(may_write)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|may_write| may_write())
    }
}
