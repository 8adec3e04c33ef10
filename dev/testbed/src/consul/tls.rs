//! Certificates for a Consul server, made by Consul's own command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::folder::Folder;
use crate::{Error, Program, Result};

/// A certificate authority and a server certificate for 127.0.0.1 and localhost.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Tls {
    pub(super) fn create(program: Program, consul: &Path, folder: &Folder) -> Result<Self> {
        for arguments in [
            &["tls", "ca", "create"][..],
            &[
                "tls",
                "cert",
                "create",
                "-server",
                "-additional-ipaddress=127.0.0.1",
            ][..],
        ] {
            let output = Command::new(consul)
                .args(arguments)
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .output()
                .map_err(|source| Error::Spawn {
                    program,
                    path: consul.to_owned(),
                    source,
                })?;
            if !output.status.success() {
                let message = String::from_utf8_lossy(&output.stderr);
                return Err(Error::Certificate {
                    path: folder.path().to_owned(),
                    reason: format!(
                        "consul {} failed: {}",
                        arguments.join(" "),
                        message.trim_end()
                    ),
                });
            }
        }
        Ok(Self {
            ca: folder.join("consul-agent-ca.pem"),
            certificate: folder.join("dc1-server-consul-0.pem"),
            key: folder.join("dc1-server-consul-0-key.pem"),
        })
    }
}
