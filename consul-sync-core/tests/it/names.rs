//! Who holds a name, where one namespace alone may hold it (fault N08).

use std::collections::{BTreeMap, BTreeSet};

use consul_sync_core::{
    AdapterError, ErrorKind, Event, Key, Reason, Record, Rejection, Service, Settings, Side,
    Standing,
    testing::{MemorySink, service},
};
use proptest::{collection::vec, prelude::*};

use crate::world::{World, unbraked};

fn exclusive() -> Settings {
    Settings {
        exclusive: true,
        ..unbraked()
    }
}

/// A service of a namespace that claims the name `web`.
fn claim(namespace: &str, created: i64, addresses: &[&str]) -> Service {
    let mut service = service(&format!("{namespace}/web"), addresses.iter().copied());
    service.created = created;
    service
}

fn rejected(world: &World) -> Vec<(String, Reason)> {
    let rejections = world.engine.rejections();
    let mut counts = BTreeMap::new();
    for (_, rejection) in world.engine.rejections() {
        *counts.entry(rejection.reason()).or_default() += 1;
    }
    assert_eq!(world.engine.status().rejected, counts);
    rejections
        .map(|(key, rejection)| (key.to_string(), rejection.reason()))
        .collect()
}

#[test]
fn fault_n08_a_name_is_held_by_one_namespace_until_it_goes() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, exclusive());
    world.list([
        claim("shop", 1, &["10.0.0.1"]),
        claim("evil", 2, &["10.6.6.6"]),
    ]);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    assert_eq!(rejected(&world), [("evil/web".to_owned(), Reason::Taken)]);
    let (_, rejection) = world.engine.rejections().next().unwrap();
    assert!(
        rejection.message().contains("held by shop/web"),
        "{rejection}"
    );

    // Another service of the holder's namespace shares the name.
    let mut more = claim("shop", 3, &["10.0.0.2"]);
    more.key = Key::new("shop", "more");
    world.upsert(more);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1", "10.0.0.2"]);

    world.source(Event::Removed(Key::new("shop", "web")));
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.2"], "a service of shop is left");
    world.source(Event::Removed(Key::new("shop", "more")));
    world.pump();
    assert_eq!(sink.ids("web"), ["10.6.6.6"]);
    assert_eq!(rejected(&world), []);
}

#[test]
fn fault_n08_by_default_namespaces_share_a_name() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, unbraked());
    world.list([
        claim("shop", 1, &["10.0.0.1"]),
        claim("other", 2, &["10.0.0.2"]),
    ]);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn fault_n08_an_older_service_that_claims_later_does_not_take_the_name() {
    let sink = MemorySink::default();
    let services = [
        claim("evil", 1, &["10.6.6.6"]),
        claim("shop", 2, &["10.0.0.1"]),
    ];
    let mut world = World::new(&sink, exclusive());
    world.list([services[1].clone()]);
    world.pump();
    world.upsert(services[0].clone());
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);

    // Not while its holder has no instances, either.
    world.upsert(claim("shop", 2, &[]));
    world.pump();
    assert_eq!(sink.ids("web"), [] as [&str; 0]);
    world.upsert(services[1].clone());
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);

    // Nor after a restart: what the destination holds says who was first, however services arrive.
    let writes = sink.writes();
    let mut next = World::new(&sink, exclusive());
    next.source(Event::RelistStarted);
    for service in services {
        next.upsert(service);
        next.pump();
    }
    next.source(Event::RelistDone);
    next.pump();
    assert_eq!(sink.writes(), writes, "a restart writes nothing");
    assert_eq!(rejected(&next), [("evil/web".to_owned(), Reason::Taken)]);
}

#[test]
fn fault_n08_while_its_holder_cannot_be_used_nobody_takes_the_name() {
    let sink = MemorySink::default();
    sink.plant(&claim("shop", 2, &["10.0.0.1"]), Standing::Ours);
    let mut world = World::new(&sink, exclusive());
    let rejection = Rejection::new(Reason::Undecodable, "port \"NaN\" is not a number");
    world.source(Event::RelistStarted);
    world.source(Event::Rejected(Key::new("shop", "web"), rejection));
    world.upsert(claim("evil", 1, &["10.6.6.6"]));
    world.source(Event::RelistDone);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);

    // Gone for good: then the next one has it.
    world.source(Event::Removed(Key::new("shop", "web")));
    world.pump();
    assert_eq!(sink.ids("web"), ["10.6.6.6"]);
}

#[test]
fn fault_n08_a_source_that_cannot_be_read_gives_no_name_away() {
    let sink = MemorySink::default();
    let mut world = World::new(&sink, exclusive());
    world.list([
        claim("evil", 1, &["10.6.6.6"]),
        claim("shop", 2, &["10.0.0.1"]),
    ]);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.6.6.6"], "who is older is first");
    let error = AdapterError::new(ErrorKind::Incomplete, "the watch ended");
    world.engine.failed(Side::Source, &error);
    world.source(Event::RelistStarted);
    world.upsert(claim("shop", 2, &["10.0.0.1"]));
    world.pump();
    assert_eq!(sink.ids("web"), ["10.6.6.6"], "evil may come yet");
    world.source(Event::RelistDone);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
}

#[test]
fn a_service_that_must_not_be_registered_goes_and_its_neighbours_stay() {
    for reason in [Reason::NotAllowed, Reason::OverQuota] {
        let sink = MemorySink::default();
        let mut world = World::new(&sink, unbraked());
        world.list([
            service("shop/web", ["10.0.0.1"]),
            service("shop/api", ["10.0.0.2"]),
        ]);
        world.pump();
        let key = Key::new("shop", "web");
        let rejection = Rejection::new(reason, "not by the rules");
        world.source(Event::Rejected(key.clone(), rejection.clone()));
        world.pump();
        assert_eq!(sink.ids("web"), [] as [&str; 0], "{reason}");
        assert_eq!(sink.ids("api"), ["10.0.0.2"]);
        assert_eq!(rejected(&world), [("shop/web".to_owned(), reason)]);

        // After a restart, too, and it keeps nothing else of its namespace from being cleaned up.
        sink.plant(&service("shop/old", ["10.0.0.3"]), Standing::Ours);
        sink.plant(&service("shop/web", ["10.0.0.1"]), Standing::Ours);
        let mut next = World::new(&sink, unbraked());
        next.source(Event::RelistStarted);
        next.source(Event::Rejected(key.clone(), rejection));
        next.upsert(service("shop/api", ["10.0.0.2"]));
        next.source(Event::RelistDone);
        next.pump();
        assert_eq!(next.ours().len(), 1, "{:?}", next.ours());

        next.upsert(service("shop/web", ["10.0.0.1"]));
        next.pump();
        assert_eq!(sink.ids("web"), ["10.0.0.1"]);
        assert_eq!(rejected(&next), []);
    }
}

#[test]
fn what_is_unknown_stays_although_it_was_forbidden_before() {
    let sink = MemorySink::default();
    sink.plant(&service("shop/web", ["10.0.0.1"]), Standing::Ours);
    let mut world = World::new(&sink, unbraked());
    let key = Key::new("shop", "web");
    let reject = |reason| Event::Rejected(key.clone(), Rejection::new(reason, "no"));
    world.source(Event::RelistStarted);
    world.source(reject(Reason::NotAllowed));
    world.source(reject(Reason::Undecodable));
    world.source(Event::RelistDone);
    world.pump();
    assert_eq!(sink.ids("web"), ["10.0.0.1"]);
    world.source(reject(Reason::NotAllowed));
    world.pump();
    assert_eq!(sink.ids("web"), [] as [&str; 0]);
}

#[derive(Clone, Debug)]
enum Step {
    /// A service of a namespace claims one of two names, with some instances.
    Claim(u8, u8, u8, i64),
    Remove(u8, u8),
    Relist,
    Restart(bool),
    Pump,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, 0..2_u8, 0..2_u8, 0..4_i64).prop_map(|(n, s, w, c)| Step::Claim(n, s, w, c)),
        3 => (0..3_u8, 0..2_u8).prop_map(|(n, s)| Step::Remove(n, s)),
        1 => Just(Step::Relist),
        2 => any::<bool>().prop_map(Step::Restart),
        5 => Just(Step::Pump),
    ]
}

/// What should hold: who holds each name, from the claims at the moments at which something was written.
#[derive(Default)]
struct Model {
    services: BTreeMap<Key, Service>,
    holders: BTreeMap<String, String>,
}

impl Model {
    fn settle(&mut self) {
        let mut claims: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
        for service in self.services.values() {
            claims
                .entry(service.name.to_string())
                .or_default()
                .push(service);
        }
        self.holders.retain(|name, holder| {
            let claims = claims.get(name).map_or(&[][..], Vec::as_slice);
            claims
                .iter()
                .any(|claim| **claim.key.namespace() == **holder)
        });
        for (name, claims) in claims {
            let first = claims
                .iter()
                .min_by_key(|claim| claim.precedence())
                .unwrap();
            let first = first.key.namespace().to_string();
            self.holders.entry(name).or_insert(first);
        }
    }

    fn admitted(&self) -> Vec<Service> {
        let is_admitted =
            |service: &&Service| self.holders[service.name.as_str()] == **service.key.namespace();
        self.services
            .values()
            .filter(is_admitted)
            .cloned()
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However services arrive, go and are listed, and whenever the process restarts: the first holds the name.
    #[test]
    fn fault_n08_the_holder_is_the_same_in_any_history(steps in vec(step(), 0..40)) {
        let sink = MemorySink::default();
        let mut model = Model::default();
        let mut world = World::new(&sink, exclusive());
        world.list([]);
        for step in steps.into_iter().chain([Step::Pump]) {
            match step {
                Step::Claim(namespace, object, name, created) => {
                    let mut service = service(&format!("n{namespace}/web{name}"), []);
                    service.key = Key::new(format!("n{namespace}"), format!("s{object}"));
                    service.created = created;
                    let address = format!("10.0.{namespace}.{object}");
                    service.instances.push(consul_sync_core::testing::instance(&address));
                    model.services.insert(service.key.clone(), service.clone());
                    world.upsert(service);
                }
                Step::Remove(namespace, object) => {
                    let key = Key::new(format!("n{namespace}"), format!("s{object}"));
                    model.services.remove(&key);
                    world.source(Event::Removed(key));
                }
                Step::Relist => world.list(model.services.values().cloned()),
                Step::Restart(reversed) => {
                    // What was not written before is first seen by the next process, all at once.
                    world = World::new(&sink, exclusive());
                    world.source(Event::RelistStarted);
                    let mut services: Vec<Service> = model.services.values().cloned().collect();
                    if reversed {
                        services.reverse();
                    }
                    for service in services {
                        world.upsert(service);
                        world.pump();
                    }
                    world.source(Event::RelistDone);
                }
                Step::Pump => {
                    world.pump();
                    model.settle();
                    let admitted = model.admitted();
                    prop_assert_eq!(world.ours(), world.wanted(&admitted));
                    let refused: BTreeSet<Key> = world.engine.rejections().map(|(key, _)| key.clone()).collect();
                    let all = model.services.keys().cloned();
                    let others: BTreeSet<Key> = all.filter(|key| admitted.iter().all(|s| s.key != *key)).collect();
                    prop_assert_eq!(refused, others);
                    for (slot, record) in world.ours() {
                        prop_assert_eq!(record.origin(), model.holders.get(slot.as_str()).map(String::as_str));
                    }
                }
            }
        }
    }
}
