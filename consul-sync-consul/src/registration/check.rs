//! The check of an instance.

use std::sync::Arc;

use consul_sync_core::{Check, RecordId, Status};

/// A health check as it is registered beside its instance, under the ID `<scope>/<service id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegisteredCheck {
    pub(crate) scope: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) status: Status,
    pub(crate) output: Arc<str>,
}

// === impl RegisteredCheck ===

impl RegisteredCheck {
    /// The result.
    pub fn status(&self) -> Status {
        self.status
    }

    /// One line that says why.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// Its ID in Consul.
    pub(crate) fn id(&self, service: &RecordId) -> String {
        check_id(&self.scope, service)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.status != Status::Critical
    }
}

impl From<&Check> for RegisteredCheck {
    fn from(check: &Check) -> Self {
        Self {
            scope: Arc::clone(&check.scope),
            name: Arc::clone(&check.name),
            kind: Arc::clone(&check.kind),
            status: check.status,
            output: Arc::clone(&check.output),
        }
    }
}

/// The ID of the check of an instance in a scope.
pub(crate) fn check_id(scope: &str, service: &RecordId) -> String {
    let mut id = String::with_capacity(scope.len() + 1 + service.as_str().len());
    id.push_str(scope);
    id.push('/');
    id.push_str(service.as_str());
    id
}
