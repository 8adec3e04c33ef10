//! Settings of a client.

use std::time::Duration;

use crate::{Error, ServerAddress, TlsSettings, TokenSource};

/// How Consul is reached.
///
/// ```
/// use consul_sync_consul::{ClientSettings, Secret, TokenSource};
/// let mut settings = ClientSettings::new("https://consul-0:8501,https://consul-1:8501");
/// settings.token = TokenSource::Value(Secret::new("2f7c"));
/// settings.datacenter = Some("dc1".into());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSettings {
    /// Servers, each as [`ServerAddress::parse`] takes it; one text may hold several, separated by commas.
    /// They must be of one cluster. The first is asked first; the next one when it fails.
    pub addresses: Vec<String>,
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

    /// The servers, each once.
    pub(crate) fn servers(&self) -> Result<Vec<ServerAddress>, Error> {
        let mut servers = Vec::new();
        for text in self.addresses.iter().flat_map(|text| text.split(',')) {
            let mut server = ServerAddress::parse(text)?;
            if self.use_tls && !text.contains("://") {
                server = server.with_https();
            }
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.is_empty() {
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
