//! Nodes.

use consul_sync_core::Address;
use serde::Deserialize;

use super::{
    Kind, RawMeta, Soft, Undecodable, address,
    decode::{Decode, Parts},
};

/// What is used of a Node: its addresses, by type, each in its own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeBody {
    /// `status.addresses` of type `ExternalIP`.
    pub external: Vec<Address>,
    /// `status.addresses` of type `InternalIP`.
    pub internal: Vec<Address>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawNode {
    metadata: Soft<RawMeta<NodeBody>>,
    status: Soft<RawStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawStatus {
    addresses: Soft<Vec<Soft<RawAddress>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawAddress {
    #[serde(rename = "type")]
    type_: Soft<String>,
    address: Soft<String>,
}

impl Kind for NodeBody {
    type Scope = k8s_openapi::ClusterResourceScope;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Node";
    const PLURAL: &'static str = "nodes";
}

impl Parts for RawNode {
    type Meta = RawMeta<NodeBody>;

    fn metadata(&mut self) -> Soft<Self::Meta> {
        std::mem::take(&mut self.metadata)
    }
}

impl Decode for NodeBody {
    type Raw = RawNode;

    fn decode(raw: RawNode) -> Result<Self, Undecodable> {
        let mut body = Self::default();
        let status = raw.status.or_default("status")?;
        for (at, entry) in status
            .addresses
            .or_default("status.addresses")?
            .into_iter()
            .enumerate()
        {
            let entry = entry.or_default(format_args!("status.addresses[{at}]"))?;
            let type_ = entry
                .type_
                .or_default(format_args!("status.addresses[{at}].type"))?;
            let list = match type_.as_str() {
                "ExternalIP" => &mut body.external,
                "InternalIP" => &mut body.internal,
                _ => continue,
            };
            let text = entry
                .address
                .or_default(format_args!("status.addresses[{at}].address"))?;
            if !text.is_empty() {
                list.push(address::ip_or_host(&text));
            }
        }
        Ok(body)
    }
}
