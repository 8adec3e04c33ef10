//! Indexes of the materialized views behind blocking queries of `/v1/health/service/NAME`.
//!
//! Consul answers those from a view of its own, fed by a stream of events, and not from the tables. The index of a view is
//! that of the listing when the view was made, and from then on that of the last event about the service. So a query for a
//! service that does not exist sleeps through the writes of others, which would wake the same query on the tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::model::{Instance, folded};
use super::{Place, Store, Undo};

/// One view.
#[derive(Clone, Debug)]
pub(super) struct View {
    service: String,
    index: u64,
}

impl Store {
    /// Index of the view `key` of the service `name`, which is made if nobody asked for it yet.
    pub(in super::super) fn view(&mut self, key: &str, name: &str) -> u64 {
        if let Some(view) = self.views.get(key) {
            return view.index;
        }
        let index = self
            .service_index(name, self.instances_of_service(name).next().is_some(), true)
            .max(1);
        self.views.insert(
            key.to_owned(),
            View {
                service: folded(name),
                index,
            },
        );
        index
    }

    /// Drops all views, as a server does that replaces its tables.
    pub(in super::super) fn forget_views(&mut self) {
        self.views.clear();
    }

    /// Moves the views that the writes in the undo log concern.
    pub(super) fn move_views(&mut self, index: u64) {
        if self.views.is_empty() {
            return;
        }
        let touched = self.services_touched();
        for view in self
            .views
            .values_mut()
            .filter(|view| touched.contains(&view.service))
        {
            view.index = index;
        }
    }

    /// Folded names of the services whose health the writes in the undo log changed. Only the first and the last state of
    /// an object count; what came and went in between was never seen.
    fn services_touched(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for step in &self.undo {
            match step {
                Undo::Node(key, _) if seen.insert(("node", key.clone(), String::new())) => {
                    if self.nodes.contains_key(key) {
                        names.extend(
                            self.instances_of_node(key)
                                .map(|instance| folded(&instance.service)),
                        );
                    }
                }
                Undo::Instance(place, was) if first(&mut seen, "instance", place) => {
                    let now = self.instances.get(place);
                    let states: [Option<&Arc<Instance>>; 2] = [was.as_ref(), now];
                    names.extend(
                        states
                            .into_iter()
                            .flatten()
                            .map(|instance| folded(&instance.service)),
                    );
                }
                Undo::Check(place, was) if first(&mut seen, "check", place) => {
                    let now = self.checks.get(place);
                    for check in [was.as_ref(), now].into_iter().flatten() {
                        let owners: Vec<_> = if check.service_id.is_empty() {
                            self.instances_of_node(&check.node).collect()
                        } else {
                            self.instance(&check.node, &check.service_id)
                                .into_iter()
                                .collect()
                        };
                        names.extend(owners.into_iter().map(|instance| folded(&instance.service)));
                    }
                }
                _ => {}
            }
        }
        names
    }
}

fn first(
    seen: &mut BTreeSet<(&'static str, String, String)>,
    kind: &'static str,
    place: &Place,
) -> bool {
    seen.insert((kind, place.0.clone(), place.1.clone()))
}
