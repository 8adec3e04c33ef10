//! The HTTP server: connections, routing, blocking.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::acl::{Access, Acl};
use super::answer::Answer;
use super::read::{self, Read};
use super::request::{self, Query};
use super::store::Store;
use super::{register, txn};

/// Consul spreads the ends of blocking queries over this part of the wait.
const JITTER_FRACTION: u32 = 16;

/// What the fake claims to be.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) version: String,
    pub(super) txn_ops: usize,
    pub(super) node: String,
}

impl Identity {
    /// The `Ports` list came with 1.22.
    pub(super) fn named_ports(&self) -> bool {
        let mut parts = self
            .version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (1, 22)
    }
}

/// Everything behind the lock. It is held for the time of one operation and never across an await.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) acl: Acl,
}

/// What the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) identity: Identity,
    pub(super) address: SocketAddr,
    state: Mutex<State>,
    /// Counts changes of the catalog; blocked queries look again when it moves.
    pub(super) changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(identity: Identity, address: SocketAddr, state: State) -> Self {
        Self {
            identity,
            address,
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets blocked queries look again.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

// ---- connections ------------------------------------------------------------------------------------------------------

/// Accepts until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Without this, small answers wait for the peer's delayed acknowledgement. A failure costs time and nothing else.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(&shared, request).await) }
    });
    // The peer closing first is no news to anyone.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let gzip = accepts_gzip(&request);
    let answer = route(shared, request).await;
    let answer = answer.header(
        "x-consul-default-acl-policy",
        shared.state().acl.default.as_str(),
    );
    let answer = if gzip { answer.gzipped() } else { answer };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

fn accepts_gzip<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get_all(http::header::ACCEPT_ENCODING);
    accepted
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("gzip"))
}

// ---- routing ----------------------------------------------------------------------------------------------------------

async fn route(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let path = read::path(&parts.uri);
    if path.chars().any(char::is_control) {
        return Answer::empty(400);
    }
    if let Some(endpoint) = Read::at(&path) {
        return match parts.method {
            Method::GET => reading(shared, &parts, &endpoint).await,
            _ => not_allowed(&parts, "OPTIONS,GET"),
        };
    }
    let writing = matches!(
        path.as_str(),
        "/v1/txn" | "/v1/catalog/register" | "/v1/catalog/deregister"
    );
    if writing && parts.method != Method::PUT {
        return not_allowed(&parts, "OPTIONS,PUT");
    }
    match path.as_str() {
        "/v1/txn" => transaction(shared, &parts, body).await,
        "/v1/catalog/register" => registration(shared, &parts, body).await,
        "/v1/catalog/deregister" => removal(shared, &parts, body).await,
        "/v1/status/leader" => Answer::json(200, &shared.address.to_string()),
        "/v1/agent/self" => agent_self(shared, &parts),
        _ => Answer::text(
            404,
            "Invalid URL path: not a recognized HTTP API endpoint\n",
        ),
    }
}

fn not_allowed(parts: &Parts, allowed: &'static str) -> Answer {
    Answer::text(405, format!("method {} not allowed", parts.method)).header("allow", allowed)
}

/// The query of a request and what its token may do.
fn admit(shared: &Shared, parts: &Parts) -> Result<(Query, Access), Answer> {
    let query = Query::read(parts)?;
    let access = access(shared, parts, &query)?;
    Ok((query, access))
}

fn access(shared: &Shared, parts: &Parts, query: &Query) -> Result<Access, Answer> {
    let token = query.token(&parts.headers);
    shared
        .state()
        .acl
        .access(&token)
        .ok_or_else(|| Answer::text(403, "ACL not found"))
}

// ---- reads ------------------------------------------------------------------------------------------------------------

async fn reading(shared: &Shared, parts: &Parts, endpoint: &Read) -> Answer {
    let query = match Query::read(parts) {
        Ok(query) => query,
        Err(answer) => return answer,
    };
    if let Some(missing) = endpoint.missing_name() {
        return Answer::text(400, missing);
    }
    let mut changes = shared.changes.subscribe();
    let deadline = tokio::time::Instant::now() + query.wait + jitter(query.wait);
    loop {
        let access = match access(shared, parts, &query) {
            Ok(access) => access,
            Err(answer) => return answer,
        };
        let index = endpoint.index(&shared.state().store, &query);
        let waits = query.index > 0 && index <= query.index;
        let timed_out = waits
            && tokio::time::timeout_at(deadline, changes.changed())
                .await
                .is_err();
        if waits && !timed_out {
            continue;
        }
        return print(shared, endpoint, &query, &access);
    }
}

fn print(shared: &Shared, endpoint: &Read, query: &Query, access: &Access) -> Answer {
    let state = shared.state();
    let index = endpoint.index(&state.store, query);
    match endpoint.answer(&state.store, query, access, shared.identity.named_ports()) {
        Err(answer) => answer,
        Ok((answer, filtered)) => {
            let answer = answer
                .header("x-consul-index", &index.to_string())
                .header("x-consul-knownleader", "true")
                .header("x-consul-lastcontact", "0")
                .header("x-consul-effective-consistency", query.consistency.as_str())
                .header("x-consul-query-backend", "blocking-query");
            if filtered {
                answer.header("x-consul-results-filtered-by-acls", "true")
            } else {
                answer
            }
        }
    }
}

/// A random part of a sixteenth of the wait.
fn jitter(wait: Duration) -> Duration {
    let most = wait / JITTER_FRACTION;
    let random = RandomState::new().build_hasher().finish();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a random share needs no exactness"
    )]
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    most.mul_f64(share)
}

// ---- writes -----------------------------------------------------------------------------------------------------------

/// The whole body, or `None` when it is longer than `limit`.
async fn body_of(body: Incoming, limit: usize) -> Result<Option<Bytes>, Answer> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(Some(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => Err(Answer::text(
            400,
            format!("cannot read the request body: {error}"),
        )),
    }
}

async fn transaction(shared: &Shared, parts: &Parts, body: Incoming) -> Answer {
    let length = parts
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let docs =
        "See https://developer.hashicorp.com/docs/agent/config/config-files#txn_max_req_len.";
    let limit = txn::BODY_LIMIT;
    if let Some(length) = length.filter(|length| *length > limit) {
        return Answer::text(
            413,
            format!("Request body({length} bytes) too large, max size: {limit} bytes. {docs}"),
        );
    }
    let body = match body_of(body, limit).await {
        Ok(Some(body)) => body,
        Ok(None) => {
            return Answer::text(
                413,
                format!("Request body too large, max size: {limit} bytes. {docs}"),
            );
        }
        Err(answer) => return answer,
    };
    let mut ops = match txn::read(&body, shared.identity.named_ports()) {
        Ok(ops) => ops,
        Err(error) => return txn::unreadable(&error),
    };
    let most = shared.identity.txn_ops;
    if ops.len() > most {
        return Answer::text(
            413,
            format!(
                "Transaction contains too many operations ({} > {most})",
                ops.len()
            ),
        );
    }
    let access = match admit(shared, parts) {
        Ok((_, access)) => access,
        Err(answer) => return answer,
    };
    let refused = txn::pre_check(&mut ops, &access);
    let only_reads = !txn::writes(&ops);
    let mut state = shared.state();
    let outcome = if !refused.is_empty() {
        Err(refused)
    } else if only_reads {
        txn::run(&mut state.store, 0, &ops, &access)
    } else {
        let (outcome, changed) = state
            .store
            .entry(|store, index| txn::run(store, index, &ops, &access));
        if changed {
            shared.changed();
        }
        outcome
    };
    drop(state);
    if only_reads {
        txn::read_answer(outcome)
    } else {
        txn::answer(outcome)
    }
}

async fn registration(shared: &Shared, parts: &Parts, body: Incoming) -> Answer {
    let body = match body_of(body, usize::MAX).await {
        Ok(body) => body.unwrap_or_default(),
        Err(answer) => return answer,
    };
    let mut registration = match register::read(&body, shared.identity.named_ports()) {
        Ok(registration) => registration,
        Err(error) => return request::unreadable(&error),
    };
    let access = match admit(shared, parts) {
        Ok((_, access)) => access,
        Err(answer) => return answer,
    };
    let mut state = shared.state();
    if let Err(why) = register::pre_check(&state.store, &mut registration, &access) {
        return refusal(why);
    }
    let (result, changed) = state
        .store
        .entry(|store, index| register::run(store, index, registration));
    if changed {
        shared.changed();
    }
    drop(state);
    result.map_or_else(refusal, |()| Answer::json(200, &true))
}

async fn removal(shared: &Shared, parts: &Parts, body: Incoming) -> Answer {
    let body = match body_of(body, usize::MAX).await {
        Ok(body) => body.unwrap_or_default(),
        Err(answer) => return answer,
    };
    let removal = match register::read_removal(&body) {
        Ok(removal) => removal,
        Err(error) => return request::unreadable(&error),
    };
    let access = match admit(shared, parts) {
        Ok((_, access)) => access,
        Err(answer) => return answer,
    };
    let mut state = shared.state();
    if let Err(why) = register::pre_check_removal(&state.store, &removal, &access) {
        return refusal(why);
    }
    let (_, changed) = state.store.entry(|store, index| {
        register::run_removal(store, index, &removal);
        Ok::<(), Infallible>(())
    });
    if changed {
        shared.changed();
    }
    Answer::json(200, &true)
}

/// A refused write: 403 for a missing right, 500 for everything else.
fn refusal(why: String) -> Answer {
    Answer::text(
        if why.starts_with("Permission denied") {
            403
        } else {
            500
        },
        why,
    )
}

// ---- agent ------------------------------------------------------------------------------------------------------------

fn agent_self(shared: &Shared, parts: &Parts) -> Answer {
    let access = match admit(shared, parts) {
        Ok((_, access)) => access,
        Err(answer) => return answer,
    };
    let Identity { version, node, .. } = &shared.identity;
    if !access.can_read_agent() {
        return Answer::text(403, access.denied("agent:read", node));
    }
    let body = json!({
        "Config": {
            "Datacenter": request::DATACENTER, "PrimaryDatacenter": request::DATACENTER, "NodeName": node, "NodeID": super::AGENT_ID,
            "Revision": "", "Server": true, "Version": version, "BuildDate": "1970-01-01T00:00:01Z",
        },
        "DebugConfig": {},
        "Coord": null,
        "Member": {
            "Name": node, "Addr": "127.0.0.1", "Port": shared.address.port(), "Status": 1,
            "Tags": { "dc": request::DATACENTER, "role": "consul", "build": version },
        },
        "Stats": {},
        "Meta": {},
    });
    Answer::json(200, &body)
}
