//! The proxy does to requests what it is told, and nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own helpers fail where they are"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use consul_sync_testbed::{Client, Fault, Proxy, Trouble};
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that counts, and its proxy.
struct Pair {
    proxy: Proxy,
    client: Client,
    served: Arc<AtomicU64>,
}

const BODY: &[u8] = &[b'x'; 1000];

impl Pair {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(AtomicU64::new(0));
        // Both end with the test's runtime.
        tokio::spawn(run_server(listener, Arc::clone(&served)));
        let proxy = Proxy::start(&Client::plain(&url).unwrap()).await.unwrap();
        let client = Client::plain(&proxy.url()).unwrap();
        Self {
            proxy,
            client,
            served,
        }
    }

    fn all(&self, fault: Fault) {
        self.proxy.set(Trouble::of(&[fault], 100, 1));
    }

    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    async fn until_served(&self, count: u64) {
        while self.served() < count {
            tokio::task::yield_now().await;
        }
    }
}

/// `/slow` never ends its body, `/never` never answers, everything else is [`BODY`].
async fn run_server(listener: TcpListener, served: Arc<AtomicU64>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let served = Arc::clone(&served);
        let service = service_fn(move |request: Request<Incoming>| {
            let served = Arc::clone(&served);
            async move {
                served.fetch_add(1, Ordering::Relaxed);
                if request.uri().path() == "/never" {
                    std::future::pending::<()>().await;
                }
                let body = Bytes::from_static(BODY);
                let first = stream::iter([Ok::<_, Infallible>(Frame::data(body))]);
                let endless = request.uri().path() == "/slow";
                let rest = stream::unfold((), move |()| async move {
                    if endless {
                        std::future::pending::<()>().await;
                    }
                    None
                });
                let body = StreamBody::new(first.chain(rest));
                let mut answer = Response::new(body);
                let token = request.headers().get("authorization").cloned();
                let value = token.unwrap_or_else(|| "none".parse().unwrap());
                answer.headers_mut().insert("seen-token", value);
                *answer.status_mut() = StatusCode::ACCEPTED;
                Ok::<_, Infallible>(answer)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[tokio::test]
async fn without_trouble_everything_passes_as_it_is() {
    let pair = Pair::start().await;
    let client = pair.client.with_token(Some("mine"));
    let answer = client
        .send(http::Method::PUT, "/a?b=c", "text/plain", "body")
        .await
        .unwrap();
    assert_eq!((answer.status, &answer.body[..]), (202, BODY));
    assert_eq!(answer.headers["seen-token"], "Bearer mine");
    assert_eq!((pair.proxy.requests(), pair.proxy.hit()), (1, 0));
}

#[tokio::test]
async fn a_refused_request_does_not_reach_the_server_and_a_hidden_one_does() {
    let pair = Pair::start().await;
    pair.all(Fault::Refuse(429));
    assert_eq!(pair.client.get("/").await.unwrap().status, 429);
    assert_eq!(pair.served(), 0);
    pair.all(Fault::Hide(500));
    assert_eq!(pair.client.get("/").await.unwrap().status, 500);
    assert_eq!((pair.served(), pair.proxy.hit()), (1, 2));
}

#[tokio::test]
async fn a_dropped_request_does_not_reach_the_server_and_a_lost_one_does() {
    let pair = Pair::start().await;
    pair.all(Fault::Drop);
    pair.client.get("/").await.unwrap_err();
    assert_eq!(pair.served(), 0);
    pair.all(Fault::Lose);
    pair.client.get("/").await.unwrap_err();
    assert_eq!(pair.served(), 1);
}

#[tokio::test]
async fn an_answer_is_cut_in_the_middle() {
    let pair = Pair::start().await;
    pair.all(Fault::Cut(10));
    let mut stream = TcpStream::connect(pair.proxy.url().trim_start_matches("http://"))
        .await
        .unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.matches('x').count(), 10, "{answer}");
    pair.client.get("/").await.unwrap_err();
}

#[tokio::test]
async fn a_hanging_request_is_closed_when_the_trouble_is_over() {
    let pair = Pair::start().await;
    pair.all(Fault::Hang);
    let mut hanging = std::pin::pin!(pair.client.get("/"));
    tokio::select! {
        answer = &mut hanging => panic!("answered: {answer:?}"),
        () = async { while pair.proxy.hit() == 0 { tokio::task::yield_now().await } } => {}
    }
    pair.proxy.set(Trouble::default());
    hanging.await.unwrap_err();
    assert_eq!(pair.served(), 0);
    assert_eq!(pair.client.get("/").await.unwrap().status, 202);
}

#[tokio::test]
async fn trouble_that_begins_reaches_requests_and_answers_that_are_under_way() {
    let pair = Pair::start().await;
    for path in ["/never", "/slow"] {
        let served = pair.served();
        let (answer, ()) = tokio::join!(pair.client.get(path), async {
            pair.until_served(served + 1).await;
            pair.all(Fault::Drop);
        });
        answer.unwrap_err();
        pair.proxy.set(Trouble::default());
    }
}

#[tokio::test]
async fn the_share_and_the_choice_come_from_the_seed() {
    let pair = Pair::start().await;
    let run = async |seed| {
        // Requests are numbered over the life of a proxy.
        let pair = Pair::start().await;
        let faults = [Fault::Refuse(429), Fault::Refuse(500), Fault::Hide(503)];
        pair.proxy.set(Trouble::of(&faults, 30, seed));
        let mut statuses = vec![];
        for _ in 0..200 {
            statuses.push(pair.client.get("/").await.unwrap().status);
        }
        statuses
    };
    let statuses = run(7).await;
    let hit = statuses.iter().filter(|status| **status != 202).count();
    assert!((30..90).contains(&hit), "{hit} of 200");
    for status in [429, 500, 503] {
        assert!(statuses.contains(&status), "{status}");
    }
    assert_eq!(run(7).await, statuses);
    assert_ne!(run(8).await, statuses);
    pair.proxy.set(Trouble::of(&[Fault::Drop], 0, 7));
    assert_eq!(pair.client.get("/").await.unwrap().status, 202);
}
