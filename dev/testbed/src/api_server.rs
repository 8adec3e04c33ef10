//! A Kubernetes API server with its store: a cluster without nodes and controllers.
//!
//! There is no controller manager and no kubelet, so nothing makes `EndpointSlices`, Nodes or load
//! balancer status; tests write them themselves, which is what lets them choose every order of
//! events.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::OnceCell;

use crate::client::{Answer, Client};
use crate::etcd::Etcd;
use crate::folder::{Folder, text};
use crate::lifecycle::lifecycle;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::ready::{not_yet, until_ready};
use crate::{Program, Programs, Result, ledger};

mod kubeconfig;
mod user;

use kubeconfig::{Cluster, Login};
use user::ADMIN_TOKEN;

pub use user::User;

/// How an API server is started.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ApiServerSettings {
    /// Users beside the administrator; none has a right that a binding does not give.
    pub users: Vec<User>,
    /// More arguments, as in `--feature-gates=WatchList=false`.
    pub arguments: Vec<String>,
}

/// A `ServiceAccount` and a token of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceAccount {
    /// The user name that rules see: `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// A signed token, valid for an hour.
    pub token: String,
    /// A kubeconfig with the token.
    pub kubeconfig: PathBuf,
}

/// A running API server in RBAC mode, with an etcd of its own.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> consul_sync_testbed::Result<()> {
/// use consul_sync_testbed::ApiServer;
///
/// let api = ApiServer::start().await?;
/// println!("kubectl --kubeconfig {} get services", api.kubeconfig().display());
/// api.kill()?;
/// api.restart().await?; // same address, same objects
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ApiServer {
    process: Process,
    etcd: Etcd,
    client: Client,
    cluster: Cluster,
    kubeconfig: PathBuf,
    written: AtomicU32,
    _port: Port,
    // Last: it is removed after the process has ended.
    folder: Folder,
}

lifecycle!(ApiServer);

/// The folder that the server writes its certificate and key to.
const CERTIFICATES: &str = "certificates";

/// A server that takes a connection and does not answer must not use up the time it is given.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

impl ApiServer {
    /// Starts an API server with the usual settings and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When a program is missing, ends, or does not become ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(ApiServerSettings::default()).await
    }

    /// Starts an API server and waits until it is ready and its own namespaces exist.
    ///
    /// # Errors
    ///
    /// When a program is missing, ends, or does not become ready.
    pub async fn start_with(settings: ApiServerSettings) -> Result<Self> {
        let program = Program::KubeApiserver;
        let file = Programs::locate().path(program)?.to_owned();
        let etcd = Etcd::launch()?;
        let folder = Folder::create(program)?;
        let port = Port::lease()?;
        let users = folder.write("users.csv", user::token_file(&settings.users))?;
        let certificates = folder.join(CERTIFICATES);
        // The server makes itself a certificate and a key on its first start; the same key signs
        // the tokens of ServiceAccounts, so that no key has to be made or shipped here.
        let key = text(&certificates.join("apiserver.key"));
        let arguments = [
            ("etcd-servers", etcd.url().to_owned()),
            ("cert-dir", text(&certificates)),
            ("secure-port", port.number().to_string()),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc".to_owned(),
            ),
            ("service-account-key-file", key.clone()),
            ("service-account-signing-key-file", key),
            ("token-auth-file", text(&users)),
            ("authorization-mode", "RBAC".to_owned()),
            // A pod's ServiceAccount would have to exist; there is no controller that makes them.
            ("disable-admission-plugins", "ServiceAccount".to_owned()),
            ("service-cluster-ip-range", "10.0.0.0/16".to_owned()),
            // A loopback address is not allowed in the endpoints of the `kubernetes` service.
            ("endpoint-reconciler-type", "none".to_owned()),
        ];
        let mut arguments = arguments
            .map(|(name, value)| format!("--{name}={value}"))
            .to_vec();
        arguments.extend(settings.arguments);

        let launch = Launch {
            file,
            arguments,
            log: folder.join("kube-apiserver.log"),
            remove: folder.to_remove(),
        };
        let process = Process::new(program, launch);
        process.start()?;

        let cluster = Cluster {
            url: format!("https://{}", port.address()),
            ca: certificates.join("apiserver.crt"),
        };
        let client = first_client(&process, &cluster).await?;
        let kubeconfig = folder.write(
            "admin.kubeconfig",
            cluster.kubeconfig("admin", &Login::token(ADMIN_TOKEN)),
        )?;
        let api = Self {
            process,
            etcd,
            client,
            cluster,
            kubeconfig,
            written: AtomicU32::new(0),
            _port: port,
            folder,
        };
        api.until_ready().await?;
        ledger::record(
            &format!("kube-apiserver {}", api.version().await?),
            &ledger::current_test(),
        );
        Ok(api)
    }

    /// The API server that all tests of this process share; the first caller starts it.
    ///
    /// It saves two and a half seconds of processor time a test. Tests that use it keep to
    /// namespaces of their own and never stop it.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); the next caller tries again.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ApiServer> = OnceCell::const_new();
        let api = SHARED.get_or_try_init(Self::start).await?;
        ledger::record(
            &format!("kube-apiserver {}", api.version().await?),
            &ledger::current_test(),
        );
        Ok(api)
    }

    /// Starts it again on the same port with the same data and certificate, ending it first if
    /// it runs.
    ///
    /// # Errors
    ///
    /// When it ends or does not become ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.process.start()?;
        self.until_ready().await
    }

    /// Starts it again with a certificate of another authority, of its own making as the first one. Tokens of
    /// `ServiceAccounts` are signed with the key of that one, and worth nothing any more.
    ///
    /// # Errors
    ///
    /// When a file cannot be deleted, or as [`restart`](Self::restart).
    pub async fn restart_with_another_authority(&mut self) -> Result<()> {
        self.kill()?;
        self.folder.remove(CERTIFICATES)?;
        self.process.start()?;
        self.client = first_client(&self.process, &self.cluster).await?;
        self.until_ready().await
    }

    /// Its store.
    pub const fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Its address, as in `https://127.0.0.1:6443`.
    pub fn url(&self) -> &str {
        &self.cluster.url
    }

    /// The PEM file with the certificate that signed the server's.
    pub fn ca(&self) -> &Path {
        &self.cluster.ca
    }

    /// The token of the administrator, who may do everything.
    pub const fn admin_token(&self) -> &'static str {
        ADMIN_TOKEN
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client with the administrator's token.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Writes a kubeconfig with `token`, which may also be one that the server does not know.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn kubeconfig_with_token(&self, token: &str) -> Result<PathBuf> {
        self.write_kubeconfig(&Login::token(token))
    }

    /// Writes a kubeconfig of `user` in `groups`, who needs no token and has no right that a
    /// binding does not give: the administrator impersonates them.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn kubeconfig_as(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        self.write_kubeconfig(&Login::impersonate(ADMIN_TOKEN, user, groups))
    }

    /// Makes the `ServiceAccount` called `name`, and its namespace, where they do not exist, and a token
    /// of it as a pod would have one.
    ///
    /// # Errors
    ///
    /// When a request is refused or a file cannot be written.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<ServiceAccount> {
        self.namespace(namespace).await?;
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.create(&accounts, &json!({ "metadata": { "name": name } }))
            .await?;
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": 3600 },
        });
        let path = format!("{accounts}/{name}/token");
        let answer = self.client.post(&path, &request).await?.json()?;
        let token = answer["status"]["token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok(ServiceAccount {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            kubeconfig: self.kubeconfig_with_token(&token)?,
            token,
        })
    }

    /// Makes the namespace `name`, where it does not exist.
    ///
    /// # Errors
    ///
    /// When the request is refused.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.create(
            "/api/v1/namespaces",
            &json!({ "metadata": { "name": name } }),
        )
        .await
    }

    /// Creates `object` in the collection at `path`; one that exists stays as it is.
    async fn create(&self, path: &str, object: &serde_json::Value) -> Result<()> {
        let answer = self.client.post(path, object).await?;
        if answer.status == http::StatusCode::CONFLICT {
            return Ok(());
        }
        answer.success().map(drop)
    }

    fn write_kubeconfig(&self, login: &Login) -> Result<PathBuf> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.folder.write(
            &format!("{number}.kubeconfig"),
            self.cluster.kubeconfig("testbed", login),
        )
    }

    /// Major and minor, as in `1.35`.
    async fn version(&self) -> Result<String> {
        let version = self.client.get("/version").await?.json()?;
        let part = |name: &str| version[name].as_str().unwrap_or("?").to_owned();
        Ok(format!("{}.{}", part("major"), part("minor")))
    }

    async fn until_ready(&self) -> Result<()> {
        let client = self.client.with_deadline(PROBE_DEADLINE);
        // The server makes these namespaces a moment after it says that it is ready.
        for path in [
            "/readyz",
            "/api/v1/namespaces/kube-system",
            "/api/v1/namespaces/default",
        ] {
            until_ready(&self.process, async || {
                client
                    .get(path)
                    .await
                    .and_then(Answer::success)
                    .map(drop)
                    .map_err(|error| not_yet(&error))
            })
            .await?;
        }
        Ok(())
    }
}

/// A client that trusts the certificate which the server makes itself when it has none.
async fn first_client(process: &Process, Cluster { url, ca }: &Cluster) -> Result<Client> {
    let key = ca.with_extension("key");
    let mut client = None;
    until_ready(process, async || {
        // The key is written after the certificate, which is whole by then.
        if !key.exists() {
            return Err(format!("{} is not written", key.display()));
        }
        client = Some(
            Client::new(url.clone(), Some(ca), Some(ADMIN_TOKEN))
                .map_err(|error| not_yet(&error))?,
        );
        Ok(())
    })
    .await?;
    Ok(client.expect("the probe said yes after it made one"))
}
