//! The reading endpoints: which index an answer carries, and what is in it.
//!
//! The two are apart because a blocked query has to look at its index after every write and at the catalog only once.

use serde_json::{Value, json};

use super::acl::Access;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::filter::{Filter, Shape};
use super::model::{Check, Instance, Node, Pairs, folded};
use super::request::Query;
use super::server::Identity;
use super::store::{Store, Table};
use super::view;

/// A reading endpoint that can block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// `/v1/catalog/nodes`
    Nodes,
    /// `/v1/catalog/services`
    Services,
    /// `/v1/catalog/service/NAME`
    Service(String),
    /// `/v1/catalog/node/NAME`
    Node(String),
    /// `/v1/catalog/node-services/NAME`
    NodeServices(String),
    /// `/v1/health/node/NAME`
    NodeChecks(String),
    /// `/v1/health/checks/NAME`
    ServiceChecks(String),
    /// `/v1/health/state/STATE`
    ChecksInState(String),
    /// `/v1/health/service/NAME`
    ServiceHealth(String),
    /// `/v1/internal/ui/node/NAME`
    UiNode(String),
}

/// Shortest name that is tried as the start of a node ID.
const SHORTEST_NODE_ID: usize = 2;

impl Read {
    /// A read of `name` at `endpoint`, if it is one that can block.
    pub(super) fn new(endpoint: Endpoint, name: &str) -> Option<Self> {
        let name = || name.to_owned();
        Some(match endpoint {
            Endpoint::Nodes => Self::Nodes,
            Endpoint::Services => Self::Services,
            Endpoint::Service => Self::Service(name()),
            Endpoint::Node => Self::Node(name()),
            Endpoint::NodeServices => Self::NodeServices(name()),
            Endpoint::NodeChecks => Self::NodeChecks(name()),
            Endpoint::ServiceChecks => Self::ServiceChecks(name()),
            Endpoint::ChecksInState => Self::ChecksInState(name()),
            Endpoint::ServiceHealth => Self::ServiceHealth(name()),
            Endpoint::UiNode => Self::UiNode(name()),
            _ => return None,
        })
    }

    /// What Consul says when the name is missing.
    pub(super) fn missing_name(&self) -> Option<&'static str> {
        match self {
            Self::Service(name) | Self::ServiceChecks(name) | Self::ServiceHealth(name)
                if name.is_empty() =>
            {
                Some("Missing service name")
            }
            Self::Node(name)
            | Self::NodeServices(name)
            | Self::NodeChecks(name)
            | Self::UiNode(name)
                if name.is_empty() =>
            {
                Some("Missing node name")
            }
            Self::ChecksInState(state) if state.is_empty() => Some("Missing check state"),
            _ => None,
        }
    }

    /// Index of the answer; at least 1, so that nobody asks again with 0 and never blocks.
    pub(super) fn index(&self, store: &Store, query: &Query) -> u64 {
        let index = match self {
            Self::Nodes => store.index(&Table::Nodes),
            Self::Services if query.has("node-meta") => store
                .index(&Table::Services)
                .max(store.index(&Table::Nodes)),
            Self::Services => store.index(&Table::Services),
            Self::Service(name) => store.service_index(
                name,
                store.instances_of_service(name).next().is_some(),
                false,
            ),
            Self::ServiceHealth(name) => store.service_index(
                name,
                store.instances_of_service(name).next().is_some(),
                true,
            ),
            Self::Node(name) | Self::NodeServices(name) => match store.node(name) {
                Some(_) => store.index(&Table::Node(folded(name))),
                None if name.len() < SHORTEST_NODE_ID => 0,
                None => store.index(&Table::NodeExtinction),
            },
            Self::NodeChecks(_) | Self::ServiceChecks(_) | Self::ChecksInState(_) => {
                store.index(&Table::Checks)
            }
            Self::UiNode(_) => store.catalog_index(true),
        };
        index.max(1)
    }

    /// Service whose health is asked for.
    pub(super) fn health_of(&self) -> Option<&str> {
        match self {
            Self::ServiceHealth(name) => Some(name),
            _ => None,
        }
    }

    fn shape(&self) -> Option<Shape> {
        Some(match self {
            Self::Nodes => Shape::Node,
            Self::Services | Self::Service(_) => Shape::Catalog,
            Self::Node(_) | Self::NodeServices(_) => Shape::Service,
            Self::NodeChecks(_) | Self::ServiceChecks(_) | Self::ChecksInState(_) => Shape::Check,
            Self::ServiceHealth(_) => Shape::Health,
            Self::UiNode(_) => return None,
        })
    }

    /// The answer without its index; the flag says whether rights left something out.
    pub(super) fn answer(
        &self,
        store: &Store,
        query: &Query,
        access: &Access,
        identity: &Identity,
    ) -> Result<(Answer, bool), Answer> {
        let filter = match (query.get("filter"), self.shape()) {
            (Some(text), Some(shape)) => {
                Some(Filter::new(text, shape).map_err(|why| Answer::text(500, why))?)
            }
            _ => None,
        };
        let mut sieve = Sieve {
            access,
            filter,
            filtered: false,
        };
        let body = match self {
            Self::Nodes => nodes(store, query, &mut sieve),
            Self::Services => services(store, query, &mut sieve, identity),
            Self::Service(name) => service(store, name, query, &mut sieve, identity),
            Self::Node(name) => node(store, name, &mut sieve),
            Self::NodeServices(name) => node_services(store, name, &mut sieve),
            Self::NodeChecks(name) => checks(store.checks_of_node(name), &mut sieve),
            Self::ServiceChecks(name) => {
                let name = folded(name);
                checks(
                    store
                        .checks()
                        .filter(|check| folded(&check.service_name) == name),
                    &mut sieve,
                )
            }
            Self::ChecksInState(state) => checks(
                store
                    .checks()
                    .filter(|check| state == "any" || check.status == *state),
                &mut sieve,
            ),
            Self::ServiceHealth(name) => {
                let passing = query
                    .flag("passing")
                    .map_err(|()| Answer::text(400, "Invalid value for ?passing"))?;
                service_health(store, name, query, passing, &mut sieve)
            }
            // The head is written before the query's part of it: no index, no flag.
            Self::UiNode(name) => {
                ui_node(store, name, &mut sieve).ok_or_else(|| Answer::empty(404))?
            }
        };
        Ok((
            Answer::json(200, &body),
            sieve.filtered && access.may_know_of_filtering(),
        ))
    }
}

/// Rights and the filter expression, in the order Consul applies them.
struct Sieve<'a> {
    access: &'a Access,
    filter: Option<Filter>,
    filtered: bool,
}

impl Sieve<'_> {
    /// Notes when a right is missing.
    fn may(&mut self, allowed: bool) -> bool {
        self.filtered |= !allowed;
        allowed
    }

    fn matches(&self, value: &Value) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.matches(value))
    }

    fn print(&self, value: &impl serde::Serialize) -> Option<Value> {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.matches(&value).then_some(value)
    }
}

// ---- nodes ------------------------------------------------------------------------------------------------------------

fn nodes(store: &Store, query: &Query, sieve: &mut Sieve<'_>) -> Value {
    let mut found = Vec::new();
    for node in store
        .nodes()
        .filter(|node| meta_fits(node.meta.as_ref(), query))
    {
        if sieve.may(sieve.access.can_read_node(&node.node)) {
            found.extend(sieve.print(view::node(node)));
        }
    }
    found.into()
}

fn meta_fits(meta: Option<&Pairs>, query: &Query) -> bool {
    query.all("node-meta").all(|wanted| {
        let (key, value) = wanted.split_once(':').unwrap_or((wanted, ""));
        meta.and_then(|meta| meta.get(key))
            .is_some_and(|found| found == value)
    })
}

/// `null` for a node that is unknown or hidden. The right to an instance is asked for by its ID here, as Consul does.
fn node(store: &Store, name: &str, sieve: &mut Sieve<'_>) -> Value {
    let Some(node) = store.node(name) else {
        return Value::Null;
    };
    if !sieve.may(sieve.access.can_read_node(&node.node)) {
        return Value::Null;
    }
    let mut services = serde_json::Map::new();
    for instance in store.instances_of_node(name) {
        if sieve.may(sieve.access.can_read_service(&instance.id))
            && let Some(value) = sieve.print(&view::listed_service(instance))
        {
            services.insert(instance.id.clone(), value);
        }
    }
    json!({ "Node": view::node(node), "Services": services })
}

fn node_services(store: &Store, name: &str, sieve: &mut Sieve<'_>) -> Value {
    // Consul runs the filter over the missing list, which makes it an empty one.
    let nothing = if sieve.filter.is_some() {
        json!([])
    } else {
        Value::Null
    };
    let hidden = json!({ "Node": null, "Services": nothing });
    let Some(node) = store.node(name) else {
        return hidden;
    };
    if !sieve.may(sieve.access.can_read_node(&node.node)) {
        return hidden;
    }
    let mut services = Vec::new();
    let mut any = false;
    for instance in store.instances_of_node(name) {
        any = true;
        if sieve.may(sieve.access.can_read_service(&instance.service)) {
            services.extend(sieve.print(&view::listed_service(instance)));
        }
    }
    let services = if any || sieve.filter.is_some() {
        Value::from(services)
    } else {
        Value::Null
    };
    json!({ "Node": view::node(node), "Services": services })
}

fn ui_node(store: &Store, name: &str, sieve: &mut Sieve<'_>) -> Option<Value> {
    let node = store.node(name)?;
    if !sieve.may(sieve.access.can_read_node(&node.node)) {
        return None;
    }
    let mut services = Vec::new();
    for instance in store.instances_of_node(name) {
        if sieve.may(sieve.access.can_read_service(&instance.service)) {
            services.extend(sieve.print(&view::service(instance)));
        }
    }
    let mut found = Vec::new();
    for check in store.checks_of_node(name) {
        if sieve.may(sieve.access.can_read_service(&check.service_name)) {
            found.extend(sieve.print(&view::check(check)));
        }
    }
    Some(json!({
        "ID": node.id, "Node": node.node, "Address": node.address, "TaggedAddresses": node.tagged_addresses,
        "Meta": node.meta, "Services": services, "Checks": found,
    }))
}

// ---- services ---------------------------------------------------------------------------------------------------------

fn services(store: &Store, query: &Query, sieve: &mut Sieve<'_>, identity: &Identity) -> Value {
    let mut found = std::collections::BTreeMap::<&str, std::collections::BTreeSet<&str>>::new();
    for instance in store.instances() {
        let Some(node) = store.node(&instance.node) else {
            continue;
        };
        if !meta_fits(node.meta.as_ref(), query) || !readable(sieve, instance) {
            continue;
        }
        if sieve.filter.is_some()
            && sieve
                .print(&view::catalog(node, instance, identity.is_1_22()))
                .is_none()
        {
            continue;
        }
        found
            .entry(&instance.service)
            .or_default()
            .extend(instance.tags().iter().map(String::as_str));
    }
    json!(found)
}

fn readable(sieve: &mut Sieve<'_>, instance: &Instance) -> bool {
    let access = sieve.access;
    sieve.may(access.can_read_node(&instance.node) && access.can_read_service(&instance.service))
}

/// Instances of `name` that carry every asked tag, with their nodes.
fn instances<'a>(
    store: &'a Store,
    name: &str,
    query: &'a Query,
) -> impl Iterator<Item = (&'a Node, &'a Instance)> {
    let tagged = |instance: &Instance| {
        query.all("tag").all(|tag| {
            instance
                .tags()
                .iter()
                .any(|own| own.eq_ignore_ascii_case(tag))
        })
    };
    let found = store
        .instances_of_service(name)
        .filter(move |instance| tagged(instance));
    let joined = found.filter_map(|instance| Some((&**store.node(&instance.node)?, &**instance)));
    joined.filter(|(node, _)| meta_fits(node.meta.as_ref(), query))
}

fn service(
    store: &Store,
    name: &str,
    query: &Query,
    sieve: &mut Sieve<'_>,
    identity: &Identity,
) -> Value {
    let mut found = Vec::new();
    for (node, instance) in instances(store, name, query) {
        if readable(sieve, instance) {
            found.extend(sieve.print(&view::catalog(node, instance, identity.is_1_22())));
        }
    }
    found.into()
}

fn service_health(
    store: &Store,
    name: &str,
    query: &Query,
    passing: bool,
    sieve: &mut Sieve<'_>,
) -> Value {
    let mut found = Vec::new();
    for (node, instance) in instances(store, name, query) {
        if !readable(sieve, instance) {
            continue;
        }
        let of_node = store.checks_of_instance(&instance.node, "");
        let own = store.checks_of_instance(&instance.node, &instance.id);
        let all: Vec<_> = of_node.chain(own).collect();
        let healthy = all.iter().all(|check| check.status == "passing");
        let checks: Vec<_> = all
            .into_iter()
            .map(|check| view::listed_check(check))
            .collect();
        let value = json!({ "Node": view::node(node), "Service": view::health_service(instance), "Checks": checks });
        if sieve.matches(&value) {
            found.push((healthy, value));
        }
    }
    if query.index > 0 {
        // Views are sorted by names as they are spelled, tables by folded ones. And a view's objects have been through an
        // encoding that does not know empty tables.
        found.retain(|(healthy, _)| *healthy || !passing);
        let key = |value: &Value| {
            [&value["Node"]["Node"], &value["Service"]["ID"]].map(ToString::to_string)
        };
        found.sort_by_cached_key(|(_, value)| key(value));
        for (_, value) in &mut found {
            for (object, table) in [
                ("Service", "Meta"),
                ("Node", "Meta"),
                ("Node", "TaggedAddresses"),
            ] {
                let table = &mut value[object][table];
                if table.as_object().is_some_and(serde_json::Map::is_empty) {
                    *table = Value::Null;
                }
            }
        }
    } else if passing {
        keep_passing(&mut found);
    }
    found.into_iter().map(|(_, value)| value).collect()
}

/// Drops what is not passing by moving the last one into its place, which is the order Consul answers in.
fn keep_passing(found: &mut Vec<(bool, Value)>) {
    let mut at = 0;
    while at < found.len() {
        if found[at].0 {
            at += 1;
        } else {
            found.swap_remove(at);
        }
    }
}

// ---- checks -----------------------------------------------------------------------------------------------------------

fn checks<'a>(
    found: impl Iterator<Item = &'a std::sync::Arc<Check>>,
    sieve: &mut Sieve<'_>,
) -> Value {
    let mut printed = Vec::new();
    for check in found {
        let access = sieve.access;
        if sieve
            .may(access.can_read_node(&check.node) && access.can_read_service(&check.service_name))
        {
            printed.extend(sieve.print(&view::listed_check(check)));
        }
    }
    printed.into()
}
