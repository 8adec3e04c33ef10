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

/// Which instances have their health in Consul as a check.
///
/// What Consul does for each write grows with the checks on the node of the instance: a new instance costs its
/// servers 10 to 13 ms beside 10,000 checks, in proportion to their number, one after the other. To
/// Consul an instance without a check is passing, so DNS and every query for healthy instances answer the same
/// in both forms. A check that is not there has no output to read and no place on the page of the instance.
///
/// ```
/// # use consul_sync_consul::{Checks, SinkSettings};
/// # use consul_sync_core::Owner;
/// let mut settings = SinkSettings::new(Owner::new("cluster-a")?);
/// settings.checks = Checks::Failing;
/// # Ok::<(), consul_sync_core::InvalidText>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checks {
    /// All of which the source knows the health.
    #[default]
    Always,
    /// Those alone that are not passing.
    Failing,
}

// === impl Checks ===

impl Checks {
    /// Whether this one is registered.
    pub(crate) fn has(self, check: &Check) -> bool {
        self == Self::Always || check.status != Status::Passing
    }
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
    format!("{scope}/{service}")
}
