//! The Services of the shop.

use serde_json::json;

use super::Exposed;

const HTTP: (&str, u16, u16) = ("http", 80, 8080);
const HTTPS: (&str, u16, u16) = ("https", 443, 8443);

/// One Service of every type, in the order of their names in Consul, then those that are not there.
pub(crate) fn services() -> Vec<Exposed> {
    vec![
        Exposed::new("assets", "LoadBalancer", &[HTTPS])
            .balanced_at(&json!({ "hostname": "assets.lb.example.com" }))
            .registered("assets", &["assets.lb.example.com:443 no check"]),
        Exposed::new("cart", "ClusterIP", &[HTTP, ("metrics", 9100, 9100)])
            .pods(1, 3)
            .with_unready(2)
            .registered(
                "cart",
                &[
                    "10.244.1.1:8080 passing",
                    "10.244.1.2:8080 passing",
                    "10.244.1.3:8080 critical",
                ],
            ),
        Exposed::new("checkout", "NodePort", &[HTTP])
            .at_node_port(30_080)
            .pods(2, 2)
            .registered(
                "checkout",
                &["203.0.113.11:30080 passing", "203.0.113.12:30080 passing"],
            ),
        Exposed::new("ftp", "externalIPs", &[("ftp", 21, 21)])
            .with("externalIPs", &json!(["192.0.2.21", "192.0.2.22"]))
            .registered("ftp", &["192.0.2.21:21 no check", "192.0.2.22:21 no check"]),
        Exposed::new("orders", "ClusterIP", &[HTTP, ("grpc", 9090, 9090)])
            .annotated(&[
                ("service-name", "orders-api"),
                ("service-port", "grpc"),
                ("service-tags", r"v2,eu\,us"),
                ("service-meta-team", "payments"),
            ])
            .pods(3, 2)
            .registered(
                "orders-api",
                &["10.244.3.1:9090 passing", "10.244.3.2:9090 passing"],
            ),
        Exposed::new("search", "headless", &[("http", 9200, 9200)])
            .pods(4, 2)
            .registered(
                "search",
                &["10.244.4.1:9200 passing", "10.244.4.2:9200 passing"],
            ),
        Exposed::new("web", "LoadBalancer", &[HTTPS])
            .balanced_at(&json!({ "ip": "198.51.100.10" }))
            .registered("web", &["198.51.100.10:443 no check"]),
        Exposed::new("admin", "ClusterIP", &[HTTP])
            .annotated(&[("service-sync", "false")])
            .pods(5, 1)
            .nothing("opted out by the annotation service-sync"),
        Exposed::new("invoices", "ExternalName", &[HTTPS])
            .with("externalName", &json!("invoices.example.com"))
            .nothing("a DNS alias: there is no instance to register"),
        Exposed::new("returns", "ClusterIP", &[HTTP])
            .annotated(&[("service-port", "htttp")])
            .pods(6, 1)
            .rejected(),
    ]
}

/// A plain Service with this many pods, for later.
pub(crate) fn later(name: &'static str, subnet: u8, pods: u8) -> Exposed {
    Exposed::new(name, "ClusterIP", &[HTTP]).pods(subnet, pods)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::world::Workload;

    #[test]
    fn every_type_of_service_occurs() {
        let kinds: BTreeSet<_> = services().iter().map(|service| service.kind).collect();
        let all = [
            "ClusterIP",
            "ExternalName",
            "LoadBalancer",
            "NodePort",
            "externalIPs",
            "headless",
        ];
        assert_eq!(kinds, BTreeSet::from(all));
    }

    #[test]
    fn no_two_pods_share_an_address() {
        let services = services();
        let pods = services
            .iter()
            .filter_map(|service| service.workload.as_ref())
            .flat_map(Workload::pods);
        let addresses: Vec<_> = pods.map(|pod| pod.address).collect();
        assert_eq!(
            addresses.iter().collect::<BTreeSet<_>>().len(),
            addresses.len()
        );
    }

    #[test]
    fn a_slice_names_its_service_and_has_every_pod() {
        for service in services() {
            let Some(workload) = service.workload else {
                continue;
            };
            let slice = workload.slice();
            assert_eq!(
                slice["metadata"]["labels"]["kubernetes.io/service-name"],
                service.name
            );
            assert_eq!(
                slice["endpoints"].as_array().unwrap().len(),
                workload.pods().len()
            );
        }
    }
}
