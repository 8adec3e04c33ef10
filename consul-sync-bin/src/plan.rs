//! A plan as people and programs read it.
//!
//! [`Report`] is the plan in plain values; [`text`] makes it look like `terraform plan`, and `serde` makes it JSON.
//! Nothing here asks a server, so that what is printed is tested by comparing text.
//!
//! # JSON
//! One object for each direction that is on, the one to Consul first. Fields are added in later versions and never change
//! their meaning within one `format`. What is called a registration here is an object where services go to Kubernetes.
//!
//! | field | |
//! | --- | --- |
//! | `format` | 1 |
//! | `direction` | `to_consul` or `to_k8s` |
//! | `owner`, `place` | whose registrations, and where, for people |
//! | `node` | the Consul node; `null` where services go to Kubernetes |
//! | `summary` | `create`, `update`, `adopt`, `delete`: numbers of registrations |
//! | `unchanged` | registrations that are as they should be |
//! | `services[]` | `name` and `operations[]`, each `verb` (`create`, `update`, `adopt`, `delete`), `id` and `changes[]` (`field`, `before`, `after`; `null` for none) |
//! | `rejected[]` | `service` (`namespace/name`), `reason` (closed set), `detail` |
//! | `blocked[]`, `orphans[]` | `service` and `id` of registrations that are somebody else's, or nobody's |
//! | `brake` | whether `run` would hold the deletes until a person confirms |

mod text;

use consul_sync_core::{FieldChange, Plan, Record, RecordId, Slot, Summary};
use serde::Serialize;

use crate::{direction::Direction, wire::Target};

pub(crate) use text::{render_plan, render_purge};

/// A plan in plain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    format: u8,
    direction: Direction,
    owner: String,
    place: String,
    node: Option<String>,
    summary: Summary,
    unchanged: usize,
    services: Vec<ServiceReport>,
    rejected: Vec<Rejected>,
    blocked: Vec<Named>,
    orphans: Vec<Named>,
    brake: bool,
}

/// What is done to the registrations of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ServiceReport {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Operation {
    verb: &'static str,
    id: String,
    changes: Vec<FieldChange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Rejected {
    service: String,
    reason: &'static str,
    detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Named {
    service: String,
    id: String,
}

// === impl Report ===

impl Report {
    /// A plan for what this owner has at this target.
    pub(crate) fn new<R: Record, K>(plan: &Plan<R>, owner: &str, target: &Target<K>) -> Self {
        let mut services: Vec<ServiceReport> = Vec::new();
        // A plan is sorted by slot, so a service's operations follow each other.
        for op in &plan.ops {
            let operation = Operation {
                verb: op.verb(),
                id: op.id().to_string(),
                changes: op.changes(),
            };
            match services.last_mut() {
                Some(service) if service.name == op.slot.as_str() => {
                    service.operations.push(operation);
                }
                _ => services.push(ServiceReport {
                    name: op.slot.to_string(),
                    operations: vec![operation],
                }),
            }
        }
        let rejected = plan.rejected.iter().map(|(key, rejection)| Rejected {
            service: key.to_string(),
            reason: rejection.reason().as_str(),
            detail: rejection.to_string(),
        });
        Self {
            format: 1,
            direction: target.direction,
            owner: owner.to_owned(),
            place: target.place.clone(),
            node: target.node.clone(),
            summary: plan.summary(),
            unchanged: plan.unchanged,
            services,
            rejected: rejected.collect(),
            blocked: named(&plan.blocked),
            orphans: named(&plan.orphans),
            brake: plan.brake,
        }
    }

    /// Whether anything would be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The JSON described above, in lines for people's eyes as well.
    ///
    /// # Errors
    /// None that the fields could cause.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

fn named(records: &[(Slot, RecordId)]) -> Vec<Named> {
    records
        .iter()
        .map(|(slot, id)| Named {
            service: slot.to_string(),
            id: id.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
