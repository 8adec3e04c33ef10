//! Logins.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::nullable;

/// What is sent to `/v1/acl/login`.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LoginRequest<'a> {
    pub(crate) auth_method: &'a str,
    pub(crate) bearer_token: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) meta: &'a BTreeMap<String, String>,
}

/// Its answer: the token that was made.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LoginAnswer {
    #[serde(rename = "SecretID", deserialize_with = "nullable")]
    pub(crate) secret_id: String,
    #[serde(rename = "AccessorID", deserialize_with = "nullable")]
    pub(crate) accessor_id: String,
    #[serde(deserialize_with = "nullable")]
    create_time: String,
    #[serde(deserialize_with = "nullable")]
    expiration_time: String,
}

impl LoginAnswer {
    /// How long the token lives from its making; `None` for ever.
    ///
    /// # Errors
    /// Names what cannot be understood.
    pub(crate) fn life(&self) -> Result<Option<Duration>, String> {
        if self.expiration_time.is_empty() {
            return Ok(None);
        }
        let time = |name: &str, text: &str| -> Result<Timestamp, String> {
            text.parse()
                .map_err(|_| format!("{name} of the token is {text:?}, which is no time"))
        };
        let end = time("ExpirationTime", &self.expiration_time)?;
        let start = time("CreateTime", &self.create_time)?;
        match Duration::try_from(end.duration_since(start)) {
            Ok(life) if !life.is_zero() => Ok(Some(life)),
            _ => Err("the token ends before it begins".to_owned()),
        }
    }
}

impl fmt::Debug for LoginAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAnswer")
            .field("accessor_id", &self.accessor_id)
            .field("expiration_time", &self.expiration_time)
            .finish_non_exhaustive()
    }
}
