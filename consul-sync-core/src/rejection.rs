//! Why one object cannot be used, while its neighbours can.

use std::fmt;

/// The closed set of reasons, fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The object could not be decoded.
    Undecodable,
    /// Its name is not one the destination can hold.
    InvalidName,
    /// A port is missing, unknown or out of range.
    InvalidPort,
    /// An address cannot be used.
    InvalidAddress,
    /// A pair or a tag is not one the destination can hold.
    InvalidMeta,
    /// It is larger than the destination takes.
    TooLarge,
    /// Somebody else holds the place it would take.
    Taken,
    /// The rules of this installation do not allow it.
    NotAllowed,
    /// Its namespace has more than it may have, and others hold the places.
    OverQuota,
    /// The destination refused it.
    Refused,
}

/// The report on one object that cannot be used.
///
/// ```
/// use consul_sync_core::{Reason, Rejection};
/// let rejection = Rejection::new(Reason::InvalidPort, "port \"http\" is not a port of the service");
/// assert_eq!(rejection.reason().as_str(), "invalid_port");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    reason: Reason,
    message: Box<str>,
}

impl Rejection {
    /// A rejection with a message that names the bad value and what would be good.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into().into_boxed_str(),
        }
    }

    /// The reason, from a closed set.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The message, for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Reason {
    /// Every reason, in the order of [`Reason::as_str`]'s declaration.
    pub const ALL: [Self; 10] = [
        Self::Undecodable,
        Self::InvalidName,
        Self::InvalidPort,
        Self::InvalidAddress,
        Self::InvalidMeta,
        Self::TooLarge,
        Self::Taken,
        Self::NotAllowed,
        Self::OverQuota,
        Self::Refused,
    ];

    /// Whether the object is well known and must not be registered. Nothing of it stays then; for every other
    /// reason its last good value does, because what it should be now is not known.
    pub fn withdraws(self) -> bool {
        matches!(self, Self::NotAllowed | Self::OverQuota)
    }

    /// The reason as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::InvalidName => "invalid_name",
            Self::InvalidPort => "invalid_port",
            Self::InvalidAddress => "invalid_address",
            Self::InvalidMeta => "invalid_meta",
            Self::TooLarge => "too_large",
            Self::Taken => "taken",
            Self::NotAllowed => "not_allowed",
            Self::OverQuota => "over_quota",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
