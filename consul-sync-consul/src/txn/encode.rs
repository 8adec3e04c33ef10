//! Operations as Consul reads them.

use std::{io, sync::Arc};

use consul_sync_core::{Cost, Op, Record, RecordId};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use super::{
    fenced::FenceOp,
    step::{Step, steps},
};
use crate::lock::{Fence, Grant};
use crate::registration::{OWNER_META, RegisteredCheck, Registration, check_id};

/// Where instances are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) node: &'a str,
    pub(crate) partition: Option<&'a str>,
}

/// The write of the node itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeWrite<'a> {
    pub(crate) address: &'a str,
    /// Pairs of the node, written as they are.
    pub(crate) meta: &'a [(&'static str, &'a str)],
    /// The version it must still have; 0 for a node that must not exist.
    pub(crate) expected: u64,
}

// === impl Target ===

impl Target<'_> {
    /// What an operation takes of a transaction.
    pub(crate) fn cost(&self, op: &Op<Registration>) -> Cost {
        let mut cost = Cost { ops: 0, bytes: 1 };
        for step in steps(op) {
            cost.bytes += length(&Encoded { target: self, step });
            cost.ops += 1;
        }
        cost
    }

    /// The body of a transaction. The fence stands first: its place tells its refusal from the others.
    pub(crate) fn body(
        &self,
        fence: Option<(&Fence, &Grant)>,
        node: Option<&NodeWrite<'_>>,
        ops: &[&Op<Registration>],
    ) -> serde_json::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(1024 * (ops.len() + 1));
        let mut serializer = serde_json::Serializer::new(&mut body);
        let mut seq = serde::Serializer::serialize_seq(&mut serializer, None)?;
        if let Some((fence, grant)) = fence {
            seq.serialize_element(&FenceOp::new(fence, &grant.session))?;
        }
        if let Some(write) = node {
            seq.serialize_element(&EncodedNode {
                target: self,
                write,
            })?;
        }
        for op in ops {
            for step in steps(op) {
                seq.serialize_element(&Encoded { target: self, step })?;
            }
        }
        SerializeSeq::end(seq)?;
        Ok(body)
    }
}

impl Target<'_> {
    /// The body of a transaction that only takes away the checks which an update no longer wants.
    pub(super) fn check_drops(&self, op: &Op<Registration>) -> serde_json::Result<Option<Vec<u8>>> {
        let drops: Vec<Encoded<'_>> = steps(op)
            .filter(|step| matches!(step, Step::DeleteCheck(..)))
            .map(|step| Encoded { target: self, step })
            .collect();
        if drops.is_empty() {
            return Ok(None);
        }
        serde_json::to_vec(&drops).map(Some)
    }
}

struct Encoded<'a> {
    target: &'a Target<'a>,
    step: Step<'a>,
}

struct EncodedNode<'a> {
    target: &'a Target<'a>,
    write: &'a NodeWrite<'a>,
}

#[derive(Serialize)]
enum Wrapped<'a> {
    Node(NodeOp<'a>),
    Service(ServiceOp<'a, ServiceBody<'a>>),
    #[serde(rename = "Service")]
    DeleteService(ServiceOp<'a, ServiceKey<'a>>),
    Check(CheckOp<CheckBody<'a>>),
    #[serde(rename = "Check")]
    DeleteCheck(CheckOp<CheckKey<'a>>),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeOp<'a> {
    verb: &'static str,
    node: NodeBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeBody<'a> {
    node: &'a str,
    address: &'a str,
    meta: NodePairs<'a>,
    modify_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceOp<'a, T> {
    verb: &'static str,
    node: &'a str,
    service: T,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceKey<'a> {
    #[serde(rename = "ID")]
    id: Id,
    service: &'a str,
    modify_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceBody<'a> {
    #[serde(rename = "ID")]
    id: Id,
    service: &'a str,
    tags: &'a [Arc<str>],
    address: Text<'a>,
    port: u16,
    meta: Pairs<'a>,
    weights: Weights,
    modify_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Weights {
    pub(super) passing: u32,
    pub(super) warning: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckOp<T> {
    verb: &'static str,
    check: T,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckKey<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    id: String,
    /// With it the right that is asked for is the service's, without it the node's.
    #[serde(rename = "ServiceID")]
    service_id: Id,
    service_name: &'a str,
    modify_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckBody<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    id: String,
    name: &'a str,
    status: &'static str,
    output: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: Id,
    service_name: &'a str,
    modify_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

impl<'a> CheckBody<'a> {
    pub(super) fn new(
        target: &Target<'a>,
        record: &'a Registration,
        check: &'a RegisteredCheck,
        modify_index: u64,
    ) -> Self {
        Self {
            node: target.node,
            id: check_id(&check.scope, &record.id()),
            name: &check.name,
            status: check.status.as_str(),
            output: &check.output,
            kind: &check.kind,
            service_id: Id(record.id()),
            service_name: record.name(),
            modify_index,
            namespace: record.namespace(),
            partition: target.partition,
        }
    }
}

impl<'a> Encoded<'a> {
    fn wrapped(&self) -> Wrapped<'a> {
        let Target { node, partition } = *self.target;
        let key = |record: &'a Registration, modify_index| ServiceKey {
            id: Id(record.id()),
            service: record.name(),
            modify_index,
            namespace: record.namespace(),
            partition,
        };
        match self.step {
            Step::Service(record, modify_index) => Wrapped::Service(ServiceOp {
                verb: "cas",
                node,
                service: ServiceBody {
                    id: Id(record.id()),
                    service: record.name(),
                    tags: record.tags(),
                    address: Text(record),
                    port: record.port(),
                    meta: Pairs(record),
                    weights: Weights {
                        passing: record.common.weight,
                        warning: 1,
                    },
                    modify_index,
                    namespace: record.namespace(),
                    partition,
                },
            }),
            Step::DeleteService(record, index) => Wrapped::DeleteService(ServiceOp {
                verb: "delete-cas",
                node,
                service: key(record, index),
            }),
            Step::Check(record, check, version) => Wrapped::Check(CheckOp {
                verb: if version.is_some() { "cas" } else { "set" },
                check: CheckBody::new(self.target, record, check, version.unwrap_or(0)),
            }),
            Step::DeleteCheck(record, scope, version) => Wrapped::DeleteCheck(CheckOp {
                verb: if version.is_some() {
                    "delete-cas"
                } else {
                    "delete"
                },
                check: CheckKey {
                    node,
                    id: check_id(scope, &record.id()),
                    service_id: Id(record.id()),
                    service_name: record.name(),
                    modify_index: version.unwrap_or(0),
                    namespace: record.namespace(),
                    partition,
                },
            }),
        }
    }
}

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.wrapped().serialize(serializer)
    }
}

impl Serialize for EncodedNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wrapped::Node(NodeOp {
            verb: "cas",
            node: NodeBody {
                node: self.target.node,
                address: self.write.address,
                meta: NodePairs(self.write.meta),
                modify_index: self.write.expected,
                partition: self.target.partition,
            },
        })
        .serialize(serializer)
    }
}

pub(super) struct NodePairs<'a>(pub(super) &'a [(&'static str, &'a str)]);

impl Serialize for NodePairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// The pairs of a registration with the owner's.
pub(super) struct Pairs<'a>(pub(super) &'a Registration);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.pairs() {
            map.serialize_entry(key.as_ref(), value)?;
        }
        if let Some(owner) = self.0.owner() {
            map.serialize_entry(OWNER_META, owner)?;
        }
        map.end()
    }
}

/// The ID of a registration.
pub(super) struct Id(pub(super) RecordId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The address of a registration.
pub(super) struct Text<'a>(pub(super) &'a Registration);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.address() {
            Some(address) => serializer.collect_str(&address),
            None => serializer.serialize_str(""),
        }
    }
}

/// The bytes of one operation, with what parts it from the next.
pub(super) fn length(operation: &impl Serialize) -> usize {
    let mut length = Length(1);
    // Writing to a counter cannot fail, and neither can these types.
    let _ = serde_json::to_writer(&mut length, operation);
    length.0
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
