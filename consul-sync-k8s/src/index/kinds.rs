//! What the index keeps of each kind of object, and which services a change of one concerns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use consul_sync_core::{Key, Rejection};

use super::{Index, record::Member, store::Store};
use crate::{
    Needs,
    slim::{
        EndpointSliceBody, IngressBody, Kind, NamespaceBody, NodeBody, Object, Rule, ServiceBody,
    },
    translate::{Head, Slice, undecodable},
};

/// A kind of object as the index keeps it.
pub(super) trait Tracked: Kind {
    /// What is kept. Equal values mean that nothing changed for any service.
    type Value: PartialEq;

    /// Whether it is watched at all.
    fn needed(needs: Needs) -> bool;

    /// Where it is kept.
    fn store(index: &mut Index) -> &mut Store<Self::Value>;

    /// Whether an object of this name can concern a service that is exported.
    fn concerns(index: &Index, key: &Key) -> bool;

    /// What is kept of an object. `old` is what was kept under its name.
    fn digest(index: &mut Index, object: &Object<Self>, old: Option<&Self::Value>) -> Self::Value;

    /// Why an object cannot be read, where no rejected service may tell it.
    fn problem(value: &Self::Value) -> Option<&Rejection> {
        let _ = value;
        None
    }

    /// Notes which services a change concerns.
    fn moved(index: &mut Index, key: &Key, old: Option<&Self::Value>, new: Option<&Self::Value>);
}

/// An EndpointSlice.
#[derive(Debug, PartialEq)]
pub(super) struct TrackedSlice {
    /// The Service it belongs to.
    pub(super) service: Option<Arc<str>>,
    pub(super) body: Result<Slice, Rejection>,
}

/// An Ingress.
#[derive(Debug, PartialEq)]
pub(super) struct TrackedIngress {
    /// The Services that it names, sorted.
    pub(super) services: Vec<Arc<str>>,
    pub(super) body: Result<IngressBody, Rejection>,
}

/// An object whose last good state is used while it cannot be decoded.
#[derive(Debug, PartialEq)]
pub(super) struct LastGood<T> {
    pub(super) good: Option<T>,
    pub(super) problem: Option<Rejection>,
}

impl<T: Clone> LastGood<T> {
    fn new(now: Result<T, Rejection>, old: Option<&Self>) -> Self {
        match now {
            Ok(good) => Self {
                good: Some(good),
                problem: None,
            },
            Err(problem) => Self {
                good: old.and_then(|old| old.good.clone()),
                problem: Some(problem),
            },
        }
    }
}

impl Tracked for ServiceBody {
    type Value = Result<Option<Box<Head>>, Rejection>;

    fn needed(needs: Needs) -> bool {
        needs.services
    }

    fn store(index: &mut Index) -> &mut Store<Self::Value> {
        &mut index.services
    }

    fn concerns(index: &Index, key: &Key) -> bool {
        index.settings.allows_namespace(key.namespace())
    }

    fn digest(index: &mut Index, object: &Object<Self>, _old: Option<&Self::Value>) -> Self::Value {
        let head = Head::new(&index.settings, object, &mut index.strings, &index.words)?;
        Ok(head.map(Box::new))
    }

    fn moved(index: &mut Index, key: &Key, _old: Option<&Self::Value>, new: Option<&Self::Value>) {
        if let Some(Ok(Some(head))) = new {
            index.follows_nodes |= head.follows_nodes();
        }
        index.touch(key);
    }
}

impl Tracked for EndpointSliceBody {
    type Value = TrackedSlice;

    fn needed(needs: Needs) -> bool {
        needs.slices
    }

    fn store(index: &mut Index) -> &mut Store<Self::Value> {
        &mut index.slices
    }

    fn concerns(index: &Index, key: &Key) -> bool {
        index.settings.allows_namespace(key.namespace())
    }

    fn digest(index: &mut Index, object: &Object<Self>, old: Option<&Self::Value>) -> Self::Value {
        let previous = old.and_then(|old| old.body.as_ref().ok());
        TrackedSlice {
            service: object.service().map(|name| index.strings.get(name)),
            body: match &object.body {
                Ok(body) => Ok(Slice::new(body, previous, &mut index.strings, &index.words)),
                Err(bad) => Err(undecodable(object, bad)),
            },
        }
    }

    fn moved(index: &mut Index, key: &Key, old: Option<&Self::Value>, new: Option<&Self::Value>) {
        let before = old.and_then(|slice| slice.service.as_ref());
        let after = new.and_then(|slice| slice.service.as_ref());
        index.relink(Member::Slice, key, before.as_slice(), after.as_slice());
    }
}

impl Tracked for NodeBody {
    type Value = LastGood<NodeBody>;

    fn needed(needs: Needs) -> bool {
        needs.nodes
    }

    fn store(index: &mut Index) -> &mut Store<Self::Value> {
        &mut index.nodes
    }

    fn concerns(_index: &Index, _key: &Key) -> bool {
        true
    }

    fn digest(_index: &mut Index, object: &Object<Self>, old: Option<&Self::Value>) -> Self::Value {
        LastGood::new(
            object.body.clone().map_err(|bad| undecodable(object, &bad)),
            old,
        )
    }

    fn problem(value: &Self::Value) -> Option<&Rejection> {
        value.problem.as_ref()
    }

    fn moved(index: &mut Index, key: &Key, _old: Option<&Self::Value>, _new: Option<&Self::Value>) {
        let services = index.by_node.get(key.name()).cloned().unwrap_or_default();
        for service in &services {
            index.touch(service);
        }
    }
}

impl Tracked for IngressBody {
    type Value = TrackedIngress;

    fn needed(needs: Needs) -> bool {
        needs.ingresses
    }

    fn store(index: &mut Index) -> &mut Store<Self::Value> {
        &mut index.ingresses
    }

    fn concerns(index: &Index, key: &Key) -> bool {
        index.settings.allows_namespace(key.namespace())
    }

    fn digest(index: &mut Index, object: &Object<Self>, old: Option<&Self::Value>) -> Self::Value {
        match &object.body {
            Ok(body) => {
                let mut rules: Vec<Rule> = body.rules.clone();
                for rule in &mut rules {
                    rule.service = index.strings.share(&rule.service);
                }
                let names: BTreeSet<_> =
                    rules.iter().map(|rule| Arc::clone(&rule.service)).collect();
                TrackedIngress {
                    services: names.into_iter().collect(),
                    body: Ok(IngressBody {
                        rules,
                        load_balancer_ips: body.load_balancer_ips.clone(),
                    }),
                }
            }
            Err(bad) => {
                // It may still stand before the Services that it stood before when it could be read.
                let before = old.map(|old| old.services.as_slice()).unwrap_or_default();
                let names: BTreeSet<_> = before.iter().chain(&bad.mentions).cloned().collect();
                TrackedIngress {
                    services: names.into_iter().collect(),
                    body: Err(undecodable(object, bad)),
                }
            }
        }
    }

    fn problem(value: &Self::Value) -> Option<&Rejection> {
        value.body.as_ref().err()
    }

    fn moved(index: &mut Index, key: &Key, old: Option<&Self::Value>, new: Option<&Self::Value>) {
        let before: Vec<_> = old
            .into_iter()
            .flat_map(|ingress| &ingress.services)
            .collect();
        let after: Vec<_> = new
            .into_iter()
            .flat_map(|ingress| &ingress.services)
            .collect();
        index.relink(Member::Ingress, key, &before, &after);
    }
}

impl Tracked for NamespaceBody {
    type Value = LastGood<bool>;

    fn needed(needs: Needs) -> bool {
        needs.namespaces
    }

    fn store(index: &mut Index) -> &mut Store<Self::Value> {
        &mut index.namespaces
    }

    fn concerns(index: &Index, key: &Key) -> bool {
        index.settings.allows_namespace(key.name())
    }

    fn digest(index: &mut Index, object: &Object<Self>, old: Option<&Self::Value>) -> Self::Value {
        let now = match &object.body {
            Ok(NamespaceBody) => {
                let none = BTreeMap::new();
                let labels = object.metadata.labels.as_ref().unwrap_or(&none);
                Ok(index.settings.namespace_selector.matches(labels))
            }
            Err(bad) => Err(undecodable(object, bad)),
        };
        LastGood::new(now, old)
    }

    fn problem(value: &Self::Value) -> Option<&Rejection> {
        value.problem.as_ref()
    }

    fn moved(index: &mut Index, key: &Key, _old: Option<&Self::Value>, _new: Option<&Self::Value>) {
        let services: Vec<Key> = index.services.in_namespace(key.name()).cloned().collect();
        for service in &services {
            index.touch(service);
        }
    }
}
