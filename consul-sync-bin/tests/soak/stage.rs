//! Real servers, used by one trial after the other.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use consul_sync_consul::OWNER_META;
use consul_sync_testbed::{
    ApiServer, Consul, ConsulSettings, ConsulVersion, Program, Programs, Storage,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    observer::{NODE, OTHER_NODE},
    program::{Reach, run},
};

/// An API server with its store, and a Consul of each version, all with data directories and ACLs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) api: ApiServer,
    consuls: [Consul; 2],
    /// The rules that the program asks for.
    rules: String,
    folder: TempDir,
}

/// Where one life of the program finds its servers.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) consul: String,
}

/// What the program's token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    All,
    /// Writes are refused.
    Read,
    /// Nothing is refused; everything is filtered out of answers.
    None,
}

/// Instances on our node that are not ours.
pub(crate) const FOREIGN: [&str; 3] = ["foreign", "web0-lookalike", "web1-plain"];

const ACCESSOR: &str = "50ac0000-0000-4000-8000-000000000001";
const TOKEN: &str = "50ac0000-0000-4000-8000-000000000002";

static IDLE: Mutex<Vec<Stage>> = Mutex::new(vec![]);

impl Stage {
    /// One that nobody uses; `None` where the programs are not on this machine, which is said.
    pub(crate) async fn take() -> Option<Self> {
        if !Programs::locate().all_or_skip(&Program::ALL) {
            return None;
        }
        let idle = IDLE.lock().unwrap().pop();
        Some(match idle {
            Some(stage) => stage,
            None => Self::start().await,
        })
    }

    /// For whoever takes one next. Not after a failure: its servers may be in any state.
    pub(crate) fn give_back(self) {
        IDLE.lock().unwrap().push(self);
    }

    async fn start() -> Self {
        let consul = async |version| {
            let mut settings = ConsulSettings::default();
            settings.version = version;
            settings.storage = Storage::Disk;
            settings.acls = true;
            Consul::start_with(settings).await.unwrap()
        };
        let [old, new] = ConsulVersion::ALL;
        let (api, old, new) = tokio::join!(ApiServer::start(), consul(old), consul(new));
        let api = api.unwrap();
        let access = Access {
            kubeconfig: api.kubeconfig().to_owned(),
            consul: String::new(),
        };
        let printed = run(&access, &["rbac", "--consul-policy", "--to-k8s"]).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let stage = Self {
            api,
            consuls: [old, new],
            rules: printed.out,
            folder: tempfile::tempdir().unwrap(),
        };
        for consul in &stage.consuls {
            stage.make_rights(consul).await;
        }
        stage
    }

    /// The Consul of a seed: half of all trials run on each version.
    pub(crate) fn consul(&self, seed: u64) -> &Consul {
        &self.consuls[usize::from(seed.is_multiple_of(2))]
    }

    /// The program's policies and token, on a Consul that has none.
    pub(crate) async fn make_rights(&self, consul: &Consul) {
        let read = self.rules.replace("write", "read");
        for (name, rules) in [("soak", self.rules.as_str()), ("soak-read", &read)] {
            put(
                consul,
                "/v1/acl/policy",
                &json!({ "Name": name, "Rules": rules }),
            )
            .await;
        }
        self.make_token(consul).await;
    }

    /// The program's token, on a Consul that does not have it.
    pub(crate) async fn make_token(&self, consul: &Consul) {
        put(consul, "/v1/acl/token", &token(Rights::All)).await;
    }

    /// Revokes the program's token.
    pub(crate) async fn delete_token(&self, consul: &Consul) {
        let path = format!("/v1/acl/token/{ACCESSOR}");
        consul
            .client()
            .delete(&path)
            .await
            .unwrap()
            .success()
            .unwrap();
    }

    /// Gives the program's token other rights.
    pub(crate) async fn set_rights(&self, consul: &Consul, rights: Rights) {
        put(consul, &format!("/v1/acl/token/{ACCESSOR}"), &token(rights)).await;
    }

    /// Takes what an earlier trial left out of a catalog.
    pub(crate) async fn empty(&self, consul: &Consul) {
        for node in [NODE, OTHER_NODE] {
            put(consul, "/v1/catalog/deregister", &json!({ "Node": node })).await;
        }
    }

    /// Registers what belongs to others: some of it looks like ours.
    pub(crate) async fn plant(&self, consul: &Consul) {
        let namespace = self
            .api
            .client()
            .get("/api/v1/namespaces/kube-system")
            .await
            .unwrap()
            .json()
            .unwrap();
        let ours =
            json!({ "external-source": "kubernetes", OWNER_META: namespace["metadata"]["uid"] });
        let others = json!({ "external-source": "kubernetes", OWNER_META: "another-cluster" });
        let instances = [
            (NODE, FOREIGN[0], "foreign", json!({})),
            (NODE, FOREIGN[1], "web0", others),
            (
                NODE,
                FOREIGN[2],
                "web1",
                json!({ "external-source": "nomad" }),
            ),
            (OTHER_NODE, "web0-elsewhere", "web0", ours),
        ];
        for (node, id, name, meta) in instances {
            let service = json!({ "ID": id, "Service": name, "Address": "10.9.9.9", "Port": 1, "Meta": meta });
            let registration = json!({ "Node": node, "Address": "127.0.0.1", "SkipNodeUpdate": true, "Service": service });
            put(consul, "/v1/catalog/register", &registration).await;
        }
    }

    /// A kubeconfig of an administrator by way of a proxy.
    pub(crate) fn kubeconfig_by(&self, url: &str) -> PathBuf {
        let text = std::fs::read(self.api.kubeconfig()).unwrap();
        let mut kubeconfig: Value = serde_json::from_slice(&text).unwrap();
        kubeconfig["clusters"][0]["cluster"] = json!({ "server": url });
        let path = self.folder.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        path
    }
}

fn token(rights: Rights) -> Value {
    let policies = match rights {
        Rights::All => json!([{ "Name": "soak" }]),
        Rights::Read => json!([{ "Name": "soak-read" }]),
        Rights::None => json!([]),
    };
    json!({ "AccessorID": ACCESSOR, "SecretID": TOKEN, "Policies": policies })
}

/// Writes to Consul with every right.
pub(crate) async fn put(consul: &Consul, path: &str, body: &Value) {
    consul
        .client()
        .put(path, body)
        .await
        .unwrap()
        .success()
        .unwrap();
}

impl Reach for Access {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn consul(&self) -> &str {
        &self.consul
    }

    fn token(&self) -> Option<&str> {
        Some(TOKEN)
    }
}
