//! The registrations of a slot: the union of the instances of all services that claim it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use consul_sync_core::{
    Address, Check, Instance, Packed, Placed, Reason, Record, Rejection, Service,
};

use super::{Placement, ids};
use crate::registration::{Checks, Common, Extra, Known, NamedPort, RegisteredCheck, Registration};

/// One instance of one claim.
struct Candidate<'a> {
    claim: usize,
    service: &'a Service,
    instance: &'a Instance,
    port: u16,
}

/// What registrations share.
struct Parts<'a> {
    known: &'a Known,
    has_ports: bool,
    which: Checks,
    /// One for each claim.
    commons: Vec<Arc<Common>>,
}

/// What of a claim had no place.
#[derive(Default)]
struct Refused {
    count: usize,
    first: String,
}

/// Lays out a slot. The result is a function of the set of instances and of the order of the claims alone.
///
/// Where two claims name the same address and port, the earlier claim holds it. Where one service names it
/// twice, a live instance is preferred. An instance that is identified by another address than its own (a pod
/// behind its node's port) counts as being at that one, so that every pod there is registered. Of several
/// instances with one name and address the lowest port has the plain ID, and the others one with the port in it.
pub(super) fn records(placement: &Placement, claims: &[Arc<Service>]) -> Placed<Registration> {
    let mut candidates: Vec<Candidate<'_>> = claims
        .iter()
        .enumerate()
        .flat_map(|(claim, service)| {
            service.instances.iter().map(move |instance| Candidate {
                claim,
                service,
                instance,
                port: instance.default_port().unwrap_or(0),
            })
        })
        .collect();
    candidates.sort_by(|a, b| a.rank().cmp(&b.rank()));

    let mut parts = Parts::new(placement, claims);
    let mut placed: Vec<(Arc<Registration>, &Candidate<'_>)> = Vec::with_capacity(candidates.len());
    let mut refused: BTreeMap<usize, Refused> = BTreeMap::new();
    let mut address = String::new();
    let mut previous: Option<&Candidate<'_>> = None;
    // The names that have an instance at this address.
    let mut names: Vec<&str> = Vec::new();
    for candidate in &candidates {
        match previous {
            Some(previous) if previous.instance.identity() == candidate.instance.identity() => {
                if previous.port == candidate.port {
                    if previous.claim != candidate.claim {
                        note(&mut refused, candidate, || {
                            let holder = &previous.service.key;
                            format!("{candidate} is already registered for {holder}")
                        });
                    }
                    continue;
                }
            }
            _ => {
                address = candidate.instance.identity().to_string();
                names.clear();
            }
        }
        previous = Some(candidate);
        let name = candidate.service.name.as_str();
        let hash = if names.contains(&name) {
            ids::with_port(name, &address, candidate.port)
        } else {
            names.push(name);
            ids::plain(name, &address)
        };
        let record = placement.known.share(candidate.registration(hash, &parts));
        parts.prefer(candidate.claim, &record);
        placed.push((record, candidate));
    }
    // Two addresses whose hashes begin alike share an ID (fault O06). The earlier claim holds it; within one claim
    // the address that comes first, as the order before was total.
    placed.sort_by(|(a, of), (b, than)| {
        let by_hash = a.hash.cmp(&b.hash);
        by_hash.then(of.claim.cmp(&than.claim))
    });
    placed.dedup_by(|(loser, of), (winner, holder)| {
        let is_taken = loser.hash == winner.hash;
        if is_taken {
            note(&mut refused, of, || {
                let (id, key) = (winner.id(), &holder.service.key);
                format!("{of} gets the service ID {id}, which {holder} of {key} has")
            });
        }
        is_taken
    });
    placed.sort_by_key(|(record, _)| record.id());
    Placed {
        records: placed.into_iter().map(|(record, _)| record).collect(),
        refused: refused
            .into_iter()
            .map(|(claim, refused)| (claims[claim].key.clone(), refused.into()))
            .collect(),
    }
}

fn note(
    refused: &mut BTreeMap<usize, Refused>,
    loser: &Candidate<'_>,
    text: impl FnOnce() -> String,
) {
    let refused = refused.entry(loser.claim).or_default();
    refused.count += 1;
    if refused.count == 1 {
        refused.first = text();
    }
}

// === impl Candidate ===

impl Candidate<'_> {
    fn rank(&self) -> (&Address, u16, usize, bool, &Instance) {
        let Self {
            instance,
            port,
            claim,
            ..
        } = self;
        (
            instance.identity(),
            *port,
            *claim,
            !instance.is_live(),
            instance,
        )
    }

    /// The list of named ports; the first one is the default.
    fn ports(&self) -> Option<Box<Extra>> {
        let mut ports: Vec<NamedPort> = self
            .instance
            .ports
            .iter()
            .enumerate()
            .map(|(at, port)| NamedPort {
                name: Arc::clone(&port.name),
                number: port.number,
                is_default: at == 0,
            })
            .collect();
        ports.sort();
        (!ports.is_empty()).then(|| {
            Box::new(Extra {
                ports,
                ..Extra::default()
            })
        })
    }

    fn registration(&self, hash: ids::Hash, parts: &Parts<'_>) -> Registration {
        Registration {
            common: Arc::clone(&parts.commons[self.claim]),
            own: Packed::new(
                Some(self.instance.address.clone()),
                self.instance.meta.clone(),
                self.port,
            ),
            check: self
                .instance
                .check
                .as_ref()
                .and_then(|check| parts.check(check)),
            extra: parts.has_ports.then(|| self.ports()).flatten(),
            hash,
        }
    }
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instance,
            port,
            service,
            ..
        } = self;
        write!(f, "{} port {port} of {}", instance.address, service.name)
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn new(placement: &'a Placement, claims: &[Arc<Service>]) -> Self {
        let common = |service: &Arc<Service>| {
            Arc::new(Common {
                name: service.name.clone(),
                namespace: placement.namespace_of(service).map(Arc::clone),
                tags: Arc::clone(&service.tags),
                weight: service.weight.unwrap_or(1),
                meta: service.meta.clone(),
                owner: Some(placement.owner.shared()),
            })
        };
        Self {
            known: &placement.known,
            has_ports: placement.named_ports,
            which: placement.checks,
            commons: claims.iter().map(common).collect(),
        }
    }

    /// What a registration that is held already has in common with the next ones is shared with them, too: each layout
    /// that leaves one new instance behind would leave common parts of its own behind otherwise.
    fn prefer(&mut self, claim: usize, record: &Registration) {
        let common = &mut self.commons[claim];
        if !Arc::ptr_eq(common, &record.common) && *common == record.common {
            *common = Arc::clone(&record.common);
        }
    }

    fn check(&self, check: &Check) -> Option<Arc<RegisteredCheck>> {
        let is_registered = self.which.has(check);
        is_registered.then(|| self.known.check(RegisteredCheck::from(check)))
    }
}

// === impl Refused ===

impl From<Refused> for Rejection {
    fn from(refused: Refused) -> Self {
        let message = match refused.count {
            1 => refused.first,
            count => format!("{}, and {} more", refused.first, count - 1),
        };
        Rejection::new(Reason::Taken, message)
    }
}

#[cfg(test)]
mod collisions;
#[cfg(test)]
mod tests;
