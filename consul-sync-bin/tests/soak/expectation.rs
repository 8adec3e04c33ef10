//! What every answer of Consul must show, whatever is being done to whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde_json::Value;

/// A name and an address: what an instance is to those who look for it.
pub(crate) type Place = (String, Ipv4Addr);

/// The port of every instance of ours.
pub(crate) const PORT: u16 = 8080;

/// Rules that grow stricter with what was seen and looser with what is about to be changed.
///
/// An instance that is wanted must be in every answer from the first that shows it. It may go, and come back, once
/// something is done that lets it: what a trial takes away is free from just before that until the trial's end.
#[derive(Debug, Default)]
pub(crate) struct Expectation {
    /// Counts the moments from which older answers say nothing.
    epoch: u64,
    /// Something is being lost on purpose: what is seen does not have to stay.
    suspended: bool,
    /// Everything that was ever wanted.
    ever: BTreeSet<Place>,
    /// What is wanted now, and whether it is ready.
    wanted: BTreeMap<Place, bool>,
    /// What was taken away once.
    free: BTreeSet<Place>,
    /// What changed its readiness once.
    unsteady: BTreeSet<Place>,
    /// What must be in every answer.
    must: BTreeSet<Place>,
    /// What must be passing in every answer.
    must_pass: BTreeSet<Place>,
    /// Names that have a ready instance at every moment, and whether one was seen passing.
    names: BTreeMap<String, bool>,
    /// Instances as they were when everything was settled, while nothing of theirs is changed.
    settled: BTreeMap<Place, Value>,
    /// Instances of others on our node, by id.
    foreign: BTreeMap<String, Value>,
    /// Ids of others, also while they are not there.
    foreign_ids: BTreeSet<String>,
    /// Our node's own entry, which was there before us.
    node: Option<Value>,
    /// Another node, whole.
    other_node: Option<Value>,
    /// The id of each instance of ours that was seen.
    ids: BTreeMap<String, Place>,
}

/// What is in the catalog, as far as a trial's end is about it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Tags of each instance of ours.
    pub(crate) tags: BTreeMap<Place, Vec<String>>,
    /// Whether each instance of ours passes.
    pub(crate) passing: BTreeMap<Place, bool>,
}

impl Expectation {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// From before a Service gets these endpoints.
    pub(crate) fn adds(&mut self, places: impl IntoIterator<Item = Place>) {
        self.ever.extend(places);
    }

    /// From before these are taken away.
    pub(crate) fn frees(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.must.remove(&place);
            self.must_pass.remove(&place);
            self.free.insert(place);
        }
    }

    /// From before these change their readiness.
    pub(crate) fn unsettles(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.must_pass.remove(&place);
            self.unsteady.insert(place);
        }
    }

    /// From before a Service's instances are given other contents.
    pub(crate) fn rewrites(&mut self, name: &str) {
        self.settled.retain(|(other, _), _| other != name);
    }

    /// From before a name may be left without a ready instance.
    pub(crate) fn abandons(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// A name has a ready instance at every moment from now on.
    pub(crate) fn sustains(&mut self, name: &str) {
        self.names.entry(name.to_owned()).or_insert(false);
    }

    /// From after the cluster took a change.
    pub(crate) fn wants(&mut self, wanted: BTreeMap<Place, bool>) {
        self.wanted = wanted;
    }

    /// From before Consul loses everything of ours that is not in `kept`, and perhaps gets old things back.
    pub(crate) fn forgets(&mut self, kept: &BTreeSet<Place>) {
        self.epoch += 1;
        self.must.retain(|place| kept.contains(place));
        self.must_pass.retain(|place| kept.contains(place));
        self.settled.retain(|place, _| kept.contains(place));
        let must_pass = &self.must_pass;
        for (name, seen) in &mut self.names {
            *seen &= must_pass.iter().any(|(other, _)| other == name);
        }
        self.suspended = true;
    }

    /// From after it did.
    pub(crate) fn recovers(&mut self) {
        self.epoch += 1;
        self.suspended = false;
    }

    /// These ids belong to others, and what is theirs is as in these answers from now on.
    pub(crate) fn foreign(&mut self, ids: &[&str], node: &Value, other_node: &Value) {
        self.epoch += 1;
        self.foreign_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.foreign = instances(node)
            .map(|instance| (text(instance, "ID"), instance.clone()))
            .filter(|(id, _)| self.foreign_ids.contains(id))
            .collect();
        self.node = Some(node["Node"].clone());
        self.other_node = Some(other_node.clone());
    }

    /// From before what belongs to others is lost.
    pub(crate) fn foreign_lost(&mut self) {
        self.epoch += 1;
        self.foreign.clear();
        self.node = None;
        self.other_node = None;
    }

    /// Everything is as it should be: contents stay as in this answer.
    pub(crate) fn settles(&mut self, node: &Value) {
        self.settled = instances(node)
            .filter(|instance| !self.foreign_ids.contains(&text(instance, "ID")))
            .map(|instance| (place(instance), content(instance)))
            .collect();
    }

    /// What must be there now.
    pub(crate) fn must(&self) -> &BTreeSet<Place> {
        &self.must
    }

    /// Judges the instances of our node.
    pub(crate) fn judge_node(&mut self, node: &Value, seen: &mut Seen) -> Vec<String> {
        let mut wrong = vec![];
        let mut places: BTreeMap<Place, String> = BTreeMap::new();
        let mut foreign = BTreeSet::new();
        seen.tags.clear();
        for instance in instances(node) {
            let id = text(instance, "ID");
            if self.foreign_ids.contains(&id) {
                if self.foreign.get(&id).is_some_and(|known| known != instance) {
                    wrong.push(format!("{id}, which is not ours, was changed"));
                }
                foreign.insert(id);
                continue;
            }
            let place = place(instance);
            if instance["Port"] != PORT || !self.ever.contains(&place) {
                wrong.push(format!("{id} was never wanted: {instance}"));
                continue;
            }
            if let Some(other) = places.insert(place.clone(), id.clone()) {
                wrong.push(format!("{place:?} is there twice, as {other} and as {id}"));
            }
            if self
                .settled
                .get(&place)
                .is_some_and(|known| *known != content(instance))
            {
                wrong.push(format!("{id} was written again with other contents"));
            }
            seen.tags.insert(place.clone(), tags(instance));
            self.ids.insert(id, place);
        }
        if self
            .node
            .as_ref()
            .is_some_and(|known| *known != node["Node"])
        {
            wrong.push(format!("the node was changed to {}", node["Node"]));
        }
        for id in self.foreign.keys().filter(|id| !foreign.contains(*id)) {
            wrong.push(format!("{id}, which is not ours, is gone"));
        }
        for place in self
            .must
            .iter()
            .filter(|place| !places.contains_key(*place))
        {
            wrong.push(format!("{place:?} is wanted and absent"));
        }
        for (name, _) in self.names.iter().filter(|(_, seen)| **seen) {
            if !places.keys().any(|(other, _)| other == name) {
                wrong.push(format!("{name} has no instance at all"));
            }
        }
        if !self.suspended {
            let new = places
                .into_keys()
                .filter(|place| self.wanted.contains_key(place) && !self.free.contains(place));
            self.must.extend(new);
        }
        wrong
    }

    /// Judges the checks of our node.
    pub(crate) fn judge_checks(&mut self, checks: &Value, seen: &mut Seen) -> Vec<String> {
        let mut wrong = vec![];
        let mut served = BTreeSet::new();
        seen.passing.clear();
        for check in checks.as_array().into_iter().flatten() {
            let id = text(check, "ServiceID");
            let passes = check["Status"] == "passing";
            if passes && !self.foreign_ids.contains(&id) {
                served.insert(text(check, "ServiceName"));
            }
            if let Some(place) = self.ids.get(&id) {
                seen.passing.insert(place.clone(), passes);
            }
        }
        for place in &self.must_pass {
            match seen.passing.get(place) {
                Some(true) => {}
                Some(false) => wrong.push(format!("{place:?} is ready and fails")),
                None => wrong.push(format!("{place:?} is ready and has no check")),
            }
        }
        for (name, was_served) in &mut self.names {
            let is_served = served.contains(name);
            if *was_served && !is_served {
                wrong.push(format!("{name} has no passing instance"));
            }
            *was_served |= is_served && !self.suspended;
        }
        if !self.suspended {
            let ready = |place: &Place| self.wanted.get(place) == Some(&true);
            let steady =
                |place: &Place| !self.free.contains(place) && !self.unsteady.contains(place);
            let passing = seen.passing.iter().filter(|(_, passes)| **passes);
            let new = passing
                .map(|(place, _)| place)
                .filter(|place| ready(place) && steady(place));
            self.must_pass.extend(new.cloned());
        }
        wrong
    }

    /// Judges the instances of another node, none of which is ours.
    pub(crate) fn judge_other_node(&self, node: &Value) -> Vec<String> {
        match &self.other_node {
            Some(known) if known != node => {
                vec![format!("another node was changed, from {known} to {node}")]
            }
            _ => vec![],
        }
    }
}

/// The instances in an answer of `/v1/catalog/node-services`.
fn instances(node: &Value) -> impl Iterator<Item = &Value> {
    node["Services"].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn place(instance: &Value) -> Place {
    let address = instance["Address"]
        .as_str()
        .and_then(|address| address.parse().ok());
    (
        text(instance, "Service"),
        address.unwrap_or(Ipv4Addr::UNSPECIFIED),
    )
}

fn tags(instance: &Value) -> Vec<String> {
    let tags = instance["Tags"].as_array().into_iter().flatten();
    tags.map(|tag| tag.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// An instance without the indexes, which a writer that writes the same again may move.
fn content(instance: &Value) -> Value {
    let mut content = instance.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.remove("CreateIndex");
        fields.remove("ModifyIndex");
    }
    content
}

#[cfg(test)]
mod tests;
