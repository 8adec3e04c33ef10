//! The servers that a client knows: given once, or found by a command and found again when none of them answers.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Call, Error, ServerAddress,
    connection::{Connection, Endpoint},
    discovery::Discovery,
    pool::Pool,
    request::Request,
};

/// The command is not run more often, whatever fails.
const BETWEEN: Duration = Duration::from_secs(1);

/// The servers as they are known now.
#[derive(Debug)]
pub(super) struct Directory {
    current: Mutex<Arc<Servers>>,
    finder: Option<Finder>,
    connections: usize,
}

#[derive(Debug)]
struct Finder {
    discovery: Discovery,
    /// When it was asked last; held while it is asked.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// Servers of one cluster, with the connections to them.
#[derive(Debug)]
pub(super) struct Servers {
    endpoints: Vec<Endpoint>,
    /// The one that answered last; the others are asked when it fails.
    preferred: AtomicUsize,
    /// Failures since the last answer.
    failures: AtomicUsize,
    pool: Pool,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Server {
    servers: Arc<Servers>,
    at: usize,
}

// === impl Directory ===

impl Directory {
    pub(super) fn new(
        addresses: Vec<ServerAddress>,
        discovery: Option<Discovery>,
        connections: usize,
    ) -> Self {
        Self {
            current: Mutex::new(Arc::new(Servers::new(addresses, connections))),
            finder: discovery.map(|discovery| Finder {
                discovery,
                asked: tokio::sync::Mutex::default(),
            }),
            connections,
        }
    }

    /// The server to ask next.
    ///
    /// # Errors
    /// [`Error::Discovery`] when none was ever found.
    pub(super) async fn server(&self) -> Result<Server, Error> {
        let servers = self.known();
        let servers = match &self.finder {
            Some(finder) if servers.is_spent() => self.find(finder).await?,
            _ => servers,
        };
        let at = servers.preferred.load(Ordering::Relaxed) % servers.endpoints.len().max(1);
        Ok(Server { servers, at })
    }

    fn known(&self) -> Arc<Servers> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn find(&self, finder: &Finder) -> Result<Arc<Servers>, Error> {
        let mut asked = finder.asked.lock().await;
        let before = self.known();
        // Somebody else was faster, or it was done a moment ago.
        let is_recent = asked.is_some_and(|asked| asked.elapsed() < BETWEEN);
        if !before.is_spent() || (is_recent && !before.endpoints.is_empty()) {
            return Ok(before);
        }
        let found = finder.discovery.addresses().await;
        *asked = Some(Instant::now());
        match found {
            Ok(addresses) if before.are(&addresses) => {
                before.failures.store(0, Ordering::Relaxed);
                Ok(before)
            }
            Ok(addresses) => {
                let servers = Arc::new(Servers::new(addresses, self.connections));
                tracing::info!(%servers, "servers of Consul found");
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&servers);
                Ok(servers)
            }
            Err(error) if before.endpoints.is_empty() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the servers known before are asked again");
                Ok(before)
            }
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.known();
        match &self.finder {
            Some(finder) if servers.endpoints.is_empty() => finder.discovery.fmt(f),
            _ => servers.fmt(f),
        }
    }
}

// === impl Servers ===

impl Servers {
    fn new(addresses: Vec<ServerAddress>, connections: usize) -> Self {
        Self {
            preferred: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            pool: Pool::new(addresses.len(), connections),
            endpoints: addresses.into_iter().map(Endpoint::new).collect(),
        }
    }

    /// Whether each of them failed since the last answer.
    fn is_spent(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= self.endpoints.len()
    }

    fn are(&self, addresses: &[ServerAddress]) -> bool {
        let own = self.endpoints.iter().map(|endpoint| &endpoint.address);
        own.eq(addresses)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let between = if at > 0 { ", " } else { "" };
            write!(f, "{between}{}", endpoint.address)?;
        }
        Ok(())
    }
}

// === impl Server ===

impl Server {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.servers.endpoints[self.at]
    }

    /// No connection to it took the request.
    pub(super) fn unsent(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Connect {
            server: self.endpoint().address.to_string(),
            source: error.into(),
        }
    }

    /// The request, for errors about it.
    pub(super) fn describe(&self, request: &Request) -> Call {
        Call {
            method: match *request.method() {
                http::Method::PUT => "PUT",
                http::Method::POST => "POST",
                _ => "GET",
            },
            path: request.path().into(),
            server: self.endpoint().address.to_string().into(),
        }
    }

    /// How many there are like it, itself among them.
    pub(super) fn count(&self) -> usize {
        self.servers.endpoints.len()
    }

    /// A connection to it that waits for its next request, where one is good.
    pub(super) fn idle(&self) -> Option<Connection> {
        self.servers.pool.take(self.at)
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, connection: Connection) {
        self.servers.pool.put(self.at, connection);
    }

    /// Whether both were known at the same time.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.servers, &other.servers)
    }

    /// It answered.
    pub(super) fn well(&self) {
        self.servers.failures.store(0, Ordering::Relaxed);
    }

    /// Another server, or another address of the same name, is asked next.
    pub(super) fn turn_away(&self) {
        self.endpoint().turn_away();
        self.servers.pool.forget(self.at);
        self.servers.failures.fetch_add(1, Ordering::Relaxed);
        let next = (self.at + 1) % self.count();
        // Whoever came first has already moved on.
        let _ = self.servers.preferred.compare_exchange(
            self.at,
            next,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }
}
