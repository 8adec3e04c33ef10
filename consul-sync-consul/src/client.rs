//! The HTTP client: one call, one answer, within a deadline.
//!
//! It picks a server, carries the token, fails over, and repeats what may be repeated: reads, and what was
//! never sent. A write that may have been applied is reported as such and never sent again.

mod receive;
mod settings;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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

pub use self::settings::ClientSettings;
use crate::{
    Call, Error,
    answer::Answer,
    block,
    connection::{Connection, Endpoint},
    pool::Pool,
    request::Request,
    retry::Backoff,
    tls::Tls,
    token::Token,
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
    endpoints: Vec<Endpoint>,
    /// The server that answered last; the others are asked when it fails.
    preferred: AtomicUsize,
    pool: Pool,
    /// Requests under way, blocking queries not counted.
    permits: Semaphore,
    token: Token,
    tls: Option<Tls>,
    datacenter: Option<String>,
    partition: Option<String>,
    timeout: Duration,
    answer_limit: u64,
}

// === impl Client ===

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] or [`Error::Token`] that names what cannot be used.
    pub fn new(settings: ClientSettings) -> Result<Self, Error> {
        let endpoints: Vec<Endpoint> = settings.servers()?.into_iter().map(Endpoint::new).collect();
        let is_tls = endpoints.iter().any(|endpoint| endpoint.address.is_https());
        let connections = settings.connections.max(1);
        Ok(Self(Arc::new(Inner {
            preferred: AtomicUsize::new(0),
            pool: Pool::new(endpoints.len(), connections),
            permits: Semaphore::new(connections),
            endpoints,
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
        let addresses: Vec<String> = self
            .0
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address.to_string())
            .collect();
        addresses.join(", ")
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
        let mut untried = self.0.endpoints.len();
        let mut attempts = 0;
        let mut is_token_fresh = false;
        loop {
            let server = self.0.preferred.load(Ordering::Relaxed) % self.0.endpoints.len();
            attempts += 1;
            let error = match self.attempt(request, server, deadline, limit).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Error::Status { status, .. } = &error
                && matches!(status.as_u16(), 401 | 403)
                && !is_token_fresh
                && self.has_new_token()
            {
                is_token_fresh = true;
                continue;
            }
            if !error.is_transient() {
                return Err(error);
            }
            self.turn_away(server);
            let is_unsent = !error.may_have_been_applied();
            untried = untried.saturating_sub(1);
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

    /// Another server, or another address of the same name, is asked next.
    fn turn_away(&self, server: usize) {
        self.0.endpoints[server].turn_away();
        self.0.pool.forget(server);
        let next = (server + 1) % self.0.endpoints.len();
        // Whoever came first has already moved on.
        let _ =
            self.0
                .preferred
                .compare_exchange(server, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the token that was refused has been replaced in its file.
    fn has_new_token(&self) -> bool {
        let before = self.0.token.header().ok().flatten();
        self.0.token.distrust();
        self.0.token.header().ok().flatten() != before
    }

    async fn attempt(
        &self,
        request: &Request,
        server: usize,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let is_sent = AtomicBool::new(false);
        match timeout_at(deadline, self.exchange(request, server, &is_sent)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                call: self.describe(request, server),
                after: limit,
                is_sent: is_sent.load(Ordering::Relaxed),
            }),
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        server: usize,
        is_sent: &AtomicBool,
    ) -> Result<Answer, Error> {
        let _permit = match request.wait() {
            Some(_) => None,
            // The semaphore is never closed.
            None => self.0.permits.acquire().await.ok(),
        };
        let token = self.0.token.header()?;
        let (mut connection, response) = loop {
            let (mut connection, is_pooled) = match self.0.pool.take(server) {
                Some(connection) => (connection, true),
                None => (self.dial(server).await?, false),
            };
            if let Err(error) = connection.sender.ready().await {
                if is_pooled {
                    continue;
                }
                return Err(self.unsent(server, error));
            }
            let message = self.message(request, server, token.clone())?;
            is_sent.store(true, Ordering::Relaxed);
            match connection.sender.try_send_request(message).await {
                Ok(response) => break (connection, response),
                Err(mut failure) => {
                    // The message comes back only when none of it reached the wire.
                    let is_unsent = failure.take_message().is_some();
                    let error = failure.into_error();
                    if !is_unsent {
                        return Err(Error::Broken {
                            call: self.describe(request, server),
                            source: error.into(),
                        });
                    }
                    is_sent.store(false, Ordering::Relaxed);
                    if !is_pooled {
                        return Err(self.unsent(server, error));
                    }
                }
            }
        };
        let answer = self.receive(request, server, response).await?;
        if connection.sender.ready().await.is_ok() {
            self.0.pool.put(server, connection);
        }
        self.judge(request, answer)
    }

    async fn dial(&self, server: usize) -> Result<Connection, Error> {
        let endpoint = &self.0.endpoints[server];
        let tls = endpoint
            .address
            .is_https()
            .then_some(self.0.tls.as_ref())
            .flatten();
        endpoint.dial(tls).await
    }

    fn unsent(&self, server: usize, error: hyper::Error) -> Error {
        Error::Connect {
            server: self.0.endpoints[server].address.to_string(),
            source: error.into(),
        }
    }

    fn message(
        &self,
        request: &Request,
        server: usize,
        token: Option<HeaderValue>,
    ) -> Result<http::Request<Full<Bytes>>, Error> {
        let mut builder = http::Request::builder()
            .method(request.method().clone())
            .uri(request.target())
            .header(header::HOST, self.0.endpoints[server].authority())
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

    /// A call to name in an error about an answer that is no longer at hand.
    pub(crate) fn about(&self, method: &'static str, path: &str) -> Call {
        Call {
            method,
            path: path.into(),
            server: self.servers().into(),
        }
    }

    fn describe(&self, request: &Request, server: usize) -> Call {
        Call {
            method: match *request.method() {
                http::Method::PUT => "PUT",
                http::Method::POST => "POST",
                _ => "GET",
            },
            path: request.path().into(),
            server: self.0.endpoints[server].address.to_string().into(),
        }
    }
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
