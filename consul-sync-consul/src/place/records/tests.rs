//! Which registrations services become.

use consul_sync_core::{Key, Owner, ServiceName, Status};
use proptest::prelude::*;

use super::*;
use crate::registration::{KUBERNETES, OWNER_META, SOURCE_META};

fn placement() -> Placement {
    Placement {
        owner: Owner::new("me").unwrap(),
        namespace: None,
        named_ports: false,
        checks: Checks::Always,
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
    instance.check = Some(
        Check {
            scope: "ns".into(),
            name: "ready".into(),
            kind: "kubernetes-readiness".into(),
            status: Status::Critical,
            output: "no".into(),
        }
        .into(),
    );
    service.instances.push(instance);
    let placed = records(&placement(), &[Arc::new(service)]);
    let record = &placed.records[0];
    let fields: Vec<String> = record
        .fields()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let id = record.id();
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
        instance.identified_by = Some(Address::Ip([10, 0, 0, pod].into()).into());
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
    web.instances[0].check = Some(
        Check {
            scope: "ns".into(),
            name: "ready".into(),
            kind: "k".into(),
            status: Status::Critical,
            output: "no".into(),
        }
        .into(),
    );
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
        instance.check = Some(
            Check {
                scope: "ns".into(),
                name: "ready".into(),
                kind: "k".into(),
                status: Status::Passing,
                output: "yes".into(),
            }
            .into(),
        );
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
