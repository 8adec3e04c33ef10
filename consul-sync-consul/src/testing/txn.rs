//! `PUT /v1/txn`: reading the operations, running them as one raft entry, printing what became of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::acl::Access;
use super::answer::Answer;
use super::decode::DecodeError;
use super::fault::{Operation, Refusal};
use super::lock::KeyValue;
use super::model::{Check, Instance, Node};
use super::server::Identity;
use super::store::{Store, Written};
use super::tenancy::plain;
use super::vet;

mod body;
mod keys;
mod verbs;

pub(super) use body::read;

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
    Lock,
    Unlock,
    CheckSession,
    CheckIndex,
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

    /// Keys have verbs of their own on top.
    fn parse_of_key(text: &str) -> Option<Self> {
        Some(match text {
            "lock" => Self::Lock,
            "unlock" => Self::Unlock,
            "check-session" => Self::CheckSession,
            "check-index" => Self::CheckIndex,
            other => return Self::parse(other),
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
    Kv(KeyValue),
}

impl TxnOp {
    fn verb(&self) -> Option<Verb> {
        match self.subject {
            Subject::Kv(_) => Verb::parse_of_key(&self.verb),
            _ => Verb::parse(&self.verb),
        }
    }

    fn writes(&self) -> bool {
        match self.subject {
            Subject::Kv(_) => matches!(
                self.verb.as_str(),
                "set" | "delete" | "delete-cas" | "delete-tree" | "cas" | "lock" | "unlock"
            ),
            _ => self.verb != "get",
        }
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
            Subject::Kv(entry) => ("kv", "", &*entry.key, "", entry.modify_index),
        };
        let [node, id, service] = [node, plain(id), plain(service)].map(str::to_owned);
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
///
/// `delayed` are the keys that cannot be locked now.
pub(super) fn pre_check(
    ops: &mut [TxnOp],
    access: &Access,
    identity: &Identity,
    delayed: &BTreeSet<String>,
) -> Vec<TxnError> {
    let mut errors = Vec::new();
    for (at, op) in ops.iter_mut().enumerate() {
        if let Err(what) = pre_check_one(op, access, identity, delayed) {
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

fn pre_check_one(
    op: &mut TxnOp,
    access: &Access,
    identity: &Identity,
    delayed: &BTreeSet<String>,
) -> Written<()> {
    let verb = op.verb();
    let kind = match &op.subject {
        Subject::Node(_) => "node",
        Subject::Service(_) => "service",
        Subject::Check(_) => "check",
        Subject::Kv(entry) => return keys::pre_check(&op.verb, verb, entry, access, delayed),
    };
    let Some(verb) = verb else {
        return Err(format!("unknown {kind} operation: {}", op.verb));
    };
    if verb == Verb::Get {
        return Ok(());
    }
    match &mut op.subject {
        Subject::Node(node) => {
            vet::node(&node.node, &node.id)?;
            access.node_write(&node.node)
        }
        Subject::Service(instance) => vet::service(instance, access, identity),
        Subject::Check(check) => {
            vet::default_check_id(check);
            if check.service_id.is_empty() {
                access.node_write(&check.node)
            } else {
                access.service_write(&check.service_name)
            }
        }
        Subject::Kv(_) => Ok(()),
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
        store
            .publishable()
            .map_err(|what| vec![TxnError { at: 0, what }])?;
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
        Subject::Node(node) => verbs::node(store, index, verb, node, access),
        Subject::Service(instance) => verbs::service(store, index, verb, instance, access),
        Subject::Check(check) => verbs::check(store, index, verb, check, access),
        Subject::Kv(entry) => keys::run(store, index, verb, entry, access),
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
