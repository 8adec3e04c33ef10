//! `PUT /v1/txn`: reading the operations, running them as one raft entry, printing what became of them.

use serde_json::{Value, json};

use super::acl::Access;
use super::answer::Answer;
use super::decode::{DecodeError, Decoded, Fields, first_value, list};
use super::fault::{Operation, Refusal};
use super::model::{Check, Instance, Node};
use super::request::{self, check_fields, node_fields};
use super::server::Identity;
use super::store::{MISSING_KEY, Store, Written};
use super::view;

/// Largest body of a transaction, in bytes.
pub(super) const BODY_LIMIT: usize = 512 * 1024;

/// What an operation does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Set,
    Cas,
    Delete,
    DeleteCas,
}

impl Verb {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "get" => Self::Get,
            "set" => Self::Set,
            "cas" => Self::Cas,
            "delete" => Self::Delete,
            "delete-cas" => Self::DeleteCas,
            _ => return None,
        })
    }
}

/// One operation with the verb as it was written.
#[derive(Debug)]
pub(super) struct TxnOp {
    pub(super) verb: String,
    pub(super) subject: Subject,
}

/// What an operation is about.
#[derive(Debug)]
pub(super) enum Subject {
    Node(Node),
    Service(Instance),
    Check(Check),
    /// Key/value operations are not modelled.
    Kv,
}

impl TxnOp {
    fn verb(&self) -> Option<Verb> {
        Verb::parse(&self.verb)
    }

    fn writes(&self) -> bool {
        self.verb != "get"
    }

    /// What a test is told of the operation.
    pub(super) fn describe(&self) -> Operation {
        let (kind, node, id, service, index) = match &self.subject {
            Subject::Node(node) => ("node", &*node.node, "", "", node.modify_index),
            Subject::Service(own) => (
                "service",
                &*own.node,
                &*own.id,
                &*own.service,
                own.modify_index,
            ),
            Subject::Check(check) => (
                "check",
                &*check.node,
                &*check.check_id,
                &*check.service_name,
                check.modify_index,
            ),
            Subject::Kv => ("kv", "", "", "", 0),
        };
        let [node, id, service] = [node, id, service].map(str::to_owned);
        Operation {
            verb: self.verb.clone(),
            kind,
            node,
            id,
            service,
            index,
        }
    }
}

// ---- reading ----------------------------------------------------------------------------------------------------------

/// Reads the operations of a body. Entries without a known member vanish, as on Consul.
pub(super) fn read(body: &[u8], named_ports: bool) -> Decoded<Vec<TxnOp>> {
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
        if !kv.is_null() {
            ops.push(TxnOp {
                verb: String::new(),
                subject: Subject::Kv,
            });
        } else if let Some(op) = Fields::open(node, "Node")? {
            ops.push(node_op(op)?);
        } else if let Some(op) = Fields::open(service, "Service")? {
            ops.push(service_op(op, named_ports)?);
        } else if let Some(op) = Fields::open(check, "Check")? {
            ops.push(check_op(op)?);
        }
    }
    Ok(ops)
}

fn node_op(mut op: Fields) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let mut node = match Fields::open(op.take("Node"), "Node")? {
        Some(fields) => node_fields(fields)?,
        None => Node::default(),
    };
    op.finish()?;
    if node.datacenter.is_empty() {
        request::DATACENTER.clone_into(&mut node.datacenter);
    }
    Ok(TxnOp {
        verb,
        subject: Subject::Node(node),
    })
}

fn service_op(mut op: Fields, named_ports: bool) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let node = op.text("Node")?;
    let mut instance = match Fields::open(op.take("Service"), "Service")? {
        Some(fields) => request::txn_service(fields, named_ports)?,
        None => Instance::default(),
    };
    op.finish()?;
    instance.node = node;
    Ok(TxnOp {
        verb,
        subject: Subject::Service(instance),
    })
}

fn check_op(mut op: Fields) -> Decoded<TxnOp> {
    let verb = op.text("Verb")?;
    let check = match Fields::open(op.take("Check"), "Check")? {
        Some(fields) => check_fields(fields)?,
        None => Check::default(),
    };
    op.finish()?;
    Ok(TxnOp {
        verb,
        subject: Subject::Check(check),
    })
}

// ---- running ----------------------------------------------------------------------------------------------------------

/// One failed operation.
#[derive(Debug)]
pub(super) struct TxnError {
    pub(super) at: usize,
    pub(super) what: String,
}

/// Results in order, or every failure.
pub(super) type Outcome = Result<Vec<Value>, Vec<TxnError>>;

/// Whether any of the operations writes; a transaction of reads alone makes no raft entry.
pub(super) fn writes(ops: &[TxnOp]) -> bool {
    ops.iter().any(TxnOp::writes)
}

/// What Consul refuses before it makes a raft entry; fills in the IDs that default to names.
pub(super) fn pre_check(ops: &mut [TxnOp], access: &Access, identity: &Identity) -> Vec<TxnError> {
    let mut errors = Vec::new();
    for (at, op) in ops.iter_mut().enumerate() {
        if let Err(what) = pre_check_one(op, access, identity) {
            errors.push(TxnError { at, what });
        }
    }
    errors
}

/// What a test refuses.
pub(super) fn judge(ops: &[TxnOp], refusal: &Refusal) -> Vec<TxnError> {
    let judged = ops
        .iter()
        .enumerate()
        .map(|(at, op)| (at, (refusal.0)(&op.describe())));
    judged
        .filter_map(|(at, what)| Some(TxnError { at, what: what? }))
        .collect()
}

fn pre_check_one(op: &mut TxnOp, access: &Access, identity: &Identity) -> Written<()> {
    let verb = op.verb();
    let kind = match &op.subject {
        Subject::Node(_) => "node",
        Subject::Service(_) => "service",
        Subject::Check(_) => "check",
        Subject::Kv => return Err("key/value operations are not part of this fake".to_owned()),
    };
    let Some(verb) = verb else {
        return Err(format!("unknown {kind} operation: {}", op.verb));
    };
    if verb == Verb::Get {
        return Ok(());
    }
    match &mut op.subject {
        Subject::Node(node) => {
            request::vet_node(&node.node, &node.id)?;
            access.node_write(&node.node)
        }
        Subject::Service(instance) => request::vet_service(instance, access, identity),
        Subject::Check(check) => {
            request::default_check_id(check);
            if check.service_id.is_empty() {
                access.node_write(&check.node)
            } else {
                access.service_write(&check.service_name)
            }
        }
        Subject::Kv => Ok(()),
    }
}

/// Runs the operations on `store` with the raft index `index`.
pub(super) fn run(store: &mut Store, index: u64, ops: &[TxnOp], access: &Access) -> Outcome {
    let mut results = Vec::with_capacity(ops.len());
    let mut errors = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        match run_one(store, index, op, access) {
            Ok(result) => results.extend(result),
            Err(what) => errors.push(TxnError { at, what }),
        }
    }
    if errors.is_empty() {
        Ok(results)
    } else {
        Err(errors)
    }
}

fn run_one(store: &mut Store, index: u64, op: &TxnOp, access: &Access) -> Written<Option<Value>> {
    let Some(verb) = op.verb() else {
        return Ok(None);
    };
    match &op.subject {
        Subject::Node(node) => run_node(store, index, verb, node, access),
        Subject::Service(instance) => run_service(store, index, verb, instance, access),
        Subject::Check(check) => run_check(store, index, verb, check, access),
        Subject::Kv => Ok(None),
    }
}

fn run_node(
    store: &mut Store,
    index: u64,
    verb: Verb,
    node: &Node,
    access: &Access,
) -> Written<Option<Value>> {
    let name = &node.node;
    match verb {
        Verb::Get => {}
        Verb::Set => store.set_node(index, node.clone())?,
        Verb::Cas => match store.set_node_if(index, node.clone()) {
            // As for checks.
            Ok(true) | Err(_) => {}
            Ok(false) => return Err(format!("failed to set node {name:?}, index is stale")),
        },
        Verb::Delete => {
            store.remove_node(index, name);
            return Ok(None);
        }
        Verb::DeleteCas => {
            if !store.remove_node_if(index, name, node.modify_index) {
                return Err(format!("failed to delete node {name:?}, index is stale"));
            }
            return Ok(None);
        }
    }
    let found = if node.id.is_empty() {
        store.node(name)
    } else {
        store.node_by_id(&node.id)
    };
    let Some(found) = found else {
        return missing(verb, || format!("node {name:?} doesn't exist"));
    };
    Ok(access
        .can_read_node(&found.node)
        .then(|| json!({ "Node": &**found })))
}

fn run_service(
    store: &mut Store,
    index: u64,
    verb: Verb,
    op: &Instance,
    access: &Access,
) -> Written<Option<Value>> {
    let (node, id) = (&op.node, &op.id);
    match verb {
        Verb::Get => {}
        Verb::Set => store.set_instance(index, op.clone())?,
        Verb::Cas => {
            if !store.set_instance_if(index, op.clone())? {
                return Err(format!(
                    "failed to set service {id:?} on node {node:?}, index is stale"
                ));
            }
        }
        Verb::Delete => {
            store.remove_instance(index, node, id);
            return Ok(None);
        }
        Verb::DeleteCas => {
            if !store.remove_instance_if(index, node, id, op.modify_index) {
                return Err(format!(
                    "failed to delete service {id:?} on node {node:?}, index is stale"
                ));
            }
            return Ok(None);
        }
    }
    let Some(found) = store.instance(node, id) else {
        return Err(format!("service {id:?} on node {node:?} doesn't exist"));
    };
    Ok(access
        .can_read_service(&found.service)
        .then(|| json!({ "Service": view::service(found) })))
}

fn run_check(
    store: &mut Store,
    index: u64,
    verb: Verb,
    op: &Check,
    access: &Access,
) -> Written<Option<Value>> {
    let (node, id) = (&op.node, &op.check_id);
    if node.is_empty() || id.is_empty() {
        let lookup = match verb {
            Verb::Get | Verb::Cas => "failed check lookup",
            Verb::Set => "failed health check lookup",
            Verb::Delete => "check lookup failed",
            Verb::DeleteCas => "check lookup failed: failed check lookup",
        };
        return Err(format!("{lookup}: {MISSING_KEY}"));
    }
    match verb {
        Verb::Get => {}
        Verb::Set => store.set_check(index, op.clone())?,
        Verb::Cas => match store.set_check_if(index, op.clone()) {
            // Consul forgets why it failed and answers with the check as it is, or with nothing: no error.
            Ok(true) | Err(_) => {}
            Ok(false) => {
                return Err(format!(
                    "failed to set check {id:?} on node {node:?}, index is stale"
                ));
            }
        },
        Verb::Delete => {
            store.remove_check(index, node, id);
            return Ok(None);
        }
        Verb::DeleteCas => {
            if !store.remove_check_if(index, node, id, op.modify_index) {
                return Err(format!(
                    "failed to delete check {id:?} on node {node:?}, index is stale"
                ));
            }
            return Ok(None);
        }
    }
    let Some(found) = store.check(node, id) else {
        return missing(verb, || {
            format!("check {id:?} on node {node:?} doesn't exist")
        });
    };
    let readable = if found.service_name.is_empty() {
        access.can_read_node(&found.node)
    } else {
        access.can_read_service(&found.service_name)
    };
    Ok(readable.then(|| json!({ "Check": view::check(found) })))
}

/// Only a read minds that there is nothing.
fn missing(verb: Verb, why: impl FnOnce() -> String) -> Written<Option<Value>> {
    if verb == Verb::Get {
        Err(why())
    } else {
        Ok(None)
    }
}

// ---- answering --------------------------------------------------------------------------------------------------------

/// Prints the answer of a transaction that wrote.
pub(super) fn answer(outcome: Outcome, identity: &Identity) -> Answer {
    let (status, results, errors) = parts(outcome);
    print(
        status,
        &json!({ "Results": results, "Errors": errors }),
        identity,
    )
}

/// Prints the answer of a transaction of `ops` that only read.
pub(super) fn read_answer(
    outcome: Outcome,
    ops: &[TxnOp],
    access: &Access,
    identity: &Identity,
) -> Answer {
    // Each read has a result unless rights left it out.
    let left_out = outcome
        .as_ref()
        .is_ok_and(|results| results.len() < ops.len());
    let (status, results, errors) = parts(outcome);
    let body = json!({
        "Results": results, "Errors": errors, "Index": 1, "LastContact": 0, "KnownLeader": true,
        "ConsistencyLevel": "", "NotModified": false, "Backend": 0,
        "ResultsFilteredByACLs": left_out && access.may_know_of_filtering(),
    });
    print(status, &body, identity)
        .header("x-consul-lastcontact", "0")
        .header("x-consul-knownleader", "true")
}

fn parts(outcome: Outcome) -> (u16, Value, Value) {
    match outcome {
        Ok(results) => (200, results.into(), Value::Null),
        Err(errors) => (409, Value::Null, print_errors(&errors)),
    }
}

fn print(status: u16, body: &Value, identity: &Identity) -> Answer {
    let answer = Answer::json(status, body);
    if status == 409 && identity.is_1_22() {
        return answer.header("content-type", "application/json; charset=utf-8");
    }
    answer
}

fn print_errors(errors: &[TxnError]) -> Value {
    errors
        .iter()
        .map(|error| json!({ "OpIndex": error.at, "What": error.what }))
        .collect()
}

/// Answer to a body that cannot be read.
pub(super) fn unreadable(error: &DecodeError) -> Answer {
    Answer::text(400, format!("Failed to parse body: {}", error.0))
}
