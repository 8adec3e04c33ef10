//! Namespaces of Consul Enterprise, and what goes with them.

use std::sync::Arc;

use super::super::namespace::Namespace;
use super::super::tenancy;
use super::{Store, Written};

impl Store {
    /// Writes a namespace.
    pub(in super::super) fn put_namespace(
        &mut self,
        index: u64,
        mut namespace: Namespace,
    ) -> Written<()> {
        let old = self.namespaces.get(&namespace.name);
        if old.is_some_and(|old| old.is_doomed) {
            return Err(format!("Namespace {:?} is being deleted", namespace.name));
        }
        namespace.create_index = old.map_or(index, |old| old.create_index);
        namespace.modify_index = index;
        self.namespaces.insert(namespace.name.clone(), namespace);
        Ok(())
    }

    /// Removes a namespace with all that is in it.
    pub(in super::super) fn remove_namespace(&mut self, index: u64, name: &str) {
        if name == tenancy::DEFAULT || self.namespaces.remove(name).is_none() {
            return;
        }
        let inside: Vec<_> = self
            .instances()
            .filter(|instance| tenancy::namespace(&instance.id) == name)
            .map(Arc::clone)
            .collect();
        for instance in inside {
            self.remove_instance(index, &instance.node, &instance.id);
        }
    }

    /// Whether something can be written into the namespace in which this name stands.
    pub(in super::super) fn has_namespace_of(&self, name: &str) -> Written<()> {
        let namespace = tenancy::namespace(name);
        match self.namespaces.get(namespace) {
            Some(found) if !found.is_doomed => Ok(()),
            _ => Err(format!("Namespace {namespace:?} does not exist")),
        }
    }
}
