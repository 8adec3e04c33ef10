//! Errors of the Consul client, and what they mean to the core.

use std::{error::Error as StdError, fmt, time::Duration};

use consul_sync_core::{AdapterError, ErrorKind};
use http::StatusCode;

/// Why a call to Consul did not give a usable answer.
///
/// `Display` says what failed, on what, and what to do; it never holds the token.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used.
    Settings(String),
    /// The token could not be had from its file.
    Token(String),
    /// No token could be had by a login: the request was not sent.
    Login {
        /// The auth method.
        method: String,
        /// Why.
        source: Box<Error>,
    },
    /// The command that prints the servers' addresses did not: the request was not sent.
    Discovery {
        /// The command without its arguments.
        program: String,
        /// What went wrong.
        problem: String,
    },
    /// No connection could be made: the request was not sent.
    Connect {
        /// The server.
        server: String,
        /// What went wrong.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No whole answer came within the deadline.
    Timeout {
        /// The request.
        call: Call,
        /// The deadline.
        after: Duration,
        /// Whether the request had been sent, so that a write may have been applied.
        is_sent: bool,
    },
    /// The connection broke before the answer was whole.
    Broken {
        /// The request.
        call: Call,
        /// What went wrong.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Consul answered with an error.
    Status {
        /// The request.
        call: Call,
        /// The status.
        status: StatusCode,
        /// The first line of the answer.
        text: String,
        /// When the server asks to be called again.
        retry_after: Option<Duration>,
    },
    /// The answer is not one that Consul gives: a proxy, another program, or a damaged answer.
    Malformed {
        /// The request.
        call: Call,
        /// What is wrong with it.
        problem: String,
    },
    /// The answer is longer than the limit.
    TooLarge {
        /// The request.
        call: Call,
        /// The limit in bytes.
        limit: u64,
    },
    /// The answer came and is not the whole truth: filtered by ACLs, or older than what was already seen.
    Incomplete {
        /// The request.
        call: Call,
        /// Why it cannot be trusted.
        problem: String,
    },
    /// A right is missing.
    Denied {
        /// The request.
        call: Call,
        /// The rule that would give it.
        rule: String,
        /// Consul's words.
        text: String,
    },
}

/// Which request an error is about: method, path without its query, and server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: Box<str>,
    pub(crate) server: Box<str>,
}

// === impl Error ===

impl Error {
    /// What it means for what happens next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Settings(_) | Self::Malformed { .. } | Self::TooLarge { .. } => {
                ErrorKind::Protocol
            }
            Self::Token(_) | Self::Denied { .. } => ErrorKind::Unauthorized,
            Self::Login { source, .. } => source.kind(),
            Self::Connect { .. } | Self::Broken { .. } | Self::Discovery { .. } => {
                ErrorKind::Unavailable
            }
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Incomplete { .. } => ErrorKind::Incomplete,
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => ErrorKind::Unauthorized,
                429 | 500..=599 => ErrorKind::Unavailable,
                _ => ErrorKind::Protocol,
            },
        }
    }

    /// An index is lower than one that was seen: a snapshot was restored, or another cluster answers.
    pub(crate) fn went_backwards(call: Call, from: u64, to: u64) -> Self {
        Self::Incomplete {
            call,
            problem: format!(
                "the index went back from {from} to {to}: a snapshot was restored or another cluster \
                 answers; everything is read again before it is believed"
            ),
        }
    }

    /// Whether a write that ended so may have been applied.
    pub fn may_have_been_applied(&self) -> bool {
        match self {
            Self::Timeout { is_sent, .. } => *is_sent,
            Self::Broken { .. } | Self::Malformed { .. } | Self::TooLarge { .. } => true,
            Self::Status { status, .. } => status.is_server_error(),
            Self::Settings(_)
            | Self::Token(_)
            | Self::Login { .. }
            | Self::Discovery { .. }
            | Self::Connect { .. }
            | Self::Incomplete { .. }
            | Self::Denied { .. } => false,
        }
    }

    /// Whether another server, or the same one a little later, may do better.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Login { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// Whether the server does not know the token at all.
    pub(crate) fn is_of_unknown_token(&self) -> bool {
        matches!(self, Self::Status { text, .. } if text.contains("ACL not found"))
    }

    /// When the server asks to be called again, where it says so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Login { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// What to do about it, where more can be said than the message does.
    fn hint(&self) -> Option<&'static str> {
        match self {
            // Of a login more is said by whom it fails.
            Self::Status { call, .. } if &*call.path == "/v1/acl/login" => None,
            Self::Status { status, text, .. } => match status.as_u16() {
                401 if text.contains("ACL support disabled") => None,
                401 | 403 if text.contains("ACL not found") => Some(
                    "the token is not known there: it was deleted, or belongs to another cluster",
                ),
                401 | 403 => Some("give the token the right that is named"),
                400 if text.contains("Enterprise") => {
                    Some("leave namespace and partition unset on this edition of Consul")
                }
                429 => Some("the server limits the rate of requests"),
                500 if text.contains("No cluster leader") => {
                    Some("the servers have no leader at the moment")
                }
                500 if text.contains("No path to datacenter") => {
                    Some("check the name of the datacenter")
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problem) | Self::Token(problem) => f.write_str(problem),
            Self::Discovery { program, problem } => {
                write!(
                    f,
                    "the command {program} that prints consul's addresses: {problem}"
                )
            }
            Self::Login { method, source } => {
                write!(f, "log in by the auth method {method:?}: {source}")?;
                match &**source {
                    Self::Status { status, .. } if status.as_u16() == 403 => f.write_str(
                        "; it must exist, take this bearer token, and have a binding rule for it",
                    ),
                    Self::Status { status, .. } if status.as_u16() == 500 => {
                        f.write_str("; is the bearer token one that the auth method takes?")
                    }
                    _ => Ok(()),
                }
            }
            Self::Connect { server, .. } => write!(f, "connect to consul at {server}"),
            Self::Timeout { call, after, .. } => {
                write!(
                    f,
                    "{call}: no whole answer within {} s",
                    after.as_secs_f32()
                )
            }
            Self::Broken { call, .. } => {
                write!(
                    f,
                    "{call}: the connection broke before the answer was whole"
                )
            }
            Self::Status {
                call, status, text, ..
            } => {
                write!(f, "{call}: {status}")?;
                if !text.is_empty() {
                    write!(f, ": {text}")?;
                }
                match self.hint() {
                    Some(hint) => write!(f, "; {hint}"),
                    None => Ok(()),
                }
            }
            Self::Malformed { call, problem } => {
                write!(
                    f,
                    "{call}: {problem}; is this Consul's HTTP address, with no proxy that rewrites answers?"
                )
            }
            Self::TooLarge { call, limit } => {
                write!(f, "{call}: the answer is longer than {limit} bytes")
            }
            Self::Incomplete { call, problem } => write!(f, "{call}: {problem}"),
            Self::Denied { call, rule, text } => {
                write!(f, "{call}: {text}; add to the token's policy: {rule}")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Broken { source, .. } => Some(source.as_ref()),
            Self::Login { source, .. } => source.source(),
            _ => None,
        }
    }
}

impl From<Error> for AdapterError {
    fn from(error: Error) -> Self {
        let adapter = AdapterError::new(error.kind(), error.to_string());
        let error = match error {
            Error::Login { source, .. } => *source,
            error => error,
        };
        match error {
            Error::Connect { source, .. } | Error::Broken { source, .. } => adapter.because(source),
            _ => adapter,
        }
    }
}

// === impl Call ===

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.method, self.path, self.server)
    }
}
