//! Lists of named ports.

use crate::{Client, Error, request::Request, wire::AgentSelf};

/// Whether instances are registered with the list of their named ports, which Consul knows since 1.22.
///
/// A list cannot be written by a transaction: there it is dropped in silence, so it takes the single registration
/// instead. What that costs: the write is not conditional, so a change that somebody makes within the few
/// milliseconds between our last look and the write is lost; the server's work grows with the number of instances
/// on the node; and a batch takes a request for each instance. Without a list every instance has its default port,
/// which is what DNS and nearly all readers use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ports {
    /// No lists: the default port alone, by transactions.
    #[default]
    Never,
    /// Lists where the server is known to take them.
    Auto,
    /// Lists. A server before 1.22 refuses every instance.
    Always,
}

// === impl Ports ===

impl Ports {
    /// Whether lists are to be written, for [`SinkSettings::named_ports`](crate::SinkSettings::named_ports). It
    /// is asked once, because an instance must not be written in one way now and in the other later.
    ///
    /// # Errors
    /// When the version has to be known and cannot be read; that takes the right `agent_prefix "" read`.
    pub async fn decide(self, client: &Client) -> Result<bool, Error> {
        match self {
            Self::Never => Ok(false),
            Self::Always => Ok(true),
            Self::Auto => {
                let answer = client.call(&Request::get(&["agent", "self"])).await?;
                let agent: AgentSelf = answer.json()?;
                Ok(agent
                    .config
                    .version()
                    .is_some_and(|version| version >= (1, 22)))
            }
        }
    }
}
