//! Whose health a raft entry changed.

use std::collections::BTreeSet;

use super::super::model::{Instance, folded};
use super::{MISSING_SERVICE, Place, Store, Undo, Written};

/// Something about an instance of `service` on `node` changed: it, its node or one of its checks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Event {
    pub(in super::super) node: String,
    pub(in super::super) service: String,
}

impl Event {
    fn of(instance: &Instance) -> Self {
        Self {
            node: instance.node.clone(),
            service: instance.service.clone(),
        }
    }
}

impl Store {
    /// Whether the events of the writes in the undo log can be told. Where not, Consul takes the entry back.
    ///
    /// A changed check is told with its instance. Consul knows that the instance went by its ID as it was spelled last, and
    /// the check has the spelling of its own write: an instance that was written again in another case cannot be removed
    /// while it has such a check.
    pub(in super::super) fn publishable(&self) -> Written<()> {
        let mut owners = BTreeSet::new();
        let mut marked = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for step in &self.undo {
            match step {
                Undo::Node(key, _) => {
                    marked.insert(key.as_str());
                }
                Undo::Check(place, was) if first(&mut seen, "check", place) => {
                    let states = [was.as_ref(), self.checks.get(place)];
                    for check in states.into_iter().flatten() {
                        if check.service_id.is_empty() {
                            marked.insert(place.0.as_str());
                        } else {
                            owners.insert((place.0.as_str(), check.service_id.as_str()));
                        }
                    }
                }
                _ => {}
            }
        }
        // All of a node that changed, or one of whose own checks did, is told together.
        owners.retain(|(node, _)| !marked.contains(node));
        let is_lost = |(node, id): &(&str, &str)| {
            self.instance(node, id).is_none() && !self.is_removed(node, id)
        };
        if owners.iter().any(is_lost) {
            return Err(MISSING_SERVICE.to_owned());
        }
        Ok(())
    }

    /// Whether this entry removes an instance of exactly this ID that was there before it.
    fn is_removed(&self, node: &str, id: &str) -> bool {
        let place = (node.to_owned(), folded(id));
        let before = self.undo.iter().find_map(|step| match step {
            Undo::Instance(at, was) if *at == place => Some(was.as_ref()),
            _ => None,
        });
        before
            .flatten()
            .is_some_and(|instance| instance.id == id && !self.instances.contains_key(&place))
    }

    /// Events of the writes in the undo log. Only the first and the last state of an object count; what came and went in
    /// between was never seen.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for step in &self.undo {
            match step {
                Undo::Node(key, _) if first(&mut seen, "node", &(key.clone(), String::new())) => {
                    events.extend(
                        self.instances_of_node(key)
                            .map(|instance| Event::of(instance)),
                    );
                }
                Undo::Instance(place, was) if first(&mut seen, "instance", place) => {
                    let states = [was.as_ref(), self.instances.get(place)];
                    events.extend(
                        states
                            .into_iter()
                            .flatten()
                            .map(|instance| Event::of(instance)),
                    );
                }
                Undo::Check(place, was) if first(&mut seen, "check", place) => {
                    for check in [was.as_ref(), self.checks.get(place)].into_iter().flatten() {
                        if check.service_id.is_empty() {
                            events.extend(
                                self.instances_of_node(&check.node)
                                    .map(|instance| Event::of(instance)),
                            );
                        } else {
                            events.extend(
                                self.instance(&check.node, &check.service_id)
                                    .map(|instance| Event::of(instance)),
                            );
                        }
                    }
                }
                _ => {}
            }
        }
        events.into_iter().collect()
    }
}

fn first(seen: &mut BTreeSet<(&'static str, Place)>, kind: &'static str, place: &Place) -> bool {
    seen.insert((kind, place.clone()))
}
