//! A namespace of Consul Enterprise.

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Namespace {
    /// When somebody deleted it, where it is there only until what is in it is gone.
    pub(crate) deleted_at: Option<String>,
}
