//! A health check.

use serde::Deserialize;

use super::nullable;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Check {
    #[serde(rename = "CheckID", deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(rename = "ServiceID", deserialize_with = "nullable")]
    pub(crate) service_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) service_name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(rename = "Type", deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) output: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) modify_index: u64,
}

/// Where a check stands, and what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CheckPlace {
    #[serde(deserialize_with = "nullable")]
    pub(crate) node: String,
    #[serde(rename = "CheckID", deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) service_name: String,
}

/// What tells whether a check is the one that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CheckStamp {
    #[serde(rename = "CheckID", deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(rename = "ServiceID", deserialize_with = "nullable")]
    pub(crate) service_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) service_name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) modify_index: u64,
}
