use consul_sync_core::{Address, Instance, Standing, testing::service};
use serde_json::{Value, json};

use super::*;
use crate::sink::{
    ImportSettings, Mode,
    place::tests::{UID, mode, placed, read_back},
};

#[test]
fn fault_w05_what_others_add_and_the_server_fills_in_is_no_difference() {
    let added = json!({
        "/metadata/labels/theirs": "1",
        "/metadata/annotations/theirs": "1",
        "/metadata/managedFields": [],
        "/spec/clusterIP": "10.0.0.7",
        "/spec/clusterIPs": ["10.0.0.7"],
        "/spec/ipFamilies": ["IPv4"],
        "/spec/sessionAffinity": "ClientIP",
        "/spec/internalTrafficPolicy": "Local",
    });
    let placed = placed(mode(Mode::Endpoints), &service("/web", ["10.0.0.1"]));
    let held = read_back(&placed.records[0], &added);
    assert_eq!(*held.record, *placed.records[0]);
    assert_eq!(held.standing, Standing::Ours);
    let added = json!({"/metadata/labels/theirs": "1", "/metadata/generation": 2});
    let held = read_back(&placed.records[1], &added);
    assert_eq!(*held.record, *placed.records[1]);
}

#[test]
fn fault_t15_what_others_change_of_ours_is_a_difference() {
    let placed = placed(mode(Mode::Endpoints), &service("/web", ["10.0.0.1"]));
    for change in [
        json!({"/spec/selector": {"app": "theirs"}}),
        json!({"/spec/externalIPs": ["192.0.2.1"]}),
        json!({"/spec/type": "NodePort"}),
        json!({"/spec/externalName": "theirs.example"}),
        json!({"/spec/clusterIP": "None"}),
        json!({"/spec/ports": [{"name": "http", "port": 81}]}),
        json!({"/spec/ports": [{"name": "http", "port": 80}, {"name": "more", "port": 81}]}),
        json!({"/spec/ports": "none"}),
        json!({"/metadata/labels/consul": "no"}),
        json!({"/metadata/annotations": {"consul-sync.io/object": "default/web", "consul-sync.io/consul-name": "web"}}),
    ] {
        let held = read_back(&placed.records[0], &change);
        assert_ne!(*held.record, *placed.records[0], "{change}");
        assert_eq!(held.standing, Standing::Ours, "{change}");
    }
    for change in [
        json!({"/endpoints": []}),
        json!({"/endpoints": [{"addresses": ["10.0.0.9"], "conditions": {"ready": true, "serving": true}}]}),
        json!({"/endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": false}}]}),
        json!({"/endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]}),
        json!({"/ports": [{"name": "http", "port": 81}]}),
    ] {
        let held = read_back(&placed.records[1], &change);
        assert_ne!(*held.record, *placed.records[1], "{change}");
    }
}

#[test]
fn an_update_is_applied_unless_something_has_to_go() {
    let version = ObjectVersion {
        uid: UID.into(),
        resource_version: "7".into(),
    };
    let record = |settings: ImportSettings, ports: &[u16]| {
        let mut web = service("/web", []);
        let address = Address::Ip([10, 0, 0, 1].into());
        let names = ports.iter().enumerate();
        let all = names.fold(Instance::new(address), |instance, (at, port)| {
            instance.port(format!("p{at}"), *port)
        });
        web.instances.push(all);
        placed(settings, &web).records
    };
    let one = record(mode(Mode::Endpoints), &[80]);
    let two = record(mode(Mode::Endpoints), &[80, 81]);
    let Change::Apply(object) = two[0].change(&one[0], &version) else {
        panic!("a port more is applied")
    };
    assert_eq!(object["metadata"]["uid"], UID);
    assert_eq!(object["metadata"]["resourceVersion"], "7");
    let Change::Merge(steps) = one[0].change(&two[0], &version) else {
        panic!("a port less is taken away")
    };
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0]["spec"]["ports"].as_array().unwrap().len(), 1);
    assert_eq!(steps[0]["spec"]["selector"], Value::Null);
    // An address comes or goes with the type alone (fault W08).
    let headless = record(mode(Mode::Headless), &[80]);
    let Change::Merge(steps) = headless[0].change(&one[0], &version) else {
        panic!("the address is taken away")
    };
    let types: Vec<&Value> = steps.iter().map(|step| &step["spec"]["type"]).collect();
    assert_eq!(types, ["ExternalName", "ClusterIP"]);
    let alias = record(mode(Mode::ExternalName), &[80]);
    let Change::Merge(steps) = alias[0].change(&one[0], &version) else {
        panic!("ports and address are taken away")
    };
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0]["spec"]["clusterIP"], Value::Null);
    // Slices are replaced whole.
    assert!(matches!(two[1].change(&one[1], &version), Change::Apply(_)));
}
