use consul_sync_core::Owner;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn settings() -> SourceSettings {
    SourceSettings::new(Owner::new("a").unwrap())
}

fn key() -> Key {
    Key::new("default", "web")
}

/// An instance at an address of its own, with what is given on top.
#[expect(clippy::needless_pass_by_value, reason = "it is written in place")]
fn entry(id: &str, address: &str, service: Value, checks: &[&str]) -> HealthEntry {
    let mut body = json!({"ID": id, "Service": "web", "Address": address, "Port": 80});
    for (field, value) in service.as_object().unwrap() {
        body[field] = value.clone();
    }
    let checks: Vec<Value> = checks.iter().map(|s| json!({"Status": s})).collect();
    serde_json::from_value(json!({
        "Node": {"Node": "n1", "Address": "10.9.9.9"}, "Service": body, "Checks": checks,
    }))
    .unwrap()
}

fn service(settings: &SourceSettings, entries: &[HealthEntry]) -> Arc<Service> {
    match translate(settings, &key(), entries) {
        Found::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

fn statuses(service: &Service) -> Vec<Status> {
    let checks = service.instances.iter().map(|i| i.check.as_ref().unwrap());
    checks.map(|check| check.status).collect()
}

#[test]
fn the_worst_check_of_the_instance_and_its_node_counts() {
    for (checks, expected) in [
        (&[][..], Status::Passing),
        (&["passing", "passing"], Status::Passing),
        (&["passing", "warning"], Status::Warning),
        (&["critical", "warning"], Status::Critical),
        (&["passing", "wat"], Status::Warning),
    ] {
        let found = service(&settings(), &[entry("1", "10.0.0.1", json!({}), checks)]);
        assert_eq!(statuses(&found), [expected], "{checks:?}");
    }
}

#[test]
fn a_service_whose_instances_all_fail_is_there_without_instances_when_only_passing_ones_are_read() {
    let mut settings = settings();
    let entries = [
        entry("1", "10.0.0.1", json!({}), &["critical"]),
        entry("2", "10.0.0.2", json!({}), &["warning"]),
    ];
    assert_eq!(service(&settings, &entries).instances.len(), 2);
    settings.passing_only = true;
    assert_eq!(service(&settings, &entries).instances, []);
}

#[test]
fn an_instance_without_an_address_has_its_nodes() {
    let found = service(&settings(), &[entry("1", "", json!({}), &[])]);
    assert_eq!(
        found.instances[0].address,
        Address::Ip([10, 9, 9, 9].into())
    );
    let found = service(&settings(), &[entry("1", "db.example.com", json!({}), &[])]);
    assert_eq!(
        found.instances[0].address,
        Address::Host("db.example.com".into())
    );
}

#[test]
fn the_default_port_comes_first_and_no_port_is_none() {
    let ports = json!({"Ports": [
        {"Name": "admin", "Port": 9000}, {"Name": "http", "Port": 8080, "Default": true}, {"Name": "off", "Port": 0},
    ]});
    for (given, expected) in [
        (json!({}), vec![("default", 80)]),
        (json!({"Port": 0}), vec![]),
        (ports, vec![("http", 8080), ("admin", 9000)]),
    ] {
        let found = service(&settings(), &[entry("1", "10.0.0.1", given, &[])]);
        let ports = found.instances[0].ports.iter();
        let ports: Vec<(&str, u16)> = ports.map(|p| (p.name.as_ref(), p.number)).collect();
        assert_eq!(ports, expected);
    }
}

#[test]
fn an_instance_that_cannot_be_used_does_not_stop_its_siblings() {
    let bad = || entry("1", "10.0.0.1", json!({"Port": 70000}), &[]);
    let found = service(
        &settings(),
        &[bad(), entry("2", "10.0.0.2", json!({}), &[])],
    );
    assert_eq!(found.instances.len(), 1);
    for (entry, reason) in [
        (bad(), Reason::InvalidPort),
        (
            entry("1", "10.0.0.1", json!({"Port": -1}), &[]),
            Reason::InvalidPort,
        ),
        (entry("1", "a b", json!({}), &[]), Reason::InvalidAddress),
        (
            entry("1", "10.0.0.1", json!({"Service": "we\u{7}b"}), &[]),
            Reason::InvalidName,
        ),
    ] {
        match translate(&settings(), &key(), &[entry]) {
            Found::Rejected(why) => assert_eq!(why.reason(), reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn meta_that_all_instances_share_is_the_services() {
    let found = service(
        &settings(),
        &[
            entry(
                "1",
                "10.0.0.1",
                json!({"Meta": {"team": "x", "zone": "1"}}),
                &[],
            ),
            entry(
                "2",
                "10.0.0.2",
                json!({"Meta": {"team": "x", "zone": "2", "more": "y"}}),
                &[],
            ),
        ],
    );
    assert_eq!(found.meta, [("team", "x")].into_iter().collect());
    let own: Vec<Meta> = found.instances.iter().map(|i| i.meta.clone()).collect();
    let expected: [Meta; 2] = [
        [("zone", "1")].into_iter().collect(),
        [("more", "y"), ("zone", "2")].into_iter().collect(),
    ];
    assert_eq!(own, expected);
}

#[test]
fn tags_choose_instances_in_any_case() {
    let mut settings = settings();
    settings.required_tags = vec!["public".into()];
    settings.refused_tags = vec!["old".into()];
    let tagged =
        |id: &str, tags: &[&str]| entry(id, &format!("10.0.0.{id}"), json!({"Tags": tags}), &[]);
    let entries = [
        tagged("1", &["Public", "b"]),
        tagged("2", &["b"]),
        tagged("3", &["public", "OLD"]),
        tagged("4", &["public", "a"]),
    ];
    let found = service(&settings, &entries);
    assert_eq!(found.instances.len(), 2);
    let tags: Vec<&str> = found.tags.iter().map(AsRef::as_ref).collect();
    assert_eq!(tags, ["Public", "a", "b", "public"]);
    assert_eq!(translate(&settings, &key(), &entries[1..3]), Found::Nothing);
}

#[test]
fn fault_c16_instances_of_one_name_in_two_cases_are_one_service() {
    let entries = [
        entry("1", "10.0.0.1", json!({"Service": "web"}), &[]),
        entry("2", "10.0.0.2", json!({"Service": "Web"}), &[]),
    ];
    let found = service(&settings(), &entries);
    assert_eq!(found.instances.len(), 2);
    assert_eq!(found.name.as_str(), "Web");
    let turned: Vec<HealthEntry> = entries.iter().rev().cloned().collect();
    assert_eq!(service(&settings(), &turned), found);
}

#[test]
fn fault_l01_an_instance_from_kubernetes_is_left_out_beside_others() {
    let of_ours = json!({"Meta": {"external-source": "kubernetes"}});
    let entries = [
        entry("1", "10.0.0.1", of_ours, &[]),
        entry("2", "10.0.0.2", json!({}), &[]),
    ];
    assert_eq!(service(&settings(), &entries).instances.len(), 1);
    assert_eq!(
        translate(&settings(), &key(), &entries[..1]),
        Found::Nothing
    );
}

proptest! {
    /// The order in which Consul lists instances and checks says nothing.
    #[test]
    fn the_order_of_an_answer_has_no_effect(
        given in proptest::collection::vec((0_u8..5, "[ab]{0,1}", 0_usize..3), 0..6), shuffle: u64,
    ) {
        let mut entries: Vec<HealthEntry> = given
            .iter()
            .enumerate()
            .map(|(n, (host, tag, status))| {
                let status = ["passing", "warning", "critical"][*status];
                let more = json!({"Tags": [tag], "Meta": {"tag": tag}});
                entry(&n.to_string(), &format!("10.0.0.{host}"), more, &["passing", status])
            })
            .collect();
        let found = translate(&settings(), &key(), &entries);
        let mut seed = shuffle;
        for at in (1..entries.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            entries.swap(at, usize::try_from(seed >> 33).unwrap() % (at + 1));
        }
        for entry in &mut entries {
            entry.checks.reverse();
        }
        prop_assert_eq!(translate(&settings(), &key(), &entries), found);
    }
}
