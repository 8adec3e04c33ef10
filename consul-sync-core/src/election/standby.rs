//! A process that stands by: what it knows of the election, and what of that is news.

use super::{ElectionState, Holder};
use crate::ErrorKind;

/// What a process that stands by has told of the election.
///
/// What is known is known again with every answer, and people are told of it once.
///
/// ```
/// use consul_sync_core::{ErrorKind, Holder, Standby};
/// let mut standby = Standby::default();
/// let holder = Holder { id: "1f".into(), ..Holder::default() };
/// assert_eq!(standby.behind(Some(holder.clone())), Some(&holder));
/// assert_eq!(standby.behind(Some(holder.clone())), None);
/// assert!(standby.troubled(ErrorKind::Unavailable));
/// assert!(!standby.troubled(ErrorKind::Unavailable));
/// assert_eq!(standby.state().to_string(), "standing by, process 1f leads; the election cannot be seen: unavailable");
/// assert_eq!(standby.behind(Some(holder)), None, "it is the same one after the trouble");
/// assert!(standby.troubled(ErrorKind::Unavailable), "the trouble was over");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standby {
    holder: Option<Holder>,
    /// What was told and is not over.
    trouble: Option<ErrorKind>,
}

// === impl Standby ===

impl Standby {
    /// Somebody leads, or nobody is known to; so the election is seen, and there is no trouble. Who leads is returned
    /// when that is news.
    pub fn behind(&mut self, holder: Option<Holder>) -> Option<&Holder> {
        self.trouble = None;
        let is_news = self.holder != holder;
        self.holder = holder;
        self.holder.as_ref().filter(|_| is_news)
    }

    /// This process cannot take part. Returns whether that is news.
    pub fn troubled(&mut self, kind: ErrorKind) -> bool {
        self.trouble.replace(kind) != Some(kind)
    }

    /// The election was seen.
    pub fn untroubled(&mut self) {
        self.trouble = None;
    }

    /// Where the election stands by that.
    pub fn state(&self) -> ElectionState {
        ElectionState::StandingBy {
            holder: self.holder.clone(),
            trouble: self.trouble,
        }
    }

    /// Puts that where people look, and returns whether it is another one than what stood there.
    pub fn show(&self, shown: &mut ElectionState) -> bool {
        let state = self.state();
        let is_news = *shown != state;
        *shown = state;
        is_news
    }
}
