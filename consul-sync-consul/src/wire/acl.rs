//! Questions about rights.

use serde::{Deserialize, Serialize};

use super::nullable;

/// One question to `/v1/internal/acl/authorize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Access<'a> {
    pub(crate) resource: &'a str,
    pub(crate) segment: &'a str,
    #[serde(rename = "Access")]
    pub(crate) verb: &'a str,
}

/// Its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Allowed {
    #[serde(deserialize_with = "nullable")]
    pub(crate) allow: bool,
}
