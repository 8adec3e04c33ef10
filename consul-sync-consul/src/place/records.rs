//! The registrations of a slot: the union of the instances of all services that claim it.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::{
    Address, Check, Instance, Placed, Reason, Record, RecordId, Rejection, Service,
};

use super::{Placement, ids};
use crate::registration::{Common, Extra, NamedPort, RegisteredCheck, Registration};

/// One instance of one claim.
struct Candidate<'a> {
    claim: usize,
    service: &'a Service,
    instance: &'a Instance,
    port: u16,
}

/// What registrations share.
struct Parts {
    has_ports: bool,
    /// One for each claim.
    commons: Vec<Arc<Common>>,
    checks: Vec<Arc<RegisteredCheck>>,
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
    let mut records: Vec<Arc<Registration>> = Vec::with_capacity(candidates.len());
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
                        note(&mut refused, candidate, previous.service);
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
        let id = if names.contains(&name) {
            ids::with_port(name, &address, candidate.port)
        } else {
            names.push(name);
            ids::plain(name, &address)
        };
        if let Some(id) = id {
            records.push(
                placement
                    .known
                    .share(candidate.registration(id, &mut parts)),
            );
        }
    }
    // Only two addresses whose hashes begin alike share an ID; the order before was total, so the first stays.
    records.sort_by(|a, b| a.id().cmp(b.id()));
    records.dedup_by(|a, b| a.id() == b.id());
    Placed {
        records,
        refused: refused
            .into_iter()
            .map(|(claim, refused)| (claims[claim].key.clone(), refused.into()))
            .collect(),
    }
}

fn note(refused: &mut BTreeMap<usize, Refused>, loser: &Candidate<'_>, winner: &Service) {
    let refused = refused.entry(loser.claim).or_default();
    refused.count += 1;
    if refused.count == 1 {
        let Candidate {
            instance,
            port,
            service,
            ..
        } = loser;
        refused.first = format!(
            "{} port {port} of {} is already registered for {}",
            instance.address, service.name, winner.key
        );
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

    fn registration(&self, id: RecordId, parts: &mut Parts) -> Registration {
        Registration {
            id,
            common: Arc::clone(&parts.commons[self.claim]),
            address: Some(self.instance.address.clone()),
            own: self.instance.meta.clone(),
            check: self.instance.check.as_ref().map(|check| parts.check(check)),
            extra: parts.has_ports.then(|| self.ports()).flatten(),
            port: self.port,
        }
    }
}

// === impl Parts ===

impl Parts {
    fn new(placement: &Placement, claims: &[Arc<Service>]) -> Self {
        let common = |service: &Arc<Service>| {
            Arc::new(Common {
                name: service.name.shared(),
                namespace: placement.namespace_of(service).map(Arc::clone),
                tags: Arc::clone(&service.tags),
                weight: service.weight.unwrap_or(1),
                meta: service.meta.clone(),
                owner: Some(placement.owner.shared()),
            })
        };
        Self {
            has_ports: placement.named_ports,
            commons: claims.iter().map(common).collect(),
            checks: Vec::new(),
        }
    }

    /// The checks of a service are mostly of two kinds, ready and not.
    fn check(&mut self, check: &Check) -> Arc<RegisteredCheck> {
        let check = RegisteredCheck::from(check);
        let mut recent = self.checks.iter().rev().take(4);
        if let Some(known) = recent.find(|known| ***known == check) {
            return Arc::clone(known);
        }
        let check = Arc::new(check);
        self.checks.push(Arc::clone(&check));
        check
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
mod tests {
    use consul_sync_core::{Key, Owner, ServiceName, Status};
    use proptest::prelude::*;

    use super::*;
    use crate::registration::{KUBERNETES, OWNER_META, SOURCE_META};

    fn placement() -> Placement {
        Placement {
            owner: Owner::new("me").unwrap(),
            namespace: None,
            named_ports: false,
            known: Arc::default(),
        }
    }

    fn service(key: &str, name: &str, instances: &[(u8, u16)]) -> Arc<Service> {
        let mut service = Service::new(Key::new("ns", key), ServiceName::new(name).unwrap());
        service.instances = instances
            .iter()
            .map(|(host, port)| {
                Instance::new(Address::Ip([10, 0, 0, *host].into())).port("http", *port)
            })
            .collect();
        Arc::new(service)
    }

    fn layout(claims: &[Arc<Service>]) -> Vec<(String, String, u16)> {
        records(&placement(), claims)
            .records
            .iter()
            .map(|r| {
                (
                    r.id().to_string(),
                    r.address().unwrap().to_string(),
                    r.port(),
                )
            })
            .collect()
    }

    #[test]
    fn every_part_of_a_registration_comes_from_its_place() {
        let mut service = Service::new(Key::new("ns", "web"), ServiceName::new("web").unwrap());
        service.tags = Arc::from(["k8s".into(), "a".into()]);
        service.meta = [
            (SOURCE_META, KUBERNETES),
            ("zone", "of service"),
            (OWNER_META, "a thief"),
        ]
        .into_iter()
        .collect();
        service.weight = Some(7);
        let mut instance = Instance::new(Address::Host("lb.example.com".into())).port("http", 80);
        instance.meta = [("zone", "of instance")].into_iter().collect();
        instance.check = Some(Check {
            scope: "ns".into(),
            name: "ready".into(),
            kind: "kubernetes-readiness".into(),
            status: Status::Critical,
            output: "no".into(),
        });
        service.instances.push(instance);
        let placed = records(&placement(), &[Arc::new(service)]);
        let record = &placed.records[0];
        let fields: Vec<String> = record
            .fields()
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let id = record.id().as_str();
        let check_id = format!("check.id=ns/{id}");
        assert_eq!(
            fields,
            [
                "name=web",
                "address=lb.example.com",
                "port=80",
                "tags=k8s, a",
                "weight=7",
                check_id.as_str(),
                "check.name=ready",
                "check.type=kubernetes-readiness",
                "check.status=critical",
                "check.output=no",
                "meta.external-source=kubernetes",
                "meta.zone=of instance",
                "meta.external-sync-owner=me",
            ]
        );
        assert!(!record.is_live());
    }

    #[test]
    fn of_one_address_the_lowest_port_has_the_plain_id() {
        let claims = [service("web", "web", &[(1, 81), (1, 80), (2, 81)])];
        let ids: Vec<String> = layout(&claims).into_iter().map(|(id, ..)| id).collect();
        assert!(ids.contains(&"web-b9fe4d6d03e0".to_owned()));
        assert!(ids.contains(&"web-ba89c59bc48e".to_owned()));
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn pods_behind_the_port_of_one_node_are_an_instance_each() {
        let mut web = Arc::unwrap_or_clone(service("web", "web", &[(9, 30080), (9, 30080)]));
        for (pod, instance) in (1..).zip(&mut web.instances) {
            instance.identified_by = Some(Address::Ip([10, 0, 0, pod].into()));
        }
        let mut placed = layout(&[Arc::new(web)]);
        placed.sort();
        let at_node = |id: &str| (id.to_owned(), "10.0.0.9".to_owned(), 30080);
        assert_eq!(
            placed,
            [at_node("web-86f1a2947727"), at_node("web-b9fe4d6d03e0")]
        );
    }

    #[test]
    fn fault_n01_two_claims_share_a_slot_and_the_older_holds_what_both_name() {
        let claims = [
            service("a", "web", &[(1, 80)]),
            service("b", "web", &[(1, 80), (2, 80), (1, 81)]),
        ];
        let placed = records(&placement(), &claims);
        assert_eq!(placed.records.len(), 3);
        assert_eq!(placed.refused.len(), 1);
        let (key, rejection) = &placed.refused[0];
        assert_eq!(key, &Key::new("ns", "b"));
        assert_eq!(rejection.reason(), Reason::Taken);
        assert!(
            rejection.message().contains("10.0.0.1 port 80"),
            "{rejection}"
        );
    }

    #[test]
    fn an_instance_named_twice_by_its_service_is_one_and_the_live_one() {
        let mut web = Arc::unwrap_or_clone(service("web", "web", &[(1, 80), (1, 80)]));
        web.instances[0].check = Some(Check {
            scope: "ns".into(),
            name: "ready".into(),
            kind: "k".into(),
            status: Status::Critical,
            output: "no".into(),
        });
        let placed = records(&placement(), &[Arc::new(web)]);
        assert_eq!(placed.records.len(), 1);
        assert!(placed.records[0].is_live() && placed.refused.is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_instances_has_no_meaning(
            mut instances in proptest::collection::vec((1_u8..4, 80_u16..83), 0..8),
            other in proptest::collection::vec((1_u8..4, 80_u16..83), 0..4),
            seed in any::<prop::sample::Index>(),
        ) {
            let before = layout(&[service("a", "web", &instances), service("b", "Web", &other)]);
            if !instances.is_empty() {
                let by = seed.index(instances.len());
                instances.rotate_left(by);
                instances.reverse();
            }
            let after = layout(&[service("a", "web", &instances), service("b", "Web", &other)]);
            let mut ids: Vec<&str> = after.iter().map(|(id, ..)| id.as_str()).collect();
            prop_assert!(ids.is_sorted());
            ids.dedup();
            prop_assert_eq!(ids.len(), after.len());
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn what_instances_have_in_common_exists_once() {
        let mut web = Arc::unwrap_or_clone(service("web", "web", &[(1, 80), (2, 80)]));
        for instance in &mut web.instances {
            instance.check = Some(Check {
                scope: "ns".into(),
                name: "ready".into(),
                kind: "k".into(),
                status: Status::Passing,
                output: "yes".into(),
            });
        }
        let placement = placement();
        let claims = [Arc::new(web)];
        let placed = records(&placement, &claims);
        let [first, second] = &placed.records[..] else {
            panic!()
        };
        assert!(Arc::ptr_eq(&first.common, &second.common));
        assert!(Arc::ptr_eq(
            first.check.as_ref().unwrap(),
            second.check.as_ref().unwrap()
        ));
        // Asking again gives the same registrations, not equal ones.
        let again = records(&placement, &claims);
        assert!(Arc::ptr_eq(&placed.records[0], &again.records[0]));
    }
}
