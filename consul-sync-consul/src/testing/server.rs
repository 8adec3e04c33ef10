//! The HTTP server: connections, and what faults do to requests on them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::acl::Acl;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::fault::{Applied, Failure, Fault, Faults};
use super::lock::Clocks;
use super::object::Knows;
use super::request::{self, Query};
use super::route;
use super::session;
use super::store::Store;
use super::views::Views;

mod stream;

use stream::{Reply, Socket};

/// What the fake claims to be.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) version: String,
    pub(super) txn_ops: usize,
    pub(super) node: String,
    pub(super) own_address: String,
    /// Whether it is Consul Enterprise.
    pub(super) is_enterprise: bool,
    /// The shortest life of a session that is asked to be renewed.
    pub(super) session_ttl_min: Duration,
}

impl Identity {
    /// Whether a member of the cluster has this address.
    pub(super) fn is_own_address(&self, address: &str) -> bool {
        address == self.own_address
    }

    /// What it knows of bodies.
    pub(super) fn knows(&self) -> Knows {
        Knows {
            named_ports: self.is_1_22(),
            namespaces: self.is_enterprise,
        }
    }

    /// Whether it is 1.22 or newer, which brought the `Ports` list.
    pub(super) fn is_1_22(&self) -> bool {
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
    pub(super) views: Views,
    pub(super) acl: Acl,
    pub(super) faults: Faults,
    pub(super) requests: BTreeMap<Endpoint, u64>,
    /// The transactions that were applied, if they are recorded.
    pub(super) applied: Option<Vec<Applied>>,
    /// Ends of sessions and of lock delays.
    pub(super) clocks: Clocks,
    /// Raft entries made over HTTP.
    pub(super) writes: u64,
    /// Counts how often the whole catalog was replaced; a blocked query is answered then, whatever its index.
    pub(super) epoch: u64,
    /// The catalog before it was replaced, which such a query shows.
    pub(super) former: Option<Store>,
}

impl State {
    /// Runs `write` as one raft entry; whether it changed anything.
    pub(super) fn write<T, E>(
        &mut self,
        write: impl FnOnce(&mut Store, u64) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        let (result, change) = self.store.entry(self.views.listen(), write);
        self.views.moved(&change.events, &self.acl, self.store.raft);
        self.clocks.delay(self.store.take_released());
        (result, change.any)
    }

    /// Puts other tables in the place of these.
    pub(super) fn replace(&mut self, store: Store) {
        self.former = Some(std::mem::replace(&mut self.store, store));
        self.clocks.start_over(&self.store);
        self.views.clear();
        self.epoch += 1;
    }
}

/// What the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) identity: Identity,
    pub(super) address: SocketAddr,
    pub(super) most_connections: usize,
    state: Mutex<State>,
    /// Counts changes of the catalog; blocked queries look again when it moves.
    changes: watch::Sender<u64>,
    /// Counts whatever a test may wait for.
    activity: watch::Sender<u64>,
    /// Counts the times that faults were cleared; held requests go on when it moves.
    cleared: watch::Sender<u64>,
    /// Counts sessions that were made or renewed.
    renewals: watch::Sender<u64>,
    /// Counts revoked tokens; views look again when it moves.
    revocations: watch::Sender<u64>,
    /// Counts the times that every connection was ended.
    ended: watch::Sender<u64>,
    pub(super) blocked: AtomicUsize,
    pub(super) connections: AtomicUsize,
    pub(super) accepted: AtomicUsize,
}

impl Shared {
    pub(super) fn new(
        identity: Identity,
        address: SocketAddr,
        most_connections: usize,
        state: State,
    ) -> Self {
        Self {
            identity,
            address,
            most_connections,
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            activity: watch::Sender::new(0),
            cleared: watch::Sender::new(0),
            renewals: watch::Sender::new(0),
            revocations: watch::Sender::new(0),
            ended: watch::Sender::new(0),
            blocked: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets blocked queries look again.
    pub(super) fn changed(&self) {
        bump(&self.changes);
        bump(&self.activity);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn activity(&self) -> watch::Receiver<u64> {
        self.activity.subscribe()
    }

    /// Forgets all faults and lets held requests go on.
    pub(super) fn clear_faults(&self) {
        self.state().faults.clear();
        bump(&self.cleared);
    }

    pub(super) fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    /// Lets the clock of sessions look again.
    pub(super) fn renewed(&self) {
        bump(&self.renewals);
    }

    pub(super) fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    /// Lets blocked views look at their tokens again.
    pub(super) fn revoked(&self) {
        bump(&self.revocations);
    }

    /// Resets every connection.
    pub(super) fn end_connections(&self) {
        bump(&self.ended);
    }

    /// Counts one up for as long as the guard lives.
    pub(super) fn count<'a>(&'a self, what: &'a AtomicUsize) -> Counted<'a> {
        what.fetch_add(1, Ordering::Relaxed);
        bump(&self.activity);
        Counted { shared: self, what }
    }
}

fn bump(counter: &watch::Sender<u64>) {
    counter.send_modify(|count| *count += 1);
}

/// One in a gauge.
pub(super) struct Counted<'a> {
    shared: &'a Shared,
    what: &'a AtomicUsize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.what.fetch_sub(1, Ordering::Relaxed);
        bump(&self.shared.activity);
    }
}

// ---- connections ------------------------------------------------------------------------------------------------------

/// Accepts until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut sessions = pin!(session::expire(&shared));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    shared.accepted.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = &mut sessions => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut ended = shared.ended.subscribe();
    let open = shared.count(&shared.connections);
    let reset = Arc::new(AtomicBool::new(false));
    // Without this, small answers wait for the peer's delayed acknowledgement. A failure costs time and nothing else.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, Arc::clone(&reset));
    if shared.connections.load(Ordering::Relaxed) > shared.most_connections {
        reset.store(true, Ordering::Relaxed);
        return;
    }
    let service = service_fn(|request| respond(&shared, &reset, request));
    let end = async {
        let _ = ended.changed().await;
        // Before the socket is dropped, which happens before a branch of the select runs.
        reset.store(true, Ordering::Relaxed);
    };
    tokio::select! {
        // First, so that a connection that is to end does not answer what also just became ready.
        biased;
        () = end => {}
        // The peer closing first is no news to anyone.
        _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service) => {}
    }
    drop(open);
}

async fn respond(
    shared: &Shared,
    reset: &AtomicBool,
    request: Request<Incoming>,
) -> io::Result<Response<Reply>> {
    let gzip = accepts_gzip(&request);
    let path = request::path(request.uri());
    let (endpoint, name) = match Endpoint::at(&path) {
        (endpoint, _) if endpoint.is_of_enterprise() && !shared.identity.is_enterprise => {
            (Endpoint::Unknown, "")
        }
        found => found,
    };
    let consistency = Query::consistency_of(request.uri());
    let length = request.body().size_hint().lower();
    let fault = {
        let mut state = shared.state();
        *state.requests.entry(endpoint).or_default() += 1;
        let met = state.faults.meet(endpoint, consistency, length);
        met.unwrap_or_default()
    };
    bump(&shared.activity);
    if fault.pause {
        hold(shared).await;
    }
    let answer = if let Some(failure) = &fault.before {
        failed(failure, reset)?
    } else {
        let answer = route::route(shared, request, endpoint, name, fault.refuse.as_ref()).await;
        match &fault.after {
            Some(failure) => failed(failure, reset)?,
            None => answer,
        }
    };
    if let Some(delay) = fault.late {
        tokio::time::sleep(delay).await;
    }
    Ok(print(fault.reshape(answer), gzip, &fault))
}

/// Waits until the faults are cleared.
async fn hold(shared: &Shared) {
    let mut cleared = shared.cleared.subscribe();
    // Cleared between meeting the fault and here: nobody would wake us.
    if shared.state().faults.is_empty() {
        return;
    }
    let _ = cleared.changed().await;
}

fn failed(failure: &Failure, reset: &AtomicBool) -> io::Result<Answer> {
    match failure {
        Failure::Status(status, text) => Ok(Answer::text(*status, text.clone())),
        Failure::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

fn print(answer: Answer, gzip: bool, fault: &Fault) -> Response<Reply> {
    let answer = if gzip { answer.gzipped() } else { answer };
    let mut response = Response::new(Reply::new(&answer.body, fault.cut));
    *response.status_mut() = answer.status;
    *response.headers_mut() = *answer.headers;
    response
}

fn accepts_gzip<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get_all(http::header::ACCEPT_ENCODING);
    accepted
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("gzip"))
}
