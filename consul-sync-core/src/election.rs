//! Where an election stands: which of several processes may write.
//!
//! Elections are held elsewhere, by what a cluster or a catalog has for it; a driver knows their outcome as its gate alone.
//! What they have in common is what people are told of them.

mod standby;

use std::fmt;

pub use self::standby::Standby;
use crate::ErrorKind;

/// Where an election stands.
///
/// ```
/// use consul_sync_core::{ElectionState, Holder};
/// let holder = Holder { id: "1f".into(), host: "pod-1".into(), ..Holder::default() };
/// let state = ElectionState::StandingBy { holder: Some(holder), trouble: None };
/// assert!(!state.is_leading());
/// assert_eq!(state.to_string(), "standing by, process 1f on pod-1 leads");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ElectionState {
    /// Somebody else leads, or nobody is known to: nothing is written.
    StandingBy {
        /// Who leads, where that is known.
        holder: Option<Holder>,
        /// Why this process cannot take part at the moment.
        trouble: Option<ErrorKind>,
    },
    /// This process leads.
    Leading,
    /// This process led and does not any more; it stands by again next.
    Lost,
    /// Nothing is known yet, or the election is not taken part in any more.
    #[default]
    Idle,
}

/// Who leads, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// One process.
    pub id: String,
    /// The machine or pod that it runs on; may be empty.
    pub host: String,
    /// Since when, by the clock and in the words of whoever keeps the election; may be empty.
    pub since: String,
}

// === impl ElectionState ===

impl ElectionState {
    /// Whether this process leads.
    pub fn is_leading(&self) -> bool {
        *self == Self::Leading
    }
}

impl fmt::Display for ElectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leading => f.write_str("leading"),
            Self::Lost => f.write_str("the lead is lost"),
            Self::Idle => f.write_str("not yet known who leads"),
            Self::StandingBy { holder, trouble } => {
                f.write_str("standing by")?;
                if let Some(holder) = holder {
                    write!(f, ", {holder} leads")?;
                }
                match trouble {
                    Some(kind) => write!(f, "; the election cannot be seen: {kind}"),
                    None => Ok(()),
                }
            }
        }
    }
}

// === impl Holder ===

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.is_empty() {
            write!(f, "process {}", self.id)?;
        } else {
            write!(f, "process {} on {}", self.id, self.host)?;
        }
        if self.since.is_empty() {
            return Ok(());
        }
        write!(f, " since {}", self.since)
    }
}
