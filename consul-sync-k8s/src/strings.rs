//! Strings that repeat a hundred thousand times, held once.

use std::{collections::HashSet, sync::Arc};

use consul_sync_core::Meta;

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
    /// Sets of pairs that endpoints have in common.
    metas: HashSet<Meta>,
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

    /// The one shared form of a set of pairs. There is one for each node, so the few thousand last ones are enough.
    pub(crate) fn share_meta(&mut self, meta: Meta) -> Meta {
        if let Some(known) = self.metas.get(&meta) {
            return known.clone();
        }
        if self.metas.len() >= FLOOR {
            self.metas.clear();
        }
        self.metas.insert(meta.clone());
        meta
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
