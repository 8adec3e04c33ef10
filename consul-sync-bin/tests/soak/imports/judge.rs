//! What must be there of imported services, and what was seen that should not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde_json::Value;

use super::{FOREIGN, Registered, text};

const OWNER: &str = "consul-sync.io/owner";
const SERVICE: &str = "kubernetes.io/service-name";

/// What must be there, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// The UIDs of Services that are there, and stay.
    pub(super) stays: BTreeMap<String, Option<String>>,
    /// Endpoints that are registered, and whether each was shown.
    pub(super) endpoints: BTreeMap<(String, Ipv4Addr), bool>,
    /// Every name that was ever registered.
    pub(super) names: BTreeSet<String>,
    foreign: Value,
    pub(super) seen: Registered,
    pub(super) looks: u64,
    pub(super) wrong: Vec<String>,
    /// Consul forgets: what it shows is not known.
    pub(super) is_suspended: bool,
}

/// What was there when an answer was asked for: Services and endpoints that stay.
pub(super) type Before = (
    BTreeMap<String, Option<String>>,
    BTreeMap<(String, Ipv4Addr), bool>,
);

impl Judge {
    /// Judges one answer of the API server.
    pub(super) fn judge(
        &mut self,
        (stays, endpoints): &Before,
        services: &[Value],
        slices: &[Value],
    ) {
        self.looks += 1;
        let mut uids = BTreeMap::new();
        self.seen.clear();
        let mut wrong = Vec::new();
        for object in services {
            let metadata = &object["metadata"];
            let name = text(&metadata["name"]);
            if name == FOREIGN {
                if self.foreign.is_null() {
                    self.foreign = object.clone();
                } else if self.foreign != *object {
                    wrong.push(format!(
                        "somebody else's was changed: {} to {object}",
                        self.foreign
                    ));
                }
                continue;
            }
            if !metadata["labels"][OWNER].is_string() || !self.names.contains(&name) {
                wrong.push(format!("nobody registered {object}"));
            }
            uids.insert(name.clone(), text(&metadata["uid"]));
            self.seen.entry(name).or_default();
        }
        for slice in slices {
            let name = text(&slice["metadata"]["labels"][SERVICE]);
            if name == FOREIGN {
                wrong.push(format!("somebody else's Service was given {slice}"));
                continue;
            }
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                let address = text(&endpoint["addresses"][0]).parse();
                let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
                let service = self.seen.entry(name.clone()).or_default();
                let is_ready = endpoint["conditions"]["ready"] == true;
                if service.insert(address, is_ready).is_some() {
                    wrong.push(format!("{name} has {address} twice"));
                }
            }
        }
        if !self.is_suspended {
            self.judge_what_stays(stays, endpoints, &uids, &mut wrong);
        }
        self.wrong.append(&mut wrong);
        self.wrong.truncate(10);
    }

    fn judge_what_stays(
        &mut self,
        before: &BTreeMap<String, Option<String>>,
        endpoints: &BTreeMap<(String, Ipv4Addr), bool>,
        uids: &BTreeMap<String, String>,
        wrong: &mut Vec<String>,
    ) {
        for (name, known) in &mut self.stays {
            // A name that went and came back meanwhile is known by nothing.
            let was = before.get(name).and_then(Option::as_ref);
            match (was, &known, uids.get(name)) {
                (Some(_), Some(uid), None) => wrong.push(format!("Service {name} {uid} is gone")),
                (Some(_), Some(uid), Some(other)) if uid != other => {
                    wrong.push(format!("Service {name} {uid} was made anew as {other}"));
                }
                (_, None, Some(uid)) if before.contains_key(name) => *known = Some(uid.clone()),
                _ => {}
            }
        }
        for (place, was_shown) in &mut self.endpoints {
            let (name, address) = place;
            let is_shown = self
                .seen
                .get(name)
                .is_some_and(|seen| seen.contains_key(address));
            if *was_shown && endpoints.get(place) == Some(&true) && !is_shown {
                wrong.push(format!("{name} has lost {address}"));
            }
            *was_shown |= is_shown;
        }
    }
}

#[cfg(test)]
mod tests;
