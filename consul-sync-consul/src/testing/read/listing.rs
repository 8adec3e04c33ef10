//! What the listings hold: who may see it, what the filter leaves, in which order it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::acl::Access;
use super::super::answer::Answer;
use super::super::filter::Filter;
use super::super::model::{Check, Instance, Node, Pairs};
use super::super::request::Query;
use super::super::server::Identity;
use super::super::store::Store;
use super::super::tenancy::{self, plain};
use super::super::view::{self, HealthView};

/// One listing while it is made.
pub(super) struct Listing<'a> {
    /// The namespace that is asked about; `*` for every one.
    pub(super) namespace: &'a str,
    pub(super) store: &'a Store,
    pub(super) query: &'a Query,
    pub(super) access: &'a Access,
    pub(super) identity: &'a Identity,
    pub(super) filter: Option<Filter>,
    /// Whether rights left something out.
    pub(super) left_out: bool,
}

// ---- what stays -------------------------------------------------------------------------------------------------------

impl<'a> Listing<'a> {
    /// Whether what has this name in the tables stands in the namespace that is asked about.
    fn is_within(&self, name: &str) -> bool {
        self.namespace == "*" || tenancy::namespace(name) == self.namespace
    }

    /// Notes when a right is missing.
    fn may(&mut self, allowed: bool) -> bool {
        self.left_out |= !allowed;
        allowed
    }

    /// Whether the filter leaves the object. Without one nothing is printed for it.
    fn keeps(&self, view: &impl Serialize) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        serde_json::to_value(view).is_ok_and(|value| filter.matches(&value))
    }

    fn may_see_node(&mut self, name: &str) -> bool {
        self.may(self.access.can_read_node(name))
    }

    fn may_see_service(&mut self, name: &str) -> bool {
        self.may(self.access.can_read_service(name))
    }

    fn may_see(&mut self, node: &str, service: &str) -> bool {
        self.may(self.access.can_read_node(node) && self.access.can_read_service(service))
    }

    fn meta_fits(&self, meta: Option<&Pairs>) -> bool {
        self.query.all("node-meta").all(|wanted| {
            let (key, value) = wanted.split_once(':').unwrap_or((wanted, ""));
            meta.and_then(|meta| meta.get(key))
                .is_some_and(|found| found == value)
        })
    }

    /// Instances of `name` that carry every asked tag and whose nodes have the asked meta.
    fn instances(&self, name: &str) -> Vec<(&'a Node, &'a Instance)> {
        let has = |instance: &Instance, tag: &str| {
            instance
                .tags()
                .iter()
                .any(|own| own.eq_ignore_ascii_case(tag))
        };
        let mut found = Vec::new();
        for instance in self.store.instances_of_service(name) {
            let Some(node) = self.store.node(&instance.node) else {
                continue;
            };
            let tagged = self.query.all("tag").all(|tag| has(instance, tag));
            if tagged && self.meta_fits(node.meta.as_ref()) {
                found.push((&**node, &**instance));
            }
        }
        found
    }
}

// ---- nodes ------------------------------------------------------------------------------------------------------------

impl<'a> Listing<'a> {
    pub(super) fn nodes(&mut self) -> Answer {
        let mut found = Vec::new();
        for node in self.store.nodes() {
            if self.meta_fits(node.meta.as_ref())
                && self.may_see_node(&node.node)
                && self.keeps(node)
            {
                found.push(&**node);
            }
        }
        Answer::json(200, &found)
    }

    /// `null` for a node that is unknown or hidden. The right to an instance is asked for by its ID here, as Consul does.
    pub(super) fn node(&mut self, name: &str) -> Answer {
        let Some(node) = self.store.node(name) else {
            return Answer::json(200, &Value::Null);
        };
        if !self.may_see_node(&node.node) {
            return Answer::json(200, &Value::Null);
        }
        let mut services = BTreeMap::new();
        for instance in self.store.instances_of_node(name) {
            let view = view::listed_service(instance);
            if self.is_within(&instance.id)
                && self.may_see_service(&instance.id)
                && self.keeps(&view)
            {
                services.insert(plain(&instance.id), view);
            }
        }
        Answer::json(
            200,
            &view::OfNode {
                node: Some(node),
                services,
            },
        )
    }

    pub(super) fn node_services(&mut self, name: &str) -> Answer {
        let mut services = Vec::new();
        let mut any = false;
        let node = self
            .store
            .node(name)
            .map(|node| &**node)
            .filter(|node| self.may(self.access.can_read_node(&node.node)));
        if node.is_some() {
            for instance in self.store.instances_of_node(name) {
                if !self.is_within(&instance.id) {
                    continue;
                }
                any = true;
                let view = view::listed_service(instance);
                if self.may_see_service(&instance.service) && self.keeps(&view) {
                    services.push(view);
                }
            }
        }
        // Go's missing list is null; a filter that runs over it makes it an empty one.
        let services = (any || self.filter.is_some()).then_some(services);
        Answer::json(200, &view::OfNode { node, services })
    }

    pub(super) fn ui_node(&mut self, name: &str) -> Option<Answer> {
        let node: &'a Node = self.store.node(name)?;
        if !self.may_see_node(&node.node) {
            return None;
        }
        let mut services = Vec::new();
        for instance in self.store.instances_of_node(name) {
            if self.is_within(&instance.id) && self.may_see_service(&instance.service) {
                services.push(view::service(instance));
            }
        }
        let mut checks = Vec::new();
        for check in self.store.checks_of_node(name) {
            if self.is_within(&check.check_id) && self.may_see_service(&check.service_name) {
                checks.push(view::check(check));
            }
        }
        let mut meta = node.meta.clone();
        if self.identity.is_own_address(&node.address) {
            meta.get_or_insert_default()
                .entry(VERSION.to_owned())
                .or_insert_with(|| self.identity.version.clone());
        }
        Some(Answer::json(
            200,
            &json!({
                "ID": node.id, "Node": node.node, "Address": node.address, "TaggedAddresses": node.tagged_addresses,
                "Meta": meta, "Services": services, "Checks": checks,
            }),
        ))
    }
}

/// Key under which the UI's endpoint shows the version of the member at the node's address.
pub(in super::super) const VERSION: &str = "consul-version";

// ---- services ---------------------------------------------------------------------------------------------------------

impl Listing<'_> {
    pub(super) fn services(&mut self) -> Answer {
        let mut found = BTreeMap::<&str, BTreeSet<&str>>::new();
        for instance in self.store.instances() {
            let Some(node) = self.store.node(&instance.node) else {
                continue;
            };
            if self.is_within(&instance.id)
                && self.meta_fits(node.meta.as_ref())
                && self.may_see(&instance.node, &instance.service)
                && self.keeps(&view::catalog(node, instance, self.identity.is_1_22()))
            {
                found
                    .entry(plain(&instance.service))
                    .or_default()
                    .extend(instance.tags().iter().map(String::as_str));
            }
        }
        Answer::json(200, &found)
    }

    pub(super) fn service(&mut self, name: &str) -> Answer {
        let mut found = Vec::new();
        for (node, instance) in self.instances(name) {
            let view = view::catalog(node, instance, self.identity.is_1_22());
            if self.may_see(&instance.node, &instance.service) && self.keeps(&view) {
                found.push(view);
            }
        }
        Answer::json(200, &found)
    }

    pub(super) fn health(&mut self, name: &str, passing: bool) -> Answer {
        let mut found = Vec::new();
        for (node, instance) in self.instances(name) {
            if !self.may_see(&instance.node, &instance.service) {
                continue;
            }
            let of_node = self.store.checks_of_instance(&instance.node, "");
            let own = self.store.checks_of_instance(&instance.node, &instance.id);
            let view = HealthView::new(node, instance, of_node.chain(own));
            if self.keeps(&view) {
                found.push(view);
            }
        }
        if self.query.is_from_view() {
            found.retain(|view| !passing || view.is_passing());
            let mut found: Vec<_> = found.into_iter().map(HealthView::streamed).collect();
            // Views are sorted by names as they are spelled, tables by folded ones.
            found.sort_by_key(HealthView::spelled);
            return Answer::json(200, &found);
        }
        if passing {
            keep_passing(&mut found);
        }
        Answer::json(200, &found)
    }

    pub(super) fn checks<'c>(&mut self, all: impl Iterator<Item = &'c Arc<Check>>) -> Answer {
        let mut found = Vec::new();
        for check in all {
            let view = view::listed_check(check);
            if self.is_within(&check.check_id)
                && self.may_see(&check.node, &check.service_name)
                && self.keeps(&view)
            {
                found.push(view);
            }
        }
        Answer::json(200, &found)
    }
}

/// Drops what is not passing by moving the last one into its place, which is the order Consul answers in.
fn keep_passing(found: &mut Vec<HealthView<'_>>) {
    let mut at = 0;
    while at < found.len() {
        if found[at].is_passing() {
            at += 1;
        } else {
            found.swap_remove(at);
        }
    }
}
