//! Whose health a raft entry changed.

use std::collections::BTreeSet;

use super::super::model::Instance;
use super::{Place, Store, Undo};

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
