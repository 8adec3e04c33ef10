//! Where an election stands, and who holds a lock.

use std::fmt;

use consul_sync_core::ErrorKind;
use serde::{Deserialize, Serialize};

/// Where an election stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LockState {
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
    /// Nothing is known yet, or the lock does not run any more.
    #[default]
    Idle,
}

/// Who holds a lock, as the key's value says. It is for people: whether it is held is the session's business.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// One process.
    pub id: String,
    /// The machine or pod that it runs on; may be empty.
    pub host: String,
    /// When its session was made, by Consul's clock and in the words of its answer's `Date`.
    pub since: String,
}

// === impl LockState ===

impl LockState {
    /// Whether this process leads.
    pub fn is_leading(&self) -> bool {
        *self == Self::Leading
    }
}

impl fmt::Display for LockState {
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
                    Some(kind) => write!(f, "; the lock cannot be seen: {kind}"),
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
