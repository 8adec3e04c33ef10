//! Plain requests to a server, for tests that look past the product's own clients.
//!
//! Every request opens its own connection, where the client is not told to
//! [keep](Client::keeping_connections) them. A test's runtime ends with the test; a connection
//! kept in a server that many tests share would end with it, in the middle of another test.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::{InvalidUri, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use crate::{Error, Result, folder};

mod watch;

pub use watch::Watch;

/// Longer than any blocking query that a test makes.
const DEADLINE: Duration = Duration::from_secs(60);

/// How much of an answer an error shows.
const SHOWN: usize = 2000;

/// Sends requests to one server with one token.
///
/// # Examples
///
/// ```no_run
/// # async fn example(consul: consul_sync_testbed::Consul) -> consul_sync_testbed::Result<()> {
/// let nodes = consul.client().get("/v1/catalog/nodes").await?.json()?;
/// assert_eq!(nodes[0]["Node"], "testbed");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    authorization: Option<HeaderValue>,
    deadline: Duration,
    connector: HttpsConnector<HttpConnector>,
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer of any status.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    request: (Method, String),
}

// ---- Client ----

impl Client {
    /// A client without a token for `base`, as in `http://127.0.0.1:2379`.
    ///
    /// # Errors
    ///
    /// None today; the other kinds of clients read a certificate.
    pub fn plain(base: &str) -> Result<Self> {
        Self::new(base.to_owned(), None, None)
    }

    /// A client for `base`, as in `https://127.0.0.1:6443`, that trusts `ca` alone and sends
    /// `token` as a bearer token, which the API server and Consul both take.
    pub(crate) fn new(base: String, ca: Option<&Path>, token: Option<&str>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = ca {
            let certificate = |reason: String| Error::Certificate {
                path: path.to_owned(),
                reason,
            };
            for parsed in CertificateDer::pem_slice_iter(folder::read(path)?.as_bytes()) {
                let parsed = parsed.map_err(|error| certificate(error.to_string()))?;
                roots
                    .add(parsed)
                    .map_err(|error| certificate(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(certificate("there is none".to_owned()));
            }
        }
        let tls =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring has the default protocol versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        // On a connection that is kept, a request's last part would wait for the acknowledgement of
        // its first.
        plain.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        Ok(Self {
            base,
            authorization: token.map(bearer),
            deadline: DEADLINE,
            pool: Pool::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector.clone()),
            connector,
        })
    }

    /// The same client with connections that it keeps, for as long as the runtime of its first
    /// request lives: thousands of requests to a server that nobody else uses then pay for few of
    /// them.
    #[must_use]
    pub fn keeping_connections(&self) -> Self {
        Self {
            pool: Pool::builder(TokioExecutor::new()).build(self.connector.clone()),
            ..self.clone()
        }
    }

    /// The same client with another token, or with none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            authorization: token.map(bearer),
            ..self.clone()
        }
    }

    /// The same client with another limit on the time to a whole answer; 60 seconds at first.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// The server's address with its scheme, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, "application/json", Bytes::new())
            .await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, "application/json", Bytes::new())
            .await
    }

    /// PUT of a JSON document.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, "application/json", body.to_string())
            .await
    }

    /// POST of a JSON document.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, "application/json", body.to_string())
            .await
    }

    /// PATCH with a JSON merge patch.
    pub async fn merge(&self, path: &str, change: &Value) -> Result<Answer> {
        self.send(
            Method::PATCH,
            path,
            "application/merge-patch+json",
            change.to_string(),
        )
        .await
    }

    /// Passes a request on as it is, but for the address, and gives the answer as it comes.
    pub(crate) async fn pass(&self, mut request: Request<Bytes>) -> Result<Response<Incoming>> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let url = format!("{}{path}", self.base);
        let method = request.method().to_string();
        let unanswered = |reason: String| Error::Unanswered {
            method: method.clone(),
            url: url.clone(),
            reason,
        };
        *request.uri_mut() = url
            .parse()
            .map_err(|error: InvalidUri| unanswered(error.to_string()))?;
        let answer = self.pool.request(request.map(Full::new)).await;
        answer.map_err(|error| unanswered(causes(&error)))
    }

    /// Any request; an answer of any status is `Ok`.
    ///
    /// # Errors
    ///
    /// [`Error::Unanswered`] when no whole answer came within the deadline.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let unanswered = |reason: String| Error::Unanswered {
            method: method.to_string(),
            url: url.clone(),
            reason,
        };

        let body = body.into();
        let mut request = Request::builder().method(&method).uri(&url);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| unanswered(error.to_string()))?;

        let exchange = async {
            let answer = self
                .pool
                .request(request)
                .await
                .map_err(|error| causes(&error))?;
            let (head, body) = answer.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| causes(&error))?
                .to_bytes();
            Ok((head, body))
        };
        let (head, body) = tokio::time::timeout(self.deadline, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("nothing within {:?}", self.deadline)))
            .map_err(unanswered)?;
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            request: (method, url),
        })
    }
}

fn bearer(token: &str) -> HeaderValue {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is visible ASCII");
    value.set_sensitive(true);
    value
}

/// hyper's errors name the step that failed; the reason is in their sources.
fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

// ---- Answer ----

impl Answer {
    /// This answer, if its status is of the 2xx kind.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the status and the start of the body.
    pub fn success(self) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(Error::Refused {
            method: self.request.0.to_string(),
            url: self.request.1.clone(),
            status: self.status,
            body: self.shown(),
        })
    }

    /// The body of a successful answer as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the status is not of the 2xx kind, [`Error::Unreadable`] when the
    /// body is not JSON.
    pub fn json(self) -> Result<Value> {
        let answer = self.success()?;
        serde_json::from_slice(&answer.body).map_err(|_| Error::Unreadable {
            url: answer.request.1.clone(),
            body: answer.shown(),
        })
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)]).into_owned()
    }
}
