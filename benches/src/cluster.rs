//! The Kubernetes API server, filled and changed.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{ApiServer, Client};
use serde_json::json;

use crate::{
    error::{Error, Result},
    fleet::Fleet,
    loader,
};

/// Requests under way while the cluster is filled.
const WORKERS: usize = 16;

/// An API server that holds a fleet.
pub(crate) struct Cluster {
    server: Server,
    client: Client,
    pub(crate) fleet: Fleet,
    /// How often each service was changed.
    changes: Vec<AtomicUsize>,
}

/// What answers.
enum Server {
    Real(Box<ApiServer>),
    /// The API server of the tests, in this process.
    Fake {
        kubeconfig: tempfile::NamedTempFile,
        _server: FakeApiServer,
    },
}

impl Cluster {
    /// Starts an API server and creates the fleet in it.
    pub(crate) async fn start(fleet: Fleet) -> Result<Self> {
        let server = ApiServer::start().await?;
        let client = server.client().keeping_connections();
        Self::fill(Server::Real(Box::new(server)), client, fleet).await
    }

    /// The same with the API server of the tests, which is filled in seconds and not in minutes.
    pub(crate) async fn start_fake(fleet: Fleet) -> Result<Self> {
        let server = FakeApiServer::start().await;
        let server = server.map_err(Error::io("starting an API server in memory"))?;
        let client = Client::plain(&server.url())?.keeping_connections();
        let file = tempfile::NamedTempFile::new().map_err(Error::io("making a kubeconfig"))?;
        fs::write(file.path(), server.kubeconfig_yaml())
            .map_err(Error::io("writing a kubeconfig"))?;
        let server = Server::Fake {
            kubeconfig: file,
            _server: server,
        };
        Self::fill(server, client, fleet).await
    }

    /// Whether the API server is the one of the tests.
    pub(crate) fn is_fake(&self) -> bool {
        matches!(self.server, Server::Fake { .. })
    }

    async fn fill(server: Server, client: Client, fleet: Fleet) -> Result<Self> {
        let begun = Instant::now();
        for name in fleet.namespaces() {
            let object =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            client
                .post("/api/v1/namespaces", &object)
                .await?
                .success()?;
        }
        let lists = (0..fleet.services).map(|number| fleet.objects(number).to_vec());
        loader::create(&client, &lists.collect::<Vec<_>>(), WORKERS).await?;
        eprintln!(
            "  the API server holds {} services and {} endpoints ({:.1} s)",
            fleet.services,
            fleet.instances(),
            begun.elapsed().as_secs_f64()
        );
        Ok(Self {
            server,
            client,
            fleet,
            changes: (0..fleet.services).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &Path {
        match &self.server {
            Server::Real(server) => server.kubeconfig(),
            Server::Fake { kubeconfig, .. } => kubeconfig.path(),
        }
    }

    /// The next change of a service: which it is, and the address that it brings.
    pub(crate) fn next_change(&self, number: usize) -> (usize, String) {
        let count = self.changes.get(number);
        let changes = count.map_or(0, |count| count.fetch_add(1, Ordering::Relaxed)) + 1;
        (changes, self.fleet.newest_address(number, changes))
    }

    /// Makes a change: gives one endpoint of the service another address.
    pub(crate) async fn change(&self, number: usize, changes: usize) -> Result<()> {
        let change = json!({ "endpoints": self.fleet.endpoints_of(number, changes) });
        let path = Fleet::slice_path(number);
        self.client.merge(&path, &change).await?.success()?;
        Ok(())
    }
}
