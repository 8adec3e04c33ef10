//! Reads request bodies with the habits of Go's JSON decoder.
//!
//! Field names match without regard to case, `null` leaves a field at its zero value, an unknown field is an error, and
//! what follows the first value is ignored. A client that relies on a laxer reader fails here as it does on Consul.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::model::Pairs;

/// Why a body could not be read, in the words of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecodeError(pub(super) String);

/// Result of reading a field.
pub(super) type Decoded<T> = Result<T, DecodeError>;

/// The first JSON value of `body`.
pub(super) fn first_value(body: &[u8]) -> Decoded<Value> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    match values.next() {
        None => Err(DecodeError("EOF".to_owned())),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is_eof() => Err(DecodeError("unexpected EOF".to_owned())),
        Some(Err(error)) => Err(DecodeError(error.to_string())),
    }
}

/// The elements of a list; `null` is an empty one.
pub(super) fn list(value: Value, what: &str) -> Decoded<Vec<Value>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => Ok(values),
        other => Err(mismatch(&other, what)),
    }
}

/// The fields of one object, taken one after the other.
#[derive(Debug)]
pub(super) struct Fields {
    rest: Vec<(String, Value)>,
}

impl Fields {
    /// Opens `value`; `None` for `null`.
    pub(super) fn open(value: Value, what: &str) -> Decoded<Option<Self>> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(Self {
                rest: map.into_iter().collect(),
            })),
            other => Err(mismatch(&other, what)),
        }
    }

    /// The value of `name`, `Null` when it is absent.
    pub(super) fn take(&mut self, name: &str) -> Value {
        let mut found = Value::Null;
        while let Some(at) = self
            .rest
            .iter()
            .position(|(key, _)| key.eq_ignore_ascii_case(name))
        {
            let (_, value) = self.rest.remove(at);
            if !value.is_null() {
                found = value;
            }
        }
        found
    }

    pub(super) fn text(&mut self, name: &str) -> Decoded<String> {
        text(self.take(name), name)
    }

    pub(super) fn texts(&mut self, name: &str) -> Decoded<Option<Vec<String>>> {
        match self.take(name) {
            Value::Null => Ok(None),
            Value::Array(values) => values
                .into_iter()
                .map(|value| text(value, name))
                .collect::<Decoded<_>>()
                .map(Some),
            other => Err(mismatch(&other, name)),
        }
    }

    /// Bytes in base64.
    pub(super) fn bytes(&mut self, name: &str) -> Decoded<Option<Vec<u8>>> {
        use base64::Engine as _;
        match self.take(name) {
            Value::Null => Ok(None),
            value => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(text(value, name)?);
                // Consul decodes it apart, and then blames the field around it.
                let decoded =
                    decoded.map_err(|_| DecodeError("json: unknown field \"KV\"".to_owned()))?;
                Ok(Some(decoded))
            }
        }
    }

    pub(super) fn pairs(&mut self, name: &str) -> Decoded<Option<Pairs>> {
        let Some(map) = self.table(name)? else {
            return Ok(None);
        };
        map.into_iter()
            .map(|(key, value)| Ok((key, text(value, name)?)))
            .collect::<Decoded<_>>()
            .map(Some)
    }

    pub(super) fn table(&mut self, name: &str) -> Decoded<Option<Map<String, Value>>> {
        match self.take(name) {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(map)),
            other => Err(mismatch(&other, name)),
        }
    }

    pub(super) fn integer(&mut self, name: &str) -> Decoded<i64> {
        match self.take(name) {
            Value::Null => Ok(0),
            value => value.as_i64().ok_or_else(|| mismatch(&value, name)),
        }
    }

    pub(super) fn index(&mut self, name: &str) -> Decoded<u64> {
        match self.take(name) {
            Value::Null => Ok(0),
            value => value.as_u64().ok_or_else(|| mismatch(&value, name)),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Decoded<bool> {
        match self.take(name) {
            Value::Null => Ok(false),
            value => value.as_bool().ok_or_else(|| mismatch(&value, name)),
        }
    }

    /// Drops fields that Consul knows and the fake does not model.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.take(name);
        }
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Decoded<()> {
        match self.rest.first() {
            None => Ok(()),
            Some((name, _)) => Err(DecodeError(format!("json: unknown field \"{name}\""))),
        }
    }

    /// What is left, for objects that are kept as they come.
    pub(super) fn remaining(self) -> BTreeMap<String, Value> {
        self.rest.into_iter().collect()
    }
}

fn text(value: Value, name: &str) -> Decoded<String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        other => Err(mismatch(&other, name)),
    }
}

fn mismatch(value: &Value, name: &str) -> DecodeError {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    DecodeError(format!("json: cannot unmarshal {kind} into field {name}"))
}
