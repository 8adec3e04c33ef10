//! Certificates that are exchanged on disk while the program runs, and such that must not be used.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use consul_sync_testbed::{ApiServerSettings, ConsulVersion, Program as Server, Programs};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    catalog::Catalog,
    program::{Program, run},
    servers::Servers,
    world::World,
};

const VERSIONS: [ConsulVersion; 2] = [ConsulVersion::V1_21, ConsulVersion::V1_22];

/// A certificate authority with what it issued, made by Consul's own command.
struct Authority {
    folder: TempDir,
    consul: PathBuf,
}

impl Authority {
    fn create(version: ConsulVersion) -> Self {
        let consul = Programs::locate().path(Server::Consul(version)).unwrap();
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
            consul: consul.to_owned(),
        };
        authority.run(&["ca", "create"]);
        authority.run(&[
            "cert",
            "create",
            "-server",
            "-additional-ipaddress=127.0.0.1",
        ]);
        authority.run(&["cert", "create", "-client"]);
        authority
    }

    /// The one that a server was started with.
    fn of(version: ConsulVersion, ca: &Path) -> Self {
        let authority = Self::create(version);
        for file in ["consul-agent-ca.pem", "consul-agent-ca-key.pem"] {
            fs::copy(ca.with_file_name(file), authority.path(file)).unwrap();
        }
        authority.run(&["cert", "create", "-client"]);
        authority
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new(&self.consul)
            .arg("tls")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// What the server is to use from its next start on, in the places of what it has now.
    fn serve_at(&self, ca: &Path) {
        for file in [
            "consul-agent-ca.pem",
            "dc1-server-consul-0.pem",
            "dc1-server-consul-0-key.pem",
        ] {
            fs::copy(self.path(file), ca.with_file_name(file)).unwrap();
        }
    }
}

/// What the program is given: files whose content changes.
struct Given {
    folder: TempDir,
}

impl Given {
    fn new(authority: &Authority, client: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ca")).unwrap();
        let given = Self { folder };
        given.exchange(authority, client);
        given
    }

    /// Writes over all of them.
    fn exchange(&self, authority: &Authority, client: usize) {
        for (from, to) in [
            ("consul-agent-ca.pem".to_owned(), "ca/ca.pem"),
            (format!("dc1-client-consul-{client}.pem"), "client.pem"),
            (
                format!("dc1-client-consul-{client}-key.pem"),
                "client-key.pem",
            ),
        ] {
            let content = fs::read(authority.path(&from)).unwrap();
            fs::write(self.path(to), content).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, ca: &str, url: &str) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let ca = match ca {
            "file" => format!("--consul-ca-file={}", path("ca/ca.pem")),
            _ => format!("--consul-ca-dir={}", path("ca")),
        };
        vec![
            format!("--consul-addr={url}"),
            ca,
            format!("--consul-client-cert={}", path("client.pem")),
            format!("--consul-client-key={}", path("client-key.pem")),
        ]
    }
}

async fn certificates_are_exchanged(version: ConsulVersion, kind_of_ca: &str) {
    let Some(servers) = Servers::real_with_mutual_tls(version).await else {
        return;
    };
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let (_, consul) = servers.as_real();
    let (url, ca) = (consul.https_url().unwrap(), consul.ca().unwrap());
    let old = Authority::of(version, ca);
    let given = Given::new(&old, 1);
    let arguments = given.arguments(kind_of_ca, &url);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    world.web("web", &["10.1.0.1"]).await;
    let program = Program::ready(&servers, &arguments).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    // From now on nothing that the program has is worth anything.
    let new = Authority::create(version);
    new.serve_at(ca);
    consul.restart().await.unwrap();
    program.until_logged("certificate").await;
    world.scale("web", &["10.1.0.2"]).await;
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);

    given.exchange(&new, 0);
    catalog.until_addresses("web", &["10.1.0.2"]).await;
}

#[tokio::test]
async fn fault_g06_a_ca_file_and_a_client_certificate_are_exchanged_while_it_runs() {
    for version in VERSIONS {
        certificates_are_exchanged(version, "file").await;
    }
}

#[tokio::test]
async fn fault_g06_a_file_in_the_ca_directory_is_written_over_while_it_runs() {
    for version in VERSIONS {
        certificates_are_exchanged(version, "directory").await;
    }
}

#[tokio::test]
async fn fault_g06_without_a_client_certificate_or_with_one_of_another_authority_nothing_is_had() {
    for version in VERSIONS {
        let Some(servers) = Servers::real_with_mutual_tls(version).await else {
            return;
        };
        let (_, consul) = servers.as_real();
        let (url, ca) = (consul.https_url().unwrap(), consul.ca().unwrap());
        let authority = Authority::of(version, ca);
        let given = Given::new(&authority, 1);
        let arguments = given.arguments("file", &url);
        let check = async |arguments: &[String]| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run(&servers, &[&["check"], &arguments[..]].concat()).await
        };
        let with = check(&arguments).await;
        assert_eq!(with.code, Some(0), "{with:?}");
        let without = check(&arguments[..2]).await;
        assert!(
            without.code == Some(1)
                && without
                    .out
                    .to_lowercase()
                    .contains("alert: certificaterequired"),
            "{without:?}"
        );
        // The server's is trusted, and the client's is not.
        given.exchange(&Authority::create(version), 0);
        fs::copy(ca, given.path("ca/ca.pem")).unwrap();
        let others = check(&arguments).await;
        assert!(
            others.code == Some(1) && others.out.contains("received fatal alert"),
            "{others:?}"
        );
    }
}

/// A kubeconfig of files, for whom the client certificate names.
fn kubeconfig_of_files(servers: &Servers, given: &Given) -> PathBuf {
    let text = fs::read_to_string(&servers.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    // Relative to the kubeconfig, as people write them.
    kubeconfig["clusters"][0]["cluster"]["certificate-authority"] = json!("ca/ca.pem");
    kubeconfig["users"][0]["user"] =
        json!({ "client-certificate": "client.pem", "client-key": "client-key.pem" });
    let file = given.path("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    file
}

#[tokio::test]
async fn fault_g05_an_api_servers_authority_and_a_client_certificate_are_exchanged_while_it_runs() {
    let version = ConsulVersion::V1_22;
    let programs = [Server::Etcd, Server::KubeApiserver, Server::Consul(version)];
    if !Programs::locate().all_or_skip(&programs) {
        return;
    }
    let (old, new) = (Authority::create(version), Authority::create(version));
    let of_clients = old.path("consul-agent-ca.pem");
    let mut settings = ApiServerSettings::default();
    settings.arguments = vec![format!("--client-ca-file={}", of_clients.display())];
    let Some(mut servers) = Servers::real_with_api(version, settings).await else {
        return;
    };
    let binding = json!({
        "metadata": { "name": "of-a-certificate" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "client.dc1.consul" }],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let bound = servers.kubernetes.post(bindings, &binding).await.unwrap();
    bound.success().unwrap();
    let given = Given::new(&old, 0);
    let authority = given.path("ca/ca.pem");
    fs::copy(servers.as_real().0.ca(), &authority).unwrap();
    servers.kubeconfig = kubeconfig_of_files(&servers, &given);
    let catalog = Catalog(&servers.consul);
    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    let program = Program::ready(&servers, &[]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;

    // From now on nothing that the program has is worth anything.
    fs::copy(new.path("consul-agent-ca.pem"), &of_clients).unwrap();
    servers.exchange_authority_of_api().await;
    program.until_logged("invalid peer certificate").await;
    World(&servers.kubernetes).scale("web", &["10.1.0.2"]).await;
    let catalog = Catalog(&servers.consul);
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);

    // Half of it is written.
    fs::write(&authority, "-----BEGIN CERTIFICATE-----\nMIIC").unwrap();
    program
        .until_logged("what was read before stays in use")
        .await;
    given.exchange(&new, 0);
    fs::copy(servers.as_real().0.ca(), &authority).unwrap();
    catalog.until_addresses("web", &["10.1.0.2"]).await;
}
