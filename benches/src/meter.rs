//! A relay that counts what passes between the program and Consul.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    task::JoinHandle,
};

use crate::error::{Error, Result};

/// Relays connections to one server until it is dropped.
pub(crate) struct Meter {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    answered: AtomicU64,
}

impl Meter {
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(Error::io("opening a port for the meter"))?;
        let address = listener
            .local_addr()
            .map_err(Error::io("opening a port for the meter"))?;
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counts = Arc::clone(&shared);
                tokio::spawn(relay(client, server, counts));
            }
        });
        Ok(Self {
            address,
            counts,
            task,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests sent and bytes answered since it started.
    pub(crate) fn read(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.requests), read(&self.counts.answered))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, server: SocketAddr, counts: Arc<Counts>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    // Errors end a connection, as they would without a relay.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(from_client, to_server, |chunk| {
        // The program's requests without a body are shorter than a segment, and each is sent in one.
        let starts = [&b"GET "[..], b"PUT ", b"POST "];
        if starts.iter().any(|start| chunk.starts_with(start)) {
            counts.requests.fetch_add(1, Ordering::Relaxed);
        }
    });
    let back = pass(from_server, to_client, |chunk| {
        counts
            .answered
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
    });
    tokio::join!(there, back);
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Some(chunk) = buffer.get(..length) else {
            return;
        };
        seen(chunk);
        if to.write_all(chunk).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
