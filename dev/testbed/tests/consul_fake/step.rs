//! One operation of a sequence, in a form that fits both servers.
//!
//! `~` in a text stands for the sequence's own prefix, so that sequences on one server do not meet,
//! and `#` for the last part of a node ID of its own.
//! A `ModifyIndex` in a transaction is `"current"`, `"stale"` or a number; the first two are made
//! a number by each side, from what it holds.

use std::time::Duration;

use serde_json::{Value, json};

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// A body that is not JSON, instead.
    pub(crate) raw: Option<String>,
    /// Headers of the request.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// How long to wait before.
    pub(crate) after: Option<Duration>,
}

impl Step {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            body: None,
            raw: None,
            headers: Vec::new(),
            after: None,
        }
    }

    pub(crate) fn put(path: &str, body: Value) -> Self {
        Self {
            method: "PUT",
            body: Some(body),
            ..Self::get(path)
        }
    }

    pub(crate) fn raw(path: &str, body: impl Into<String>) -> Self {
        Self {
            method: "PUT",
            raw: Some(body.into()),
            ..Self::get(path)
        }
    }

    pub(crate) fn with_method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.after = Some(pause);
        self
    }

    pub(crate) fn txn(ops: Vec<Value>) -> Self {
        Self::put("/v1/txn", ops.into())
    }

    pub(crate) fn register(body: Value) -> Self {
        Self::put("/v1/catalog/register", body)
    }

    pub(crate) fn deregister(body: Value) -> Self {
        Self::put("/v1/catalog/deregister", body)
    }

    /// Spells nodes, services and instances in one way.
    pub(crate) fn spell_alike(&mut self) {
        if let Some(body) = &mut self.body {
            spell_alike(body);
        }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        let json = self.body.as_ref().map(ToString::to_string);
        json.or_else(|| self.raw.clone()).unwrap_or_default()
    }

    /// Whether the step may have changed something.
    pub(crate) fn writes(&self) -> bool {
        self.method == "PUT"
    }
}

/// A node operation of a transaction.
#[expect(clippy::needless_pass_by_value, reason = "it reads better at the call")]
pub(crate) fn node(verb: &str, node: Value) -> Value {
    json!({ "Node": { "Verb": verb, "Node": node } })
}

/// A service operation of a transaction.
#[expect(clippy::needless_pass_by_value, reason = "it reads better at the call")]
pub(crate) fn service(verb: &str, node: &str, service: Value) -> Value {
    json!({ "Service": { "Verb": verb, "Node": node, "Service": service } })
}

/// A check operation of a transaction.
#[expect(clippy::needless_pass_by_value, reason = "it reads better at the call")]
pub(crate) fn check(verb: &str, check: Value) -> Value {
    json!({ "Check": { "Verb": verb, "Check": check } })
}

/// A key operation of a transaction.
pub(crate) fn key(verb: &str, mut entry: Value) -> Value {
    entry["Verb"] = verb.into();
    json!({ "KV": entry })
}

/// Names of which only the case differs, and how they are spelled else.
pub(crate) const RESPELLED: [(&str, &str); 3] =
    [("~N1", "~n1"), ("~WEB-1", "~web-1"), ("~Web", "~web")];

fn spell_alike(value: &mut Value) {
    match value {
        Value::String(text) => {
            for (other, usual) in RESPELLED {
                if text == other {
                    usual.clone_into(text);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_alike),
        Value::Object(fields) => fields.values_mut().for_each(spell_alike),
        _ => {}
    }
}

/// Puts the prefix in, and its number where a node ID wants one.
pub(crate) fn prefixed(value: &Value, prefix: &str) -> Value {
    match value {
        Value::String(text) => {
            let digits: String = prefix.chars().filter(char::is_ascii_digit).collect();
            text.replace('~', prefix)
                .replace('#', &format!("{digits:0>12}"))
                .into()
        }
        Value::Array(items) => items.iter().map(|item| prefixed(item, prefix)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), prefixed(value, prefix)))
            .collect(),
        other => other.clone(),
    }
}
