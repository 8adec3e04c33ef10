//! Errors of a source or a sink as a whole, as opposed to one object's [`Rejection`](crate::Rejection).

use std::{error::Error, fmt};

/// What an error means for what happens next. A closed set, fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Out of reach, overloaded or without a leader: trying again helps.
    Unavailable,
    /// No answer within the deadline: trying again helps.
    Timeout,
    /// Credentials or rights are missing. What was known may no longer be complete.
    Unauthorized,
    /// An answer came and cannot be trusted to be whole. What was known may no longer be complete.
    Incomplete,
    /// The other side does not speak the protocol, or refuses the request for good.
    Protocol,
}

/// An error of a source or a sink, reported in its stream or by a call. The stream goes on after it.
///
/// ```
/// use consul_sync_core::{AdapterError, ErrorKind};
/// let error = AdapterError::new(ErrorKind::Unauthorized, "list services: forbidden; grant verb list on services");
/// assert!(error.kind().weakens());
/// ```
#[derive(Debug)]
pub struct AdapterError {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// An error of a [`Source`](crate::Source).
pub type SourceError = AdapterError;
/// An error of a [`Sink`](crate::Sink).
pub type SinkError = AdapterError;

impl AdapterError {
    /// An error with a message that says what failed, on what, and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
            source: None,
        }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What it means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Unavailable,
        Self::Timeout,
        Self::Unauthorized,
        Self::Incomplete,
        Self::Protocol,
    ];

    /// Whether what was known before may have become incomplete, so that nothing may be deleted by it
    /// until a complete listing came (fault catalogue K15, C09, C10).
    pub fn weakens(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Incomplete)
    }

    /// The kind as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Incomplete => "incomplete",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for AdapterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
