//! Two instances whose IDs are equal, because their hashes begin alike.

use consul_sync_core::{
    Address, Instance, Key, Owner, Placed, Reason, Record, RecordId, Service, ServiceName,
};

use super::*;
use crate::place::{ids, rules};

/// `sha1("web-10.117.76.28")` and `sha1("web-11.48.234.135")` both begin with 12052075f21d.
const FIRST: [u8; 4] = [10, 117, 76, 28];
const SECOND: [u8; 4] = [11, 48, 234, 135];
const ID: &str = "web-12052075f21d";

fn service(key: &str, addresses: &[[u8; 4]]) -> Arc<Service> {
    let mut service = Service::new(Key::new("ns", key), ServiceName::new("web").unwrap());
    let at = |address: &[u8; 4]| Instance::new(Address::Ip((*address).into())).port("http", 80);
    service.instances = addresses.iter().map(at).collect();
    Arc::new(service)
}

fn place(claims: &[Arc<Service>]) -> Placed<Registration> {
    let placement = Placement {
        owner: Owner::new("me").unwrap(),
        namespace: None,
        named_ports: false,
        checks: Checks::Always,
        known: Arc::default(),
    };
    records(&placement, claims)
}

fn held(placed: &Placed<Registration>) -> Vec<String> {
    let records = placed.records.iter();
    records
        .map(|r| format!("{} {}", r.id(), r.address().unwrap()))
        .collect()
}

#[test]
fn fault_o06_of_two_instances_with_one_id_the_same_one_is_registered_and_the_other_reported() {
    for addresses in [
        [FIRST, SECOND, [10, 0, 0, 1]],
        [SECOND, [10, 0, 0, 1], FIRST],
    ] {
        let placed = place(&[service("a", &addresses)]);
        assert_eq!(
            held(&placed),
            [
                format!("{ID} 10.117.76.28"),
                "web-b9fe4d6d03e0 10.0.0.1".to_owned()
            ]
        );
        let [(key, rejection)] = &placed.refused[..] else {
            panic!("{:?}", placed.refused);
        };
        assert_eq!(
            (key, rejection.reason()),
            (&Key::new("ns", "a"), Reason::Taken)
        );
        assert_eq!(
            rejection.message(),
            format!(
                "11.48.234.135 port 80 of web gets the service ID {ID}, which 10.117.76.28 port 80 of web of ns/a has"
            )
        );
    }
    // When the winner is gone the other one takes its place.
    let placed = place(&[service("a", &[SECOND, [10, 0, 0, 1]])]);
    assert_eq!(
        held(&placed),
        [
            format!("{ID} 11.48.234.135"),
            "web-b9fe4d6d03e0 10.0.0.1".to_owned()
        ]
    );
    assert!(placed.refused.is_empty());
}

#[test]
fn fault_o06_an_id_stays_with_the_earlier_claim() {
    // The other way round the smaller address would push out what another service has had for long.
    let placed = place(&[service("old", &[SECOND]), service("young", &[FIRST])]);
    assert_eq!(held(&placed), [format!("{ID} 11.48.234.135")]);
    let keys: Vec<String> = placed
        .refused
        .iter()
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(keys, ["ns/young"]);
}

/// Every name of up to four characters over those that matter: letters in both cases, separators, a letter of two bytes.
fn names() -> impl Iterator<Item = String> {
    const ALPHABET: [char; 8] = ['A', 'a', '1', '-', '_', '.', 'é', '/'];
    (1..=4_u32).flat_map(|length| {
        (0..8_usize.pow(length)).map(move |mut number| {
            let mut name = String::new();
            for _ in 0..length {
                name.push(ALPHABET[number % 8]);
                number /= 8;
            }
            name
        })
    })
}

/// Names that Consul takes for one, spelled as it spells the first of them.
fn folded(name: &str) -> String {
    name.chars()
        .map(|c| if c == 'A' { 'a' } else { c })
        .collect()
}

#[test]
fn i_s10_two_names_share_a_slot_only_where_they_differ_in_case_alone() {
    let mut slots: BTreeMap<String, String> = BTreeMap::new();
    let mut ids_by_fold: BTreeMap<String, String> = BTreeMap::new();
    let mut count = 0;
    for name in names() {
        count += 1;
        let slot = crate::registration::slot_of(None, &name);
        let known = slots.entry(slot.clone()).or_insert_with(|| folded(&name));
        assert_eq!(*known, folded(&name), "{name} shares the slot {slot}");
        assert_eq!(slot, folded(&name), "{name} stands alone");
        // Whether or not Consul takes the name, its slot is one that can be, and another namespace's is another.
        rules::slot(slot).unwrap();
        // IDs of a few addresses, in every spelling: no two are one to Consul, which folds them.
        for address in ["10.0.0.1", "fd00::1", "a"] {
            for hash in [
                ids::plain(&name, address),
                ids::with_port(&name, address, 80),
            ] {
                let id = RecordId::hashed(&ServiceName::new(name.as_str()).unwrap(), hash);
                let fold = id.text().to_lowercase();
                let before = ids_by_fold.insert(fold, format!("{name} {address}"));
                assert_eq!(before, None, "{id}");
            }
        }
    }
    assert_eq!(count, 4680);
}

#[test]
fn i_s10_a_namespace_and_a_name_are_told_from_each_other() {
    let mut slots: BTreeMap<String, (&str, String)> = BTreeMap::new();
    // A namespace of Consul holds letters, digits, dashes and underscores.
    for namespace in ["a", "a-a", "a_1", "1"] {
        for name in names() {
            let pair = (namespace, folded(&name));
            let slot = crate::registration::slot_of(Some(namespace), &name);
            let known = slots.entry(slot).or_insert_with(|| pair.clone());
            assert_eq!(*known, pair);
        }
    }
}
