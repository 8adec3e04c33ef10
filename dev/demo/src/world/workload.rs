//! Pods, and the EndpointSlice that tells of them.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{NAMESPACE, NODES};
use crate::{
    cluster::{Cluster, collection},
    error::Result,
};

/// Pods behind a Service, all in one EndpointSlice.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    name: &'static str,
    /// Part of the pods' addresses.
    subnet: u8,
    /// Names and numbers.
    ports: Vec<(&'static str, u16)>,
    pods: Vec<Pod>,
    made: u8,
}

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    node: &'static str,
    ready: bool,
}

impl Workload {
    pub(super) fn new(
        name: &'static str,
        subnet: u8,
        ports: Vec<(&'static str, u16)>,
        pods: u8,
    ) -> Self {
        let mut workload = Self {
            name,
            subnet,
            ports,
            pods: Vec::new(),
            made: 0,
        };
        workload.scale(usize::from(pods));
        workload
    }

    /// The pods.
    pub(crate) fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// A pod becomes ready or not ready.
    pub(crate) fn set_ready(&mut self, pod: usize, ready: bool) {
        if let Some(pod) = self.pods.get_mut(pod) {
            pod.ready = ready;
        }
    }

    /// Pods start, ready, or the last ones are gone, until there are this many.
    pub(crate) fn scale(&mut self, to: usize) {
        self.pods.truncate(to);
        while self.pods.len() < to {
            let (node, _) = NODES[usize::from(self.made) % NODES.len()];
            self.made += 1;
            self.pods.push(Pod {
                name: format!("{}-{}", self.name, self.made),
                address: [10, 244, self.subnet, self.made].into(),
                node,
                ready: true,
            });
        }
    }

    /// Writes the pods as they are now into the slice.
    pub(crate) async fn write(&self, cluster: &Cluster) -> Result<()> {
        let change = json!({ "endpoints": self.endpoints() });
        cluster.merge(&self.path(), &change).await
    }

    /// The EndpointSlice's path.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", collection(&self.slice()), self.slice_name())
    }

    /// The EndpointSlice.
    pub(crate) fn slice(&self) -> Value {
        let ports: Vec<_> = self
            .ports
            .iter()
            .map(|(name, port)| json!({ "name": name, "port": port, "protocol": "TCP" }))
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": NAMESPACE,
                "name": self.slice_name(),
                "labels": { "kubernetes.io/service-name": self.name },
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": self.endpoints(),
        })
    }

    fn slice_name(&self) -> String {
        format!("{}-1", self.name)
    }

    fn endpoints(&self) -> Vec<Value> {
        let endpoint = |pod: &Pod| {
            json!({
                "addresses": [pod.address],
                "conditions": { "ready": pod.ready, "serving": pod.ready, "terminating": false },
                "nodeName": pod.node,
                "targetRef": { "kind": "Pod", "namespace": NAMESPACE, "name": pod.name },
            })
        };
        self.pods.iter().map(endpoint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_comes_after_another_has_gone_is_a_new_one() {
        let mut workload = Workload::new("web", 1, Vec::new(), 2);
        workload.scale(1);
        workload.scale(2);
        let names: Vec<_> = workload
            .pods()
            .iter()
            .map(|pod| pod.name.as_str())
            .collect();
        assert_eq!(names, ["web-1", "web-3"]);
    }

    #[test]
    fn a_pod_that_is_not_ready_does_not_serve_either() {
        let mut workload = Workload::new("web", 1, Vec::new(), 2);
        workload.set_ready(1, false);
        let slice = workload.slice();
        let conditions = |pod: usize| slice["endpoints"][pod]["conditions"].clone();
        let ready = json!({ "ready": true, "serving": true, "terminating": false });
        let unready = json!({ "ready": false, "serving": false, "terminating": false });
        assert_eq!((conditions(0), conditions(1)), (ready, unready));
    }
}
