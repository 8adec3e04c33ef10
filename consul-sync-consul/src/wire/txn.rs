//! Answers of `/v1/txn`.

use serde::Deserialize;

use super::{CheckStamp, Node, ServiceStamp, nullable};

/// Results of what was applied, or errors of what was not; never both.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TxnAnswer {
    /// In the order of the operations; a delete has none, and what the token may not read is left out.
    #[serde(deserialize_with = "nullable")]
    pub(crate) results: Vec<TxnResult>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) errors: Vec<TxnError>,
}

/// What an operation left behind: one of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TxnResult {
    pub(crate) node: Option<Node>,
    pub(crate) service: Option<ServiceStamp>,
    pub(crate) check: Option<CheckStamp>,
}

/// Why an operation was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TxnError {
    #[serde(deserialize_with = "nullable")]
    pub(crate) op_index: usize,
    #[serde(deserialize_with = "nullable")]
    pub(crate) what: String,
}
