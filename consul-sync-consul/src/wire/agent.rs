//! What the agent says of itself.

use serde::Deserialize;

use super::nullable;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AgentSelf {
    #[serde(deserialize_with = "nullable")]
    pub(crate) config: AgentConfig,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AgentConfig {
    #[serde(deserialize_with = "nullable")]
    pub(crate) datacenter: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) version: String,
}

impl AgentConfig {
    /// Major and minor of its version.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}
