//! The single registration: the only write that takes a list of ports.
//!
//! It is not conditional. The condition is looked at before the write and the result after it, so that a change
//! which somebody made in between is noticed, if not prevented.

use std::sync::Arc;

use bytes::Bytes;
use consul_sync_core::{Action, HeldRecord, Op, Outcome, Reason, Record, Rejection};
use serde::Serialize;

use super::{
    encode::{CheckBody, Id, NodePairs, Pairs, Target, Text, Weights},
    refusal::{Refusal, missing_namespace, missing_rule, rejection},
};
use crate::{
    Error,
    registration::{KUBERNETES, Registration, SOURCE_META, Version},
    request::Request,
    sink::Inner,
};

/// The body of `/v1/catalog/register`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    node: &'a str,
    /// For a node that is not there yet; one that is keeps its own.
    address: &'a str,
    node_meta: NodePairs<'a>,
    skip_node_update: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
    service: Listed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    #[serde(rename = "ID")]
    id: Id,
    service: &'a str,
    tags: &'a [Arc<str>],
    address: Text<'a>,
    ports: Vec<Port<'a>>,
    meta: Pairs<'a>,
    weights: Weights,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port<'a> {
    name: &'a str,
    #[serde(rename = "Port")]
    number: u16,
    default: bool,
}

/// Whether an operation has to be written alone.
pub(super) fn is_single(op: &Op<Registration>) -> bool {
    !op.is_delete() && !op.record().named_ports().is_empty()
}

/// Writes one instance with its list of ports.
///
/// # Errors
/// When it was not sent, or a right is missing.
pub(super) async fn register(
    sink: &Inner,
    op: &Op<Registration>,
) -> Result<Outcome<Version>, Error> {
    if sink.settings.fence.is_some() {
        // The write is unconditional: a fence could not hold it back.
        return Ok(Outcome::Refused(Rejection::new(
            Reason::Refused,
            "a list of named ports cannot be written while a lock is needed; set ports to never",
        )));
    }
    let before = find(sink, op).await?.map(|held| held.version);
    let expected = match &op.action {
        Action::Update { expected, .. } => Some(*expected),
        Action::Create(_) | Action::Delete(_) => None,
    };
    if before != expected {
        return Ok(Outcome::Stale);
    }
    let body = body(sink, op.record())?;
    let path = ["catalog", "register"];
    let request = sink.client.scoped(Request::put(&path, Bytes::from(body)));
    if let Err(error) = sink.client.call(&request).await {
        return judge(sink, error);
    }
    if let Some(body) = drop_checks(sink, op)? {
        let request = sink
            .client
            .scoped(Request::put(&["txn"], Bytes::from(body)));
        if sink.client.call(&request).await.is_err() {
            return Ok(Outcome::Unknown);
        }
    }
    Ok(match find(sink, op).await {
        Ok(Some(held)) if held.record == *op.record() => Outcome::Written(held.version),
        // Consul takes two lists that differ only in which port is the default for the same.
        Ok(Some(held)) if Some(held.version) == before => Outcome::Refused(Rejection::new(
            Reason::Refused,
            "consul keeps the list of ports that it has; delete the instance to change it",
        )),
        Ok(_) | Err(_) => Outcome::Unknown,
    })
}

async fn find(
    sink: &Inner,
    op: &Op<Registration>,
) -> Result<Option<HeldRecord<Registration>>, Error> {
    let (held, _) = sink.read_slot(&op.slot).await?;
    let mut records = held.records.into_iter();
    Ok(records.find(|held| held.record.id() == op.id()))
}

fn judge(sink: &Inner, error: Error) -> Result<Outcome<Version>, Error> {
    match &error {
        Error::Status { status, text, .. } => match status.as_u16() {
            401 | 403 => Err(Error::Denied {
                rule: missing_rule(text, sink.settings.node.as_str()),
                text: error.to_string(),
                call: sink.client.about("PUT", "/v1/catalog/register"),
            }),
            400 if text.contains("unknown field") => Ok(Outcome::Refused(Rejection::new(
                Reason::Refused,
                "this version of consul has no lists of ports; set ports to never",
            ))),
            400 => Ok(Outcome::Refused(rejection(text))),
            500 if missing_namespace(text).is_some_and(|name| sink.namespaces.forget(name)) => {
                Ok(Outcome::Stale)
            }
            500 if text.contains("error occurred") || Refusal::is_permanent_text(text) => {
                Ok(Outcome::Refused(rejection(text)))
            }
            _ if error.may_have_been_applied() => Ok(Outcome::Unknown),
            _ => Err(error),
        },
        _ if error.may_have_been_applied() => Ok(Outcome::Unknown),
        _ => Err(error),
    }
}

fn body(sink: &Inner, record: &Registration) -> Result<Vec<u8>, Error> {
    let target = sink.target();
    let address = sink.settings.node_address.to_string();
    let ports = record.named_ports().iter().map(|port| Port {
        name: &port.name,
        number: port.number,
        default: port.is_default,
    });
    let body = Body {
        node: target.node,
        address: &address,
        node_meta: NodePairs(&[(SOURCE_META, KUBERNETES)]),
        skip_node_update: true,
        partition: target.partition,
        service: Listed {
            id: Id(record.id()),
            service: record.name(),
            tags: record.tags(),
            address: Text(record),
            ports: ports.collect(),
            meta: Pairs(record),
            weights: Weights {
                passing: record.common.weight,
                warning: 1,
            },
            namespace: record.namespace(),
        },
        check: record
            .check()
            .map(|check| CheckBody::new(&target, record, check, 0)),
    };
    serde_json::to_vec(&body)
        .map_err(|error| Error::Settings(format!("encode a registration: {error}")))
}

/// A transaction that takes away the checks that are no longer wanted.
fn drop_checks(sink: &Inner, op: &Op<Registration>) -> Result<Option<Vec<u8>>, Error> {
    let target: Target<'_> = sink.target();
    target
        .check_drops(op)
        .map_err(|error| Error::Settings(format!("encode a transaction: {error}")))
}
