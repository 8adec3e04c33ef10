//! The services that are measured: their objects in Kubernetes.

use serde_json::{Value, json};

/// How many namespaces the services are spread over.
const NAMESPACES: usize = 10;

/// So many services with so many endpoints each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fleet {
    pub(crate) services: usize,
    pub(crate) endpoints: usize,
}

impl Fleet {
    /// All endpoints.
    pub(crate) const fn instances(self) -> usize {
        self.services * self.endpoints
    }

    pub(crate) fn namespaces(self) -> impl Iterator<Item = String> {
        (0..NAMESPACES.min(self.services)).map(|number| format!("bench-{number}"))
    }

    /// The name of a service, in Kubernetes and in Consul.
    pub(crate) fn name(number: usize) -> String {
        format!("service-{number:05}")
    }

    /// The path of a service's endpoints.
    pub(crate) fn slice_path(number: usize) -> String {
        format!("{}/{}", slices(number), Self::name(number))
    }

    /// The objects of a service with the paths that they are created at.
    pub(crate) fn objects(self, number: usize) -> [(String, Value); 2] {
        let name = Self::name(number);
        let namespace = namespace(number);
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": namespace, "annotations": { "consul.hashicorp.com/service-tags": "bench,blue" } },
            "spec": { "type": "ClusterIP", "selector": { "app": name }, "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": { "name": name, "namespace": namespace, "labels": { "kubernetes.io/service-name": name } },
            "addressType": "IPv4",
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
            "endpoints": self.endpoints_of(number, 0),
        });
        [
            (format!("/api/v1/namespaces/{namespace}/services"), service),
            (slices(number), slice),
        ]
    }

    /// The endpoints of a service after so many changes: each gives one endpoint another address.
    pub(crate) fn endpoints_of(self, number: usize, changes: usize) -> Value {
        let endpoints = (0..self.endpoints).map(|at| {
            let life = (changes + self.endpoints - 1 - at) / self.endpoints;
            let address = self.address(number, at, life);
            json!({
                "addresses": [address],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "nodeName": format!("node-{}", number % 50),
                "targetRef": { "kind": "Pod", "namespace": namespace(number), "name": format!("{}-{at}-{life}", Self::name(number)) },
            })
        });
        endpoints.collect()
    }

    /// The address that the last of so many changes brought.
    pub(crate) fn newest_address(self, number: usize, changes: usize) -> String {
        let at = (changes + self.endpoints - 1) % self.endpoints;
        let life = (changes + self.endpoints - 1 - at) / self.endpoints;
        self.address(number, at, life)
    }

    /// Every life of an endpoint has an address of its own, out of 10.0.0.0/8.
    pub(crate) fn address(self, number: usize, at: usize, life: usize) -> String {
        let all = self.instances();
        let host = (number * self.endpoints + at + life * all) % 0x00ff_fffe + 1;
        format!("10.{}.{}.{}", host >> 16, (host >> 8) & 255, host & 255)
    }
}

fn namespace(number: usize) -> String {
    format!("bench-{}", number % NAMESPACES)
}

fn slices(number: usize) -> String {
    format!(
        "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
        namespace(number)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FLEET: Fleet = Fleet {
        services: 20,
        endpoints: 3,
    };

    fn addresses(number: usize, changes: usize) -> BTreeSet<String> {
        let endpoints = FLEET.endpoints_of(number, changes);
        endpoints
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| endpoint["addresses"][0].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_change_gives_exactly_one_endpoint_another_address() {
        for changes in 1..20 {
            let (before, after) = (addresses(4, changes - 1), addresses(4, changes));
            let new: Vec<_> = after.difference(&before).collect();
            assert_eq!(new, [&FLEET.newest_address(4, changes)]);
        }
    }

    #[test]
    fn no_two_endpoints_share_an_address() {
        let all: BTreeSet<String> = (0..20).flat_map(|number| addresses(number, 5)).collect();
        assert_eq!(all.len(), FLEET.instances());
    }
}
