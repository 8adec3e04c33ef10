//! The API server's store.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::folder::{Folder, text};
use crate::lifecycle::lifecycle;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::ready::{not_yet, until_ready};
use crate::{Program, Programs, Result};

/// A running etcd of one member with its data in a temporary folder.
///
/// It does not wait for its disk, so data outlives [`kill`](Self::kill) but not the machine.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    client: Client,
    _ports: [Port; 2],
    // Last: it is removed after the process has ended.
    _folder: Folder,
}

lifecycle!(Etcd);

impl Etcd {
    /// Starts etcd and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When the program is missing, ends, or does not become ready.
    pub async fn start() -> Result<Self> {
        let etcd = Self::launch()?;
        etcd.until_ready().await?;
        Ok(etcd)
    }

    /// Starts it and does not wait: the API server waits for its store by itself, and setting
    /// up both at once saves time.
    pub(crate) fn launch() -> Result<Self> {
        let program = Program::Etcd;
        let file = Programs::locate().path(program)?.to_owned();
        let folder = Folder::create(program)?;
        let ports = [Port::lease()?, Port::lease()?];
        let [url, peer_url] =
            [0, 1].map(|index: usize| format!("http://{}", ports[index].address()));
        let arguments = [
            ("name", "testbed".to_owned()),
            ("data-dir", text(&folder.join("data"))),
            ("listen-client-urls", url.clone()),
            ("advertise-client-urls", url.clone()),
            ("listen-peer-urls", peer_url.clone()),
            ("initial-advertise-peer-urls", peer_url.clone()),
            ("initial-cluster", format!("testbed={peer_url}")),
            ("unsafe-no-fsync", "true".to_owned()),
            // The one member has nobody to wait for; at the usual second it would.
            ("heartbeat-interval", "10".to_owned()),
            ("election-timeout", "100".to_owned()),
            ("log-level", "warn".to_owned()),
        ];
        let launch = Launch {
            file,
            arguments: arguments
                .map(|(name, value)| format!("--{name}={value}"))
                .into(),
            log: folder.join("etcd.log"),
            remove: folder.to_remove(),
        };
        let process = Process::new(program, launch);
        process.start()?;
        Ok(Self {
            process,
            client: Client::new(url, None, None)?,
            _ports: ports,
            _folder: folder,
        })
    }

    /// Starts it again on the same port with the same data, ending it first if it runs.
    ///
    /// # Errors
    ///
    /// When it ends or does not become ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.process.start()?;
        self.until_ready().await
    }

    /// Forgets every version but the present one, as an API server asks for every five minutes: who
    /// has an older one is told that it is gone.
    ///
    /// # Errors
    ///
    /// When it does not answer or refuses.
    pub async fn compact(&self) -> Result<()> {
        // The key does not matter; every answer carries the version.
        let range = json!({ "key": "AA==" });
        let answer = self.client.post("/v3/kv/range", &range).await?.json()?;
        let compaction = json!({ "revision": answer["header"]["revision"], "physical": true });
        let answer = self.client.post("/v3/kv/compaction", &compaction).await?;
        answer.success().map(drop)
    }

    /// The address that clients use, as in `http://127.0.0.1:2379`.
    pub fn url(&self) -> &str {
        self.client.base()
    }

    async fn until_ready(&self) -> Result<()> {
        until_ready(&self.process, async || {
            self.client
                .get("/readyz")
                .await
                .and_then(Answer::success)
                .map(drop)
                .map_err(|error| not_yet(&error))
        })
        .await
    }
}
