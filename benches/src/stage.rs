//! What is measured, one after the other.

pub(crate) mod changes;
pub(crate) mod cold;
pub(crate) mod memory;
pub(crate) mod rest;

use std::path::PathBuf;

use consul_sync_testbed::{Consul, ConsulVersion};

use crate::{cluster::Cluster, error::Result, program::Program};

/// What every stage needs.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) program: PathBuf,
    /// For the program's log.
    pub(crate) folder: tempfile::TempDir,
    pub(crate) version: ConsulVersion,
}

impl Bench {
    /// An empty Consul.
    pub(crate) async fn consul(&self) -> Result<Consul> {
        Ok(Consul::start(self.version).await?)
    }

    /// The program, ready, between the cluster and this Consul.
    pub(crate) async fn run(&self, consul: &str) -> Result<Program> {
        Program::start(
            &self.program,
            self.cluster.kubeconfig(),
            consul,
            self.folder.path(),
        )
        .await
    }
}
