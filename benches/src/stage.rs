//! What is measured, one after the other.

pub(crate) mod changes;
pub(crate) mod cold;
pub(crate) mod import;
pub(crate) mod memory;
pub(crate) mod rest;

use std::{fmt, path::PathBuf};

use consul_sync_testbed::{Consul, ConsulVersion};

use crate::{
    cluster::Cluster,
    error::{Error, Result},
    program::Program,
};

/// What every stage needs.
pub(crate) struct Place {
    pub(crate) program: PathBuf,
    /// For the program's log.
    pub(crate) folder: tempfile::TempDir,
    pub(crate) version: ConsulVersion,
}

/// What the stages on the way from Kubernetes to Consul need.
pub(crate) struct Bench {
    pub(crate) place: Place,
    pub(crate) cluster: Cluster,
    pub(crate) checks: Checks,
}

/// Which instances have a check, as `--consul-checks` says it: what Consul does for each write grows with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    Always,
    Failing,
}

impl Place {
    pub(crate) fn new(program: PathBuf, version: ConsulVersion) -> Result<Self> {
        Ok(Self {
            program,
            folder: tempfile::tempdir().map_err(Error::io("making a folder"))?,
            version,
        })
    }
}

impl Bench {
    /// An empty Consul.
    pub(crate) async fn consul(&self) -> Result<Consul> {
        Ok(Consul::start(self.place.version).await?)
    }

    /// The program, ready, between the cluster and this Consul.
    pub(crate) async fn run(&self, consul: &str) -> Result<Program> {
        Program::start(
            &self.place.program,
            self.cluster.kubeconfig(),
            &[
                "--consul-addr",
                consul,
                "--consul-checks",
                self.checks.as_str(),
            ],
            self.place.folder.path(),
        )
        .await
    }

    /// A figure's name, with what it was measured on.
    pub(crate) fn name(&self, what: &str) -> String {
        let (version, checks) = (self.place.version, self.checks);
        let instances = self.cluster.fleet.instances();
        format!("{what} at {instances} instances, Consul {version}, {checks}")
    }
}

impl Checks {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "a check each",
            Self::Failing => "failing checks",
        })
    }
}
