//! Certificates that are exchanged on disk while the program runs, and such that must not be used.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use consul_sync_testbed::{ConsulVersion, Program as Server, Programs};
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
            fs::write(self.folder.path().join(to), content).unwrap();
        }
    }

    fn arguments(&self, ca: &str, url: &str) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
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
        fs::copy(ca, given.folder.path().join("ca/ca.pem")).unwrap();
        let others = check(&arguments).await;
        assert!(
            others.code == Some(1) && others.out.contains("received fatal alert"),
            "{others:?}"
        );
    }
}
