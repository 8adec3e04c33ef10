//! What a lock asks of Consul.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use consul_sync_core::Holder;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Inner,
    lead::Session,
    mandate::{Mandate, Value},
};
use crate::{
    Error,
    answer::Answer,
    registration::{KUBERNETES, SOURCE_META},
    request::Request,
    txn::{NodeWrite, Refusal, Target, missing_rule},
    wire::TxnAnswer,
};

/// The key as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The session that holds it.
    pub(super) session: Option<String>,
    /// Who that is, where the value says so.
    pub(super) holder: Option<Holder>,
    /// By whom he was elected, where that was elsewhere.
    pub(super) mandate: Option<Mandate>,
    /// What the next query waits past.
    pub(super) index: u64,
}

/// What became of a try to lock the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is ours.
    Held,
    /// Somebody else was faster.
    ByAnother,
    /// Nobody can have it yet: the delay after a session that ended without handing over.
    Delayed,
    /// The session is not there any more.
    NoSession,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    session: Option<String>,
    value: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyOp<'a> {
    verb: &'static str,
    key: &'a str,
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

// === impl Seen ===

impl Seen {
    /// What the next query waits past: nothing, when the index went back.
    pub(super) fn next(&self, asked: Option<u64>) -> Option<u64> {
        (asked.unwrap_or(0) <= self.index).then_some(self.index)
    }
}

// === impl Inner ===

impl Inner {
    /// Looks at the key: at once, or when it is newer than `past`, but at the latest after `wait`.
    pub(super) async fn look(&self, past: Option<u64>, wait: Duration) -> Result<Seen, Error> {
        let key = self.fence.key().split('/');
        let path: Vec<&str> = std::iter::once("kv").chain(key).collect();
        let request = self
            .client
            .scoped(Request::get(&path).consistent().or_absent());
        let request = match past {
            Some(index) => request.blocking(index, wait),
            None => request,
        };
        let answer = self.call(&request).await?;
        let index = answer.index()?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Seen {
                index,
                ..Seen::default()
            });
        }
        answer.require_consistent()?;
        let entries: Vec<Entry> = answer.json()?;
        let entry = entries.into_iter().next().unwrap_or_default();
        let value: Option<Value> = entry
            .value
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|text| serde_json::from_slice(&text).ok());
        Ok(Seen {
            session: entry.session.filter(|session| !session.is_empty()),
            mandate: value.as_ref().and_then(|value| value.mandate.clone()),
            holder: value.map(Holder::from),
            index,
        })
    }

    /// Makes a session, and says when; and the node that it stands on where that is missing.
    pub(super) async fn create_session(&self) -> Result<(String, String), Error> {
        match self.try_create_session().await {
            Err(Error::Status { text, .. }) if Refusal::of(&text) == Refusal::NodeMissing => {
                self.register_node().await?;
                self.try_create_session().await
            }
            done => done,
        }
    }

    async fn try_create_session(&self) -> Result<(String, String), Error> {
        let settings = &self.settings;
        let body = json!({
            "Name": format!("{} {}", self.fence.key(), settings.holder.id),
            "Node": settings.node.as_str(),
            // No check: the session lives by being renewed and by nothing else.
            "NodeChecks": [],
            "LockDelay": duration(settings.lock_delay),
            "TTL": duration(settings.ttl),
            "Behavior": "release",
        });
        let body = Bytes::from(body.to_string());
        let request = Request::put(&["session", "create"], body);
        let answer = self.call(&self.client.scoped(request)).await?;
        let created: Created = answer.json()?;
        let since = answer.header(header::DATE.as_str()).unwrap_or_default();
        Ok((created.id, since.to_owned()))
    }

    /// Registers the node if it is not there. While somebody holds the lock his session stands on it, so that
    /// this never changes what a leader sees.
    async fn register_node(&self) -> Result<(), Error> {
        let address = self.settings.node_address.to_string();
        let node = NodeWrite {
            address: &address,
            meta: &[(SOURCE_META, KUBERNETES)],
            expected: 0,
        };
        let target = Target {
            node: self.settings.node.as_str(),
            partition: self.client.partition(),
        };
        let body = target
            .body(None, Some(&node), &[])
            .map_err(|error| Error::Settings(format!("encode a transaction: {error}")))?;
        let answer = self.txn(body).await?;
        match self.refusal(&answer)? {
            None => Ok(()),
            // Somebody else was faster.
            Some(text) if Refusal::of(&text) == Refusal::Stale => Ok(()),
            Some(text) => Err(self.refused(&answer, text)),
        }
    }

    /// Renews a session; whether it is still there.
    pub(super) async fn renew(&self, session: &str) -> Result<bool, Error> {
        let request = Request::put(&["session", "renew", session], Bytes::new()).or_absent();
        let answer = self.call(&self.client.scoped(request)).await?;
        Ok(answer.status != StatusCode::NOT_FOUND)
    }

    /// Ends a session, and with it its hold on the key.
    pub(super) async fn destroy(&self, session: &str) -> Result<(), Error> {
        let request = Request::put(&["session", "destroy", session], Bytes::new());
        self.call(&self.client.scoped(request)).await.map(drop)
    }

    /// Tries to lock the key.
    pub(super) async fn acquire(
        &self,
        session: &Session,
        mandate: Option<Mandate>,
    ) -> Result<Taken, Error> {
        let holder = Holder {
            since: session.since.clone(),
            ..self.settings.holder.clone()
        };
        let value = serde_json::to_vec(&Value::new(holder, mandate))
            .map_err(|error| Error::Settings(format!("encode the holder of a lock: {error}")))?;
        let answer = self
            .txn(self.key_op("lock", &session.id, Some(STANDARD.encode(value)))?)
            .await?;
        match self.refusal(&answer)? {
            None => Ok(Taken::Held),
            Some(text) if text.contains("lock is already held") => Ok(Taken::ByAnother),
            Some(text) if text.contains("lock delay") => Ok(Taken::Delayed),
            Some(text) if text.contains("invalid session") => Ok(Taken::NoSession),
            Some(text) => Err(self.refused(&answer, text)),
        }
    }

    /// Releases the key, so that the next one can have it at once, whatever the lock delay.
    pub(super) async fn release(&self, session: &str) -> Result<(), Error> {
        let answer = self.txn(self.key_op("unlock", session, None)?).await?;
        match self.refusal(&answer)? {
            None => Ok(()),
            Some(text) => Err(self.refused(&answer, text)),
        }
    }

    fn key_op(
        &self,
        verb: &'static str,
        session: &str,
        value: Option<String>,
    ) -> Result<Vec<u8>, Error> {
        let op = KeyOp {
            verb,
            key: self.fence.key(),
            session,
            value,
            partition: self.client.partition(),
        };
        serde_json::to_vec(&json!([{ "KV": op }]))
            .map_err(|error| Error::Settings(format!("encode a transaction: {error}")))
    }

    async fn txn(&self, body: Vec<u8>) -> Result<Answer, Error> {
        let request = Request::put(&["txn"], Bytes::from(body));
        self.call(&self.client.scoped(request)).await
    }

    async fn call(&self, request: &Request) -> Result<Answer, Error> {
        match self.client.call(request).await {
            // A 403 names the right; what would give it is worth more than that it is missing.
            Err(Error::Status {
                call, status, text, ..
            }) if status == StatusCode::FORBIDDEN && text.contains("lacks permission") => {
                Err(Error::Denied {
                    rule: missing_rule(&text, self.settings.node.as_str()),
                    call,
                    text,
                })
            }
            other => other,
        }
    }

    /// Why a transaction of one operation was refused.
    fn refusal(&self, answer: &Answer) -> Result<Option<String>, Error> {
        if answer.status != StatusCode::CONFLICT {
            return Ok(None);
        }
        let refused: TxnAnswer = answer.json()?;
        let first = refused.errors.into_iter().next().unwrap_or_default();
        Ok(Some(self.client.redact(first.what)))
    }

    fn refused(&self, answer: &Answer, text: String) -> Error {
        if Refusal::of(&text) == Refusal::Denied {
            let rule = missing_rule(&text, self.settings.node.as_str());
            return answer.denied(rule, &text);
        }
        Error::Status {
            call: answer.call.clone(),
            status: answer.status,
            text,
            retry_after: None,
        }
    }
}

/// As Go reads it.
fn duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
