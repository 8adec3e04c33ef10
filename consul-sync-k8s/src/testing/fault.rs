//! Faults that are laid on requests: which ones, how often, and what happens to them.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{call::Call, status::Failure};
use crate::Verb;

/// Which requests a fault is laid on. Without a narrowing: every one, for ever.
///
/// ```
/// use consul_sync_k8s::testing::{FakeCluster, Fault, On};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cluster = FakeCluster::new();
/// // The third page of the next two listings of EndpointSlices fails.
/// cluster.inject(On::list("endpointslices").page(2).times(2), Fault::status(503));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct On {
    verb: Option<Verb>,
    resource: Option<String>,
    namespace: Option<String>,
    page: Option<u64>,
    skip: u64,
    times: Option<u64>,
}

/// What happens to a request that a fault is laid on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// It is answered with this HTTP status and an error in Kubernetes' format.
    Status {
        /// The HTTP status.
        code: u16,
        /// Seconds for the `Retry-After` header.
        retry_after: Option<u32>,
    },
    /// It is answered with this HTTP status and this text, as a proxy does.
    Text {
        /// The HTTP status.
        code: u16,
        /// The body.
        body: String,
    },
    /// It is taken and never answered.
    Hang,
    /// The connection is closed before an answer.
    Disconnect,
    /// The answer's body breaks off after that many bytes, and the connection with it.
    Cut {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// The answer's body ends after that many bytes as if it were whole.
    Truncate {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// A listing is answered as of this older version.
    Stale {
        /// The resourceVersion of the answer.
        revision: u64,
    },
    /// A listing is answered with no items.
    Empty,
}

/// Identity of a fault, to lift it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

impl On {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests with this verb on this resource.
    pub fn new(verb: Verb, resource: impl Into<String>) -> Self {
        Self::any().verb(verb).resource(resource)
    }

    /// Listings of this resource.
    pub fn list(resource: impl Into<String>) -> Self {
        Self::new(Verb::List, resource)
    }

    /// Watches of this resource.
    pub fn watch(resource: impl Into<String>) -> Self {
        Self::new(Verb::Watch, resource)
    }

    /// Only this verb.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only this resource, by its plural.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Only requests addressed to this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only that page of a listing, counted from 0.
    #[must_use]
    pub fn page(mut self, page: u64) -> Self {
        self.page = Some(page);
        self
    }

    /// Not the first `requests` of them.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Only that many of them.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = Some(requests);
        self
    }

    fn covers(&self, call: &Call) -> bool {
        self.verb.is_none_or(|verb| Some(verb) == call.verb)
            && self
                .resource
                .as_deref()
                .is_none_or(|resource| resource == call.resource())
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| Some(namespace) == call.namespace())
            && self.page.is_none_or(|page| page == call.page())
    }
}

impl Fault {
    /// An error in Kubernetes' format with this HTTP status.
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            retry_after: None,
        }
    }

    /// 429, with or without a `Retry-After` header in seconds.
    pub fn too_many_requests(retry_after: Option<u32>) -> Self {
        Self::Status {
            code: 429,
            retry_after,
        }
    }

    /// A text that is no JSON, with this HTTP status.
    pub fn text(code: u16, body: impl Into<String>) -> Self {
        Self::Text {
            code,
            body: body.into(),
        }
    }
}

/// The faults that are laid now, oldest first.
#[derive(Default)]
pub(super) struct Faults {
    rules: Mutex<(u64, Vec<Rule>)>,
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    on: On,
    fault: Fault,
    seen: u64,
}

impl Faults {
    pub(super) fn inject(&self, on: On, fault: Fault) -> FaultId {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.0 += 1;
        let id = FaultId(rules.0);
        rules.1.push(Rule {
            id,
            on,
            fault,
            seen: 0,
        });
        id
    }

    pub(super) fn lift(&self, id: FaultId) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.1.retain(|rule| rule.id != id);
    }

    pub(super) fn lift_all(&self) {
        self.rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clear();
    }

    /// The first fault that is laid on this request; it is counted against that fault.
    pub(super) fn of(&self, call: &Call) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for rule in rules.1.iter_mut().filter(|rule| rule.on.covers(call)) {
            let place = rule.seen;
            rule.seen += 1;
            let spent = rule
                .on
                .times
                .is_some_and(|times| place >= rule.on.skip + times);
            if place >= rule.on.skip && !spent && found.is_none() {
                found = Some(rule.fault.clone());
            }
        }
        found
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(&rules.1).finish()
    }
}

/// The error of a status alone, with the reason that Kubernetes gives it.
pub(super) fn failure(call: &Call, code: u16, retry_after: Option<u32>) -> Failure {
    let failure = match code {
        401 => Failure::new(401, "Unauthorized", "Unauthorized"),
        403 => call.forbidden(),
        404 => Failure::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        410 => Failure::expired("too old resource version"),
        422 => Failure::new(422, "Invalid", "the request is invalid"),
        429 => Failure::new(
            429,
            "TooManyRequests",
            "too many requests, please try again later",
        ),
        500 => Failure::new(500, "InternalError", "Internal error occurred: injected"),
        503 => Failure::new(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        504 => Failure::new(
            504,
            "Timeout",
            "Timeout: request did not complete within the allotted timeout",
        ),
        code => Failure::new(code, "Unknown", "injected"),
    };
    failure.retry_after(retry_after)
}
