//! What belongs to each service, and what was said of it.

use std::{collections::BTreeSet, mem, sync::Arc};

use consul_sync_core::{Key, Rejection};

use super::{Index, said::Said};

/// What belongs to one service, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The names of its EndpointSlices, sorted, whether or not the Service exists.
    pub(super) slices: Box<[Arc<str>]>,
    /// The names of the Ingresses that name it, sorted.
    pub(super) ingresses: Box<[Arc<str>]>,
    /// The nodes that it follows, sorted.
    pub(super) nodes: Box<[Arc<str>]>,
    /// The last value that was upserted and not removed since.
    pub(super) said: Option<Said>,
    /// The rejection that was sent since then.
    pub(super) rejected: Option<Box<Rejection>>,
}

/// A kind of object that belongs to services.
#[derive(Clone, Copy, Debug)]
pub(super) enum Member {
    Slice,
    Ingress,
}

impl Record {
    /// Whether the reader knows the service.
    pub(super) fn is_known(&self) -> bool {
        self.said.is_some() || self.rejected.is_some()
    }

    fn is_idle(&self) -> bool {
        !self.is_known()
            && self.slices.is_empty()
            && self.ingresses.is_empty()
            && self.nodes.is_empty()
    }

    /// Makes another list of its members.
    fn change(&mut self, member: Member, change: impl FnOnce(&mut Vec<Arc<str>>)) {
        let members = match member {
            Member::Slice => &mut self.slices,
            Member::Ingress => &mut self.ingresses,
        };
        let mut list = mem::take(members).into_vec();
        change(&mut list);
        *members = list.into();
    }
}

impl Index {
    /// Notes that an object changed, which belonged to some services and now belongs to others.
    pub(super) fn relink(
        &mut self,
        member: Member,
        object: &Key,
        before: &[&Arc<str>],
        after: &[&Arc<str>],
    ) {
        for service in before {
            let key = Key::new(Arc::clone(object.namespace()), Arc::clone(service));
            self.touch(&key);
            if after.contains(service) {
                continue;
            }
            if let Some(record) = self.records.get_mut(&key) {
                record.change(member, |members| {
                    if let Ok(at) = members.binary_search(object.name()) {
                        members.remove(at);
                    }
                });
                self.forget_idle(&key);
            }
        }
        for service in after {
            let key = Key::new(Arc::clone(object.namespace()), Arc::clone(service));
            self.touch(&key);
            let record = self.records.entry(key).or_default();
            record.change(member, |members| {
                if let Err(at) = members.binary_search(object.name()) {
                    members.reserve_exact(1);
                    members.insert(at, Arc::clone(object.name()));
                }
            });
        }
    }

    /// Notes the nodes that a service follows from now on.
    pub(super) fn follow_nodes(&mut self, key: &Key, nodes: &BTreeSet<Arc<str>>) {
        let before = self
            .records
            .get(key)
            .map(|record| record.nodes.as_ref())
            .unwrap_or_default();
        if before.iter().eq(nodes.iter()) {
            return;
        }
        for node in before.iter().filter(|node| !nodes.contains(*node)) {
            if let Some(services) = self.by_node.get_mut(node) {
                services.remove(key);
                if services.is_empty() {
                    self.by_node.remove(node);
                }
            }
        }
        for node in nodes {
            self.by_node
                .entry(Arc::clone(node))
                .or_default()
                .insert(key.clone());
        }
        self.records.entry(key.clone()).or_default().nodes = nodes.iter().cloned().collect();
    }

    /// Drops the record of a service that nothing belongs to and nothing was said of.
    pub(super) fn forget_idle(&mut self, key: &Key) {
        if self.records.get(key).is_some_and(Record::is_idle) {
            self.records.remove(key);
        }
    }
}
