//! The Kubernetes API server, filled and changed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use consul_sync_testbed::{ApiServer, Client};
use serde_json::json;

use crate::{error::Result, fleet::Fleet, loader};

/// Requests under way while the cluster is filled.
const WORKERS: usize = 16;

/// An API server that holds a fleet.
pub(crate) struct Cluster {
    server: ApiServer,
    client: Client,
    pub(crate) fleet: Fleet,
    /// How often each service was changed.
    changes: Vec<AtomicUsize>,
}

impl Cluster {
    /// Starts an API server and creates the fleet in it.
    pub(crate) async fn start(fleet: Fleet) -> Result<Self> {
        let server = ApiServer::start().await?;
        let client = server.client().keeping_connections();
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
    pub(crate) fn kubeconfig(&self) -> &std::path::Path {
        self.server.kubeconfig()
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
