//! Connections of the admin server, each with an end.
//!
//! The server is on every interface by default, and anybody who can reach it may hold a connection open or read
//! slowly. So there is a most of connections, a time for a request's head, one for its answer and one for the
//! connection as a whole; and the server has a thread of its own that the process does not wait for.

use std::{
    convert::Infallible, io, net::SocketAddr, net::TcpListener, sync::Arc, thread, time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{sync::Semaphore, time::timeout};
use tracing::debug;

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// How much of the server one peer can hold, and for how long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    head: Duration,
    answer: Duration,
    connection: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    head: Duration::from_secs(5),
    answer: Duration::from_secs(10),
    connection: Duration::from_secs(300),
};
/// After an accept that failed, for want of file descriptors mostly: without it the thread would spin.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn start(listener: TcpListener, router: Router) -> io::Result<()> {
    start_with(listener, router, LIMITS)
}

fn start_with(listener: TcpListener, router: Router, limits: Limits) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut runtime = Background(Some(runtime));
    thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            let Some(runtime) = runtime.0.take() else {
                return;
            };
            runtime.block_on(async {
                // Registers the socket with this runtime; fails only outside one.
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => accept(listener, router, limits).await,
                    Err(error) => tracing::error!(%error, "admin server cannot use its socket"),
                }
            });
        })?;
    Ok(())
}

/// A runtime on its way to its thread. Where none can be started it is dropped among tasks, and would wait for its own.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, router: Router, limits: Limits) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    let served = timeout(
                        limits.connection,
                        connection(stream, Peer(peer), router, limits),
                    )
                    .await;
                    if let Ok(Err(error)) = served {
                        debug!(%peer, %error, "admin connection ended early");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                debug!(%error, "admin server cannot accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: tokio::net::TcpStream,
    peer: Peer,
    router: Router,
    limits: Limits,
) -> hyper::Result<()> {
    let service = TowerToHyperService::new(router);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answered = hyper::service::Service::call(&service, Request::from(request));
        async move {
            Ok::<_, Infallible>(match timeout(limits.answer, answered).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    let mut response =
                        Response::new(Body::from("the request took too long to arrive\n"));
                    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
                    response
                }
            })
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use axum::{
        extract::Extension,
        routing::{get, put},
    };

    use super::*;

    const SHORT: Limits = Limits {
        connections: 1,
        head: Duration::from_millis(50),
        answer: Duration::from_millis(50),
        connection: Duration::from_secs(20),
    };

    fn server(limits: Limits) -> SocketAddr {
        let router = Router::new()
            .route(
                "/",
                get(|Extension(peer): Extension<Peer>| async move { peer.0.ip().to_string() }),
            )
            .route("/put", put(|body: String| async move { body }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        start_with(listener, router, limits).unwrap();
        address
    }

    fn connect(address: SocketAddr, request: &str) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Everything until the server ends the connection, long before the stream's own deadline.
    fn answer(mut stream: std::net::TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    #[test]
    fn a_request_knows_its_peer() {
        let answer = answer(connect(server(LIMITS), GET));
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"),
            "{answer}"
        );
    }

    #[test]
    fn a_request_whose_head_never_ends_is_cut_off_and_the_next_one_is_served() {
        let address = server(SHORT);
        let stuck = connect(address, "GET / HTTP/1.1\r\nHost: x\r\n");
        let next = connect(address, GET);
        assert!(answer(next).starts_with("HTTP/1.1 200"));
        assert!(!answer(stuck).contains("200"));
    }

    #[test]
    fn a_request_whose_body_never_comes_is_answered_so() {
        let head = "PUT /put HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        let answer = answer(connect(server(SHORT), head));
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}
