use consul_sync_core::{
    Address, HeldRecord, Owner, Standing, Status,
    testing::{any_service, check, instance, service},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{mark, slim};

pub(crate) const UID: &str = "6f1c0a57-93de";

fn settings() -> ImportSettings {
    ImportSettings::new(Owner::new("us").unwrap())
}

pub(crate) fn mode(mode: Mode) -> ImportSettings {
    ImportSettings { mode, ..settings() }
}

fn placement(settings: ImportSettings) -> Placement {
    Placement {
        owner: mark::owner_label(&settings.owner).into(),
        settings,
    }
}

pub(crate) fn placed(settings: ImportSettings, service: &Service) -> Placed<Manifest> {
    let placement = placement(settings);
    let slot = placement.place(service).expect("it has a place");
    placement.records(&slot, &[Arc::new(service.clone())])
}

fn with_meta(mut service: Service, pairs: &[(&str, &str)]) -> Service {
    service.meta = pairs.iter().copied().collect();
    service
}

fn critical(mut instance: Instance) -> Instance {
    instance.check = Some(check(Status::Critical).into());
    instance
}

/// The object as the server stores it, read as the sink reads it.
pub(crate) fn read_back(manifest: &Manifest, server: &Value) -> HeldRecord<Manifest> {
    let mut object = manifest.to_json();
    object["metadata"]["uid"] = json!(UID);
    object["metadata"]["resourceVersion"] = json!("7");
    for (pointer, value) in server.as_object().into_iter().flatten() {
        let (at, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(at).unwrap()[field] = value.clone();
    }
    let owner = &manifest.owner;
    if manifest.is_slice() {
        let object: slim::EndpointSlice = serde_json::from_value(object).unwrap();
        Manifest::of_slice(&object, &manifest.service, owner).unwrap()
    } else {
        let object: slim::Service = serde_json::from_value(object).unwrap();
        Manifest::of_service(&object, owner)
    }
}

#[test]
fn the_default_is_the_incumbents_object_with_our_marks() {
    let placed = placed(settings(), &service("/Web", ["10.0.0.1"]));
    assert!(placed.refused.is_empty());
    let objects: Vec<Value> = placed
        .records
        .iter()
        .map(|record| record.to_json())
        .collect();
    assert_eq!(
        objects,
        [json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "namespace": "default", "name": "web",
                "labels": {"consul": "true", "consul-sync.io/owner": "us"},
                "annotations": {
                    "consul.hashicorp.com/service-sync": "false",
                    "consul-sync.io/consul-name": "Web",
                    "consul-sync.io/object": "default/web",
                },
            },
            "spec": {"type": "ExternalName", "externalName": "web.service.consul"},
        })]
    );
}

#[test]
fn endpoints_are_a_service_without_a_selector_and_slices_of_its_own() {
    let mut web = service("team/web", ["10.0.0.1", "2001:db8::1"]);
    web.instances.push(critical(instance("10.0.0.2")));
    let placed = placed(mode(Mode::Endpoints), &web);
    let objects: Vec<Value> = placed
        .records
        .iter()
        .map(|record| record.to_json())
        .collect();
    assert_eq!(objects.len(), 3);
    assert_eq!(
        objects[0]["spec"],
        json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]})
    );
    assert_eq!(
        objects[0]["metadata"]["annotations"]["consul-sync.io/consul-namespace"],
        "team"
    );
    let slice = &objects[1];
    assert_eq!(
        slice["metadata"]["labels"],
        json!({"consul-sync.io/owner": "us", "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "consul-sync.io"})
    );
    assert_eq!(slice["addressType"], "IPv4");
    assert_eq!(
        slice["endpoints"],
        json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": false}},
        ])
    );
    assert_eq!(objects[2]["addressType"], "IPv6");
    assert_eq!(
        objects[2]["endpoints"][0]["addresses"],
        json!(["2001:db8::1"])
    );
}

#[test]
fn headless_has_no_address_and_may_have_no_port() {
    let mut web = service("/web", []);
    web.instances
        .push(Instance::new(Address::Ip([10, 0, 0, 1].into())));
    let headless = placed(mode(Mode::Headless), &web);
    let objects: Vec<Value> = headless
        .records
        .iter()
        .map(|record| record.to_json())
        .collect();
    assert_eq!(
        objects[0]["spec"],
        json!({"type": "ClusterIP", "clusterIP": "None", "ports": []})
    );
    assert_eq!(
        objects[1]["metadata"]["labels"]["service.kubernetes.io/headless"],
        ""
    );
    let refused = placed(mode(Mode::Endpoints), &web);
    assert!(refused.records.is_empty());
    assert_eq!(refused.refused[0].1.reason(), Reason::InvalidPort);
}

#[test]
fn instances_with_other_ports_stand_in_other_slices_and_the_service_lists_each_name_once() {
    let mut web = service("/web", []);
    for (address, number) in [("10.0.0.1", 8080), ("10.0.0.2", 8081), ("10.0.0.3", 8080)] {
        let address = Address::Ip(address.parse().unwrap());
        web.instances
            .push(Instance::new(address).port("HTTP", number));
    }
    let placed = placed(mode(Mode::Endpoints), &web);
    let ports: Vec<&Arc<[Port]>> = placed
        .records
        .iter()
        .filter_map(|record| match &record.content {
            Content::ClusterIp { ports, .. } | Content::Slice { ports, .. } => Some(ports),
            _ => None,
        })
        .collect();
    assert_eq!(ports.len(), 3);
    assert_eq!((&*ports[0][0].name, ports[0][0].number), ("http", 8080));
    let mut numbers: Vec<u16> = ports[1..].iter().map(|ports| ports[0].number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [8080, 8081]);
}

#[test]
fn fault_n11_names_of_hosts_and_addresses_that_mean_another_host_to_everyone_are_refused_alone() {
    for address in [
        "db.example",
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
    ] {
        let placed = placed(
            mode(Mode::Headless),
            &service("/web", ["10.0.0.1", address]),
        );
        assert_eq!(placed.records.len(), 2, "{address}");
        let (_, rejection) = &placed.refused[0];
        assert_eq!(rejection.reason(), Reason::InvalidAddress, "{address}");
    }
    // Two ways to write one address are one endpoint, ready when one of its instances is.
    let mut web = service("/web", ["10.0.0.1"]);
    web.instances.push(critical(instance("::ffff:10.0.0.1")));
    let one = placed(mode(Mode::Headless), &web);
    assert!(
        matches!(&one.records[1].content, Content::Slice { endpoints, .. } if endpoints.len() == 1 && endpoints[0].ready)
    );
}

#[test]
fn fault_n11_an_address_of_the_clusters_own_is_refused_where_the_settings_say_so() {
    let web = service("/web", ["10.0.0.1", "10.96.0.1"]);
    let endpoints = |settings: ImportSettings| {
        let placed = placed(settings, &web);
        let Content::Slice { endpoints, .. } = &placed.records[1].content else {
            panic!("{placed:?}");
        };
        (endpoints.len(), placed.refused.len())
    };
    let open = mode(Mode::Endpoints);
    assert_eq!(endpoints(open.clone()), (2, 0));
    let refused_networks = vec!["10.96.0.0/12".parse().unwrap()];
    assert_eq!(
        endpoints(ImportSettings {
            refused_networks,
            ..open
        }),
        (1, 1)
    );
}

#[test]
fn fault_n05_of_two_names_that_become_one_the_first_has_it_and_the_other_is_told() {
    let placement = placement(settings());
    let (a, b) = (service("/a-b", ["10.0.0.1"]), service("/a-B", ["10.0.0.2"]));
    let slot = placement.place(&a).unwrap();
    assert_eq!(placement.place(&b).unwrap(), slot);
    let claims = [Arc::new(a), Arc::new(b.clone())];
    let placed = placement.records(&slot, &claims);
    assert_eq!(placed.records.len(), 1);
    assert_eq!(placed.refused[0].0, b.key);
    assert_eq!(placed.refused[0].1.reason(), Reason::Taken);
    assert!(
        placed.refused[0]
            .1
            .message()
            .contains("default/a-b stands for a-b of /a-b")
    );
}

#[test]
fn fault_n06_names_of_kubernetes_itself_are_never_taken() {
    let rejection = placement(settings())
        .place(&service("/Kubernetes", []))
        .unwrap_err();
    assert_eq!(rejection.reason(), Reason::NotAllowed);
    let mut prefixed = settings();
    prefixed.prefix = "c-".to_owned();
    assert_eq!(
        placement(prefixed)
            .place(&service("/kubernetes", []))
            .unwrap()
            .as_str(),
        "default/c-kubernetes"
    );
}

#[test]
fn the_mode_is_that_of_the_meta_else_of_the_first_rule_else_the_default() {
    let mut all = mode(Mode::Endpoints);
    all.mode_rules = vec![
        "db-*=headless".parse().unwrap(),
        "*-a=external-name".parse().unwrap(),
    ];
    let of =
        |settings: &ImportSettings, service: &Service| placement(settings.clone()).mode(service);
    assert_eq!(of(&all, &service("/DB-a", [])), Ok(Mode::Headless));
    assert_eq!(of(&all, &service("/web-a", [])), Ok(Mode::ExternalName));
    assert_eq!(of(&all, &service("/web", [])), Ok(Mode::Endpoints));
    let chosen = with_meta(service("/db-a", []), &[(MODE, "external-name")]);
    assert_eq!(of(&all, &chosen), Ok(Mode::ExternalName));
    let bad = with_meta(service("/web", []), &[(MODE, "dns")]);
    assert_eq!(of(&all, &bad).unwrap_err().reason(), Reason::InvalidMeta);
    all.mode_by_meta = false;
    assert_eq!(of(&all, &bad), Ok(Mode::Endpoints));
}

#[test]
fn instances_choose_together_or_not_at_all() {
    let mut web = service("/web", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    web.instances[0].meta = [(MODE, "headless")].into_iter().collect();
    assert_eq!(placement(settings()).mode(&web), Ok(Mode::Headless));
    web.instances[1].meta = [(MODE, "endpoints")].into_iter().collect();
    let rejection = placement(settings()).mode(&web).unwrap_err();
    assert!(
        rejection
            .message()
            .contains("\"headless\" on one instance and \"endpoints\" on another"),
        "{rejection}"
    );
}

#[test]
fn the_namespace_is_that_of_the_meta_where_allowed_else_the_mirrored_one() {
    let mut all = settings();
    all.meta_namespaces.insert("shop".to_owned());
    let slot = |settings: &ImportSettings, service: &Service| {
        placement(settings.clone())
            .place(service)
            .map(|slot| slot.to_string())
    };
    let choosing = |namespace: &str| with_meta(service("/web", []), &[(NAMESPACE, namespace)]);
    assert_eq!(slot(&all, &choosing("shop")).unwrap(), "shop/web");
    assert_eq!(slot(&all, &choosing("default")).unwrap(), "default/web");
    assert_eq!(
        slot(&all, &choosing("kube-system")).unwrap_err().reason(),
        Reason::NotAllowed
    );
    let mut web = service("/web", []);
    web.namespace = Some("Team".into());
    assert_eq!(slot(&all, &web).unwrap(), "default/web");
    all.mirror_namespaces = Some("c-".to_owned());
    assert_eq!(slot(&all, &web).unwrap(), "c-team/web");
    let far = service("default.dc2.dc/web", []);
    assert_eq!(slot(&all, &far).unwrap(), "c-default-dc2-dc/web");
    assert_eq!(slot(&all, &service("/web", [])).unwrap(), "default/web");
    all.mirror_namespaces = Some(String::new());
    web.namespace = Some("kube-system".into());
    assert_eq!(slot(&all, &web).unwrap_err().reason(), Reason::NotAllowed);
    web.namespace = Some("a_b".into());
    assert_eq!(slot(&all, &web).unwrap_err().reason(), Reason::InvalidName);
}

#[test]
fn one_instance_of_ten_thousand_changes_one_object() {
    let mut web = service("/web", []);
    web.instances = (0..10_000_u16)
        .map(|at| instance(&format!("10.1.{}.{}", at / 250, at % 250 + 1)))
        .collect();
    let before = placed(mode(Mode::Endpoints), &web);
    let last = web.instances.pop().unwrap();
    web.instances.push(critical(last));
    let after = placed(mode(Mode::Endpoints), &web);
    let pairs = before.records.iter().zip(&after.records);
    assert_eq!(pairs.filter(|(one, other)| one != other).count(), 1);
    assert_eq!(before.records.len(), after.records.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_reads_back_equal_and_claims_in_order_are_laid_out_the_same(
        services in proptest::collection::vec(any_service(), 1..4),
        at in 0..3_usize,
    ) {
        let placement = placement(mode(Mode::ALL[at]));
        let mut slots: BTreeMap<Slot, Vec<Arc<Service>>> = BTreeMap::new();
        for service in services {
            let slot = placement.place(&service).unwrap();
            slots.entry(slot).or_default().push(Arc::new(service));
        }
        for (slot, mut claims) in slots {
            claims.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
            let placed = placement.records(&slot, &claims);
            prop_assert!(placed.records.is_sorted_by(|a, b| a.id() < b.id()));
            for record in &placed.records {
                let held = read_back(record, &json!({}));
                prop_assert_eq!(&*held.record, &**record);
                prop_assert_eq!(held.standing, Standing::Ours);
            }
        }
    }
}
