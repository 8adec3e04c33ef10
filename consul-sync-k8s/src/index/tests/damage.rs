//! Whatever the API server sends: it is taken or refused, and nothing panics (invariant I-S12).

use consul_sync_core::testing::any_damage;
use proptest::prelude::*;

use super::{world::Reader, *};
use crate::translate;

const SERVICE: &str = r#"{"metadata":{"name":"web","namespace":"shop","uid":"u","resourceVersion":"7",
    "creationTimestamp":"2026-01-02T03:04:05Z","labels":{"team":"a"},"annotations":{
    "consul.hashicorp.com/service-sync":"true","consul.hashicorp.com/service-name":"web",
    "consul.hashicorp.com/service-port":"http","consul.hashicorp.com/service-tags":"a,b\\,c",
    "consul.hashicorp.com/service-meta-zone":"z","consul.hashicorp.com/service-weight":"7"}},
    "spec":{"type":"NodePort","clusterIP":"10.96.0.7","externalIPs":[],"selector":{"app":"web"},
    "ports":[{"name":"http","port":80,"targetPort":"http","nodePort":30080,"protocol":"TCP"},
    {"name":"admin","port":81,"targetPort":8081,"nodePort":30081}]},
    "status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"},{"hostname":"lb.example.com"}]}}}"#;
const SLICE: &str = r#"{"metadata":{"name":"web-1","namespace":"shop","uid":"s","resourceVersion":"8",
    "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[
    {"name":"http","port":8080,"protocol":"TCP"},{"name":"admin","port":8081}],"endpoints":[
    {"addresses":["10.0.0.1"],"conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"n1",
    "zone":"z1","targetRef":{"kind":"Pod","name":"web-a"}},
    {"addresses":["10.0.0.2"],"conditions":{"ready":null},"nodeName":"n1"}]}"#;
const NODE: &str = r#"{"metadata":{"name":"n1","uid":"n","resourceVersion":"3"},"status":{"addresses":[
    {"type":"ExternalIP","address":"192.0.2.7"},{"type":"InternalIP","address":"10.9.0.7"}]}}"#;
const INGRESS: &str = r#"{"metadata":{"name":"front","namespace":"shop","uid":"i","resourceVersion":"4"},
    "spec":{"tls":[{"hosts":["a.example.com"]}],"rules":[{"host":"a.example.com","http":{"paths":[
    {"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}}]}}]},
    "status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9"}]}}}"#;
const NAMESPACE: &str =
    r#"{"metadata":{"name":"shop","uid":"ns","resourceVersion":"1","labels":{"sync":"yes"}}}"#;

fn read<T: serde::de::DeserializeOwned>(texts: &[String]) -> Vec<T> {
    texts
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect()
}

fn some(text: &str) -> impl Strategy<Value = Vec<String>> + use<> {
    prop::collection::vec(any_damage(text), 1..3)
}

fn settings() -> impl Strategy<Value = ExportSettings> {
    let ingress = ExportSettings {
        ingress: true,
        ingress_load_balancer_ips: true,
        ..lean()
    };
    let endpoints = ExportSettings {
        load_balancer_endpoints: true,
        ..ExportSettings::default()
    };
    let exclusive = ExportSettings {
        name_rules: ["shop=we*".parse().unwrap()].into_iter().collect(),
        namespace_suffix: true,
        ..all_kinds()
    };
    prop::sample::select(vec![
        ExportSettings::default(),
        all_kinds(),
        ingress,
        endpoints,
        exclusive,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Damaged objects, in listings and as changes: what can be decoded goes through everything.
    #[test]
    fn i_s12_no_object_makes_anything_panic(
        settings in settings(),
        services in some(SERVICE),
        slices in some(SLICE),
        nodes in some(NODE),
        ingresses in some(INGRESS),
        namespaces in some(NAMESPACE),
    ) {
        let services: Vec<slim::Service> = read(&services);
        let slices: Vec<slim::EndpointSlice> = read(&slices);
        let nodes: Vec<slim::Node> = read(&nodes);
        let ingresses: Vec<slim::Ingress> = read(&ingresses);
        let namespaces: Vec<slim::Namespace> = read(&namespaces);
        for service in &services {
            let objects = translate::Objects { service, slices: &slices, nodes: &nodes, ingresses: &ingresses };
            let _ = translate::translate(&settings, &objects);
        }
        let mut index = Index::new(Arc::new(settings));
        let mut reader = Reader::default();
        list(&mut index, namespaces.iter().cloned());
        list(&mut index, services.iter().cloned());
        list(&mut index, slices.iter().cloned());
        list(&mut index, ingresses.iter().cloned());
        list(&mut index, nodes.iter().cloned());
        reader.read(&mut index);
        // The good ones, then the damaged ones again as changes, and then they go.
        list(&mut index, [decode::<slim::Service>(serde_json::from_str(SERVICE).unwrap())]);
        for slice in slices {
            index.apply(Change::Upserted(slice));
        }
        for service in &services {
            index.apply(Change::Upserted(service.clone()));
        }
        reader.read(&mut index);
        for service in services {
            index.apply(Change::Deleted(service));
        }
        for node in nodes {
            index.apply(Change::Deleted(node));
        }
        reader.read(&mut index);
    }
}
