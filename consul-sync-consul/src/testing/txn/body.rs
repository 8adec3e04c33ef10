//! Reads the operations of a transaction from its body.

use super::super::decode::{Decoded, Fields, first_value, list};
use super::super::lock::KeyValue;
use super::super::model::{Check, Instance, Node};
use super::super::object::{Knows, node_fields, txn_check, txn_service};
use super::super::request::DATACENTER;
use super::{Subject, TxnOp};

/// Reads the operations of a body. Entries without a known member vanish, as on Consul.
pub(in super::super) fn read(body: &[u8], knows: Knows) -> Decoded<Vec<TxnOp>> {
    let entries = list(first_value(body)?, "TxnOps")?;
    let mut ops = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(mut fields) = Fields::open(entry, "TxnOp")? else {
            continue;
        };
        let members = [
            fields.take("KV"),
            fields.take("Node"),
            fields.take("Service"),
            fields.take("Check"),
        ];
        fields.finish()?;
        let [kv, node, service, check] = members;
        if let Some(op) = Fields::open(kv, "KV")? {
            ops.push(key_op(op)?);
        } else if let Some(op) = Fields::open(node, "Node")? {
            ops.push(node_op(op)?);
        } else if let Some(op) = Fields::open(service, "Service")? {
            ops.push(service_op(op, knows)?);
        } else if let Some(op) = Fields::open(check, "Check")? {
            ops.push(check_op(op, knows)?);
        }
    }
    Ok(ops)
}

fn key_op(mut op: Fields) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let entry = KeyValue {
        key: op.text("Key")?,
        value: op.bytes("Value")?,
        flags: op.index("Flags")?,
        session: op.text("Session")?,
        modify_index: op.index("Index")?,
        ..KeyValue::default()
    };
    op.ignore(&["Namespace", "Partition"]);
    op.finish()?;
    Ok(TxnOp {
        verb,
        subject: Subject::Kv(entry),
    })
}

fn node_op(mut op: Fields) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let mut node = match Fields::open(op.take("Node"), "Node")? {
        Some(fields) => node_fields(fields)?,
        None => Node::default(),
    };
    op.finish()?;
    if node.datacenter.is_empty() {
        DATACENTER.clone_into(&mut node.datacenter);
    }
    Ok(TxnOp {
        verb,
        subject: Subject::Node(node),
    })
}

fn service_op(mut op: Fields, knows: Knows) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let node = op.text("Node")?;
    let mut instance = match Fields::open(op.take("Service"), "Service")? {
        Some(fields) => txn_service(fields, knows)?,
        None => Instance::default(),
    };
    op.finish()?;
    instance.node = node;
    Ok(TxnOp {
        verb,
        subject: Subject::Service(instance),
    })
}

fn check_op(mut op: Fields, knows: Knows) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let check = match Fields::open(op.take("Check"), "Check")? {
        Some(fields) => txn_check(fields, knows)?,
        None => Check::default(),
    };
    op.finish()?;
    Ok(TxnOp {
        verb,
        subject: Subject::Check(check),
    })
}
