//! A peer that answers from a script.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the peer does with one request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Sends this, and closes the connection if it is no whole answer.
    Bytes(Vec<u8>),
    /// Sends this byte by byte, with pauses.
    Drip(Vec<u8>, Duration),
    /// Closes the connection.
    Close,
    /// Does nothing for ever.
    Hang,
}

pub(super) struct Peer {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

/// A success with a JSON body.
pub(super) fn json(body: &str) -> Reply {
    let head = "Content-Type: application/json\r\nX-Consul-Index: 7\r\n";
    raw(200, head, body.as_bytes())
}

/// An error as Consul sends it.
pub(super) fn status(code: u16, text: &str) -> Reply {
    raw(code, "Content-Type: text/plain\r\n", text.as_bytes())
}

/// Any whole answer.
pub(super) fn raw(code: u16, headers: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {code} Any\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Reply::Bytes(bytes)
}

impl Peer {
    pub(super) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        state.script.lock().unwrap().extend(script);
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    while let Some(head) = request(&mut stream).await {
        state.requests.lock().unwrap().push(head);
        let reply = state.script.lock().unwrap().pop_front();
        match reply {
            Some(Reply::Bytes(bytes)) => {
                stream.write_all(&bytes).await.unwrap();
                if !is_whole(&bytes) {
                    return;
                }
            }
            Some(Reply::Drip(bytes, pause)) => {
                for byte in bytes {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
                std::future::pending::<()>().await;
            }
            Some(Reply::Close) | None => return,
            Some(Reply::Hang) => std::future::pending().await,
        }
    }
}

/// Reads one request and returns its head.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).ok()?;
    let mut body = vec![0; content_length(&head)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap())
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    head.starts_with("HTTP/1.1") && bytes.len() - end - 4 == content_length(&head)
}
