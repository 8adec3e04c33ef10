//! What can go wrong between a test and a real server.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::Program;

/// Why a server could not be started, asked or stopped.
///
/// Where the program ran, the message ends with the last lines of its log: a failed start in CI
/// can be read from the test's output alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program is not on this machine.
    #[error("{program} is not available: {reason}")]
    Missing {
        /// The program that was looked for.
        program: Program,
        /// Where it was looked for, and how to get it.
        reason: String,
    },
    /// The program is there and does not start.
    #[error("{program} could not be started from {}", path.display())]
    Spawn {
        /// The program.
        program: Program,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended before it was ready.
    #[error("{program} ended with {status} before it was ready; its log ends:\n{tail}")]
    Exited {
        /// The program.
        program: Program,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        tail: String,
    },
    /// The program runs and did not become ready.
    #[error("{program} was not ready after {waited:?} (last: {last}); its log ends:\n{tail}")]
    NotReady {
        /// The program.
        program: Program,
        /// How long it was given.
        waited: Duration,
        /// The answer to the last readiness request.
        last: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A signal could not be sent, or the program outlived one.
    #[error("{program} could not be {action}")]
    Signal {
        /// The program.
        program: Program,
        /// What was to be done to it, as in "could not be paused".
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the server's could not be read or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// "read", "write", "create" or "delete".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No port could be had on the loopback interface.
    #[error("no free loopback port found in {tried} tries")]
    NoPort {
        /// How many ports were tried.
        tried: u16,
    },
    /// The server's certificate, or the one that signed it, cannot be used.
    #[error("the certificates in {} cannot be used: {reason}", path.display())]
    Certificate {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A request got no answer.
    #[error("{method} {url} got no answer: {reason}")]
    Unanswered {
        /// The request's method.
        method: String,
        /// The request's URL.
        url: String,
        /// Every cause, outermost first.
        reason: String,
    },
    /// A request was answered, but not with success.
    #[error("{method} {url} answered {status}: {body}")]
    Refused {
        /// The request's method.
        method: String,
        /// The request's URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The start of the answer.
        body: String,
    },
    /// A request was answered with something that cannot be read.
    #[error("{url} answered something other than the JSON that was expected: {body}")]
    Unreadable {
        /// The request's URL.
        url: String,
        /// The start of the answer.
        body: String,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File {
            action,
            path: path.into(),
            source,
        }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
