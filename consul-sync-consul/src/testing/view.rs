//! How objects are printed. One shape an endpoint family, because Consul's differ in small ways: lists of a node print
//! missing tags as `[]`, transactions and the UI's endpoint as `null`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::model::{Check, Instance, NamedPort, Node, Pairs, TaggedAddress, Weights};
use super::tenancy::{plain, printed};

/// A node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a Pairs>,
    meta: Option<&'a Pairs>,
    create_index: u64,
    modify_index: u64,
}

fn node(node: &Node) -> NodeView<'_> {
    NodeView {
        id: &node.id,
        node: &node.node,
        address: &node.address,
        datacenter: &node.datacenter,
        tagged_addresses: node.tagged_addresses.as_ref(),
        meta: node.meta.as_ref(),
        create_index: node.create_index,
        modify_index: node.modify_index,
    }
}

/// A node with its services, as a list or as a table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfNode<'a, S> {
    pub(super) node: Option<&'a Node>,
    pub(super) services: S,
}

/// An instance with its node and the checks that count for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthView<'a> {
    node: NodeView<'a>,
    service: ServiceView<'a>,
    checks: Vec<CheckView<'a>>,
}

impl<'a> HealthView<'a> {
    pub(super) fn new(
        of: &'a Node,
        instance: &'a Instance,
        checks: impl Iterator<Item = &'a Arc<Check>>,
    ) -> Self {
        let checks = checks.map(|check| listed_check(check)).collect();
        Self {
            node: node(of),
            service: health_service(instance),
            checks,
        }
    }

    /// Whether every check passes.
    pub(super) fn is_passing(&self) -> bool {
        self.checks.iter().all(|check| check.status == "passing")
    }

    /// As it is after the encoding between servers, which does not know empty tables.
    pub(super) fn streamed(mut self) -> Self {
        for table in [
            &mut self.node.meta,
            &mut self.node.tagged_addresses,
            &mut self.service.meta,
        ] {
            *table = table.filter(|table| !table.is_empty());
        }
        self
    }

    /// Node and ID as they are spelled.
    pub(super) fn spelled(&self) -> (&'a str, &'a str) {
        (self.node.node, self.service.id)
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Proxy {
    mode: &'static str,
    mesh_gateway: Empty,
    expose: Empty,
}

#[derive(Debug, Default, Serialize)]
struct Empty {}

/// A service instance as node, health and transaction answers print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Option<&'a [String]>,
    address: &'a str,
    #[serde(skip_serializing_if = "empty")]
    tagged_addresses: &'a Option<BTreeMap<String, TaggedAddress>>,
    meta: Option<&'a Pairs>,
    #[serde(skip_serializing_if = "zero")]
    port: i64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ports: &'a [NamedPort],
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    weights: Weights,
    enable_tag_override: bool,
    proxy: Proxy,
    connect: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    peer_name: &'static str,
    create_index: u64,
    modify_index: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn zero(port: &i64) -> bool {
    *port == 0
}

#[expect(clippy::ref_option, reason = "the signature serde asks for")]
fn empty(table: &Option<BTreeMap<String, TaggedAddress>>) -> bool {
    table.as_ref().is_none_or(BTreeMap::is_empty)
}

/// As stored.
pub(super) fn service(instance: &Instance) -> ServiceView<'_> {
    ServiceView {
        kind: &instance.kind,
        id: plain(&instance.id),
        service: plain(&instance.service),
        tags: instance.tags.as_deref(),
        address: &instance.address,
        tagged_addresses: &instance.tagged_addresses,
        meta: instance.meta.as_ref(),
        port: instance.port,
        ports: &instance.ports,
        socket_path: &instance.socket_path,
        weights: instance.weights,
        enable_tag_override: instance.enable_tag_override,
        proxy: Proxy::default(),
        connect: Empty {},
        namespace: printed(&instance.id),
        peer_name: "",
        create_index: instance.create_index,
        modify_index: instance.modify_index,
    }
}

/// With missing tags as an empty list.
pub(super) fn listed_service(instance: &Instance) -> ServiceView<'_> {
    ServiceView {
        tags: Some(instance.tags()),
        ..service(instance)
    }
}

/// As health answers have it: the default one of several ports stands in for a missing port.
fn health_service(instance: &Instance) -> ServiceView<'_> {
    let port = if instance.port == 0 {
        instance.default_port()
    } else {
        instance.port
    };
    ServiceView {
        port,
        ..listed_service(instance)
    }
}

/// An instance joined with its node, as `/v1/catalog/service/NAME` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CatalogView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Option<Pairs>,
    node_meta: &'a Option<Pairs>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    service_address: &'a str,
    #[serde(skip_serializing_if = "empty")]
    service_tagged_addresses: &'a Option<BTreeMap<String, TaggedAddress>>,
    service_weights: Weights,
    service_meta: Pairs,
    service_port: i64,
    #[serde(flatten)]
    ports: Option<PortsView<'a>>,
    service_socket_path: &'a str,
    service_enable_tag_override: bool,
    service_proxy: Proxy,
    service_connect: Empty,
    service_locality: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

/// The list that came with 1.22, `null` where there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PortsView<'a> {
    service_ports: Option<&'a [NamedPort]>,
}

/// An instance with its node; `named_ports` says whether this Consul knows the `Ports` list.
pub(super) fn catalog<'a>(
    node: &'a Node,
    instance: &'a Instance,
    named_ports: bool,
) -> CatalogView<'a> {
    CatalogView {
        id: &node.id,
        node: &instance.node,
        address: &node.address,
        datacenter: &node.datacenter,
        tagged_addresses: &node.tagged_addresses,
        node_meta: &node.meta,
        service_kind: &instance.kind,
        service_id: plain(&instance.id),
        service_name: plain(&instance.service),
        service_tags: instance.tags(),
        service_address: &instance.address,
        service_tagged_addresses: &instance.tagged_addresses,
        service_weights: instance.weights,
        service_meta: instance.meta.clone().unwrap_or_default(),
        service_port: if instance.port == 0 {
            instance.default_port()
        } else {
            instance.port
        },
        ports: named_ports.then(|| PortsView {
            service_ports: (!instance.ports.is_empty()).then_some(&instance.ports[..]),
        }),
        service_socket_path: &instance.socket_path,
        service_enable_tag_override: instance.enable_tag_override,
        service_proxy: Proxy::default(),
        service_connect: Empty {},
        service_locality: None,
        namespace: printed(&instance.id),
        create_index: instance.create_index,
        modify_index: instance.modify_index,
    }
}

/// A check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckView<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Option<&'a [String]>,
    r#type: &'a str,
    interval: &'a str,
    timeout: &'a str,
    exposed_port: i64,
    definition: &'a BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

/// As stored.
pub(super) fn check(check: &Check) -> CheckView<'_> {
    CheckView {
        node: &check.node,
        check_id: plain(&check.check_id),
        name: &check.name,
        status: &check.status,
        notes: &check.notes,
        output: &check.output,
        service_id: plain(&check.service_id),
        service_name: plain(&check.service_name),
        service_tags: check.service_tags.as_deref(),
        r#type: &check.kind,
        interval: &check.interval,
        timeout: &check.timeout,
        exposed_port: check.exposed_port,
        definition: &check.definition,
        namespace: printed(&check.check_id),
        create_index: check.create_index,
        modify_index: check.modify_index,
    }
}

/// With missing tags as an empty list.
pub(super) fn listed_check(subject: &Check) -> CheckView<'_> {
    CheckView {
        service_tags: Some(subject.service_tags.as_deref().unwrap_or_default()),
        ..check(subject)
    }
}
