//! One instance of `/v1/health/service/NAME`: the instance with its node and its checks.

use serde::Deserialize;

use super::{Check, Node, Service, nullable};

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthEntry {
    #[serde(deserialize_with = "nullable")]
    pub(crate) node: Node,
    #[serde(deserialize_with = "nullable")]
    pub(crate) service: Service,
    #[serde(deserialize_with = "nullable")]
    pub(crate) checks: Vec<Check>,
}
