//! A cluster's DNS server.

use std::net::SocketAddr;

use crate::client::{Answer, Client};
use crate::dns::{self, Kind};
use crate::folder::{Folder, text};
use crate::lifecycle::lifecycle;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::ready::{not_yet, until_ready};
use crate::{ApiServer, Consul, Program, Programs, Result, ledger};

/// A running `CoreDNS`: it answers for the Services of an API server in the domain `cluster.local`, and asks a Consul for
/// names in Consul's domain, also those that a Service of type `ExternalName` stands for.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> consul_sync_testbed::Result<()> {
/// use consul_sync_testbed::dns::{self, Kind};
/// use consul_sync_testbed::{ApiServer, Consul, ConsulVersion, CoreDns};
///
/// let api = ApiServer::start().await?;
/// let consul = Consul::start(ConsulVersion::default()).await?;
/// let server = CoreDns::start(&api, &consul).await?;
/// let answer = dns::ask(server.dns_addr(), "web.default.svc.cluster.local", Kind::A).await?;
/// println!("{:?} {:?}", answer.targets(), answer.addresses());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CoreDns {
    process: Process,
    client: Client,
    dns: Port,
    _ready: Port,
    // Last: it is removed after the process has ended.
    _folder: Folder,
}

lifecycle!(CoreDns);

impl CoreDns {
    /// Starts it and waits until it has read the Services that are there.
    ///
    /// # Errors
    ///
    /// When the program is missing, ends, or does not become ready.
    pub async fn start(api: &ApiServer, consul: &Consul) -> Result<Self> {
        let program = Program::CoreDns;
        let file = Programs::locate().path(program)?.to_owned();
        let folder = Folder::create(program)?;
        let (dns, ready) = (Port::lease()?, Port::lease()?);
        let kubeconfig = text(api.kubeconfig());
        let config = config(&dns, &ready, &kubeconfig, consul.dns_addr());
        let config = folder.write("Corefile", config)?;
        let launch = Launch {
            file,
            arguments: vec![format!("-conf={}", text(&config))],
            log: folder.join("coredns.log"),
            remove: folder.to_remove(),
        };
        let process = Process::new(program, launch);
        process.start()?;
        let server = Self {
            process,
            client: Client::new(format!("http://{}", ready.address()), None, None)?,
            dns,
            _ready: ready,
            _folder: folder,
        };
        server.until_ready().await?;
        ledger::record("coredns", &ledger::current_test());
        Ok(server)
    }

    /// Starts it again on the same port, ending it first if it runs.
    ///
    /// # Errors
    ///
    /// When it ends or does not become ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.process.start()?;
        self.until_ready().await
    }

    /// Where it answers, by UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns.address()
    }

    async fn until_ready(&self) -> Result<()> {
        until_ready(&self.process, async || {
            self.client
                .get("/ready")
                .await
                .and_then(Answer::success)
                .map_err(|error| not_yet(&error))?;
            // It says that its plugins are ready a moment before it listens.
            dns::ask(self.dns_addr(), "cluster.local", Kind::A)
                .await
                .map(drop)
                .map_err(|error| not_yet(&error))
        })
        .await
    }
}

/// The usual configuration of a cluster, as far as it is about names, without a cache: what is asked is what is there.
fn config(dns: &Port, ready: &Port, kubeconfig: &str, consul: SocketAddr) -> String {
    let (port, ready) = (dns.number(), ready.address());
    format!(
        "cluster.local:{port} {{
    bind 127.0.0.1
    errors
    ready {ready}
    kubernetes cluster.local {{
        kubeconfig {kubeconfig}
        ttl 0
    }}
}}
consul:{port} {{
    bind 127.0.0.1
    errors
    forward . {consul}
}}
"
    )
}
