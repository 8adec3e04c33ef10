//! Why a measurement could not be made.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A server could not be started or did not answer.
    #[error(transparent)]
    Server(#[from] consul_sync_testbed::Error),
    /// The operating system said no.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Something is not as it must be for the figure to mean anything.
    #[error("{0}")]
    Wrong(String),
}

/// A result of a measurement.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}
