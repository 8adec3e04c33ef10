//! Errors in Kubernetes' format: a `Status` object with a code, a reason and a message.

use serde_json::{Value, json};

use super::kind::Kind;

/// An answer that is not the object that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    metadata: Value,
    /// Seconds for the `Retry-After` header.
    pub(super) retry_after: Option<u32>,
}

impl Failure {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            metadata: json!({}),
            retry_after: None,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Some(details(kind, name, kind.plural));
        self
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// A new object in a namespace that ends.
    pub(super) fn ending(kind: &Kind, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{} {name:?} is forbidden: unable to create new content in namespace {namespace} because it is being \
             terminated",
            kind.qualified()
        );
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    /// A request without the right to make it.
    pub(super) fn forbidden(kind: Option<&Kind>, name: &str, message: String) -> Self {
        let failure = Self::new(403, "Forbidden", message);
        match kind {
            Some(kind) => failure.about(kind, name),
            None => failure,
        }
    }

    /// The same, naming the kind instead of the resource, as conditions of a deletion do.
    pub(super) fn about_kind(mut self, kind: &Kind) -> Self {
        self.details = self.details.map(|details| named(details, kind.name));
        self
    }

    /// The same, naming the resource instead of the kind, as a missing condition does.
    pub(super) fn about_resource(mut self, kind: &Kind) -> Self {
        self.details = self.details.map(|details| named(details, kind.plural));
        self
    }

    /// One field of an object that cannot be stored.
    pub(super) fn invalid(kind: &Kind, name: &str, field: &str, problem: &str) -> Self {
        let qualified = if kind.group.is_empty() {
            kind.name.to_owned()
        } else {
            format!("{}.{}", kind.name, kind.group)
        };
        let mut failure = Self::new(
            422,
            "Invalid",
            format!("{qualified} \"{name}\" is invalid: {field}: {problem}"),
        );
        let mut about = details(kind, name, kind.name);
        let cause = json!([{"reason": "FieldValueInvalid", "message": problem, "field": field}]);
        super::store::set(&mut about, "", "causes", cause);
        failure.details = Some(about);
        failure
    }

    /// Options of a listing or a watch that do not go together.
    pub(super) fn invalid_options(problem: &str) -> Self {
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {problem}");
        Self::new(422, "Invalid", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A version of which nothing is known any more.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(super) fn too_old(asked: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// A version that the server has not seen yet.
    pub(super) fn too_large(asked: u64, current: u64) -> Self {
        let mut failure = Self::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {asked}, current: {current}"),
        );
        failure.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }));
        failure.retry_after = Some(1);
        failure
    }

    /// The same with a token to go on with in spite of the failure.
    pub(super) fn with_continue(mut self, token: &str) -> Self {
        self.metadata = json!({"continue": token});
        self
    }

    /// The same, asking the client to wait that many seconds.
    pub(super) fn retry_after(mut self, seconds: Option<u32>) -> Self {
        if let Some(seconds) = seconds {
            self.retry_after = Some(seconds);
            self.details = Some(json!({"retryAfterSeconds": seconds}));
        }
        self
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            super::store::set(&mut status, "", "reason", json!(self.reason));
        }
        if let (Some(details), Some(object)) = (&self.details, status.as_object_mut()) {
            object.insert("details".to_owned(), details.clone());
        }
        status
    }
}

fn named(mut details: Value, kind: &str) -> Value {
    super::store::set(&mut details, "", "kind", json!(kind));
    details
}

/// The answer to a deletion of most kinds.
pub(super) fn success(kind: &Kind, name: &str, uid: &str) -> Value {
    let mut about = details(kind, name, kind.plural);
    super::store::set(&mut about, "", "uid", json!(uid));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about})
}

/// What a failure is about; the core group is left out, as everything empty is.
fn details(kind: &Kind, name: &str, what: &str) -> Value {
    let mut details = json!({"kind": what});
    for (field, value) in [("name", name), ("group", kind.group)] {
        if !value.is_empty() {
            super::store::set(&mut details, "", field, json!(value));
        }
    }
    details
}
