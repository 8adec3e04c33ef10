//! A service as the desired table holds it: packed.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use crate::{Check, Instance, Key, Meta, Packed, Port, Service, ServiceName};

/// So many lists of kinds are remembered at most.
const MOST: usize = 4096;

/// The lists of kinds that were made of late: few services have one that no other has.
#[derive(Debug, Default)]
pub(super) struct Kinds(HashSet<Arc<[Kind]>>);

/// A service without its key, which the table has, too.
///
/// Of an instance only what it has of its own is held for it, in 16 bytes: the rest, its ports and its check, it has
/// in common with most of its siblings. Equal services are equal stored, and only they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    name: ServiceName,
    namespace: Option<Arc<str>>,
    created: i64,
    tags: Arc<[Arc<str>]>,
    meta: Meta,
    weight: Option<u32>,
    instances: Instances,
}

/// Of two forms that could hold the same only the first is made.
#[derive(Debug, PartialEq, Eq)]
enum Instances {
    /// The number of each says which of the kinds it is of. Kinds are in the order in which they first occur.
    Packed {
        kinds: Arc<[Kind]>,
        packed: Box<[Packed]>,
    },
    /// More kinds than numbers.
    Plain(Box<[Instance]>),
}

/// What instances have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    ports: Arc<[Port]>,
    check: Option<Arc<Check>>,
}

// === impl Stored ===

impl Stored {
    /// Packs a service. Cost: O(its instances).
    pub(super) fn new(service: &Service, known: &mut Kinds) -> Self {
        Self::with_numbers_to(u16::MAX, service, known)
    }

    fn with_numbers_to(last: u16, service: &Service, known: &mut Kinds) -> Self {
        Self {
            name: service.name.clone(),
            namespace: service.namespace.clone(),
            created: service.created,
            tags: Arc::clone(&service.tags),
            meta: service.meta.clone(),
            weight: service.weight,
            instances: Instances::packed(&service.instances, last, known)
                .unwrap_or_else(|| Instances::Plain(service.instances.as_slice().into())),
        }
    }

    /// The service, made anew. Cost: O(its instances); what it shares with others is shared again.
    pub(super) fn service(&self, key: &Key) -> Service {
        Service {
            key: key.clone(),
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            created: self.created,
            tags: Arc::clone(&self.tags),
            meta: self.meta.clone(),
            weight: self.weight,
            instances: self.instances.to_vec(),
        }
    }
}

// === impl Instances ===

impl Instances {
    /// `None` where there are more kinds than numbers.
    fn packed(instances: &[Instance], last: u16, known: &mut Kinds) -> Option<Self> {
        let mut numbers: HashMap<Kind, u16> = HashMap::new();
        let mut kinds: Vec<Kind> = Vec::new();
        let mut packed: Vec<Packed> = Vec::with_capacity(instances.len());
        for instance in instances {
            let kind = Kind::of(instance);
            // Mostly it is the one of the instance before, and nothing is hashed.
            let before = packed.last().map(Packed::number);
            let before = before.filter(|number| kinds[usize::from(*number)] == kind);
            let number = match before {
                Some(number) => number,
                None => match numbers.entry(kind) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let number = u16::try_from(kinds.len()).ok()?;
                        if number > last {
                            return None;
                        }
                        kinds.push(new.key().clone());
                        *new.insert(number)
                    }
                },
            };
            packed.push(Packed::identified_by(
                Some(instance.address.clone()),
                instance.identified_by.clone(),
                instance.meta.clone(),
                number,
            ));
        }
        Some(Self::Packed {
            kinds: known.one(kinds),
            packed: packed.into(),
        })
    }

    fn to_vec(&self) -> Vec<Instance> {
        let (kinds, packed) = match self {
            Self::Plain(instances) => return instances.to_vec(),
            Self::Packed { kinds, packed } => (kinds, packed),
        };
        let instance = |own: &Packed| {
            let Kind { ports, check } = kinds[usize::from(own.number())].clone();
            Some(Instance {
                address: own.address()?,
                identified_by: own.other().cloned().map(Box::new),
                ports,
                meta: own.meta().clone(),
                check,
            })
        };
        // Every instance has an address, so none is left out.
        let mut instances = Vec::with_capacity(packed.len());
        instances.extend(packed.iter().filter_map(instance));
        instances
    }
}

impl Kinds {
    /// The one copy of a list.
    fn one(&mut self, kinds: Vec<Kind>) -> Arc<[Kind]> {
        if let Some(known) = self.0.get(kinds.as_slice()) {
            return Arc::clone(known);
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let kinds: Arc<[Kind]> = kinds.into();
        self.0.insert(Arc::clone(&kinds));
        kinds
    }
}

impl Kind {
    fn of(instance: &Instance) -> Self {
        Self {
            ports: Arc::clone(&instance.ports),
            check: instance.check.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::{
        Address, Status,
        testing::{check, instance, service},
    };

    fn any_address() -> impl Strategy<Value = Address> {
        prop_oneof![
            (0..2_u8).prop_map(|last| Address::Ip([10, 0, 0, last].into())),
            (0..2_u16).prop_map(|last| Address::Ip([0xfd00, 0, 0, 0, 0, 0, 0, last].into())),
            "[ab]".prop_map(|host| Address::Host(host.into())),
        ]
    }

    fn any_instance() -> impl Strategy<Value = Instance> {
        let own = (any_address(), option::of(any_address()), any::<bool>());
        let status = prop_oneof![Just(Status::Passing), Just(Status::Critical)];
        (own, 0..3_u16, option::of(status)).prop_map(
            |((address, other, has_pairs), port, status)| {
                let mut instance = Instance::new(address);
                instance.identified_by = other.map(Box::new);
                instance.meta = has_pairs.then_some(("a", "b")).into_iter().collect();
                instance.check = status.map(|status| check(status).into());
                match port {
                    0 => instance,
                    port => instance.port("http", port),
                }
            },
        )
    }

    fn any_service() -> impl Strategy<Value = Service> {
        let instances = vec(any_instance(), 0..5);
        (0..64_u8, instances).prop_map(|(bits, instances)| {
            let has = |bit: u8| bits & (1 << bit) != 0;
            let mut found = service(if has(0) { "a/web" } else { "a/db" }, []);
            found.key = Key::new("a", "web");
            found.namespace = has(1).then(|| "there".into());
            found.created = i64::from(has(2));
            found.tags = has(3).then(|| Arc::from("tag")).into_iter().collect();
            found.meta = has(4).then_some(("zone", "1")).into_iter().collect();
            found.weight = has(5).then_some(3);
            found.instances = instances;
            found
        })
    }

    proptest! {
        #[test]
        fn a_service_comes_out_as_it_was_stored(service in any_service(), last in 0..4_u16) {
            prop_assert_eq!(&Stored::new(&service, &mut Kinds::default()).service(&service.key), &service);
            let few = Stored::with_numbers_to(last, &service, &mut Kinds::default());
            prop_assert_eq!(&few.service(&service.key), &service);
        }

        #[test]
        fn equal_services_are_equal_stored(
            one in any_service(),
            other in any_service(),
            last in 0..4_u16,
            // Two services out of so many are hardly ever equal in anything.
            has_same_instances in any::<bool>(),
            has_same_head in any::<bool>(),
        ) {
            let mut other = other;
            if has_same_instances {
                other.instances.clone_from(&one.instances);
            }
            if has_same_head {
                other = Service { instances: other.instances, ..one.clone() };
            }
            let mut kinds = Kinds::default();
            let mut stored = |service| Stored::with_numbers_to(last, service, &mut kinds);
            prop_assert_eq!(stored(&one) == stored(&other), one == other);
            prop_assert_eq!(stored(&one), stored(&one));
        }
    }

    #[test]
    fn what_was_shared_is_shared_again() {
        let mut web = service("a/web", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        let ports = Arc::clone(&web.instances[0].ports);
        for instance in &mut web.instances {
            instance.ports = Arc::clone(&ports);
        }
        web.tags = [Arc::from("blue")].into();
        web.instances[1].check = Some(check(Status::Critical).into());
        let again = Stored::new(&web, &mut Kinds::default()).service(&web.key);
        assert!(Arc::ptr_eq(&again.tags, &web.tags));
        for (old, new) in web.instances.iter().zip(&again.instances) {
            assert!(Arc::ptr_eq(&old.ports, &new.ports));
            let checks = old.check.iter().zip(&new.check);
            assert!(checks.fold(true, |is_same, (old, new)| is_same && Arc::ptr_eq(old, new)));
            assert_eq!(old.check.is_some(), new.check.is_some());
        }
    }

    #[test]
    fn kinds_are_held_once_whatever_their_order() {
        let at = |port: u16| Instance::new(Address::Ip([10, 0, 0, 1].into())).port("http", port);
        let instances = [at(1), at(2), at(1), at(1), at(2)];
        let mut known = Kinds::default();
        let Some(Instances::Packed { kinds, packed }) =
            Instances::packed(&instances, u16::MAX, &mut known)
        else {
            unreachable!("two kinds have numbers");
        };
        let numbers: Vec<u16> = packed.iter().map(Packed::number).collect();
        assert_eq!((kinds.len(), numbers), (2, vec![0, 1, 0, 0, 1]));
        // And once for all services that have them in this order.
        let one = |ports: [u16; 2], known: &mut Kinds| {
            known.one(ports.map(|port| Kind::of(&at(port))).into())
        };
        assert!(Arc::ptr_eq(&one([1, 2], &mut known), &kinds));
        assert!(!Arc::ptr_eq(&one([2, 1], &mut known), &kinds));
    }

    #[test]
    fn kinds_that_were_long_ago_are_forgotten() {
        let mut known = Kinds::default();
        for port in 1..=u16::MAX {
            known.one(vec![Kind::of(&instance("10.0.0.1").port("other", port))]);
        }
        assert!(known.0.len() <= MOST, "{}", known.0.len());
    }

    #[test]
    fn a_service_with_more_kinds_than_numbers_is_stored_as_it_is() {
        let mut web = service("a/web", []);
        for number in 0..=u16::MAX {
            web.instances
                .push(instance("10.0.0.1").port("other", number));
        }
        let is_plain = |service: &Service| {
            let stored = Stored::new(service, &mut Kinds::default());
            assert_eq!(&stored.service(&service.key), service);
            matches!(stored.instances, Instances::Plain(_))
        };
        assert!(!is_plain(&web), "65,536 have a number each");
        web.instances.push(instance("10.0.0.1"));
        assert!(is_plain(&web), "one more has none");
    }
}
