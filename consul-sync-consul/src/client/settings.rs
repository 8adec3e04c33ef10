//! Settings of a client.

use std::{fmt, time::Duration};

use crate::{Error, ServerAddress, TlsSettings, TokenSource, discovery::Discovery};

/// How Consul is reached.
///
/// ```
/// use consul_sync_consul::{ClientSettings, Secret, TokenSource};
/// let mut settings = ClientSettings::new("https://consul-0:8501,https://consul-1:8501");
/// settings.token = TokenSource::Value(Secret::new("2f7c"));
/// settings.datacenter = Some("dc1".into());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientSettings {
    /// Servers, each as [`ServerAddress::parse`] takes it; one text may hold several, separated by commas.
    /// They must be of one cluster. The first is asked first; the next one when it fails.
    pub addresses: Vec<String>,
    /// A command that prints the addresses of the servers, in place of addresses: a program and its arguments, separated
    /// by blanks. It is run before the first request and when every server that it named has failed.
    pub address_command: Option<String>,
    /// The port of addresses that have none, where it is not Consul's own.
    pub port: Option<u16>,
    /// The ACL token.
    pub token: TokenSource,
    /// TLS, for addresses with scheme `https`.
    pub tls: TlsSettings,
    /// Speak TLS to addresses without a scheme, too.
    pub use_tls: bool,
    /// The datacenter, where it is not that of the server asked.
    pub datacenter: Option<String>,
    /// The admin partition (Consul Enterprise).
    pub partition: Option<String>,
    /// How long a small call may take in all, from the name lookup to the last byte of the answer; a transaction
    /// may take three times and a listing six times as long. Longer than the 7 s for which Consul holds a request
    /// while it has no leader.
    pub timeout: Duration,
    /// How many requests may be under way at once, blocking queries not counted.
    pub connections: usize,
    /// The most bytes that an answer may have, decoded.
    pub answer_limit: u64,
}

// === impl ClientSettings ===

impl ClientSettings {
    /// Settings with the defaults: no token, 10 s, 6 requests at once, 256 MiB.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            addresses: vec![address.into()],
            address_command: None,
            port: None,
            token: TokenSource::default(),
            tls: TlsSettings::default(),
            use_tls: false,
            datacenter: None,
            partition: None,
            timeout: Duration::from_secs(10),
            connections: 6,
            answer_limit: 256 << 20,
        }
    }

    /// The command that finds them, where there is one.
    pub(crate) fn discovery(&self) -> Result<Option<Discovery>, Error> {
        self.address_command
            .as_deref()
            .map(|command| Discovery::new(command, self.port, self.use_tls))
            .transpose()
    }

    /// The servers, each once; none where a command finds them.
    pub(crate) fn servers(&self) -> Result<Vec<ServerAddress>, Error> {
        let mut servers = Vec::new();
        let given = self
            .addresses
            .iter()
            .filter(|_| self.address_command.is_none());
        for text in given.flat_map(|text| text.split(',')) {
            let server = ServerAddress::parse_or(text, self.port, self.use_tls)?;
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.is_empty() && self.address_command.is_none() {
            return Err(Error::Settings("no consul address is set".into()));
        }
        for (name, value) in [
            ("datacenter", &self.datacenter),
            ("partition", &self.partition),
        ] {
            if value
                .as_deref()
                .is_some_and(|value| value.trim().is_empty())
            {
                return Err(Error::Settings(format!(
                    "consul {name} is empty; leave it unset instead"
                )));
            }
        }
        Ok(servers)
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("addresses", &self.addresses)
            // Its arguments may be keys of a cloud.
            .field(
                "address_command",
                &self.address_command.as_ref().map(|_| ".."),
            )
            .field("port", &self.port)
            .field("token", &self.token)
            .field("tls", &self.tls)
            .field("use_tls", &self.use_tls)
            .field("datacenter", &self.datacenter)
            .field("partition", &self.partition)
            .field("timeout", &self.timeout)
            .field("connections", &self.connections)
            .field("answer_limit", &self.answer_limit)
            .finish()
    }
}
