//! A service with all its instances.

use std::{cmp::Ordering, sync::Arc};

use consul_sync_core::{Check, Instance, Port, Service, Status};

use super::{
    endpoints::{Known, Readiness, Slice},
    head::{Head, Reached},
    ingress, node_ports,
};
use crate::{
    ExportSettings,
    slim::{IngressBody, NodeBody},
    strings::Words,
};

/// All that a service follows from.
pub(crate) struct Inputs<'a> {
    pub(crate) settings: &'a ExportSettings,
    pub(crate) words: &'a Words,
    pub(crate) head: &'a Head,
    /// Its slices.
    pub(crate) slices: Vec<&'a Slice>,
    /// The Ingresses of its namespace; others than its own do no harm.
    pub(crate) ingresses: Vec<&'a IngressBody>,
    /// Nodes, by name.
    pub(crate) node: &'a dyn Fn(&str) -> Option<&'a NodeBody>,
}

/// The service. Its instances are sorted, and each is there once.
pub(crate) fn service(inputs: &Inputs<'_>) -> Service {
    let mut service = inputs.head.base.clone();
    let found = match inputs.head.reached {
        Reached::Alone => return service,
        Reached::AtEndpoints => at_endpoints(inputs),
        Reached::AtNodes => at_nodes(inputs),
        Reached::AtIngressOrEndpoints => at_ingress(inputs).unwrap_or_else(|| at_endpoints(inputs)),
    };
    service.instances = distinct(found);
    service
}

fn at_endpoints(inputs: &Inputs<'_>) -> Vec<Instance> {
    let checks = Checks::new(inputs);
    let mut found = Vec::with_capacity(
        inputs
            .slices
            .iter()
            .map(|slice| slice.endpoints.len())
            .sum(),
    );
    for slice in &inputs.slices {
        let ports = inputs.head.ports.of_endpoints(&slice.ports);
        for endpoint in &slice.endpoints {
            found.extend(endpoint.address().map(|address| Instance {
                address,
                identified_by: None,
                ports: Arc::clone(&ports),
                meta: endpoint.meta().clone(),
                check: Some(checks.of(endpoint)),
            }));
        }
    }
    found
}

fn at_nodes(inputs: &Inputs<'_>) -> Vec<Instance> {
    let ports = inputs.head.ports.of_node();
    if ports.is_empty() {
        return Vec::new();
    }
    let checks = Checks::new(inputs);
    let mut found = Vec::new();
    for endpoint in inputs.slices.iter().flat_map(|slice| &slice.endpoints) {
        let node = endpoint
            .node(inputs.words)
            .and_then(|name| (inputs.node)(name));
        let (Some(node), Some(own)) = (node, endpoint.address()) else {
            continue;
        };
        if let Some(address) = node_ports::address(inputs.settings.node_ports, node, &own) {
            found.push(Instance {
                address: address.clone(),
                identified_by: Some(Box::new(own)),
                ports: Arc::clone(&ports),
                meta: endpoint.meta().clone(),
                check: Some(checks.of(endpoint)),
            });
        }
    }
    found
}

/// The instances at Ingresses; nothing when none stands before the Service.
fn at_ingress(inputs: &Inputs<'_>) -> Option<Vec<Instance>> {
    let name = inputs.head.base.key.name();
    let addresses = ingress::addresses(inputs.settings, name, &inputs.ingresses);
    if addresses.is_empty() {
        return None;
    }
    let checks = Checks::new(inputs);
    let mut endpoints = inputs
        .slices
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .peekable();
    if endpoints.peek().is_none() {
        // A host with nothing behind it is not where the service is.
        return Some(Vec::new());
    }
    let passes = endpoints.any(|endpoint| checks.passes(endpoint));
    let check = if passes {
        checks.passing
    } else {
        checks.critical
    };
    let ports = |name: &str, number| -> Arc<[Port]> {
        Arc::new([Port {
            name: name.into(),
            number,
        }])
    };
    let (plain, secured) = (ports("http", 80), ports("https", 443));
    let instance = |(address, tls)| Instance {
        ports: Arc::clone(if tls { &secured } else { &plain }),
        check: Some(Arc::clone(check)),
        ..Instance::new(address)
    };
    Some(addresses.into_iter().map(instance).collect())
}

/// Sorted, and of those that differ in nothing but health and pairs the healthiest, then the smallest.
fn distinct(mut instances: Vec<Instance>) -> Vec<Instance> {
    instances.sort_unstable_by(|a, b| {
        place(a, b)
            .then_with(|| status(a).cmp(&status(b)))
            .then_with(|| a.meta.cmp(&b.meta))
    });
    instances.dedup_by(|later, first| place(later, first) == Ordering::Equal);
    instances.shrink_to_fit();
    instances
}

fn place(a: &Instance, b: &Instance) -> Ordering {
    let by_ports = || {
        if Arc::ptr_eq(&a.ports, &b.ports) {
            Ordering::Equal
        } else {
            a.ports.cmp(&b.ports)
        }
    };
    a.address
        .cmp(&b.address)
        .then_with(|| a.identified_by.cmp(&b.identified_by))
        .then_with(by_ports)
}

fn status(instance: &Instance) -> Option<Status> {
    instance.check.as_ref().map(|check| check.status)
}

/// The two checks of a service's endpoints.
struct Checks<'a> {
    passing: &'a Arc<Check>,
    critical: &'a Arc<Check>,
    /// Whether endpoints that are terminating and still serving pass.
    draining_pass: bool,
}

impl<'a> Checks<'a> {
    fn new(inputs: &Inputs<'a>) -> Self {
        let mut endpoints = inputs.slices.iter().flat_map(|slice| &slice.endpoints);
        Self {
            passing: &inputs.head.passing,
            critical: &inputs.head.critical,
            draining_pass: inputs.settings.serve_terminating
                && endpoints.all(|endpoint| endpoint.readiness() != Readiness::Ready),
        }
    }

    fn passes(&self, endpoint: &Known) -> bool {
        match endpoint.readiness() {
            Readiness::Ready => true,
            Readiness::Draining => self.draining_pass,
            Readiness::Down => false,
        }
    }

    fn of(&self, endpoint: &Known) -> Arc<Check> {
        Arc::clone(if self.passes(endpoint) {
            self.passing
        } else {
            self.critical
        })
    }
}
