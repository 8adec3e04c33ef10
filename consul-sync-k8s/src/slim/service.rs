//! Services.

use std::sync::Arc;

use consul_sync_core::Address;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Kind, RawMeta, Soft, Undecodable, address,
    decode::{Decode, Parts},
};

/// What is used of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceBody {
    /// `spec.type`.
    pub type_: ServiceType,
    /// `spec.ports`, in their order.
    pub ports: Vec<ServicePort>,
    /// `spec.externalIPs`, in their order.
    pub external_ips: Vec<Address>,
    /// `status.loadBalancer.ingress`, in their order.
    pub load_balancer: Vec<LoadBalancerIngress>,
    /// `spec.externalName`, where there is one.
    pub external_name: Option<Arc<str>>,
    /// Whether `spec.clusterIP` is `None`.
    pub headless: bool,
    /// Whether there is a `spec.selector`.
    pub selects: bool,
    /// Whether a port has another protocol than TCP.
    pub other_protocols: bool,
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// Reached at its endpoints; headless Services too.
    #[default]
    ClusterIp,
    /// Reached at a port of every node.
    NodePort,
    /// Reached at a load balancer.
    LoadBalancer,
    /// An alias; never registered.
    ExternalName,
}

/// One of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty when it has none.
    pub name: Arc<str>,
    /// The port of the Service.
    pub port: u16,
    /// The port on the nodes, where one is allocated.
    pub node_port: Option<u16>,
}

/// One of `status.loadBalancer.ingress`: at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerIngress {
    /// Its IP address.
    pub ip: Option<Address>,
    /// Its host name.
    pub hostname: Option<Arc<str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawService {
    metadata: Soft<RawMeta<ServiceBody>>,
    spec: Soft<RawSpec>,
    status: Soft<RawStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawSpec {
    #[serde(rename = "type")]
    type_: Soft<String>,
    ports: Soft<Vec<Soft<RawPort>>>,
    #[serde(rename = "externalIPs")]
    external_ips: Soft<Vec<Soft<String>>>,
    external_name: Soft<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Soft<String>,
    selector: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawPort {
    name: Soft<String>,
    port: Soft<u16>,
    node_port: Soft<u16>,
    protocol: Soft<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawStatus {
    load_balancer: Soft<RawLoadBalancer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawLoadBalancer {
    ingress: Soft<Vec<Soft<RawIngress>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawIngress {
    ip: Soft<String>,
    hostname: Soft<String>,
}

impl Kind for ServiceBody {
    type Scope = k8s_openapi::NamespaceResourceScope;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Service";
    const PLURAL: &'static str = "services";
}

impl Parts for RawService {
    type Meta = RawMeta<ServiceBody>;

    fn metadata(&mut self) -> Soft<Self::Meta> {
        std::mem::take(&mut self.metadata)
    }
}

impl Decode for ServiceBody {
    type Raw = RawService;

    /// All of them: a label selector may name any.
    fn keeps_label(_key: &str) -> bool {
        true
    }

    fn decode(raw: RawService) -> Result<Self, Undecodable> {
        let spec = raw.spec.or_default("spec")?;
        // What only a sink looks at spoils no Service for a source.
        let external_name = spec.external_name.good();
        let mut body = Self {
            external_name: external_name
                .filter(|name| !name.is_empty())
                .map(|name| name.as_str().into()),
            headless: spec.cluster_ip.good().is_some_and(|ip| ip == "None"),
            selects: spec.selector.is_some(),
            type_: service_type(spec.type_)?,
            ..Self::default()
        };
        for (at, port) in spec.ports.or_default("spec.ports")?.into_iter().enumerate() {
            let protocol = port.good().and_then(|port| port.protocol.good());
            body.other_protocols |= protocol.is_some_and(|protocol| protocol != "TCP");
            body.ports.push(service_port(port, at)?);
        }
        for (at, text) in spec
            .external_ips
            .or_default("spec.externalIPs")?
            .into_iter()
            .enumerate()
        {
            let path = format_args!("spec.externalIPs[{at}]");
            let Some(text) = text.take(path)? else {
                continue;
            };
            let ip = address::ip(&text)
                .ok_or_else(|| format!("{path}: {text:?} is not an IP address"))?;
            body.external_ips.push(Address::Ip(ip));
        }
        body.load_balancer = load_balancer(raw.status)?;
        Ok(body)
    }
}

fn service_type(text: Soft<String>) -> Result<ServiceType, String> {
    match text.take("spec.type")?.as_deref() {
        None | Some("" | "ClusterIP") => Ok(ServiceType::ClusterIp),
        Some("NodePort") => Ok(ServiceType::NodePort),
        Some("LoadBalancer") => Ok(ServiceType::LoadBalancer),
        Some("ExternalName") => Ok(ServiceType::ExternalName),
        Some(other) => Err(format!(
            "spec.type: {other:?} is none of ClusterIP, NodePort, LoadBalancer, ExternalName"
        )),
    }
}

fn service_port(raw: Soft<RawPort>, at: usize) -> Result<ServicePort, String> {
    let raw = raw.or_default(format_args!("spec.ports[{at}]"))?;
    let path = format_args!("spec.ports[{at}].port");
    let port = match raw.port.take(path)? {
        Some(0) | None => return Err(format!("{path}: must be 1 to 65535")),
        Some(port) => port,
    };
    let node_port = raw
        .node_port
        .or_default(format_args!("spec.ports[{at}].nodePort"))?;
    Ok(ServicePort {
        name: raw
            .name
            .or_default(format_args!("spec.ports[{at}].name"))?
            .into(),
        port,
        node_port: (node_port != 0).then_some(node_port),
    })
}

/// The addresses of a load balancer; a Service and an Ingress have their status in one form.
pub(super) fn load_balancer(status: Soft<RawStatus>) -> Result<Vec<LoadBalancerIngress>, String> {
    let path = "status.loadBalancer";
    let status = status.or_default("status")?;
    let entries = status
        .load_balancer
        .or_default(path)?
        .ingress
        .or_default(format_args!("{path}.ingress"))?;
    let mut found = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let entry = entry.or_default(format_args!("{path}.ingress[{at}]"))?;
        let ip = entry
            .ip
            .or_default(format_args!("{path}.ingress[{at}].ip"))?;
        let hostname = entry
            .hostname
            .or_default(format_args!("{path}.ingress[{at}].hostname"))?;
        if ip.is_empty() && hostname.is_empty() {
            continue;
        }
        found.push(LoadBalancerIngress {
            ip: (!ip.is_empty()).then(|| address::ip_or_host(&ip)),
            hostname: (!hostname.is_empty()).then(|| hostname.into()),
        });
    }
    Ok(found)
}
