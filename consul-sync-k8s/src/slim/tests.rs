use kube::{Resource, core::ObjectList};

use super::{AddressType, EndpointSlice, Ingress, Namespace, Node, Service, ServiceType};

/// A Service as a real API server sends it.
const SERVICE: &str = r#"{
  "kind": "Service", "apiVersion": "v1",
  "metadata": {
    "name": "web", "namespace": "shop", "uid": "5c2fa3e0-5a24-4a0a-8c7b-7bd1d3cf6b2c", "resourceVersion": "812",
    "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": null,
    "labels": {"app": "web"},
    "annotations": {"consul.hashicorp.com/service-tags": "a,b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    "finalizers": ["x"],
    "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {}}}}]
  },
  "spec": {
    "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web", "nodePort": 30080}, {"port": 443}],
    "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "type": "NodePort", "externalIPs": ["192.0.2.1"]
  },
  "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}, {"hostname": "lb.example.com"}, {}]}}
}"#;

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn a_service_keeps_what_is_used_and_nothing_else() {
    let service: Service = parse(SERVICE);
    let meta = &service.metadata;
    assert_eq!(service.key().to_string(), "shop/web");
    assert_eq!(
        meta.uid.as_deref(),
        Some("5c2fa3e0-5a24-4a0a-8c7b-7bd1d3cf6b2c")
    );
    assert_eq!(meta.resource_version.as_deref(), Some("812"));
    assert_eq!(
        meta.creation_timestamp.as_ref().unwrap().0.as_second(),
        1_767_323_045
    );
    assert!(meta.deletion_timestamp.is_none());
    assert_eq!(meta.labels.as_ref().unwrap().len(), 1);
    let annotations: Vec<_> = meta.annotations.as_ref().unwrap().keys().collect();
    assert_eq!(annotations, ["consul.hashicorp.com/service-tags"]);
    assert!(meta.managed_fields.is_none() && meta.finalizers.is_none());

    let body = service.body.unwrap();
    assert_eq!(body.type_, ServiceType::NodePort);
    let ports: Vec<_> = body
        .ports
        .iter()
        .map(|p| (p.name.as_ref(), p.port, p.node_port))
        .collect();
    assert_eq!(ports, [("http", 80, Some(30_080)), ("", 443, None)]);
    assert_eq!(body.external_ips.len(), 1);
    assert_eq!(
        body.load_balancer.len(),
        2,
        "an entry without address is none"
    );
}

#[test]
fn an_absent_type_is_cluster_ip() {
    let service: Service = parse(r#"{"metadata":{"name":"web","namespace":"shop"}}"#);
    assert_eq!(service.body.unwrap().type_, ServiceType::ClusterIp);
}

#[test]
fn every_kind_knows_its_path() {
    assert_eq!(Service::url_path(&(), None), "/api/v1/services");
    assert_eq!(
        EndpointSlice::url_path(&(), Some("a")),
        "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices"
    );
    assert_eq!(Node::url_path(&(), None), "/api/v1/nodes");
    assert_eq!(
        Ingress::url_path(&(), None),
        "/apis/networking.k8s.io/v1/ingresses"
    );
    assert_eq!(Namespace::url_path(&(), None), "/api/v1/namespaces");
}

/// Fault catalogue K14: an object that cannot be decoded is known by name, and the others of its page are good.
#[test]
fn fault_k14_one_undecodable_object_leaves_the_rest_of_its_page_good() {
    let bad = [
        r#"{"ports": [{"port": "NaN"}]}"#,
        r#"{"ports": [{"port": 70000}]}"#,
        r#"{"ports": [{"port": 0}]}"#,
        r#"{"ports": {"0": {}}}"#,
        r#"{"type": "Teapot"}"#,
        r#"{"type": 7}"#,
        r#"{"externalIPs": ["not an address"]}"#,
        r#"{"externalIPs": [[[["deep"]]]]}"#,
        r#""spec""#,
        "[1,2,3]",
        "1.5",
    ];
    for spec in bad {
        let page = format!(
            r#"{{"kind":"ServiceList","apiVersion":"v1","metadata":{{"resourceVersion":"9"}},
                "items":[{SERVICE},{{"metadata":{{"name":"bad","namespace":"shop"}},"spec":{spec}}},{SERVICE}]}}"#
        );
        let page: ObjectList<Service> = parse(&page);
        let [first, second, third] = page.items.as_slice() else {
            panic!("{spec}")
        };
        assert!(first.body.is_ok() && third.body.is_ok(), "{spec}");
        assert_eq!(second.key().to_string(), "shop/bad");
        let problem = second.body.as_ref().unwrap_err().to_string();
        assert!(problem.starts_with("spec"), "{problem}");
    }
}

/// In watch events the object may stand before the type, and is buffered then.
#[test]
fn fault_k14_an_undecodable_object_in_a_watch_event_is_known_by_name() {
    for line in [
        r#"{"type":"ADDED","object":{"metadata":{"name":"bad"},"spec":{"ports":7}}}"#,
        r#"{"object":{"metadata":{"name":"bad"},"spec":{"ports":7}},"type":"ADDED"}"#,
    ] {
        let kube::core::WatchEvent::<Service>::Added(object) = parse(line) else {
            panic!("{line}")
        };
        assert_eq!(object.key().name().as_ref(), "bad");
        assert!(object.body.is_err());
    }
}

#[test]
fn bad_metadata_spoils_its_object_only() {
    let rows = [
        (r#""labels": {"a": 1}"#, "metadata.labels[\"a\"]: "),
        (r#""labels": []"#, "metadata.labels: "),
        (
            r#""annotations": {"consul.hashicorp.com/service-tags": ["a"]}"#,
            "metadata.annotations[",
        ),
        (
            r#""creationTimestamp": "yesterday""#,
            "metadata.creationTimestamp: \"yesterday\" is not a time",
        ),
        (r#""uid": 7"#, "metadata.uid: "),
        (r#""resourceVersion": {}"#, "metadata.resourceVersion: "),
    ];
    for (field, problem) in rows {
        let object: Service = parse(&format!(r#"{{"metadata":{{{field},"name":"bad"}}}}"#));
        let found = object.body.unwrap_err().to_string();
        assert!(found.starts_with(problem), "{found}");
    }
    // What is not kept is not looked at.
    let object: Service =
        parse(r#"{"metadata":{"name":"a","annotations":{"other":[1]},"managedFields":1}}"#);
    assert!(object.body.is_ok());
}

#[test]
fn an_object_without_a_name_is_an_error_of_the_page() {
    for text in [
        "{}",
        "7",
        r#"{"metadata":{}}"#,
        r#"{"metadata":{"name":""}}"#,
        r#"{"metadata":{"name":7}}"#,
        r#"{"metadata":[]}"#,
    ] {
        assert!(serde_json::from_str::<Service>(text).is_err(), "{text}");
    }
}

#[test]
fn an_endpoint_slice_has_one_entry_per_address() {
    let slice: EndpointSlice = parse(
        r#"{"metadata":{"name":"web-1","namespace":"shop","labels":{"kubernetes.io/service-name":"web","x":"y"}},
            "addressType":"IPv6",
            "ports":[{"name":"http","port":8080,"protocol":"TCP"},{"name":null,"port":9},{"name":"any","port":null}],
            "endpoints":[
              {"addresses":["fd00::1","fd00::2"],"conditions":{"ready":true,"serving":true,"terminating":false},
               "nodeName":"n1","zone":"z1","targetRef":{"kind":"Pod","name":"web-abc","namespace":"shop","uid":"u"}},
              {"addresses":["fd00::3"]}]}"#,
    );
    assert_eq!(slice.service(), Some("web"));
    assert_eq!(slice.metadata.labels.as_ref().unwrap().len(), 1);
    let body = slice.body.unwrap();
    assert_eq!(body.address_type, AddressType::IPv6);
    let ports: Vec<_> = body
        .ports
        .iter()
        .map(|p| (p.name.as_ref(), p.number))
        .collect();
    assert_eq!(ports, [("http", 8080), ("", 9)]);
    let addresses: Vec<_> = body
        .endpoints
        .iter()
        .map(|e| e.address.to_string())
        .collect();
    assert_eq!(addresses, ["fd00::1", "fd00::2", "fd00::3"]);
    assert_eq!(body.endpoints[1].node.as_deref(), Some("n1"));
    assert_eq!(body.endpoints[1].ready, Some(true));
    assert_eq!(body.endpoints[2].ready, None);
    assert_eq!(body.endpoints[2].target, None);
}

#[test]
fn a_bad_endpoint_is_named_by_its_path() {
    let rows = [
        (
            r#""addressType":"IPv4","endpoints":[{"addresses":["10.0.0.300"]}]"#,
            "endpoints[0].addresses: \"10.0.0.300\" is not an IPv4 address",
        ),
        (
            r#""addressType":"IPv4","endpoints":[{"addresses":["fd00::1"]}]"#,
            "endpoints[0].addresses: \"fd00::1\" is not an IPv4 address",
        ),
        (
            r#""addressType":"IPv4","endpoints":[{"addresses":[]},{"conditions":{"ready":"yes"}}]"#,
            "endpoints[1].conditions.ready: ",
        ),
        (
            r#""addressType":"IPv4","endpoints":[],"ports":[{"port":-1}]"#,
            "ports[0].port: ",
        ),
        (
            r#""addressType":"IPv5""#,
            "addressType: \"IPv5\" is none of ",
        ),
        (r#""endpoints":[]"#, "addressType: missing"),
    ];
    for (fields, problem) in rows {
        let slice: EndpointSlice = parse(&format!(r#"{{"metadata":{{"name":"a"}},{fields}}}"#));
        let found = slice.body.unwrap_err().to_string();
        assert!(found.starts_with(problem), "{found}");
    }
}

#[test]
fn a_node_keeps_its_ip_addresses_in_their_order() {
    let node: Node = parse(
        r#"{"metadata":{"name":"n1","labels":{"a":"b"}},"status":{"addresses":[
            {"type":"Hostname","address":"n1"},{"type":"InternalIP","address":"10.1.0.2"},
            {"type":"ExternalIP","address":"192.0.2.9"},{"type":"InternalIP","address":"10.1.0.1"}]}}"#,
    );
    assert!(node.metadata.labels.is_none());
    let body = node.body.unwrap();
    let texts = |list: &[consul_sync_core::Address]| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(texts(&body.internal), ["10.1.0.2", "10.1.0.1"]);
    assert_eq!(texts(&body.external), ["192.0.2.9"]);
}

#[test]
fn an_ingress_keeps_the_rules_of_the_root_path() {
    let ingress: Ingress = parse(
        r#"{"metadata":{"name":"i","namespace":"shop"},
            "spec":{"tls":[{"hosts":["a.example.com"],"secretName":"s"},{}],
              "rules":[
                {"host":"a.example.com","http":{"paths":[
                  {"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}},
                  {"path":"/api","pathType":"Prefix","backend":{"service":{"name":"api","port":{"number":80}}}}]}},
                {"host":"b.example.com"},
                {"http":{"paths":[{"path":"/","backend":{"resource":{"kind":"Bucket","name":"b"}}},
                                  {"path":"/","backend":{"service":{"name":"any"}}}]}}]},
            "status":{"loadBalancer":{"ingress":[{"hostname":"lb"},{"ip":"192.0.2.5","ports":[]}]}}}"#,
    );
    let body = ingress.body.unwrap();
    let rules: Vec<_> = body
        .rules
        .iter()
        .map(|r| (r.host.as_ref(), r.tls, r.service.as_ref()))
        .collect();
    assert_eq!(rules, [("a.example.com", true, "web"), ("", false, "any")]);
    assert_eq!(body.load_balancer_ips.len(), 1);
}

#[test]
fn a_bad_ingress_mentions_the_services_that_can_still_be_read() {
    let ingress: Ingress = parse(
        r#"{"metadata":{"name":"i","namespace":"shop"},
            "spec":{"tls":"all","rules":[7,{"host":1,"http":{"paths":[
              {"path":"/","backend":{"service":{"name":"web"}}},{"path":[],"backend":{"service":{"name":"api"}}}]}}]}}"#,
    );
    let bad = ingress.body.unwrap_err();
    assert!(bad.message.starts_with("spec.tls: "), "{bad}");
    assert_eq!(
        bad.mentions
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["api", "web"]
    );
}
