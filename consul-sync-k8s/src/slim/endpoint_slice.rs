//! EndpointSlices.

use std::sync::Arc;

use consul_sync_core::Address;
use serde::Deserialize;

use super::{
    Kind, RawMeta, Soft, Undecodable, address,
    decode::{Decode, Parts},
};
use crate::mark;

/// The label that names the Service an EndpointSlice belongs to.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is used of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSliceBody {
    /// `addressType`.
    pub address_type: AddressType,
    /// `ports` that name a number, in their order.
    pub ports: Vec<EndpointPort>,
    /// `endpoints`, one entry per address.
    pub endpoints: Vec<Endpoint>,
    /// Whether a port has another protocol than TCP.
    pub other_protocols: bool,
}

/// `addressType` of an EndpointSlice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressType {
    /// IPv4 addresses.
    #[default]
    IPv4,
    /// IPv6 addresses.
    IPv6,
    /// DNS names.
    Fqdn,
}

/// One of `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointPort {
    /// Its name, by which it belongs to a port of the Service; empty when it has none.
    pub name: Arc<str>,
    /// Its number.
    pub number: u16,
}

/// One address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// `conditions.ready`.
    pub ready: Option<bool>,
    /// `conditions.serving`.
    pub serving: Option<bool>,
    /// `conditions.terminating`.
    pub terminating: Option<bool>,
    /// `nodeName`.
    pub node: Option<Arc<str>>,
    /// `zone`.
    pub zone: Option<Arc<str>>,
    /// `targetRef`.
    pub target: Option<TargetRef>,
}

/// The object an endpoint stands for, mostly a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRef {
    /// Its kind.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RawEndpointSlice {
    metadata: Soft<RawMeta<EndpointSliceBody>>,
    address_type: Soft<String>,
    ports: Soft<Vec<Soft<RawPort>>>,
    endpoints: Soft<Vec<Soft<RawEndpoint>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPort {
    name: Soft<String>,
    port: Soft<u16>,
    protocol: Soft<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawEndpoint {
    addresses: Soft<Vec<Soft<String>>>,
    conditions: Soft<RawConditions>,
    node_name: Soft<String>,
    zone: Soft<String>,
    target_ref: Soft<RawTarget>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawConditions {
    ready: Soft<bool>,
    serving: Soft<bool>,
    terminating: Soft<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTarget {
    kind: Soft<String>,
    name: Soft<String>,
}

impl Kind for EndpointSliceBody {
    type Scope = k8s_openapi::NamespaceResourceScope;
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "EndpointSlice";
    const PLURAL: &'static str = "endpointslices";
}

impl super::EndpointSlice {
    /// The name of the Service it belongs to, in its own namespace.
    pub fn service(&self) -> Option<&str> {
        let name = self.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
        (!name.is_empty()).then_some(name)
    }
}

impl Parts for RawEndpointSlice {
    type Meta = RawMeta<EndpointSliceBody>;

    fn metadata(&mut self) -> Soft<Self::Meta> {
        std::mem::take(&mut self.metadata)
    }
}

impl Decode for EndpointSliceBody {
    type Raw = RawEndpointSlice;

    fn keeps_label(key: &str) -> bool {
        key == SERVICE_NAME || mark::LABELS.contains(&key)
    }

    fn decode(raw: RawEndpointSlice) -> Result<Self, Undecodable> {
        let address_type = match raw.address_type.take("addressType")?.as_deref() {
            Some("IPv4") => AddressType::IPv4,
            Some("IPv6") => AddressType::IPv6,
            Some("FQDN") => AddressType::Fqdn,
            Some(other) => {
                return Err(format!("addressType: {other:?} is none of IPv4, IPv6, FQDN").into());
            }
            None => return Err(Undecodable::new("addressType: missing")),
        };
        let mut body = Self {
            address_type,
            ports: Vec::new(),
            endpoints: Vec::new(),
            other_protocols: false,
        };
        for (at, port) in raw.ports.or_default("ports")?.into_iter().enumerate() {
            let port = port.or_default(format_args!("ports[{at}]"))?;
            body.other_protocols |= port
                .protocol
                .good()
                .is_some_and(|protocol| protocol != "TCP");
            // A port without a number stands for all of them, and is none that could be registered.
            let Some(number) = port.port.take(format_args!("ports[{at}].port"))? else {
                continue;
            };
            if number == 0 {
                return Err(format!("ports[{at}].port: must be 1 to 65535").into());
            }
            let name = port
                .name
                .or_default(format_args!("ports[{at}].name"))?
                .into();
            body.ports.push(EndpointPort { name, number });
        }
        let endpoints = raw.endpoints.or_default("endpoints")?;
        body.endpoints.reserve_exact(endpoints.len());
        for (at, endpoint) in endpoints.into_iter().enumerate() {
            let endpoint = endpoint.or_default(format_args!("endpoints[{at}]"))?;
            body.take_endpoint(endpoint, at)?;
        }
        Ok(body)
    }
}

impl EndpointSliceBody {
    fn take_endpoint(&mut self, raw: RawEndpoint, at: usize) -> Result<(), String> {
        let field = |name: &'static str| Field { at, name };
        let conditions = raw.conditions.or_default(field("conditions"))?;
        let target = raw.target_ref.or_default(field("targetRef"))?;
        let kind = target.kind.or_default(field("targetRef.kind"))?;
        let name = target.name.or_default(field("targetRef.name"))?;
        let mut endpoint = Endpoint {
            address: Address::Host(Arc::default()),
            ready: conditions.ready.take(field("conditions.ready"))?,
            serving: conditions.serving.take(field("conditions.serving"))?,
            terminating: conditions
                .terminating
                .take(field("conditions.terminating"))?,
            node: text(raw.node_name, field("nodeName"))?,
            zone: text(raw.zone, field("zone"))?,
            target: (!name.is_empty()).then(|| TargetRef {
                kind: kind.into(),
                name: name.into(),
            }),
        };
        let addresses = raw.addresses.or_default(field("addresses"))?;
        let mut left = addresses.len();
        for address in addresses {
            left -= 1;
            let Some(address) = text(address, field("addresses"))? else {
                continue;
            };
            endpoint.address = self
                .address(&address)
                .map_err(|problem| format!("{}: {problem}", field("addresses")))?;
            if left == 0 {
                // The usual case: one address, and nothing is copied.
                self.endpoints.push(endpoint);
                return Ok(());
            }
            self.endpoints.push(endpoint.clone());
        }
        Ok(())
    }

    fn address(&self, text: &str) -> Result<Address, String> {
        if self.address_type == AddressType::Fqdn {
            return Ok(Address::Host(Arc::from(text)));
        }
        match address::ip(text) {
            Some(ip) if ip.is_ipv4() == (self.address_type == AddressType::IPv4) => {
                Ok(Address::Ip(ip))
            }
            _ => Err(format!(
                "{text:?} is not an {:?} address",
                self.address_type
            )),
        }
    }
}

/// The path of an endpoint's field, written only when something is wrong there.
#[derive(Clone, Copy)]
struct Field {
    at: usize,
    name: &'static str,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "endpoints[{}].{}", self.at, self.name)
    }
}

fn text(text: Soft<String>, path: Field) -> Result<Option<Arc<str>>, String> {
    Ok(text
        .take(path)?
        .filter(|text| !text.is_empty())
        .map(Arc::from))
}
