//! A Consul server with nothing in its catalog but itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::folder::{Folder, text};
use crate::lifecycle::lifecycle;
use crate::process::{Launch, Process};
use crate::ready::{not_yet, until_ready};
use crate::{ConsulVersion, Error, Program, Programs, Result, dns, ledger};

mod config;
mod tls;

use config::{Ports, config};
use tls::Tls;

/// How a Consul server is started.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConsulSettings {
    /// The minor version.
    pub version: ConsulVersion,
    /// Where its state is.
    pub storage: Storage,
    /// Whether requests need a token; [`Consul::management_token`] may do everything.
    pub acls: bool,
    /// Whether it also serves HTTPS, with a certificate for 127.0.0.1 by its own authority.
    pub tls: bool,
    /// More configuration, laid over the testbed's own: an object, as in a Consul JSON file.
    pub config: Value,
}

/// Where a Consul server's state is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory (`-dev`), ready at once: a restart loses everything, indexes start again.
    #[default]
    Memory,
    /// In a data directory: a restart keeps everything.
    Disk,
}

/// A running Consul server of one member.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> consul_sync_testbed::Result<()> {
/// use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Storage};
///
/// let mut settings = ConsulSettings::default();
/// settings.version = ConsulVersion::V1_21;
/// settings.storage = Storage::Disk;
/// settings.acls = true;
/// let consul = Consul::start_with(settings).await?;
/// let writer = consul.token(r#"service_prefix "" { policy = "write" }"#).await?;
/// println!("CONSUL_HTTP_ADDR={} CONSUL_HTTP_TOKEN={writer}", consul.url());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consul {
    process: Process,
    version: ConsulVersion,
    client: Client,
    acls: bool,
    tls: Option<Tls>,
    ports: Ports,
    // Last: it is removed after the process has ended.
    folder: Folder,
}

lifecycle!(Consul);

/// Consul wants a UUID; it guards an empty catalog on a loopback port.
const MANAGEMENT_TOKEN: &str = "7e57bed0-0000-4000-8000-000000000001";

impl Consul {
    /// Starts Consul of `version` in memory without ACLs and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When the program is missing, ends, or does not become ready.
    pub async fn start(version: ConsulVersion) -> Result<Self> {
        Self::start_with(ConsulSettings {
            version,
            ..ConsulSettings::default()
        })
        .await
    }

    /// Starts Consul and waits until it has a leader and answers a consistent read.
    ///
    /// # Errors
    ///
    /// When the program is missing, ends, or does not become ready.
    pub async fn start_with(settings: ConsulSettings) -> Result<Self> {
        let program = Program::Consul(settings.version);
        let file = Programs::locate().path(program)?.to_owned();
        let folder = Folder::create(program)?;
        let ports = Ports::lease()?;
        let tls = if settings.tls {
            Some(Tls::create(program, &file, &folder)?)
        } else {
            None
        };

        let config = config(&settings, &ports, &folder, tls.as_ref());
        let config = folder.write("config.json", format!("{config:#}\n"))?;
        let mut arguments = vec![
            "agent".to_owned(),
            format!("-config-file={}", text(&config)),
        ];
        if settings.storage == Storage::Memory {
            arguments.push("-dev".to_owned());
        }
        let launch = Launch {
            file,
            arguments,
            log: folder.join("consul.log"),
            remove: folder.to_remove(),
        };
        let process = Process::new(program, launch);
        process.start()?;

        let token = settings.acls.then_some(MANAGEMENT_TOKEN);
        let client = Client::new(format!("http://{}", ports.http.address()), None, token)?;
        let consul = Self {
            process,
            version: settings.version,
            client,
            acls: settings.acls,
            tls,
            ports,
            folder,
        };
        consul.until_ready().await?;
        ledger::record(&program.to_string(), &ledger::current_test());
        Ok(consul)
    }

    /// Starts it again on the same ports, ending it first if it runs. What it held is still
    /// there with [`Storage::Disk`] and gone with [`Storage::Memory`].
    ///
    /// # Errors
    ///
    /// When it ends or does not become ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.start_again()?;
        self.until_ready().await
    }

    /// Like [`restart`](Self::restart), but does not wait: what a client sees of a server that
    /// has no leader yet is then there to be tested.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_again(&self) -> Result<()> {
        self.process.start()
    }

    /// Ends it with SIGKILL and deletes its data directory, as a lost disk does: the next start
    /// knows nothing, and its indexes start again.
    ///
    /// # Errors
    ///
    /// When it cannot be killed, or the directory cannot be deleted.
    pub fn wipe(&self) -> Result<()> {
        self.kill()?;
        self.folder.remove(config::DATA)
    }

    /// Waits until it has a leader and answers a consistent read.
    ///
    /// # Errors
    ///
    /// When it ends or does not become ready.
    pub async fn until_ready(&self) -> Result<()> {
        let client = self.client.with_deadline(config::PROBE_DEADLINE);
        let path = format!("/v1/catalog/node/{}?consistent", config::NODE);
        until_ready(&self.process, async || {
            // An empty answer is not yet ready: with ACLs, from before the token is known.
            match client.get(&path).await.and_then(Answer::json) {
                Ok(node) if node["Node"].is_object() => Ok(()),
                Ok(other) => Err(format!("its own node is {other}")),
                Err(error) => Err(not_yet(&error)),
            }
        })
        .await
    }

    /// Its minor version.
    pub const fn version(&self) -> ConsulVersion {
        self.version
    }

    /// The name of the node that it registers for itself.
    pub const fn node(&self) -> &'static str {
        config::NODE
    }

    /// Its HTTP API's address, as in `http://127.0.0.1:8500`.
    pub fn url(&self) -> &str {
        self.client.base()
    }

    /// Where its HTTP API is.
    pub fn http_addr(&self) -> SocketAddr {
        self.ports.http.address()
    }

    /// Where it answers DNS, by UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.ports.dns.address()
    }

    /// Its HTTPS API's address, where [`ConsulSettings::tls`] was set.
    pub fn https_url(&self) -> Option<String> {
        self.tls
            .as_ref()
            .map(|_| format!("https://{}", self.ports.https.address()))
    }

    /// The PEM file of the authority that signed its certificate, where [`ConsulSettings::tls`]
    /// was set.
    pub fn ca(&self) -> Option<&Path> {
        self.tls.as_ref().map(|tls| tls.ca.as_path())
    }

    /// The token that may do everything, where [`ConsulSettings::acls`] was set.
    pub fn management_token(&self) -> Option<&'static str> {
        self.acls.then_some(MANAGEMENT_TOKEN)
    }

    /// A client of the HTTP API with the management token, if there is one.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// A client of the HTTPS API with the management token, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] where [`ConsulSettings::tls`] was not set.
    pub fn https_client(&self) -> Result<Client> {
        match (self.https_url(), self.ca()) {
            (Some(url), Some(ca)) => Client::new(url, Some(ca), self.management_token()),
            _ => Err(Error::Certificate {
                path: PathBuf::new(),
                reason: "this server was started without tls".to_owned(),
            }),
        }
    }

    /// Makes a token with exactly the rights of `rules`, as in
    /// `service_prefix "" { policy = "write" }`; no rules give a token without rights.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the rules are wrong or ACLs are off.
    pub async fn token(&self, rules: &str) -> Result<String> {
        let policy = json!({ "Name": unique_name(), "Rules": rules });
        let policy = self.client.put("/v1/acl/policy", &policy).await?.json()?;
        let token = json!({ "Policies": [{ "ID": policy["ID"] }] });
        let token = self.client.put("/v1/acl/token", &token).await?.json()?;
        Ok(token["SecretID"].as_str().unwrap_or_default().to_owned())
    }

    /// Asks its DNS port for the addresses of `name`, as in `web.service.consul`, sorted; an unknown
    /// name has none.
    ///
    /// # Errors
    ///
    /// [`Error::Unanswered`] when no readable answer came.
    pub async fn resolve(&self, name: &str) -> Result<Vec<std::net::IpAddr>> {
        let answer = dns::ask(self.dns_addr(), name, dns::Kind::A).await?;
        Ok(answer.addresses())
    }
}

fn unique_name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "testbed-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
