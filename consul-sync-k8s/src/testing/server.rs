//! The fake cluster on a loopback port, for programs that bring their own connection.

use std::{io, net::SocketAddr, ops::Deref, time::Duration};

use http::Request;
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::cluster::FakeCluster;

/// A [`FakeCluster`] that listens on a port of 127.0.0.1, in plain HTTP.
///
/// Dropping it closes the port and every connection. The cluster's objects stay with its other handles:
/// [`FakeApiServer::serve`] brings the same cluster back, as after a restart.
///
/// # Examples
/// ```
/// use consul_sync_k8s::testing::FakeApiServer;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = FakeApiServer::start().await?;
/// assert!(server.kubeconfig_yaml().contains(&server.url()));
/// assert_eq!(server.client()?.apiserver_version().await?.major, "1");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct FakeApiServer {
    cluster: FakeCluster,
    address: SocketAddr,
    accept: AbortHandle,
}

impl FakeApiServer {
    /// A new cluster on a free port.
    pub async fn start() -> io::Result<Self> {
        Self::serve(FakeCluster::new(), SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// A cluster on this address.
    pub async fn serve(cluster: FakeCluster, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let served = cluster.clone();
        let accept = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(connection(served.clone(), stream));
                        }
                        // Too many open files, mostly: the next connection may fare better.
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            cluster,
            address,
            accept: accept.abort_handle(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig_yaml(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: fake\n\
             clusters:\n- name: fake\n  cluster:\n    server: {}\n\
             users:\n- name: fake\n  user: {{}}\n\
             contexts:\n- name: fake\n  context:\n    cluster: fake\n    user: fake\n    namespace: default\n",
            self.url()
        )
    }

    /// A client over the port, as a program would build it. It does not repeat requests by itself.
    ///
    /// # Errors
    /// When the client cannot be built, which needs no server.
    pub fn client(&self) -> kube::Result<kube::Client> {
        let mut config = kube::Config::new(
            self.url()
                .parse()
                .map_err(|_| kube::Error::Service("the fake's own address is no URL".into()))?,
        );
        config.default_retry = false;
        kube::Client::try_from(config)
    }

    /// The cluster behind the port.
    pub fn cluster(&self) -> &FakeCluster {
        &self.cluster
    }
}

impl Deref for FakeApiServer {
    type Target = FakeCluster;

    fn deref(&self) -> &FakeCluster {
        &self.cluster
    }
}

impl Drop for FakeApiServer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn connection(cluster: FakeCluster, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let cluster = cluster.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|_| super::answer::Severed)?
                .to_bytes();
            cluster.answer(Request::from_parts(parts, body)).await
        }
    });
    let _ = stream.set_nodelay(true);
    // The client's end of a connection, or a fault that was asked for: nothing to report.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
