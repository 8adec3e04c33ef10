//! Strings that repeat a hundred thousand times, held once.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use consul_sync_core::{Check, Meta, MetaForms};

use crate::{slim::EndpointPort, translate::ServicePort};

/// Fewer strings than this are never swept.
const FLOOR: usize = 4096;

/// A set of shared strings. What nobody else holds any more is swept out now and then, so that names of pods
/// and nodes that came and went do not pile up.
///
/// The hasher is the standard, keyed one: the strings are chosen by users of the cluster.
#[derive(Debug)]
pub(crate) struct Strings {
    known: HashSet<Arc<str>>,
    sweep_at: usize,
    /// Sets of pairs, and lists of tags, that services have in common.
    metas: HashSet<Meta>,
    tags: HashSet<Arc<[Arc<str>]>>,
    checks: HashSet<Arc<Check>>,
    /// Lists of ports that EndpointSlices, and Services, have in common.
    slice_ports: HashSet<Arc<[EndpointPort]>>,
    service_ports: HashSet<Arc<[ServicePort]>>,
    /// What endpoints of one node have in common.
    pub(crate) forms: MetaForms,
}

/// The fixed texts of a registration, as shared strings.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) external_source: Arc<str>,
    pub(crate) kubernetes: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) ref_kind: Arc<str>,
    pub(crate) ref_name: Arc<str>,
    pub(crate) node_name: Arc<str>,
    pub(crate) zone: Arc<str>,
    pub(crate) check_name: Arc<str>,
    pub(crate) check_kind: Arc<str>,
    pub(crate) passing: Arc<str>,
    pub(crate) failing: Arc<str>,
}

// === impl Strings ===

impl Default for Strings {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            sweep_at: FLOOR,
            metas: HashSet::new(),
            tags: HashSet::new(),
            checks: HashSet::new(),
            slice_ports: HashSet::new(),
            service_ports: HashSet::new(),
            forms: MetaForms::default(),
        }
    }
}

impl Strings {
    /// The one shared form of a string.
    pub(crate) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        self.add(Arc::from(text))
    }

    /// The one shared form of a string that is shared already.
    pub(crate) fn share(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        self.add(Arc::clone(text))
    }

    /// The one shared form of a string that is held already, and otherwise the string itself: for what is mostly
    /// there under another title, and would take a place for nothing where it is not.
    pub(crate) fn known(&self, text: Arc<str>) -> Arc<str> {
        self.known.get(&text).map_or(text, Arc::clone)
    }

    /// The one shared form of a set of pairs.
    pub(crate) fn share_meta(&mut self, meta: Meta) -> Meta {
        one_of(&mut self.metas, meta)
    }

    /// The one shared form of a list of tags.
    pub(crate) fn share_tags(&mut self, tags: Arc<[Arc<str>]>) -> Arc<[Arc<str>]> {
        one_of(&mut self.tags, tags)
    }

    /// The one shared form of a check.
    pub(crate) fn share_check(&mut self, check: Check) -> Arc<Check> {
        one_of(&mut self.checks, Arc::new(check))
    }

    /// The one shared form of the ports of an EndpointSlice.
    pub(crate) fn share_slice_ports(&mut self, ports: Arc<[EndpointPort]>) -> Arc<[EndpointPort]> {
        one_of(&mut self.slice_ports, ports)
    }

    /// The one shared form of the ports of a Service.
    pub(crate) fn share_service_ports(&mut self, ports: Arc<[ServicePort]>) -> Arc<[ServicePort]> {
        one_of(&mut self.service_ports, ports)
    }

    fn add(&mut self, text: Arc<str>) -> Arc<str> {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            // Doubling keeps the cost of sweeps below a constant per string added.
            self.sweep_at = (self.known.len() * 2).max(FLOOR);
        }
        self.known.insert(Arc::clone(&text));
        text
    }
}

/// The one copy of what few have each and many have in common, so that the few thousand last ones are enough.
fn one_of<T: Clone + Eq + Hash>(known: &mut HashSet<T>, value: T) -> T {
    if let Some(known) = known.get(&value) {
        return known.clone();
    }
    if known.len() >= FLOOR {
        known.clear();
    }
    known.insert(value.clone());
    value
}

// === impl Words ===

impl Default for Words {
    fn default() -> Self {
        Self {
            external_source: "external-source".into(),
            kubernetes: "kubernetes".into(),
            namespace: "external-k8s-ns".into(),
            ref_kind: "external-k8s-ref-kind".into(),
            ref_name: "external-k8s-ref-name".into(),
            node_name: "external-k8s-node-name".into(),
            zone: "external-k8s-topology-zone".into(),
            check_name: "Kubernetes Readiness Check".into(),
            check_kind: "kubernetes-readiness".into(),
            passing: "Kubernetes health checks passing".into(),
            failing: "Kubernetes health checks failing".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_are_one_allocation() {
        let mut strings = Strings::default();
        let first = strings.get("node-1");
        let second = strings.share(&Arc::from("node-1"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&first, &strings.known("node-1".into())));
        let other: Arc<str> = "node-2".into();
        assert!(Arc::ptr_eq(&other, &strings.known(Arc::clone(&other))));
        assert!(!strings.known.contains(&other));
    }

    #[test]
    fn strings_that_nobody_holds_are_swept() {
        let mut strings = Strings::default();
        let held = strings.get("held");
        for at in 0..10 * FLOOR {
            strings.get(&format!("pod-{at}"));
        }
        assert!(strings.known.len() <= FLOOR, "{}", strings.known.len());
        assert!(Arc::ptr_eq(&held, &strings.get("held")));
    }
}
