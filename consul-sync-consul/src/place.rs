//! Where a service stands in the catalog, and what Consul would refuse of it: the pure half of the sink.

mod ids;
mod records;
mod rules;

use std::sync::Arc;

use consul_sync_core::{Owner, Placed, Rejection, Service, Slot};

use crate::registration::{Checks, Known, Registration, slot_of};

/// The rules by which services become registrations.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) owner: Owner,
    /// The namespace of services that name none; absent where namespaces are not used at all.
    pub(crate) namespace: Option<Arc<str>>,
    /// Whether instances have the list of their named ports.
    pub(crate) named_ports: bool,
    /// Which instances have a check.
    pub(crate) checks: Checks,
    /// What lives already.
    pub(crate) known: Arc<Known>,
}

// === impl Placement ===

impl Placement {
    /// Checks a service, and says in which slot it stands.
    pub(crate) fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        rules::check(service)?;
        if self.named_ports {
            rules::check_ports(service)?;
        }
        let namespace = self.namespace_of(service).map(AsRef::as_ref);
        rules::slot(slot_of(namespace, service.name.as_str()))
    }

    /// The registrations of a slot; see [`consul_sync_core::Layout::records`].
    pub(crate) fn records(&self, claims: &[Arc<Service>]) -> Placed<Registration> {
        records::records(self, claims)
    }

    /// The namespace that a service is written to.
    fn namespace_of<'a>(&'a self, service: &'a Service) -> Option<&'a Arc<str>> {
        let default = self.namespace.as_ref()?;
        Some(service.namespace.as_ref().unwrap_or(default))
    }
}
