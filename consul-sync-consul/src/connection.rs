//! One connection: name lookup, TCP, TLS, HTTP/1.1.

mod heard;

use std::{
    error::Error as StdError,
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use self::heard::{Heard, Trouble};
use crate::{Error, ServerAddress, tls::Tls};

/// How long one address may take to answer before the next one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The most that a connection reads at once, in bytes. It keeps so much while it is idle, and there may be dozens.
const READ_BUFFER: usize = 32 * 1024;
/// A blocking query is silent for minutes: only the kernel can notice that its peer is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// An established connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    pub(crate) idle_since: Instant,
    trouble: Trouble,
}

/// A server, and which of its addresses is next.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: ServerAddress,
    authority: String,
    /// Moves when an address fails, so that a name with one dead server behind it does not stick to it.
    turn: AtomicUsize,
}

// === impl Connection ===

impl Connection {
    /// Why a request failed: what ended the connection, where the request only heard that it is gone. A server
    /// that wants another certificate of ours says so only after its own handshake, when nothing is asked of it yet.
    pub(crate) fn why(&self, error: hyper::Error) -> Box<dyn StdError + Send + Sync> {
        match self.trouble.take() {
            Some(heard) => heard.into(),
            None => error.into(),
        }
    }
}

// === impl Endpoint ===

impl Endpoint {
    pub(crate) fn new(address: ServerAddress) -> Self {
        Self {
            authority: address.authority(),
            address,
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Starts with another of its addresses the next time.
    pub(crate) fn turn_away(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Connects to the first address that answers.
    pub(crate) async fn dial(&self, tls: Option<&Tls>) -> Result<Connection, Error> {
        let unreachable = |source: Box<dyn StdError + Send + Sync>| Error::Connect {
            server: self.address.to_string(),
            source,
        };
        let host = (self.address.host(), self.address.port());
        let addresses: Vec<SocketAddr> = match timeout(CONNECT_TIMEOUT, lookup_host(host)).await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(unreachable(error.into())),
            Err(_) => return Err(unreachable("the name lookup took too long".into())),
        };
        let start = self.turn.load(Ordering::Relaxed);
        let mut last: Box<dyn StdError + Send + Sync> = "the name has no address".into();
        for step in 0..addresses.len() {
            let address = addresses[start.wrapping_add(step) % addresses.len()];
            match timeout(CONNECT_TIMEOUT, self.connect(address, tls)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(Failure::Settings(error))) => return Err(error),
                Ok(Err(Failure::Io(error))) => last = format!("{address}: {error}").into(),
                Err(_) => {
                    let waited = CONNECT_TIMEOUT.as_secs();
                    last = format!("{address}: no answer within {waited} s").into();
                }
            }
        }
        Err(unreachable(last))
    }

    async fn connect(&self, address: SocketAddr, tls: Option<&Tls>) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        match tls {
            None => handshake(stream).await,
            Some(tls) => {
                let config = tls.config().map_err(Failure::Settings)?;
                let name = tls
                    .server_name(self.address.host())
                    .map_err(Failure::Settings)?;
                handshake(TlsConnector::from(config).connect(name, stream).await?).await
            }
        }
    }
}

/// Why an address could not be used: a setting fails for every address alike.
enum Failure {
    Io(Box<dyn StdError + Send + Sync>),
    Settings(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error.into())
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Connection, Failure> {
    let (stream, trouble) = Heard::new(stream);
    let mut settings = http1::Builder::new();
    let (sender, connection) = settings
        .max_buf_size(READ_BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::Io(error.into()))?;
    // The task ends with the connection, and the connection with its sender.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a connection to consul ended");
        }
    });
    Ok(Connection {
        sender,
        idle_since: Instant::now(),
        trouble,
    })
}
