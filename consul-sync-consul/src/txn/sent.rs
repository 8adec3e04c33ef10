//! One transaction on its way, and what became of it.

use bytes::Bytes;
use consul_sync_core::Op;
use http::StatusCode;

use super::{NodeWrite, Refusal, refusal::missing_rule};
use crate::{
    Call, Error, Fence,
    answer::Answer,
    lock::Grant,
    registration::{KUBERNETES, Registration, SOURCE_META},
    request::Request,
    sink::{Inner, NodeState},
    wire::{TxnAnswer, TxnError},
};

/// What became of one transaction.
pub(super) enum Sent {
    Applied(TxnAnswer),
    Refused(Call, Vec<TxnError>),
    /// Nothing of it was applied, and it has to be smaller.
    TooLarge,
    /// Nothing of it was applied, and one of it never will be.
    Unreadable(String),
    /// It did not reach a server that could apply it.
    Unsent(Error),
    /// It may have been applied.
    Unclear,
}

// === impl Inner ===

impl Inner {
    /// Sends operations as one transaction, behind the fence and after the node where those are due.
    ///
    /// # Errors
    /// When nothing was applied and no part of it would fare better: a right is missing for all of it, or it is not Consul
    /// that answers.
    pub(super) async fn send(
        &self,
        fence: Option<(&Fence, &Grant)>,
        node: NodeState,
        ops: &[&Op<Registration>],
    ) -> Result<Sent, Error> {
        let address = self.settings.node_address.to_string();
        let node = match node {
            NodeState::Due(expected) => Some(NodeWrite {
                address: &address,
                meta: &[(SOURCE_META, KUBERNETES)],
                expected,
            }),
            NodeState::Unknown | NodeState::Present | NodeState::Agents => None,
        };
        let body = self
            .target()
            .body(fence, node.as_ref(), ops)
            .map_err(|error| Error::Settings(format!("encode a transaction: {error}")))?;
        let length = body.len();
        let request = self
            .client
            .scoped(Request::put(&["txn"], Bytes::from(body)).patient(3));
        let error = match self.client.call(&request).await {
            Ok(answer) if answer.status == StatusCode::CONFLICT => {
                return Ok(self.refusal(&answer));
            }
            Ok(answer) => {
                return Ok(match answer.json::<TxnAnswer>() {
                    Ok(results) if results.errors.is_empty() => Sent::Applied(results),
                    // A success that cannot be read was one all the same, or a proxy's invention.
                    _ => Sent::Unclear,
                });
            }
            Err(error) => error,
        };
        match &error {
            Error::Status { status, text, .. } => match status.as_u16() {
                401 | 403 => Err(Error::Denied {
                    rule: missing_rule(text, self.settings.node.as_str()),
                    text: error.to_string(),
                    call: self.client.about("PUT", "/v1/txn"),
                }),
                413 => {
                    if text.contains("too many operations") {
                        self.limits.fewer_ops();
                    } else {
                        self.limits.fewer_bytes(length);
                    }
                    Ok(Sent::TooLarge)
                }
                400 | 500 if Refusal::is_permanent_text(text) => Ok(Sent::Unreadable(text.clone())),
                500..=599 => {
                    tracing::debug!(%error, "a transaction ended without a clear answer");
                    Ok(Sent::Unclear)
                }
                429 => Ok(Sent::Unsent(error)),
                _ => Err(error),
            },
            _ if error.may_have_been_applied() => {
                if matches!(error, Error::Broken { .. }) && length > 64 * 1024 {
                    // A server that takes no body of this size may close the connection before it says so.
                    self.limits.fewer_bytes(length);
                }
                tracing::debug!(%error, "a transaction ended without a clear answer");
                Ok(Sent::Unclear)
            }
            _ => Ok(Sent::Unsent(error)),
        }
    }

    /// Reads the 409 of a transaction.
    fn refusal(&self, answer: &Answer) -> Sent {
        let Ok(mut refused) = answer.json::<TxnAnswer>() else {
            return Sent::Unclear;
        };
        for error in &mut refused.errors {
            error.what = self.client.redact(std::mem::take(&mut error.what));
        }
        Sent::Refused(answer.call.clone(), refused.errors)
    }
}
