//! What is exported from a cluster, and how.

/// What is exported from a cluster, and how. Reading it from flags or a file is the business of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSettings {
    /// Whether Ingresses stand for the ClusterIP Services behind them. Default: no.
    pub ingress: bool,
}

/// The kinds of objects that must be watched under some settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one independent answer per kind"
)]
pub struct Needs {
    /// Services: always.
    pub services: bool,
    /// EndpointSlices: always.
    pub slices: bool,
    /// Nodes.
    pub nodes: bool,
    /// Ingresses.
    pub ingresses: bool,
    /// Namespaces.
    pub namespaces: bool,
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self { ingress: false }
    }
}

impl ExportSettings {
    /// The kinds that must be watched.
    pub fn needs(&self) -> Needs {
        Needs {
            services: true,
            slices: true,
            nodes: true,
            ingresses: self.ingress,
            namespaces: false,
        }
    }
}
