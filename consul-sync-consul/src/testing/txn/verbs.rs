//! Runs one operation: what each verb does to each kind of object, and what it answers.

use serde_json::{Value, json};

use super::super::acl::Access;
use super::super::model::{Check, Instance, Node};
use super::super::store::{MISSING_KEY, Store, Written};
use super::super::tenancy::plain;
use super::super::view;
use super::Verb;

pub(super) fn node(
    store: &mut Store,
    index: u64,
    verb: Verb,
    node: &Node,
    access: &Access,
) -> Written<Option<Value>> {
    let name = &node.node;
    match verb {
        Verb::Get | Verb::Lock | Verb::Unlock | Verb::CheckSession | Verb::CheckIndex => {}
        Verb::Set => store.set_node(index, node.clone())?,
        Verb::Cas => match store.set_node_if(index, node.clone()) {
            // As for checks.
            Ok(true) | Err(_) => {}
            Ok(false) => return Err(format!("failed to set node {name:?}, index is stale")),
        },
        Verb::Delete => {
            store.remove_node(index, name);
            return Ok(None);
        }
        Verb::DeleteCas => {
            if !store.remove_node_if(index, name, node.modify_index) {
                return Err(format!("failed to delete node {name:?}, index is stale"));
            }
            return Ok(None);
        }
    }
    let found = if node.id.is_empty() {
        store.node(name)
    } else {
        store.node_by_id(&node.id)
    };
    let Some(found) = found else {
        return missing(verb, || format!("node {name:?} doesn't exist"));
    };
    Ok(access
        .can_read_node(&found.node)
        .then(|| json!({ "Node": &**found })))
}

pub(super) fn service(
    store: &mut Store,
    index: u64,
    verb: Verb,
    op: &Instance,
    access: &Access,
) -> Written<Option<Value>> {
    let (node, id) = (&op.node, &op.id);
    if let Verb::Set | Verb::Cas = verb {
        store.has_namespace_of(id)?;
    }
    let shown = plain(id);
    match verb {
        Verb::Get | Verb::Lock | Verb::Unlock | Verb::CheckSession | Verb::CheckIndex => {}
        Verb::Set => store.set_instance(index, op.clone())?,
        Verb::Cas => {
            if !store.set_instance_if(index, op.clone())? {
                return Err(format!(
                    "failed to set service {shown:?} on node {node:?}, index is stale"
                ));
            }
        }
        Verb::Delete => {
            store.remove_instance(index, node, id);
            return Ok(None);
        }
        Verb::DeleteCas => {
            if !store.remove_instance_if(index, node, id, op.modify_index) {
                return Err(format!(
                    "failed to delete service {shown:?} on node {node:?}, index is stale"
                ));
            }
            return Ok(None);
        }
    }
    let Some(found) = store.instance(node, id) else {
        return Err(format!("service {shown:?} on node {node:?} doesn't exist"));
    };
    Ok(access
        .can_read_service(&found.service)
        .then(|| json!({ "Service": view::service(found) })))
}

pub(super) fn check(
    store: &mut Store,
    index: u64,
    verb: Verb,
    op: &Check,
    access: &Access,
) -> Written<Option<Value>> {
    let (node, id) = (&op.node, &op.check_id);
    if node.is_empty() || id.is_empty() {
        let lookup = match verb {
            Verb::Set => "failed health check lookup",
            Verb::Delete => "check lookup failed",
            Verb::DeleteCas => "check lookup failed: failed check lookup",
            _ => "failed check lookup",
        };
        return Err(format!("{lookup}: {MISSING_KEY}"));
    }
    let shown = plain(id);
    match verb {
        Verb::Get | Verb::Lock | Verb::Unlock | Verb::CheckSession | Verb::CheckIndex => {}
        Verb::Set => store.set_check(index, op.clone())?,
        Verb::Cas => match store.set_check_if(index, op.clone()) {
            // Consul forgets why it failed and answers with the check as it is, or with nothing: no error.
            Ok(true) | Err(_) => {}
            Ok(false) => {
                return Err(format!(
                    "failed to set check {shown:?} on node {node:?}, index is stale"
                ));
            }
        },
        Verb::Delete => {
            store.remove_check(index, node, id);
            return Ok(None);
        }
        Verb::DeleteCas => {
            if !store.remove_check_if(index, node, id, op.modify_index) {
                return Err(format!(
                    "failed to delete check {shown:?} on node {node:?}, index is stale"
                ));
            }
            return Ok(None);
        }
    }
    let Some(found) = store.check(node, id) else {
        return missing(verb, || {
            format!("check {shown:?} on node {node:?} doesn't exist")
        });
    };
    let readable = if found.service_name.is_empty() {
        access.can_read_node(&found.node)
    } else {
        access.can_read_service(&found.service_name)
    };
    Ok(readable.then(|| json!({ "Check": view::check(found) })))
}

/// Only a read minds that there is nothing.
fn missing(verb: Verb, why: impl FnOnce() -> String) -> Written<Option<Value>> {
    if verb == Verb::Get {
        Err(why())
    } else {
        Ok(None)
    }
}
