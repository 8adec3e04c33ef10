//! The servers that the demo runs on: real ones, or embedded ones where the real ones are not built.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use consul_sync_consul::testing::FakeConsul;
use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::{
    ApiServer, Client, Consul, ConsulSettings, ConsulVersion, CoreDns, Program as File, Programs,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::{
    args::Choice,
    catalog::{BOUND, Catalog},
    cluster::Cluster,
    error::{Error, Result, ensure},
    imports::Imports,
};

/// The anonymous token's place in Consul.
const ANONYMOUS: &str = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
/// What everybody may do in the demo's Consul: look, in the UI and by DNS.
const LOOKING: &str = r#"node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }"#;
/// The namespace and the name of the service account that `consul-sync rbac` binds its roles to.
const ACCOUNT: (&str, &str) = ("consul-sync", "consul-sync");

/// Running servers, with nothing in them yet. They end when this is dropped.
pub(crate) struct Servers {
    /// What they are, for people.
    pub(crate) description: String,
    pub(crate) cluster: Cluster,
    pub(crate) catalog: Catalog,
    pub(crate) imports: Imports,
    running: Running,
}

#[expect(clippy::large_enum_variant, reason = "there is one")]
enum Running {
    Real {
        api: ApiServer,
        consul: Consul,
        /// Where it is built.
        dns: Option<CoreDns>,
    },
    Embedded {
        api: FakeApiServer,
        consul: FakeConsul,
        kubeconfig: PathBuf,
    },
}

/// How a program gets in.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// A kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// A token for Consul, where it wants one.
    pub(crate) consul_token: Option<String>,
}

/// Why real servers cannot be used; nothing when they can.
pub(crate) fn missing() -> Option<String> {
    let programs = Programs::locate();
    let missing = |program: File| programs.path(program).is_err();
    let mut names: Vec<_> = [File::Etcd, File::KubeApiserver]
        .into_iter()
        .filter(|program| missing(*program))
        .map(File::file_name)
        .collect();
    if newest_consul().is_none() {
        names.push("consul");
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// The newest Consul on this machine.
fn newest_consul() -> Option<ConsulVersion> {
    let programs = Programs::locate();
    let is_there = |version: &ConsulVersion| programs.path(File::Consul(*version)).is_ok();
    ConsulVersion::ALL.into_iter().rev().find(is_there)
}

impl Servers {
    /// Starts what is chosen and waits until it is ready. `folder` is where files of theirs may be.
    pub(crate) async fn start(choice: Choice, folder: &Path) -> Result<Self> {
        match choice {
            Choice::Real => Self::real().await,
            Choice::Auto if missing().is_none() => Self::real().await,
            Choice::Auto | Choice::Embedded => Self::embedded(folder).await,
        }
    }

    async fn real() -> Result<Self> {
        let mut settings = ConsulSettings::default();
        settings.version = newest_consul().unwrap_or_default();
        settings.acls = true;
        let (api, consul) =
            futures::future::try_join(ApiServer::start(), Consul::start_with(settings)).await?;

        let policy = json!({ "Name": "looking", "Rules": LOOKING });
        let policy = consul
            .client()
            .put("/v1/acl/policy", &policy)
            .await?
            .json()?;
        let anonymous = json!({ "Policies": [{ "ID": policy["ID"] }] });
        consul
            .client()
            .put(ANONYMOUS, &anonymous)
            .await?
            .success()?;

        let dns = match Programs::locate().path(File::CoreDns) {
            Ok(_) => Some(CoreDns::start(&api, &consul).await?),
            Err(_) => None,
        };
        let cluster = Cluster::new(client(api.kubeconfig()).await?);
        let description = format!(
            "real: kube-apiserver {} with etcd, in RBAC mode; Consul {} with ACLs{}",
            cluster.version().await?,
            consul.version(),
            if dns.is_some() { "; CoreDNS" } else { "" }
        );
        Ok(Self {
            description,
            cluster,
            catalog: Catalog::new(consul.client().clone()),
            imports: Imports::new(api.client().clone()),
            running: Running::Real { api, consul, dns },
        })
    }

    async fn embedded(folder: &Path) -> Result<Self> {
        let started = |source| Error::io("starting an embedded server", source);
        let api = FakeApiServer::start().await.map_err(started)?;
        let consul = FakeConsul::start().await.map_err(started)?;
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, api.kubeconfig_yaml())
            .map_err(|source| Error::io(format!("writing {}", kubeconfig.display()), source))?;
        let cluster = Cluster::new(client(&kubeconfig).await?);
        let description = format!(
            "embedded: an API server {} and a Consul in memory, within this program",
            cluster.version().await?
        );
        Ok(Self {
            description,
            cluster,
            catalog: Catalog::new(Client::plain(&consul.url())?),
            imports: Imports::new(Client::plain(&api.url())?),
            running: Running::Embedded {
                api,
                consul,
                kubeconfig,
            },
        })
    }

    /// Whether they are real.
    pub(crate) fn are_real(&self) -> bool {
        matches!(self.running, Running::Real { .. })
    }

    /// Consul's address.
    pub(crate) fn consul_url(&self) -> String {
        match &self.running {
            Running::Real { consul, .. } => consul.url().to_owned(),
            Running::Embedded { consul, .. } => consul.url(),
        }
    }

    /// Where Consul answers DNS; the embedded one does not.
    pub(crate) fn dns(&self) -> Option<SocketAddr> {
        match &self.running {
            Running::Real { consul, .. } => Some(consul.dns_addr()),
            Running::Embedded { .. } => None,
        }
    }

    /// Where the cluster's names are answered, if anywhere.
    pub(crate) fn cluster_dns(&self) -> Option<SocketAddr> {
        match &self.running {
            Running::Real { dns, .. } => dns.as_ref().map(CoreDns::dns_addr),
            Running::Embedded { .. } => None,
        }
    }

    /// The API server's address.
    pub(crate) fn api_url(&self) -> String {
        match &self.running {
            Running::Real { api, .. } => api.url().to_owned(),
            Running::Embedded { api, .. } => api.url(),
        }
    }

    /// How a person gets in, who may do everything.
    pub(crate) fn administrator(&self) -> Access {
        match &self.running {
            Running::Real { api, consul, .. } => Access {
                kubeconfig: api.kubeconfig().to_owned(),
                consul_token: consul.management_token().map(str::to_owned),
            },
            Running::Embedded { kubeconfig, .. } => Access {
                kubeconfig: kubeconfig.clone(),
                consul_token: None,
            },
        }
    }

    /// How consul-sync gets in, who may do exactly this: the RBAC manifests and the ACL rules that it prints itself.
    /// Embedded servers have no such rules.
    pub(crate) async fn admit(&self, manifests: &str, rules: &str) -> Result<Access> {
        let Running::Real { api, consul, .. } = &self.running else {
            return Ok(self.administrator());
        };
        let account = api.service_account(ACCOUNT.0, ACCOUNT.1).await?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(manifests)
            .map_err(|error| Error::wrong(format!("consul-sync rbac prints no YAML: {error}")))?;
        for object in &documents {
            self.cluster.create(object).await?;
        }
        // The API server's own view of a new binding is a moment late; a pod would not start as soon as this.
        let client = api.client().with_token(Some(&account.token));
        let begun = Instant::now();
        while client.get("/api/v1/services?limit=1").await?.status == 403 {
            ensure(begun.elapsed() < BOUND, || {
                "the roles that consul-sync rbac prints do not let it read Services".to_owned()
            })?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Access {
            kubeconfig: account.kubeconfig,
            consul_token: Some(consul.token(rules).await?),
        })
    }
}

async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let unusable = |error: &dyn std::fmt::Display| {
        Error::wrong(format!("{} cannot be used: {error}", kubeconfig.display()))
    };
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| unusable(&error))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let config = config.map_err(|error| unusable(&error))?;
    kube::Client::try_from(config).map_err(|error| unusable(&error))
}
