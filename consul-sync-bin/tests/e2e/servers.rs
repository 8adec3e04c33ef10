//! The servers that a scenario runs between, whichever they are.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use consul_sync_consul::testing::{FakeConsul, FakeConsulBuilder};
use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{
    ApiServer, ApiServerSettings, Client, Consul, ConsulSettings, ConsulVersion, Program, Programs,
    Storage, ledger,
};
use serde_json::json;
use tempfile::TempDir;

use crate::program::Reach;

/// Sessions may be as short as a test can wait for; Consul's own default is 10 s.
const SESSION_TTL_MIN: Duration = Duration::from_secs(1);

/// A Kubernetes API server and a Consul of one test's own, with a way to look past the program.
pub(crate) struct Servers {
    /// Writes to the cluster with every right.
    pub(crate) kubernetes: Client,
    /// What the program is given.
    pub(crate) kubeconfig: PathBuf,
    /// Reads and writes Consul with every right.
    pub(crate) consul: Client,
    /// What the program is given.
    pub(crate) token: Option<String>,
    /// The servers themselves.
    pub(crate) kind: Kind,
    // Holds the kubeconfig of the embedded API server.
    _folder: TempDir,
}

pub(crate) enum Kind {
    Embedded {
        api: FakeApiServer,
        // Serves for as long as it is held.
        _consul: FakeConsul,
    },
    Real(Box<(ApiServer, Consul)>),
}

impl Servers {
    /// In this process.
    pub(crate) async fn embedded() -> Self {
        Self::embedded_with(FakeConsul::builder()).await
    }

    /// In this process, with another Consul.
    pub(crate) async fn embedded_with(consul: FakeConsulBuilder) -> Self {
        let api = FakeApiServer::start().await.unwrap();
        let consul = consul
            .session_ttl_min(SESSION_TTL_MIN)
            .start()
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, api.kubeconfig_yaml()).unwrap();
        ledger::record(ledger::EMBEDDED, &ledger::current_test());
        Self {
            kubernetes: Client::plain(&api.url()).unwrap(),
            kubeconfig,
            consul: Client::plain(&consul.url()).unwrap(),
            token: None,
            kind: Kind::Embedded {
                api,
                _consul: consul,
            },
            _folder: folder,
        }
    }

    /// Real ones that survive a kill; `None` where the programs are not on this machine, which is said.
    pub(crate) async fn real(version: ConsulVersion) -> Option<Self> {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        settings.storage = Storage::Disk;
        settings.config = json!({ "session_ttl_min": format!("{}s", SESSION_TTL_MIN.as_secs()) });
        Self::real_with(settings).await
    }

    /// Real ones, and a Consul that asks for tokens. The program has none yet.
    pub(crate) async fn real_with_acls(version: ConsulVersion) -> Option<Self> {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        settings.storage = Storage::Disk;
        settings.acls = true;
        Self::real_with(settings).await
    }

    /// Real ones, and a Consul that speaks TLS as well.
    pub(crate) async fn real_with_tls(version: ConsulVersion) -> Option<Self> {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        settings.tls = true;
        Self::real_with(settings).await
    }

    /// Real ones, and a Consul that speaks TLS as well, to those alone who show a certificate of its authority.
    pub(crate) async fn real_with_mutual_tls(version: ConsulVersion) -> Option<Self> {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        settings.storage = Storage::Disk;
        settings.tls = true;
        settings.config = json!({ "tls": { "https": { "verify_incoming": true } } });
        Self::real_with(settings).await
    }

    /// Real ones, and an API server that is told more.
    pub(crate) async fn real_with_api(
        version: ConsulVersion,
        api: ApiServerSettings,
    ) -> Option<Self> {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        Self::real_of(api, settings).await
    }

    async fn real_with(settings: ConsulSettings) -> Option<Self> {
        Self::real_of(ApiServerSettings::default(), settings).await
    }

    async fn real_of(api: ApiServerSettings, settings: ConsulSettings) -> Option<Self> {
        let programs = [
            Program::Etcd,
            Program::KubeApiserver,
            Program::Consul(settings.version),
        ];
        if !Programs::locate().all_or_skip(&programs) {
            return None;
        }
        let (api, consul) = tokio::join!(ApiServer::start_with(api), Consul::start_with(settings));
        let (api, consul) = (api.unwrap(), consul.unwrap());
        Some(Self {
            kubernetes: api.client().clone(),
            kubeconfig: api.kubeconfig().to_owned(),
            consul: consul.client().clone(),
            token: None,
            kind: Kind::Real(Box::new((api, consul))),
            _folder: tempfile::tempdir().unwrap(),
        })
    }

    /// Exchanges the authority of a real API server.
    pub(crate) async fn exchange_authority_of_api(&mut self) {
        let Kind::Real(real) = &mut self.kind else {
            panic!("a scenario for real servers");
        };
        real.0.restart_with_another_authority().await.unwrap();
        self.kubernetes = real.0.client().clone();
    }

    /// The real servers of a scenario that only they can play.
    pub(crate) fn as_real(&self) -> (&ApiServer, &Consul) {
        match &self.kind {
            Kind::Real(real) => (&real.0, &real.1),
            Kind::Embedded { .. } => panic!("a scenario for real servers"),
        }
    }
}

impl Reach for Servers {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn consul(&self) -> &str {
        self.consul.base()
    }

    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

/// One scenario, on every kind of servers.
macro_rules! scenarios {
    ($($(#[$attribute:meta])* $name:ident)+) => {
        mod embedded {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() {
                super::$name(&$crate::servers::Servers::embedded().await).await;
            })+
        }
        mod consul_1_21 {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() {
                let version = consul_sync_testbed::ConsulVersion::V1_21;
                if let Some(servers) = $crate::servers::Servers::real(version).await {
                    super::$name(&servers).await;
                }
            })+
        }
        mod consul_1_22 {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() {
                let version = consul_sync_testbed::ConsulVersion::V1_22;
                if let Some(servers) = $crate::servers::Servers::real(version).await {
                    super::$name(&servers).await;
                }
            })+
        }
    };
}

pub(crate) use scenarios;
