//! A server's bad network: a proxy that delays, loses, cuts and refuses.
//!
//! Killing a server shows what a client makes of a server that is away. Much of what goes wrong
//! lies in between: an answer that breaks off in the middle, a write that was carried out and
//! whose answer was lost, a gateway that answers 429 or 503 in the server's name. A proxy stands
//! between one client and one server and does these things to a share of the requests, also to
//! those that wait for their answer when it begins, such as watches and blocking queries.
//!
//! It speaks plain HTTP to the client, whatever the server speaks, so that it can answer by
//! itself. What it does is drawn from a seed; which request it does it to depends on their order.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::CONNECTION;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::port::Port;
use crate::{Client, Error, Result, Rng};

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is passed on after this time.
    Delay(Duration),
    /// It is answered with this status and not passed on, as by a gateway.
    Refuse(u16),
    /// It is passed on, and its answer is replaced by this status: a write was carried out.
    Hide(u16),
    /// Its connection is closed before it is passed on.
    Drop,
    /// It is passed on, and its connection is closed in place of an answer.
    Lose,
    /// Its connection is closed after this many bytes of the answer's body.
    Cut(usize),
    /// It is never answered; its connection stays open until the trouble is over, and is then
    /// closed.
    Hang,
}

/// What is done, to how many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What may be done; nothing is done where this is empty.
    pub faults: Vec<Fault>,
    /// How many of a hundred requests something is done to.
    pub percent: u8,
    /// What the choice is drawn from.
    pub seed: u64,
}

/// A proxy in front of one server. It ends when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # async fn example(consul: consul_sync_testbed::Consul) -> consul_sync_testbed::Result<()> {
/// use consul_sync_testbed::{Fault, Proxy, Trouble};
///
/// let proxy = Proxy::start(consul.client()).await?;
/// println!("CONSUL_HTTP_ADDR={}", proxy.url());
/// proxy.set(Trouble::of(&[Fault::Refuse(503), Fault::Lose], 30, 1));
/// proxy.set(Trouble::default()); // all is well again
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    road: Arc<Road>,
    task: JoinHandle<()>,
    _port: Port,
}

/// What all connections share.
#[derive(Debug)]
struct Road {
    server: Client,
    trouble: watch::Sender<Trouble>,
    requests: AtomicU64,
    drawn: AtomicU64,
    hit: AtomicU64,
}

/// An answer on its way.
type Passed = UnsyncBoxBody<Bytes, Closed>;

/// What is still to come of an answer.
#[derive(Debug)]
struct Rest {
    road: Arc<Road>,
    body: Incoming,
    /// How many bytes may still pass, where it is to break off.
    left: Option<usize>,
    trouble: watch::Receiver<Trouble>,
}

/// The connection is to be closed without another word.
#[derive(Debug, thiserror::Error)]
#[error("the proxy closes the connection")]
struct Closed;

/// How long the pieces of an answer that breaks off are given to leave.
const FLUSH: Duration = Duration::from_millis(2);

// ---- Trouble ----

impl Trouble {
    /// One of `faults` to `percent` of the requests.
    #[must_use]
    pub fn of(faults: &[Fault], percent: u8, seed: u64) -> Self {
        Self {
            faults: faults.to_vec(),
            percent,
            seed,
        }
    }

    /// What is done to the request with this number.
    fn fault(&self, number: u64) -> Option<Fault> {
        // Two steps: seeds that follow each other have numbers in common otherwise.
        let mut rng = Rng::new(Rng::new(self.seed).draw() ^ number);
        if !rng.percent(self.percent) {
            return None;
        }
        rng.pick(&self.faults).copied()
    }
}

// ---- Proxy ----

impl Proxy {
    /// Starts a proxy without trouble in front of the server that `server` asks; the token of
    /// `server` is not used, each request keeps its own.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(server: &Client) -> Result<Self> {
        let port = Port::lease()?;
        let address = port.address();
        let listener = TcpListener::bind(address)
            .await
            .map_err(|_| Error::NoPort { tried: 1 })?;
        let road = Arc::new(Road {
            server: server.with_token(None),
            trouble: watch::Sender::default(),
            requests: AtomicU64::new(0),
            drawn: AtomicU64::new(0),
            hit: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&road)));
        Ok(Self {
            address,
            road,
            task,
            _port: port,
        })
    }

    /// Where clients connect to, as in `http://127.0.0.1:18000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this is done to requests, also to those that are not answered in full yet.
    pub fn set(&self, trouble: Trouble) {
        self.road.trouble.send_replace(trouble);
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.road.requests.load(Ordering::Relaxed)
    }

    /// How often something was done to one.
    pub fn hit(&self) -> u64 {
        self.road.hit.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, road: Arc<Road>) {
    // Dropped with this task, it ends every connection.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&road)))),
            // Too many open files, for one; there may be fewer in a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, road: Arc<Road>) {
    let service = service_fn(move |request| {
        let road = Arc::clone(&road);
        async move { road.pass(request).await }
    });
    // An error is a closed connection, by either side; both know.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

// ---- Road ----

impl Road {
    async fn pass(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Passed>, Closed> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut trouble = self.trouble.subscribe();
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let request = Request::from_parts(head, body);

        let mut fault = self.draw(&mut trouble);
        match fault {
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Refuse(status)) => return Ok(refusal(status)),
            Some(Fault::Drop) => return Err(Closed),
            Some(Fault::Hang) => return Err(over(&mut trouble).await),
            Some(Fault::Hide(_) | Fault::Lose | Fault::Cut(_)) | None => {}
        }
        let mut exchange = pin!(self.server.pass(request));
        let answer = loop {
            tokio::select! {
                answer = &mut exchange => break answer.map_err(|_| Closed)?,
                Ok(()) = trouble.changed() => match self.draw(&mut trouble) {
                    Some(Fault::Hang) => return Err(over(&mut trouble).await),
                    Some(Fault::Drop) => return Err(Closed),
                    // What was decided about it before stays decided.
                    drawn => fault = fault.or(drawn),
                },
            }
        };
        match fault {
            Some(Fault::Hide(status) | Fault::Refuse(status)) => return Ok(refusal(status)),
            Some(Fault::Lose) => return Err(Closed),
            _ => {}
        }
        let (mut head, body) = answer.into_parts();
        head.headers.remove(CONNECTION);
        Ok(Response::from_parts(head, self.relay(body, fault, trouble)))
    }

    /// The rest of an answer, as far as it comes.
    fn relay(
        self: &Arc<Self>,
        body: Incoming,
        fault: Option<Fault>,
        trouble: watch::Receiver<Trouble>,
    ) -> Passed {
        let rest = Rest {
            road: Arc::clone(self),
            body,
            left: match fault {
                Some(Fault::Cut(bytes)) => Some(bytes),
                _ => None,
            },
            trouble,
        };
        let frames = stream::unfold(Some(rest), |rest| async move {
            let mut rest = rest?;
            let frame = rest.next().await?;
            let goes_on = frame.is_ok();
            Some((frame, goes_on.then_some(rest)))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// Decides about one request, anew each time.
    fn draw(&self, trouble: &mut watch::Receiver<Trouble>) -> Option<Fault> {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let fault = trouble.borrow_and_update().fault(number);
        if fault.is_some() {
            self.hit.fetch_add(1, Ordering::Relaxed);
        }
        fault
    }
}

/// An answer by the proxy itself.
fn refusal(status: u16) -> Response<Passed> {
    let body = Full::new(Bytes::from_static(b"refused by the proxy\n"));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    answer
}

/// Waits until the trouble is another.
async fn over(trouble: &mut watch::Receiver<Trouble>) -> Closed {
    // An error is the proxy's end.
    let _ = trouble.changed().await;
    Closed
}

// ---- Rest ----

impl Rest {
    /// The next piece; nothing after an error.
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, Closed>> {
        loop {
            if self.left == Some(0) {
                // What was passed on is still in a buffer, and would end there with the connection.
                tokio::time::sleep(FLUSH).await;
                return Some(Err(Closed));
            }
            tokio::select! {
                frame = self.body.frame() => {
                    return Some(frame?.map_err(|_| Closed).map(|frame| self.cut(frame)));
                }
                Ok(()) = self.trouble.changed() => match self.road.draw(&mut self.trouble) {
                    None | Some(Fault::Delay(_)) => {}
                    Some(Fault::Cut(bytes)) => self.left = Some(bytes),
                    Some(Fault::Hang) => return Some(Err(over(&mut self.trouble).await)),
                    Some(Fault::Refuse(_) | Fault::Hide(_) | Fault::Drop | Fault::Lose) => {
                        return Some(Err(Closed));
                    }
                },
            }
        }
    }

    /// What still fits of a piece.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let (Some(left), Some(data)) = (self.left, frame.data_ref()) else {
            return frame;
        };
        let piece = data.slice(..data.len().min(left));
        self.left = Some(left - piece.len());
        Frame::data(piece)
    }
}
