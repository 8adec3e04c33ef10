//! Nodes, services and checks as requests spell them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Decoded, Fields, list};
use super::model::{Check, Instance, NamedPort, Node, TaggedAddress, Weights};
use super::tenancy::qualified;

/// What of a body depends on version and edition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knows {
    /// The list of ports of 1.22.
    pub(super) named_ports: bool,
    /// Namespaces; in a transaction the Community Edition drops them without a word, and elsewhere it refuses them.
    pub(super) namespaces: bool,
}

/// Fields that only the enterprise edition or service mesh uses; known, and without effect here.
const MESH: [&str; 4] = ["Proxy", "Connect", "PeerName", "Locality"];

pub(super) fn node_fields(mut fields: Fields) -> Decoded<Node> {
    let node = Node {
        id: fields.text("ID")?,
        node: fields.text("Node")?,
        address: fields.text("Address")?,
        datacenter: fields.text("Datacenter")?,
        tagged_addresses: fields.pairs("TaggedAddresses")?,
        meta: fields.pairs("Meta")?,
        create_index: fields.index("CreateIndex")?,
        modify_index: fields.index("ModifyIndex")?,
    };
    fields.ignore(&["Partition", "PeerName", "Locality"]);
    fields.finish()?;
    Ok(node)
}

/// A service inside a transaction. `Ports` is known from 1.22 on and dropped without a word.
pub(super) fn txn_service(mut fields: Fields, knows: Knows) -> Decoded<Instance> {
    let mut instance = service_fields(&mut fields, knows)?;
    instance.ports.clear();
    instance.socket_path.clear();
    if instance
        .tagged_addresses
        .as_ref()
        .is_some_and(BTreeMap::is_empty)
    {
        instance.tagged_addresses = None;
    }
    fields.ignore(&["ContentHash", "Datacenter", "Namespace", "Partition"]);
    fields.finish()?;
    Ok(instance)
}

/// A service inside a registration.
pub(super) fn register_service(mut fields: Fields, knows: Knows) -> Decoded<Instance> {
    let instance = service_fields(&mut fields, knows)?;
    fields.finish()?;
    Ok(instance)
}

fn service_fields(fields: &mut Fields, knows: Knows) -> Decoded<Instance> {
    let namespace = namespace_of(fields, knows)?;
    let instance = Instance {
        node: String::new(),
        id: qualified(&namespace, &fields.text("ID")?),
        service: qualified(&namespace, &fields.text("Service")?),
        kind: fields.text("Kind")?,
        tags: fields.texts("Tags")?,
        address: fields.text("Address")?,
        tagged_addresses: tagged_addresses(fields.table("TaggedAddresses")?)?,
        meta: fields.pairs("Meta")?,
        port: fields.integer("Port")?,
        ports: if knows.named_ports {
            ports(fields.take("Ports"))?
        } else {
            Vec::new()
        },
        socket_path: fields.text("SocketPath")?,
        weights: weights(fields.take("Weights"))?,
        enable_tag_override: fields.flag("EnableTagOverride")?,
        create_index: fields.index("CreateIndex")?,
        modify_index: fields.index("ModifyIndex")?,
    };
    fields.ignore(&MESH);
    Ok(instance)
}

/// The namespace that an object names; empty where there are none.
fn namespace_of(fields: &mut Fields, knows: Knows) -> Decoded<String> {
    if !knows.namespaces {
        return Ok(String::new());
    }
    fields.ignore(&["Partition"]);
    fields.text("Namespace")
}

fn tagged_addresses(
    table: Option<serde_json::Map<String, Value>>,
) -> Decoded<Option<BTreeMap<String, TaggedAddress>>> {
    let Some(table) = table else { return Ok(None) };
    let read = |value| -> Decoded<TaggedAddress> {
        let Some(mut fields) = Fields::open(value, "TaggedAddresses")? else {
            return Ok(TaggedAddress::default());
        };
        let address = TaggedAddress {
            address: fields.text("Address")?,
            port: fields.integer("Port")?,
        };
        fields.finish()?;
        Ok(address)
    };
    table
        .into_iter()
        .map(|(name, value)| Ok((name, read(value)?)))
        .collect::<Decoded<_>>()
        .map(Some)
}

fn ports(value: Value) -> Decoded<Vec<NamedPort>> {
    let read = |value| -> Decoded<NamedPort> {
        let Some(mut fields) = Fields::open(value, "Ports")? else {
            return Ok(NamedPort::default());
        };
        let port = NamedPort {
            name: fields.text("Name")?,
            port: fields.integer("Port")?,
            default: fields.flag("Default")?,
        };
        fields.finish()?;
        Ok(port)
    };
    list(value, "Ports")?.into_iter().map(read).collect()
}

fn weights(value: Value) -> Decoded<Weights> {
    let Some(mut fields) = Fields::open(value, "Weights")? else {
        return Ok(Weights::default());
    };
    let weights = Weights {
        passing: fields.integer("Passing")?,
        warning: fields.integer("Warning")?,
    };
    fields.finish()?;
    Ok(weights)
}

/// A check inside a transaction.
pub(super) fn txn_check(mut fields: Fields, knows: Knows) -> Decoded<Check> {
    let check = check_fields(&mut fields, knows)?;
    fields.ignore(&["Namespace", "Partition"]);
    fields.finish()?;
    Ok(check)
}

/// A check inside a registration.
pub(super) fn register_check(mut fields: Fields, knows: Knows) -> Decoded<Check> {
    let check = check_fields(&mut fields, knows)?;
    fields.finish()?;
    Ok(check)
}

fn check_fields(fields: &mut Fields, knows: Knows) -> Decoded<Check> {
    let namespace = namespace_of(fields, knows)?;
    let definition = Fields::open(fields.take("Definition"), "Definition")?
        .map(Fields::remaining)
        .unwrap_or_default();
    let check = Check {
        node: fields.text("Node")?,
        check_id: qualified(&namespace, &fields.text("CheckID")?),
        name: fields.text("Name")?,
        status: fields.text("Status")?,
        notes: fields.text("Notes")?,
        output: fields.text("Output")?,
        service_id: qualified(&namespace, &fields.text("ServiceID")?),
        service_name: qualified(&namespace, &fields.text("ServiceName")?),
        service_tags: fields.texts("ServiceTags")?,
        kind: fields.text("Type")?,
        interval: fields.text("Interval")?,
        timeout: fields.text("Timeout")?,
        exposed_port: fields.integer("ExposedPort")?,
        definition: definition
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        create_index: fields.index("CreateIndex")?,
        modify_index: fields.index("ModifyIndex")?,
    };
    fields.ignore(&["PeerName"]);
    Ok(check)
}
