//! Whether the running process knows one side completely, and since when no more.

use tokio::time::Instant;

/// Whether one side is known completely.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Knowledge {
    is_complete: bool,
    lost_at: Option<Instant>,
}

impl Knowledge {
    pub(crate) fn gain(&mut self) {
        self.is_complete = true;
    }

    pub(crate) fn lose(&mut self) {
        if std::mem::take(&mut self.is_complete) {
            self.lost_at = Some(Instant::now());
        }
    }

    pub(crate) fn is_complete(self) -> bool {
        self.is_complete
    }

    /// Whether a delete that is sent now may stand on it. A batch that was handed out is sent in the same moment, but an
    /// event of that moment may be taken before.
    pub(crate) fn holds(self) -> bool {
        self.is_complete || self.lost_at == Some(Instant::now())
    }
}
