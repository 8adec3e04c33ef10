//! What a failed request means, in words and for what happens next.

use std::{error::Error, fmt, io, time::Duration};

use consul_sync_core::{AdapterError, ErrorKind};
use kube::core::Status;

use crate::Verb;

/// A request in words: `list endpointslices.discovery.k8s.io in namespace shop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) verb: Verb,
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) verdict: Verdict,
    /// The HTTP status, 0 without one. With the error's kind it tells one state of failure from another.
    pub(crate) code: u16,
    pub(crate) error: AdapterError,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// What a failed request means for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Credentials or a right are missing.
    Denied,
    /// The version is forgotten: list again.
    Gone,
    /// The server does not know, or does not allow, this form of request.
    Unsupported,
    /// The answer is older than what was seen before.
    Stale,
    /// Nobody listens: the server was stopped, and may come back with an older state.
    Refused,
    /// TLS fails: one side does not accept the other's certificate. People must act.
    Distrusted,
    /// An answer came and cannot be read.
    Garbled,
    /// Trying again helps.
    Transient,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = self.name {
            write!(f, " {name}")?;
        }
        match self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

impl Asked<'_> {
    /// The rule that allows it, as it stands in a Role or ClusterRole.
    pub(crate) fn rule(&self) -> String {
        let name = self
            .name
            .map_or_else(String::new, |name| format!(", resourceNames: [\"{name}\"]"));
        let place = match self.namespace {
            Some(namespace) => format!("a Role in namespace {namespace}"),
            None => "a ClusterRole".to_owned(),
        };
        format!(
            "{{apiGroups: [\"{}\"], resources: [\"{}\"]{name}, verbs: [\"{}\"]}} to {place}",
            self.group, self.resource, self.verb
        )
    }
}

impl Problem {
    /// No answer within the limit.
    pub(crate) fn timeout(asked: Asked<'_>, limit: Duration) -> Self {
        Self {
            verdict: Verdict::Transient,
            code: 0,
            error: AdapterError::new(
                ErrorKind::Timeout,
                format!(
                    "{asked}: no answer from the API server within {} s",
                    limit.as_secs_f32()
                ),
            ),
            retry_after: None,
        }
    }

    /// An answer that cannot be trusted to be whole.
    pub(crate) fn incomplete(asked: Asked<'_>, why: impl fmt::Display) -> Self {
        Self {
            verdict: Verdict::Garbled,
            code: 0,
            error: AdapterError::new(ErrorKind::Incomplete, format!("{asked}: {why}")),
            retry_after: None,
        }
    }

    /// An answer that is not what was asked for.
    pub(crate) fn garbled(asked: Asked<'_>, error: serde_json::Error) -> Self {
        let kind = if error.is_eof() {
            ErrorKind::Incomplete
        } else {
            ErrorKind::Protocol
        };
        Self {
            verdict: Verdict::Garbled,
            code: 0,
            error: AdapterError::new(
                kind,
                format!("{asked}: the answer cannot be read; look for a proxy between here and the API server"),
            )
            .because(error),
            retry_after: None,
        }
    }

    /// Reads a client's error.
    pub(crate) fn of(asked: Asked<'_>, error: kube::Error) -> Self {
        const AWAY: &str = "the API server cannot be reached; check its address and the network";
        let (kind, verdict, advice) = match error {
            kube::Error::Api(status) => return Self::status(asked, &status),
            kube::Error::SerdeError(error) => return Self::garbled(asked, error),
            kube::Error::FromUtf8(_) => (
                ErrorKind::Protocol,
                Verdict::Garbled,
                "the answer is no text",
            ),
            kube::Error::Auth(_) => (
                ErrorKind::Unauthorized,
                Verdict::Denied,
                "the credentials cannot be had; check the kubeconfig or the service account's token",
            ),
            _ => match io_kind(&error) {
                Some(io::ErrorKind::InvalidData) => (
                    ErrorKind::Unavailable,
                    Verdict::Distrusted,
                    "TLS with the API server fails; check the certificate authority and our own certificate",
                ),
                Some(io::ErrorKind::ConnectionRefused) => {
                    (ErrorKind::Unavailable, Verdict::Refused, AWAY)
                }
                _ => (ErrorKind::Unavailable, Verdict::Transient, AWAY),
            },
        };
        Self {
            verdict,
            code: 0,
            error: AdapterError::new(kind, format!("{asked}: {advice}")).because(error),
            retry_after: None,
        }
    }

    /// Reads an error that the server itself gave.
    pub(crate) fn status(asked: Asked<'_>, status: &Status) -> Self {
        let said = if status.message.is_empty() {
            &status.reason
        } else {
            &status.message
        };
        let (verdict, kind, message) = match status.code {
            401 => (
                Verdict::Denied,
                ErrorKind::Unauthorized,
                format!(
                    "{asked}: the API server does not accept the credentials; check that the token is current"
                ),
            ),
            403 => (
                Verdict::Denied,
                ErrorKind::Unauthorized,
                format!("{asked}: forbidden ({said}); add {}", asked.rule()),
            ),
            404 => (
                Verdict::Unsupported,
                ErrorKind::Protocol,
                format!("{asked}: the API server does not serve this resource ({said})"),
            ),
            410 => (
                Verdict::Gone,
                ErrorKind::Unavailable,
                format!("{asked}: the version is forgotten ({said})"),
            ),
            400 | 405 | 406 | 415 | 422 => (
                Verdict::Unsupported,
                ErrorKind::Protocol,
                format!("{asked}: refused with status {} ({said})", status.code),
            ),
            code => (
                Verdict::Transient,
                ErrorKind::Unavailable,
                format!("{asked}: status {code} ({said})"),
            ),
        };
        let retry_after = status
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(u64::from(seconds)));
        Self {
            verdict,
            code: status.code,
            error: AdapterError::new(kind, message),
            retry_after,
        }
    }
}

/// What went wrong with the connection: nobody listens, or, as TLS says of a certificate, invalid data.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut at = error;
    // A chain is a handful of errors; the bound guards against one that leads to itself.
    for _ in 0..16 {
        at = match at.downcast_ref::<io::Error>() {
            None => at.source()?,
            Some(io) if io.kind() != io::ErrorKind::Other => return Some(io.kind()),
            // Its source is that of the error it holds, not the error it holds.
            Some(io) => io.get_ref()?,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Asked<'_> = Asked {
        verb: Verb::List,
        group: "discovery.k8s.io",
        resource: "endpointslices",
        namespace: Some("shop"),
        name: None,
    };

    #[test]
    fn a_missing_right_is_named_with_the_rule_that_gives_it() {
        let status = Status::failure("endpointslices is forbidden", "Forbidden").with_code(403);
        let problem = Problem::status(LIST, &status);
        assert_eq!(problem.verdict, Verdict::Denied);
        assert_eq!(problem.error.kind(), ErrorKind::Unauthorized);
        assert_eq!(
            problem.error.to_string(),
            "list endpointslices.discovery.k8s.io in namespace shop: forbidden (endpointslices is forbidden); add \
             {apiGroups: [\"discovery.k8s.io\"], resources: [\"endpointslices\"], verbs: [\"list\"]} to a Role in \
             namespace shop"
        );
    }

    #[test]
    fn a_server_that_is_away_is_another_trouble_than_a_certificate_that_is_not_accepted() {
        let wrapped = |kind| io::Error::other(io::Error::new(kind, "said so"));
        for (kind, verdict, advice) in [
            (
                io::ErrorKind::ConnectionRefused,
                Verdict::Refused,
                "cannot be reached",
            ),
            (
                io::ErrorKind::InvalidData,
                Verdict::Distrusted,
                "TLS with the API server fails",
            ),
            (
                io::ErrorKind::ConnectionReset,
                Verdict::Transient,
                "cannot be reached",
            ),
        ] {
            let problem = Problem::of(LIST, kube::Error::Service(Box::new(wrapped(kind))));
            assert_eq!(problem.verdict, verdict, "{kind}");
            assert_eq!(problem.error.kind(), ErrorKind::Unavailable, "{kind}");
            let text = problem.error.to_string();
            assert!(text.contains(advice), "{text}");
        }
    }

    #[test]
    fn every_status_means_one_thing() {
        use ErrorKind::{Protocol, Unauthorized, Unavailable};
        for (code, verdict, kind) in [
            (400, Verdict::Unsupported, Protocol),
            (401, Verdict::Denied, Unauthorized),
            (403, Verdict::Denied, Unauthorized),
            (404, Verdict::Unsupported, Protocol),
            (410, Verdict::Gone, Unavailable),
            (422, Verdict::Unsupported, Protocol),
            (429, Verdict::Transient, Unavailable),
            (500, Verdict::Transient, Unavailable),
            (502, Verdict::Transient, Unavailable),
            (503, Verdict::Transient, Unavailable),
            (504, Verdict::Transient, Unavailable),
        ] {
            let problem = Problem::status(LIST, &Status::failure("said", "Reason").with_code(code));
            assert_eq!(
                (problem.verdict, problem.error.kind()),
                (verdict, kind),
                "{code}"
            );
        }
    }

    #[test]
    fn a_refused_connection_is_found_in_the_chain_of_causes() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let problem = Problem::of(
            LIST,
            kube::Error::Service(Box::new(io::Error::other(refused))),
        );
        assert_eq!(problem.verdict, Verdict::Refused);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let problem = Problem::of(LIST, kube::Error::Service(Box::new(reset)));
        assert_eq!(problem.verdict, Verdict::Transient);
    }
}
