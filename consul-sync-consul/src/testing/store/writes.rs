//! Writes of nodes, instances and checks, with the indexes each of them moves.

use std::sync::Arc;

use super::super::model::{Check, Instance, Node, Pairs, folded};
use super::{MISSING_KEY, MISSING_SERVICE, Store, Table, Written};

const MISSING_NODE: &str = "Missing node registration";
const META_PAIRS: usize = 64;
const META_KEY: usize = 128;
const META_VALUE: usize = 512;
const META_RESERVED: &str = "consul-";

/// What a conditional write expects: nothing there (0) or this index.
fn condition_holds(asked: u64, found: Option<u64>) -> bool {
    match found {
        None => asked == 0,
        Some(index) => asked == index && asked != 0,
    }
}

// ---- nodes ------------------------------------------------------------------------------------------------------------

impl Store {
    /// Writes a node if its `modify_index` fits; whether it fitted.
    pub(in super::super) fn set_node_if(&mut self, index: u64, node: Node) -> Written<bool> {
        let found = self.node(&node.node).map(|n| n.modify_index);
        if !condition_holds(node.modify_index, found) {
            return Ok(false);
        }
        self.set_node(index, node).map(|()| true)
    }

    /// Writes a node.
    pub(in super::super) fn set_node(&mut self, index: u64, mut node: Node) -> Written<()> {
        let mut existing = None;
        if !node.id.is_empty() {
            existing = self.node_by_id(&node.id).cloned();
            match &existing {
                Some(old) if folded(&old.node) != folded(&node.node) => {
                    self.name_is_free(&node, false).map_err(|e| {
                        format!(
                            "Error while renaming Node ID: \"{}\" ({}): {e}",
                            node.id, node.address
                        )
                    })?;
                    self.remove_node(index, &old.node);
                }
                Some(_) => {}
                None => self
                    .name_is_free(&node, true)
                    .map_err(|e| format!("Error while renaming Node ID: \"{}\": {e}", node.id))?,
            }
        }
        let existing = existing.or_else(|| self.node(&node.node).cloned());
        node.create_index = index;
        if let Some(old) = existing {
            node.create_index = old.create_index;
            if node.is_same(&old) {
                return Ok(());
            }
        }
        node.modify_index = index;
        let name = node.node.clone();
        self.put_node(folded(&name), Some(Arc::new(node)));
        self.touch(Table::Nodes, index);
        self.touch(Table::NodeRecords, index);
        self.touch(Table::Node(folded(&name)), index);
        self.touch_services_of_node(&name, index);
        Ok(())
    }

    /// A name cannot be taken from a live node that an agent stands behind.
    fn name_is_free(&self, node: &Node, without_id_is_free: bool) -> Written<()> {
        let Some(holder) = self.node(&node.node).filter(|holder| holder.id != node.id) else {
            return Ok(());
        };
        let alive = self
            .check(&holder.node, "serfHealth")
            .is_some_and(|check| check.status != "critical");
        if alive && !(holder.id.is_empty() && without_id_is_free) {
            return Err(format!(
                "Node name {} is reserved by node {} with name {} ({})",
                node.node, holder.id, holder.node, holder.address
            ));
        }
        Ok(())
    }

    /// Removes a node that still has this index; whether it had.
    pub(in super::super) fn remove_node_if(&mut self, index: u64, name: &str, asked: u64) -> bool {
        if self
            .node(name)
            .is_none_or(|node| node.modify_index != asked)
        {
            return false;
        }
        self.remove_node(index, name);
        true
    }

    /// Removes a node with all that stands on it.
    pub(in super::super) fn remove_node(&mut self, index: u64, name: &str) {
        if self.node(name).is_none() {
            return;
        }
        let instances: Vec<_> = self.instances_of_node(name).map(Arc::clone).collect();
        for instance in &instances {
            self.touch(Table::Service(folded(&instance.service)), index);
        }
        for instance in &instances {
            self.remove_instance(index, name, &instance.id);
        }
        let checks: Vec<_> = self
            .checks_of_node(name)
            .map(|check| check.check_id.clone())
            .collect();
        for check in checks {
            self.remove_check(index, name, &check);
        }
        self.end_sessions_of_node(index, name);
        self.put_node(folded(name), None);
        self.touch(Table::Nodes, index);
        self.touch(Table::NodeRecords, index);
        self.forget(Table::Node(folded(name)));
        self.touch(Table::NodeExtinction, index);
    }

    /// Notes a version in the meta of a node that has meta and does not have it yet. No index moves: on Consul it is a read
    /// that does this, by accident.
    pub(in super::super) fn note_version(&mut self, name: &str, key: &str, version: &str) {
        let Some(node) = self.nodes.get_mut(&folded(name)) else {
            return;
        };
        if node
            .meta
            .as_ref()
            .is_some_and(|meta| !meta.contains_key(key))
        {
            let meta = Arc::make_mut(node).meta.get_or_insert_default();
            meta.insert(key.to_owned(), version.to_owned());
        }
    }

    fn touch_services_of_node(&mut self, node: &str, index: u64) {
        let names: Vec<_> = self
            .instances_of_node(node)
            .map(|i| folded(&i.service))
            .collect();
        for name in names {
            self.touch(Table::Service(name), index);
        }
    }
}

// ---- instances --------------------------------------------------------------------------------------------------------

impl Store {
    /// Writes an instance if its `modify_index` fits; whether it fitted.
    pub(in super::super) fn set_instance_if(
        &mut self,
        index: u64,
        instance: Instance,
    ) -> Written<bool> {
        let found = self
            .instance(&instance.node, &instance.id)
            .map(|i| i.modify_index);
        if !condition_holds(instance.modify_index, found) {
            return Ok(false);
        }
        self.set_instance(index, instance).map(|()| true)
    }

    /// Writes an instance.
    pub(in super::super) fn set_instance(
        &mut self,
        index: u64,
        mut instance: Instance,
    ) -> Written<()> {
        if let Err(why) = instance.meta.as_ref().map_or(Ok(()), valid_meta) {
            return Err(format!(
                "Invalid Service Meta for node {} and serviceID {}: {why}",
                instance.node, instance.id
            ));
        }
        if self.node(&instance.node).is_none() {
            return Err(MISSING_NODE.to_owned());
        }
        instance.weights = instance.weights.or_default();
        instance.create_index = index;
        if let Some(old) = self.instance(&instance.node, &instance.id) {
            instance.create_index = old.create_index;
            if instance.is_same(old) {
                return Ok(());
            }
        }
        instance.modify_index = index;
        let place = (folded(&instance.node), folded(&instance.id));
        let name = folded(&instance.service);
        self.put_instance(&place, Some(Arc::new(instance)));
        self.touch(Table::Services, index);
        self.touch(Table::Service(name), index);
        self.touch(Table::Nodes, index);
        self.touch(Table::Node(place.0), index);
        Ok(())
    }

    /// Removes an instance that still has this index; whether it had.
    pub(in super::super) fn remove_instance_if(
        &mut self,
        index: u64,
        node: &str,
        id: &str,
        asked: u64,
    ) -> bool {
        if self
            .instance(node, id)
            .is_none_or(|instance| instance.modify_index != asked)
        {
            return false;
        }
        self.remove_instance(index, node, id);
        true
    }

    /// Removes an instance with its checks.
    pub(in super::super) fn remove_instance(&mut self, index: u64, node: &str, id: &str) {
        let Some(instance) = self.instance(node, id).cloned() else {
            return;
        };
        let checks: Vec<_> = self
            .checks_of_instance(node, id)
            .map(|check| check.check_id.clone())
            .collect();
        for check in checks {
            self.remove_check(index, node, &check);
        }
        self.touch(Table::Checks, index);
        self.put_instance(&(folded(node), folded(id)), None);
        self.touch(Table::Services, index);
        self.touch(Table::Nodes, index);
        self.touch(Table::Node(folded(node)), index);
        let by_name = Table::Service(folded(&instance.service));
        if self
            .instances_of_service(&instance.service)
            .next()
            .is_some()
        {
            self.touch(by_name, index);
        } else {
            self.forget(by_name);
            self.touch(Table::ServiceExtinction, index);
        }
    }
}

fn valid_meta(meta: &Pairs) -> Result<(), String> {
    if meta.len() > META_PAIRS {
        return Err(format!(
            "Node metadata cannot contain more than {META_PAIRS} key/value pairs"
        ));
    }
    for (key, value) in meta {
        let fault = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            "Key contains invalid characters".to_owned()
        } else if key.len() > META_KEY {
            format!("Key is too long (limit: {META_KEY} characters)")
        } else if key.starts_with(META_RESERVED) {
            format!("Key prefix '{META_RESERVED}' is reserved for internal use")
        } else if value.len() > META_VALUE {
            format!("Value is too long (limit: {META_VALUE} characters)")
        } else {
            continue;
        };
        return Err(format!(
            "Couldn't load metadata pair ('{key}', '{value}'): {fault}"
        ));
    }
    Ok(())
}

// ---- checks -----------------------------------------------------------------------------------------------------------

impl Store {
    /// Writes a check if its `modify_index` fits; whether it fitted.
    pub(in super::super) fn set_check_if(&mut self, index: u64, check: Check) -> Written<bool> {
        let found = self
            .check(&check.node, &check.check_id)
            .map(|c| c.modify_index);
        if !condition_holds(check.modify_index, found) {
            return Ok(false);
        }
        self.set_check(index, check).map(|()| true)
    }

    /// Writes a check.
    pub(in super::super) fn set_check(&mut self, index: u64, mut check: Check) -> Written<()> {
        if check.node.is_empty() || check.check_id.is_empty() {
            return Err(format!("failed health check lookup: {MISSING_KEY}"));
        }
        if check.status.is_empty() {
            "critical".clone_into(&mut check.status);
        }
        if self.node(&check.node).is_none() {
            return Err(MISSING_NODE.to_owned());
        }
        let existing = self.check(&check.node, &check.check_id).cloned();
        check.create_index = existing.as_ref().map_or(index, |old| old.create_index);
        if check.service_id.is_empty() {
            if existing.is_some_and(|old| check.is_same(&old)) {
                return Ok(());
            }
            self.touch_services_of_node(&check.node, index);
        } else {
            let Some(owner) = self.instance(&check.node, &check.service_id) else {
                return Err(MISSING_SERVICE.to_owned());
            };
            check.service_name.clone_from(&owner.service);
            check.service_tags.clone_from(&owner.tags);
            if existing.is_some_and(|old| check.is_same(&old)) {
                return Ok(());
            }
            self.touch(Table::Service(folded(&check.service_name)), index);
        }
        check.modify_index = index;
        let place = (folded(&check.node), folded(&check.check_id));
        self.put_check(&place, Some(Arc::new(check)));
        self.touch(Table::Checks, index);
        Ok(())
    }

    /// Removes a check that still has this index; whether it had.
    pub(in super::super) fn remove_check_if(
        &mut self,
        index: u64,
        node: &str,
        id: &str,
        asked: u64,
    ) -> bool {
        if self
            .check(node, id)
            .is_none_or(|check| check.modify_index != asked)
        {
            return false;
        }
        self.remove_check(index, node, id);
        true
    }

    /// Removes a check.
    pub(in super::super) fn remove_check(&mut self, index: u64, node: &str, id: &str) {
        let Some(check) = self.check(node, id).cloned() else {
            return;
        };
        if check.service_id.is_empty() {
            self.touch_services_of_node(&check.node, index);
            self.touch(Table::Services, index);
        } else {
            self.touch(Table::Service(folded(&check.service_name)), index);
        }
        self.put_check(&(folded(node), folded(id)), None);
        self.touch(Table::Checks, index);
    }
}
