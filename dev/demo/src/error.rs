//! Why the demo, or one of its steps, did not go as it should.

use std::{error::Error as StdError, io};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A real server could not be started, or Consul not be asked.
    #[error(transparent)]
    Server(#[from] consul_sync_testbed::Error),
    /// The API server did not do what it was asked for.
    #[error("{what} failed")]
    Cluster {
        /// Method and path.
        what: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The operating system said no.
    #[error("{what} failed")]
    Io {
        /// What was tried, as in "reading FILE".
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Something was seen that should not be.
    #[error("{0}")]
    Wrong(String),
}

/// A result of the demo.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }

    /// The error with its causes, in one line where they are lines.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// Takes what was seen for wrong unless it is right.
pub(crate) fn ensure(right: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if right {
        return Ok(());
    }
    Err(Error::wrong(otherwise()))
}
