//! Faults to inject: what goes wrong between a client and a Consul that is itself all right.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::request::Consistency;

/// Something that happens to requests.
///
/// A request meets the first fault that fits it; the others wait for later requests. One fault can do several things
/// (answer late and cut, say) by chaining. Without [`times`](Fault::times) a fault stays until
/// [`clear_faults`](super::FakeConsul::clear_faults).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault};
///
/// let consul = FakeConsul::start().await?;
/// // The next two transactions are applied, and answered as if they were not.
/// consul.inject(Fault::new().error_after(500, "rpc error making call: EOF").on(Endpoint::Txn).times(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fault {
    pub(super) pause: bool,
    pub(super) before: Option<Failure>,
    pub(super) refuse: Option<Refusal>,
    pub(super) after: Option<Failure>,
    pub(super) keep: Option<usize>,
    pub(super) headers: Vec<(HeaderName, Option<HeaderValue>)>,
    pub(super) late: Option<Duration>,
    pub(super) cut: Option<usize>,
    endpoints: Vec<Endpoint>,
    unless_consistent: bool,
    larger_than: u64,
    skip: usize,
    left: Option<usize>,
}

/// An answer that says nothing of what was asked.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Status(u16, String),
    Reset,
}

/// A transaction that was applied, for [`FakeConsul::applied`](super::FakeConsul::applied).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The token that it came with; empty for none.
    pub token: String,
    /// Its operations, in order.
    pub operations: Vec<Operation>,
    /// Keys that were locked when it had been applied, with the names of the sessions that hold them.
    pub locks: BTreeMap<String, String>,
}

/// What an operation of a transaction is, for [`Fault::refuse`] and [`FakeConsul::operations`](super::FakeConsul::operations).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `set`, `cas`, `delete`, `delete-cas` or `get`; `lock`, `unlock`, `check-session` or `check-index` of a key.
    pub verb: String,
    /// `node`, `service`, `check` or `kv`.
    pub kind: &'static str,
    /// Node.
    pub node: String,
    /// Instance ID, check ID or key; empty for a node.
    pub id: String,
    /// Service name, where the operation has one.
    pub service: String,
    /// Index that the operation is conditional on.
    pub index: u64,
}

/// Decides about an operation: the text of the refusal, or `None` to let it pass.
type Judge = dyn Fn(&Operation) -> Option<String> + Send + Sync;

#[derive(Clone)]
pub(super) struct Refusal(pub(super) Arc<Judge>);

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusal")
    }
}

// ---- what happens -----------------------------------------------------------------------------------------------------

impl Fault {
    /// A fault that does nothing yet and fits every request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `status` with the body `text` and does nothing.
    #[must_use]
    pub fn error_before(mut self, status: u16, text: &str) -> Self {
        self.before = Some(Failure::Status(status, text.to_owned()));
        self
    }

    /// Does what was asked and answers `status` with the body `text`.
    #[must_use]
    pub fn error_after(mut self, status: u16, text: &str) -> Self {
        self.after = Some(Failure::Status(status, text.to_owned()));
        self
    }

    /// Resets the connection and does nothing.
    #[must_use]
    pub fn reset_before(mut self) -> Self {
        self.before = Some(Failure::Reset);
        self
    }

    /// Does what was asked and resets the connection.
    #[must_use]
    pub fn reset_after(mut self) -> Self {
        self.after = Some(Failure::Reset);
        self
    }

    /// Holds the request, before anything is done, until [`clear_faults`](super::FakeConsul::clear_faults). It is then
    /// handled, as a stopped process handles what it finds in its sockets.
    #[must_use]
    pub fn pause(mut self) -> Self {
        self.pause = true;
        self
    }

    /// Does what was asked at once and answers after `delay`.
    #[must_use]
    pub fn late(mut self, delay: Duration) -> Self {
        self.late = Some(delay);
        self
    }

    /// Ends the connection after `bytes` of the answer's body, short of the length that its head promised. Past the end of
    /// the body nothing is cut.
    #[must_use]
    pub fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Answers a listing with its first `keep` entries, the status and headers of a whole one.
    #[must_use]
    pub fn partial(mut self, keep: usize) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Answers with another value of `header`, such as an older `x-consul-index`. What cannot be a header is ignored.
    #[must_use]
    pub fn header(mut self, header: &str, value: &str) -> Self {
        if let (Ok(header), Ok(value)) = (header.parse(), HeaderValue::from_str(value)) {
            self.headers.push((header, Some(value)));
        }
        self
    }

    /// Answers without `header`.
    #[must_use]
    pub fn without_header(mut self, header: &str) -> Self {
        if let Ok(header) = header.parse() {
            self.headers.push((header, None));
        }
        self
    }

    /// Refuses the operations of a transaction for which `judge` has a text: 409 with that text at the operation's place,
    /// and nothing of the transaction is applied.
    #[must_use]
    pub fn refuse(
        mut self,
        judge: impl Fn(&Operation) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.refuse = Some(Refusal(Arc::new(judge)));
        self
    }
}

// ---- to which requests ------------------------------------------------------------------------------------------------

impl Fault {
    /// Fits only requests to `endpoint`; given several times, to any of them.
    #[must_use]
    pub fn on(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Does not fit reads with `?consistent`.
    #[must_use]
    pub fn unless_consistent(mut self) -> Self {
        self.unless_consistent = true;
        self
    }

    /// Fits only requests whose body is longer than `bytes`. [`reset_before`](Self::reset_before) ends the connection while
    /// such a body is still on its way.
    #[must_use]
    pub fn larger_than(mut self, bytes: u64) -> Self {
        self.larger_than = bytes;
        self
    }

    /// Lets the first `requests` that fit pass.
    #[must_use]
    pub fn skip(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Is gone after `requests`.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.left = Some(requests);
        self
    }

    fn fits(&self, endpoint: Endpoint, consistency: Consistency, length: u64) -> bool {
        let named = self.endpoints.is_empty() || self.endpoints.contains(&endpoint);
        named
            && (self.larger_than == 0 || length > self.larger_than)
            && self.left != Some(0)
            && !(self.unless_consistent && consistency == Consistency::Consistent)
    }
}

/// The faults that wait for requests.
#[derive(Debug, Default)]
pub(super) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The fault that a request meets, whose body has this length.
    pub(super) fn meet(
        &mut self,
        endpoint: Endpoint,
        consistency: Consistency,
        length: u64,
    ) -> Option<Fault> {
        let at = self
            .waiting
            .iter()
            .position(|fault| fault.fits(endpoint, consistency, length))?;
        let fault = &mut self.waiting[at];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        let met = fault.clone();
        self.waiting.retain(|fault| fault.left != Some(0));
        Some(met)
    }
}

// ---- applied to an answer ---------------------------------------------------------------------------------------------

impl Fault {
    /// Shortens and re-labels an answer.
    pub(super) fn reshape(&self, mut answer: Answer) -> Answer {
        if let Some(keep) = self.keep
            && let Ok(mut body) = serde_json::from_slice(&answer.body)
        {
            shorten(&mut body, keep);
            answer.body = serde_json::to_vec(&body).unwrap_or_default().into();
        }
        for (header, value) in &self.headers {
            match value {
                Some(value) => drop(answer.headers.insert(header, value.clone())),
                None => drop(answer.headers.remove(header)),
            }
        }
        answer
    }
}

/// Keeps the first entries of a list, of a table, or of the `Services` inside an answer about a node.
fn shorten(body: &mut Value, keep: usize) {
    match body {
        Value::Array(entries) => entries.truncate(keep),
        Value::Object(fields) => match fields.get_mut("Services") {
            Some(services) => shorten(services, keep),
            None => *fields = std::mem::take(fields).into_iter().take(keep).collect(),
        },
        _ => {}
    }
}
