//! The oldest services of a namespace hold its places, in any history.

use consul_sync_core::ServiceName;
use proptest::{collection::vec, prelude::*};

use super::*;

fn service(namespace: &str, name: &str, created: i64) -> Arc<Service> {
    let name_of = ServiceName::new(name).unwrap();
    let mut service = Service::new(Key::new(namespace, name), name_of);
    service.created = created;
    Arc::new(service)
}

fn upsert(service: Arc<Service>) -> Event<Key, Arc<Service>> {
    Event::Upserted(service.key.clone(), service)
}

fn reject(namespace: &str, name: &str, reason: Reason) -> Event<Key, Arc<Service>> {
    Event::Rejected(Key::new(namespace, name), Rejection::new(reason, "no"))
}

fn quota(limit: usize) -> Quota {
    Quota::new(NonZeroUsize::new(limit).unwrap())
}

/// What a reader of the events holds, as the engine does.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reader {
    services: BTreeMap<Key, Arc<Service>>,
    rejected: BTreeMap<Key, Reason>,
    listed: Option<BTreeSet<Key>>,
    events: usize,
}

impl Reader {
    fn read(&mut self, quota: &mut Quota, event: Event<Key, Arc<Service>>) {
        let mut out = Vec::new();
        quota.take(event, &mut out);
        self.events += out.len();
        for event in out {
            match event {
                Event::RelistStarted => self.listed = Some(BTreeSet::new()),
                Event::Upserted(key, service) => {
                    self.listed
                        .as_mut()
                        .map(|listed| listed.insert(key.clone()));
                    self.rejected.remove(&key);
                    self.services.insert(key, service);
                }
                Event::Rejected(key, rejection) => {
                    self.listed
                        .as_mut()
                        .map(|listed| listed.insert(key.clone()));
                    if rejection.reason().withdraws() {
                        self.services.remove(&key);
                    }
                    self.rejected.insert(key, rejection.reason());
                }
                Event::Removed(key) => {
                    self.services.remove(&key);
                    self.rejected.remove(&key);
                }
                Event::RelistDone => {
                    let listed = self.listed.take().expect("a listing has begun");
                    self.services.retain(|key, _| listed.contains(key));
                    self.rejected.retain(|key, _| listed.contains(key));
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.services.keys().map(ToString::to_string).collect()
    }

    fn over(&self) -> Vec<String> {
        let over = |(key, reason): (&Key, &Reason)| {
            (*reason == Reason::OverQuota).then(|| key.to_string())
        };
        self.rejected.iter().filter_map(over).collect()
    }
}

#[test]
fn fault_n09_the_oldest_services_hold_the_places_of_their_namespace() {
    let (mut quota, mut reader) = (quota(2), Reader::default());
    for event in [
        upsert(service("evil", "c", 3)),
        upsert(service("evil", "b", 2)),
        upsert(service("shop", "web", 9)),
        upsert(service("evil", "d", 4)),
    ] {
        reader.read(&mut quota, event);
    }
    assert_eq!(reader.names(), ["evil/b", "evil/c", "shop/web"]);
    assert_eq!(reader.over(), ["evil/d"]);

    // An older one comes up, which was not exported before.
    reader.read(&mut quota, upsert(service("evil", "a", 1)));
    assert_eq!(reader.names(), ["evil/a", "evil/b", "shop/web"]);
    assert_eq!(reader.over(), ["evil/c", "evil/d"]);

    // A place that gets free goes to the next one.
    reader.read(&mut quota, Event::Removed(Key::new("evil", "a")));
    assert_eq!(reader.names(), ["evil/b", "evil/c", "shop/web"]);
    // One that is created anew under its old name is young.
    reader.read(&mut quota, upsert(service("evil", "b", 5)));
    assert_eq!(reader.names(), ["evil/c", "evil/d", "shop/web"]);
    assert_eq!(reader.over(), ["evil/b"]);
}

#[test]
fn fault_n09_a_listing_gives_nobody_a_place_for_a_moment() {
    let (mut quota, mut out) = (quota(1), Vec::new());
    quota.take(Event::RelistStarted, &mut out);
    quota.take(upsert(service("evil", "a", 2)), &mut out);
    quota.take(upsert(service("evil", "b", 1)), &mut out);
    assert_eq!(out, [Event::RelistStarted]);
    quota.take(Event::RelistDone, &mut out);
    let upserted = |event: &Event<Key, Arc<Service>>| match event {
        Event::Upserted(key, _) => Some(key.to_string()),
        _ => None,
    };
    assert_eq!(
        out.iter().filter_map(upserted).collect::<Vec<_>>(),
        ["evil/b"]
    );
}

#[test]
fn a_service_that_cannot_be_used_keeps_its_place_and_its_last_good_value() {
    let (mut quota, mut reader) = (quota(1), Reader::default());
    reader.read(&mut quota, upsert(service("ns", "a", 1)));
    reader.read(&mut quota, upsert(service("ns", "b", 2)));
    reader.read(&mut quota, reject("ns", "a", Reason::Undecodable));
    assert_eq!(reader.names(), ["ns/a"]);
    assert_eq!(reader.rejected[&Key::new("ns", "a")], Reason::Undecodable);
    // Its place is free when it must not be registered at all.
    reader.read(&mut quota, reject("ns", "a", Reason::NotAllowed));
    assert_eq!(reader.names(), ["ns/b"]);
    // What was rejected while it had no place has its last good value when it gets one.
    reader.read(&mut quota, upsert(service("ns", "a", 1)));
    reader.read(&mut quota, reject("ns", "b", Reason::Undecodable));
    assert_eq!(reader.over(), ["ns/b"]);
    reader.read(&mut quota, Event::Removed(Key::new("ns", "a")));
    assert_eq!(reader.names(), ["ns/b"]);
    assert_eq!(reader.rejected[&Key::new("ns", "b")], Reason::Undecodable);
}

#[test]
fn fault_n09_one_event_costs_the_same_at_any_number_of_services() {
    for n in [1_000, 10_000] {
        let (mut quota, mut reader) = (quota(10), Reader::default());
        reader.read(&mut quota, Event::RelistStarted);
        for at in 0..n {
            reader.read(&mut quota, upsert(service("evil", &format!("s{at}"), at)));
        }
        reader.read(&mut quota, Event::RelistDone);
        assert_eq!(reader.services.len(), 10);
        let mut cost = |event| {
            let (moves, events) = (quota.moves, reader.events);
            reader.read(&mut quota, event);
            (quota.moves - moves, reader.events - events)
        };
        assert_eq!(cost(upsert(service("evil", "young", n))), (1, 1), "{n}");
        assert_eq!(cost(upsert(service("evil", "old", -1))), (2, 2), "{n}");
        assert_eq!(cost(Event::Removed(Key::new("evil", "old"))), (2, 2), "{n}");
        let mut same = Arc::unwrap_or_clone(service("evil", "s3", 3));
        same.weight = Some(2);
        assert_eq!(cost(upsert(Arc::new(same))), (0, 1), "{n}");
        assert_eq!(
            cost(reject("evil", "s4", Reason::NotAllowed)),
            (2, 2),
            "{n}"
        );
    }
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(u8, u8, i64),
    Remove(u8, u8),
    Reject(u8, u8, bool),
    Relist(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_u8, 0..6_u8, 0..5_i64).prop_map(|(n, s, c)| Step::Upsert(n, s, c)),
        2 => (0..2_u8, 0..6_u8).prop_map(|(n, s)| Step::Remove(n, s)),
        1 => (0..2_u8, 0..6_u8, any::<bool>()).prop_map(|(n, s, w)| Step::Reject(n, s, w)),
        1 => any::<bool>().prop_map(Step::Relist),
    ]
}

/// The reader of a source with a quota, by the definition.
fn expected(source: &Table, limit: usize) -> Reader {
    let mut reader = Reader::default();
    let mut ranks: BTreeMap<&str, Vec<Rank>> = BTreeMap::new();
    for (key, known) in source {
        ranks
            .entry(key.namespace())
            .or_default()
            .extend(known.rank(key));
    }
    for ranks in ranks.values_mut() {
        ranks.sort();
        ranks.truncate(limit);
    }
    for (key, known) in source {
        let is_within = known
            .rank(key)
            .is_none_or(|rank| ranks[&**key.namespace()].contains(&rank));
        if is_within {
            reader
                .services
                .extend(known.service.clone().map(|service| (key.clone(), service)));
            reader
                .rejected
                .extend(known.rejection.as_ref().map(|r| (key.clone(), r.reason())));
        } else {
            reader.rejected.insert(key.clone(), Reason::OverQuota);
        }
    }
    reader
}

proptest! {
    /// After every event what the reader holds follows from what the source has, and not from the way there.
    #[test]
    fn fault_n09_places_depend_on_what_there_is_and_not_on_its_history(
        limit in 1..4_usize,
        steps in vec(step(), 0..60),
    ) {
        let (mut quota, mut reader) = (quota(limit), Reader::default());
        let mut source = Table::new();
        for step in steps {
            match step {
                Step::Upsert(namespace, name, created) => {
                    let service = service(&format!("n{namespace}"), &format!("s{name}"), created);
                    let known = Known { service: Some(Arc::clone(&service)), rejection: None };
                    source.insert(service.key.clone(), known);
                    reader.read(&mut quota, upsert(service));
                }
                Step::Remove(namespace, name) => {
                    let key = Key::new(format!("n{namespace}"), format!("s{name}"));
                    source.remove(&key);
                    reader.read(&mut quota, Event::Removed(key));
                }
                Step::Reject(namespace, name, withdraws) => {
                    let reason = if withdraws { Reason::NotAllowed } else { Reason::Undecodable };
                    let key = Key::new(format!("n{namespace}"), format!("s{name}"));
                    let known = source.entry(key.clone()).or_default();
                    known.rejection = Some(Rejection::new(reason, "no"));
                    if withdraws {
                        known.service = None;
                    }
                    reader.read(&mut quota, Event::Rejected(key, Rejection::new(reason, "no")));
                }
                Step::Relist(reversed) => {
                    let mut events = Vec::new();
                    for (key, known) in &source {
                        let mut of_key: Vec<_> = known.service.clone().map(upsert).into_iter().collect();
                        of_key.extend(known.rejection.clone().map(|r| Event::Rejected(key.clone(), r)));
                        events.push(of_key);
                    }
                    if reversed {
                        events.reverse();
                    }
                    reader.read(&mut quota, Event::RelistStarted);
                    for event in events.into_iter().flatten() {
                        reader.read(&mut quota, event);
                    }
                    reader.read(&mut quota, Event::RelistDone);
                }
            }
            let expected = expected(&source, limit);
            prop_assert_eq!(&reader.services, &expected.services);
            prop_assert_eq!(&reader.rejected, &expected.rejected);
            let places: usize = quota.namespaces.values().map(|n| n.within.len() + n.beyond.len()).sum();
            prop_assert_eq!(places, source.values().filter(|known| known.service.is_some()).count());
        }
    }
}
