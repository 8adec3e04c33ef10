//! Everything that the steps act on.

use std::net::SocketAddr;

use crate::{
    catalog::Catalog,
    cluster::Cluster,
    error::{Error, Result},
    imports::Imports,
    program::Program,
    servers::Servers,
    world::{self, Exposed, NAMESPACE, Workload},
};

/// Everything that the steps act on. The program ends before the servers.
pub(crate) struct Stage {
    pub(crate) program: Program,
    /// The one for the other direction.
    pub(crate) importer: Program,
    pub(crate) servers: Servers,
    services: Vec<Exposed>,
}

impl Stage {
    /// The world as it is at first, in the cluster.
    pub(crate) async fn set(servers: &Servers) -> Result<Vec<Exposed>> {
        for object in world::surroundings() {
            servers.cluster.create(&object).await?;
        }
        let services = world::services();
        for service in &services {
            service.create(&servers.cluster).await?;
        }
        Ok(services)
    }

    pub(crate) fn new(
        [program, importer]: [Program; 2],
        servers: Servers,
        services: Vec<Exposed>,
    ) -> Self {
        Self {
            program,
            importer,
            servers,
            services,
        }
    }

    /// Whether a program that was started has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.program.ended().is_some() || self.importer.ended().is_some()
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.servers.cluster
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.servers.catalog
    }

    pub(crate) fn imports(&self) -> &Imports {
        &self.servers.imports
    }

    pub(crate) fn services(&self) -> &[Exposed] {
        &self.services
    }

    pub(crate) fn dns(&self) -> Option<SocketAddr> {
        self.servers.dns()
    }

    pub(crate) fn cluster_dns(&self) -> Option<SocketAddr> {
        self.servers.cluster_dns()
    }

    /// The pods of a Service that is known to have some.
    pub(crate) fn workload(&mut self, name: &str) -> Result<&mut Workload> {
        let service = self
            .services
            .iter_mut()
            .find(|service| service.name == name);
        service
            .and_then(|service| service.workload.as_mut())
            .ok_or_else(|| Error::wrong(format!("{NAMESPACE}/{name} has no pods")))
    }

    /// The path of a Service that is known.
    pub(crate) fn path(&self, name: &str) -> Result<String> {
        let service = self.services.iter().find(|service| service.name == name);
        service
            .map(Exposed::path)
            .ok_or_else(|| Error::wrong(format!("there is no {NAMESPACE}/{name}")))
    }
}
