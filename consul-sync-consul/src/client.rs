//! The HTTP client: one call, one answer, within a deadline.
//!
//! It picks a server, carries the token, fails over, and repeats what may be repeated: reads, and what was
//! never sent. A write that may have been applied is reported as such and never sent again.

mod authenticate;
mod receive;
mod servers;
mod settings;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body_util::Full;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use self::servers::{Directory, Server};
pub use self::settings::ClientSettings;
use crate::{
    Call, Error, ServerAddress, answer::Answer, block, connection::Connection,
    discovery::Discovery, request::Request, retry::Backoff, tls::Tls, token::Token,
};

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-consul-token");
/// How often a read is tried in all, within its deadline.
const READ_ATTEMPTS: u32 = 3;

/// A client of Consul's HTTP API. Cheap to clone; clones share connections.
///
/// ```
/// use consul_sync_consul::{Client, ClientSettings};
/// let client = Client::new(ClientSettings::new("http://127.0.0.1:8500"))?;
/// # Ok::<(), consul_sync_consul::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    directory: Directory,
    /// Requests under way, blocking queries not counted.
    permits: Semaphore,
    token: Token,
    tls: Option<Tls>,
    datacenter: Option<String>,
    partition: Option<String>,
    timeout: Duration,
    answer_limit: u64,
}

/// How far one try of a call has come.
#[derive(Debug, Default)]
struct Attempt {
    /// Whether any of it may be on the wire.
    is_sent: AtomicBool,
    /// The token that it carries.
    token: OnceLock<HeaderValue>,
}

// === impl Attempt ===

impl Attempt {
    /// The error when it took longer than `limit`.
    fn too_late(&self, request: &Request, server: &Server, limit: Duration) -> Error {
        Error::Timeout {
            call: server.describe(request),
            after: limit,
            is_sent: self.is_sent.load(Ordering::Relaxed),
        }
    }
}

// === impl Client ===

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] or [`Error::Token`] that names what cannot be used.
    pub fn new(settings: ClientSettings) -> Result<Self, Error> {
        let servers = settings.servers()?;
        let discovery = settings.discovery()?;
        // What a command prints may say https by itself.
        let is_tls = servers.iter().any(ServerAddress::is_https)
            || discovery.as_ref().is_some_and(Discovery::is_https);
        let connections = settings.connections.max(1);
        Ok(Self(Arc::new(Inner {
            permits: Semaphore::new(connections),
            directory: Directory::new(servers, discovery, connections),
            token: Token::new(settings.token)?,
            tls: is_tls.then(|| Tls::new(settings.tls)).transpose()?,
            datacenter: settings.datacenter,
            partition: settings.partition,
            timeout: settings.timeout,
            answer_limit: settings.answer_limit,
        })))
    }

    /// The addresses of its servers, for people.
    pub fn servers(&self) -> String {
        self.0.directory.to_string()
    }

    /// Whether requests carry no token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.0.token.is_anonymous()
    }

    /// The admin partition that requests are about.
    pub(crate) fn partition(&self) -> Option<&str> {
        self.0.partition.as_deref()
    }

    /// A request about this client's datacenter and partition.
    pub(crate) fn scoped(&self, request: Request) -> Request {
        self.scoped_to(request, None, None)
    }

    /// A request about another datacenter or partition; what is not named is this client's.
    pub(crate) fn scoped_to(
        &self,
        request: Request,
        datacenter: Option<&str>,
        partition: Option<&str>,
    ) -> Request {
        request
            .with_optional("dc", datacenter.or(self.0.datacenter.as_deref()))
            .with_optional("partition", partition.or(self.0.partition.as_deref()))
    }

    /// Sends a request and returns its answer: a success, the 409 with which a transaction is refused, or the 404 of
    /// something that may be absent.
    ///
    /// # Cancellation
    /// A dropped write may have been applied.
    pub(crate) async fn call(&self, request: &Request) -> Result<Answer, Error> {
        let usual = self.0.timeout * request.patience();
        let limit = request.wait().map_or(usual, block::deadline);
        let deadline = Instant::now() + limit;
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut server = self.0.directory.server().await?;
        let mut untried = server.count();
        let mut attempts = 0;
        let mut is_token_fresh = false;
        loop {
            attempts += 1;
            let attempt = Attempt::default();
            let tried = self.attempt(request, &server, deadline, limit, &attempt);
            let error = match tried.await {
                Ok(answer) => {
                    server.well();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if let Error::Status { status, .. } = &error
                && matches!(status.as_u16(), 401 | 403)
                && !is_token_fresh
                && self.has_new_token(&error, &attempt)
            {
                is_token_fresh = true;
                continue;
            }
            if !error.is_transient() {
                return Err(error);
            }
            server.turn_away();
            let is_unsent = !error.may_have_been_applied();
            untried = untried.saturating_sub(1);
            let next = self.0.directory.server().await?;
            if !next.is_beside(&server) {
                untried = next.count();
            }
            server = next;
            if is_unsent && untried > 0 {
                continue;
            }
            let is_plain_read = !request.is_write() && request.wait().is_none();
            if !is_plain_read || attempts >= READ_ATTEMPTS {
                return Err(error);
            }
            // A pooled connection that was closed as it was used says nothing of the server (fault G10).
            let is_stale_connection = attempts == 1 && matches!(error, Error::Broken { .. });
            if !is_stale_connection {
                let pause = backoff.next(error.retry_after());
                if Instant::now() + pause >= deadline {
                    return Err(error);
                }
                sleep(pause).await;
            }
        }
    }

    /// Whether the token that was refused has been replaced in its file, or another login is worth it.
    fn has_new_token(&self, error: &Error, attempt: &Attempt) -> bool {
        if let Some(login) = self.0.token.login() {
            let used = attempt.token.get();
            return used.is_some_and(|used| login.refused(used, error.is_of_unknown_token()));
        }
        let before = self.0.token.header().ok().flatten();
        self.0.token.distrust();
        self.0.token.header().ok().flatten() != before
    }

    async fn attempt(
        &self,
        request: &Request,
        server: &Server,
        deadline: Instant,
        limit: Duration,
        attempt: &Attempt,
    ) -> Result<Answer, Error> {
        let trying = async {
            let token = self.token(server).await?;
            if let Some(token) = &token {
                // Nobody else sets it.
                let _ = attempt.token.set(token.clone());
            }
            let _permit = match request.wait() {
                Some(_) => None,
                // The semaphore is never closed.
                None => self.0.permits.acquire().await.ok(),
            };
            self.exchange(request, server, token, attempt).await
        };
        match timeout_at(deadline, trying).await {
            Ok(result) => result,
            Err(_) => Err(attempt.too_late(request, server, limit)),
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        server: &Server,
        token: Option<HeaderValue>,
        attempt: &Attempt,
    ) -> Result<Answer, Error> {
        let (mut connection, response) = loop {
            let (mut connection, is_pooled) = match server.idle() {
                Some(connection) => (connection, true),
                None => (self.dial(server).await?, false),
            };
            if let Err(error) = connection.sender.ready().await {
                if is_pooled {
                    continue;
                }
                return Err(server.unsent(connection.why(error)));
            }
            let message = message(request, server, token.clone())?;
            attempt.is_sent.store(true, Ordering::Relaxed);
            match connection.sender.try_send_request(message).await {
                Ok(response) => break (connection, response),
                Err(mut failure) => {
                    // The message comes back only when none of it reached the wire.
                    let is_unsent = failure.take_message().is_some();
                    let error = failure.into_error();
                    if !is_unsent {
                        return Err(Error::Broken {
                            call: server.describe(request),
                            source: connection.why(error),
                        });
                    }
                    attempt.is_sent.store(false, Ordering::Relaxed);
                    if !is_pooled {
                        return Err(server.unsent(connection.why(error)));
                    }
                }
            }
        };
        let answer = self.receive(request, server, response).await?;
        if connection.sender.ready().await.is_ok() {
            server.keep(connection);
        }
        self.judge(request, answer)
    }

    async fn dial(&self, server: &Server) -> Result<Connection, Error> {
        let endpoint = server.endpoint();
        let tls = endpoint
            .address
            .is_https()
            .then_some(self.0.tls.as_ref())
            .flatten();
        endpoint.dial(tls).await
    }

    /// A call to name in an error about an answer that is no longer at hand.
    pub(crate) fn about(&self, method: &'static str, path: &str) -> Call {
        Call {
            method,
            path: path.into(),
            server: self.servers().into(),
        }
    }
}

/// A request as it goes to this server.
fn message(
    request: &Request,
    server: &Server,
    token: Option<HeaderValue>,
) -> Result<http::Request<Full<Bytes>>, Error> {
    let mut builder = http::Request::builder()
        .method(request.method().clone())
        .uri(request.target())
        .header(header::HOST, server.endpoint().authority())
        .header(header::ACCEPT_ENCODING, "gzip")
        .header(
            header::USER_AGENT,
            concat!("consul-sync/", env!("CARGO_PKG_VERSION")),
        );
    if let Some(token) = token {
        builder = builder.header(TOKEN_HEADER, token);
    }
    if request.body().is_some() {
        builder = builder.header(header::CONTENT_TYPE, "application/json");
    }
    let body = Full::new(request.body().cloned().unwrap_or_default());
    builder
        .body(body)
        .map_err(|error| Error::Settings(format!("request to consul: {error}")))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("servers", &self.servers())
            .field("datacenter", &self.0.datacenter)
            .field("partition", &self.0.partition)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
