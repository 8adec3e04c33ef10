//! A Service with what stands behind it, and what must come of it.

use serde_json::{Value, json};

use super::{ANNOTATION, NAMESPACE, Workload, balanced_at};
use crate::{
    cluster::{Cluster, collection},
    error::Result,
};

/// A Service, the pods behind it, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Exposed {
    pub(crate) name: &'static str,
    /// Its type, as people call it.
    pub(crate) kind: &'static str,
    pub(crate) workload: Option<Workload>,
    pub(crate) expected: Expected,
    object: Value,
    /// Names, ports and the ports of pods.
    ports: Vec<(&'static str, u16, u16)>,
}

/// What must come of a Service in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Instances at these places, with their health, of a service of this name.
    Registered(&'static str, Vec<&'static str>),
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// Nothing, with a report.
    Rejected,
}

impl Exposed {
    /// A Service with ports: their names, numbers, and numbers in pods. Nothing is expected of it.
    pub(super) fn new(
        name: &'static str,
        kind: &'static str,
        ports: &[(&'static str, u16, u16)],
    ) -> Self {
        let listed: Vec<_> = ports
            .iter()
            .map(|(name, port, target)| json!({ "name": name, "port": port, "targetPort": target }))
            .collect();
        let mut spec = json!({ "ports": listed });
        match kind {
            "headless" => spec["clusterIP"] = json!("None"),
            "externalIPs" => {}
            kind => spec["type"] = json!(kind),
        }
        Self {
            name,
            kind,
            workload: None,
            expected: Expected::Nothing(""),
            object: json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": { "namespace": NAMESPACE, "name": name },
                "spec": spec,
            }),
            ports: ports.to_vec(),
        }
    }

    /// A field of the spec.
    pub(super) fn with(mut self, field: &str, value: &Value) -> Self {
        self.object["spec"][field] = value.clone();
        self
    }

    /// The port of its first port on every node.
    pub(super) fn at_node_port(mut self, port: u16) -> Self {
        self.object["spec"]["ports"][0]["nodePort"] = json!(port);
        self
    }

    pub(super) fn annotated(mut self, annotations: &[(&str, &str)]) -> Self {
        for (key, value) in annotations {
            self.object["metadata"]["annotations"][format!("{ANNOTATION}{key}")] = json!(value);
        }
        self
    }

    /// The place that a load balancer was given.
    pub(super) fn balanced_at(mut self, ingress: &Value) -> Self {
        self.object["status"] = balanced_at(ingress)["status"].clone();
        self
    }

    /// Pods with addresses in this subnet.
    pub(super) fn pods(mut self, subnet: u8, pods: u8) -> Self {
        let ports = self.ports.iter().map(|(name, _, port)| (*name, *port));
        self.workload = Some(Workload::new(self.name, subnet, ports.collect(), pods));
        self
    }

    /// A pod that is not ready, counted from 0.
    pub(super) fn with_unready(mut self, pod: usize) -> Self {
        if let Some(workload) = &mut self.workload {
            workload.set_ready(pod, false);
        }
        self
    }

    pub(super) fn registered(mut self, name: &'static str, places: &[&'static str]) -> Self {
        self.expected = Expected::Registered(name, places.to_vec());
        self
    }

    pub(super) fn nothing(mut self, why: &'static str) -> Self {
        self.expected = Expected::Nothing(why);
        self
    }

    pub(super) fn rejected(mut self) -> Self {
        self.expected = Expected::Rejected;
        self
    }

    /// Creates the Service and its EndpointSlice.
    pub(crate) async fn create(&self, cluster: &Cluster) -> Result<()> {
        cluster.create(&self.object).await?;
        match &self.workload {
            Some(workload) => cluster.create(&workload.slice()).await,
            None => Ok(()),
        }
    }

    /// Deletes the Service and its EndpointSlice.
    pub(crate) async fn delete(&self, cluster: &Cluster) -> Result<()> {
        cluster.delete(&self.path()).await?;
        match &self.workload {
            Some(workload) => cluster.delete(&workload.path()).await,
            None => Ok(()),
        }
    }

    /// The Service's path.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", collection(&self.object), self.name)
    }
}
