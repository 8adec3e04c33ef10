//! TLS settings, and the client configuration made from them.
//!
//! The crypto provider is passed explicitly and never taken from the process: two crates that disagree about
//! the default would otherwise make the first connection panic. Certificate files are read again when they
//! change, so that a rotation needs no restart.

use std::{fmt, fs, io, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};

use crate::{Error, followed::Followed};

/// How a server's certificate is judged, and what we show of ours.
///
/// Without any CA setting the system's trust store is used. There is no way to switch verification off.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TlsSettings {
    /// A PEM file with the CA certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// A directory of such files.
    pub ca_dir: Option<PathBuf>,
    /// The certificates themselves, PEM.
    pub ca_pem: Option<String>,
    /// The name that the server's certificate must have, where it is not the address's host:
    /// for Consul servers usually `server.<datacenter>.<domain>`.
    pub server_name: Option<String>,
    /// A PEM file with our certificate chain, for servers that verify clients.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    pub client_key: Option<PathBuf>,
}

/// A client configuration that follows its files.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    current: Followed<Arc<ClientConfig>>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca_file", &self.ca_file)
            .field("ca_dir", &self.ca_dir)
            .field("ca_pem", &self.ca_pem.as_ref().map(|_| ".."))
            .field("server_name", &self.server_name)
            .field("client_cert", &self.client_cert)
            .field("client_key", &self.client_key)
            .finish()
    }
}

// === impl Tls ===

impl Tls {
    /// Builds the configuration once, so that files that cannot be used are known at once.
    pub(crate) fn new(settings: TlsSettings) -> Result<Self, Error> {
        let tls = Self {
            settings,
            current: Followed::default(),
        };
        tls.config()?;
        Ok(tls)
    }

    /// The configuration for the next connection.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let settings = &self.settings;
        self.current
            .get(settings.files(), || settings.build().map(Arc::new))
    }

    /// The name to verify: the setting, or the host that was dialled.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| {
            Error::Settings(format!(
                "tls server name {name:?} is neither a host name nor an IP address"
            ))
        })
    }
}

// === impl TlsSettings ===

impl TlsSettings {
    /// What is read again when it changes.
    fn files(&self) -> Vec<PathBuf> {
        let files = [&self.ca_file, &self.client_cert, &self.client_key];
        // A directory itself does not change when one of its files is written over.
        let listed = self.ca_dir.as_ref().and_then(|dir| files_in(dir).ok());
        let files = files.into_iter().flatten().cloned();
        files.chain(listed.into_iter().flatten()).collect()
    }

    fn build(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Settings(format!("tls: {error}")))?
            .with_root_certificates(self.roots()?);
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(cert), Some(key)) => {
                let chain = certificates_of(cert)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unusable("client key file", key, &error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| Error::Settings(format!("tls client certificate: {error}")))
            }
            _ => Err(Error::Settings(
                "tls: a client certificate and its key must be given together".into(),
            )),
        }
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut certificates = Vec::new();
        if let Some(path) = &self.ca_file {
            certificates.extend(certificates_of(path)?);
        }
        if let Some(dir) = &self.ca_dir {
            certificates.extend(certificates_in(dir)?);
        }
        if let Some(pem) = &self.ca_pem {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                certificates.push(
                    certificate.map_err(|error| Error::Settings(format!("tls ca pem: {error}")))?,
                );
            }
        }
        let mut roots = RootCertStore::empty();
        if self.ca_file.is_none() && self.ca_dir.is_none() && self.ca_pem.is_none() {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            if roots.is_empty() {
                return Err(Error::Settings(
                    "tls: the system has no trusted certificates; set a ca file".into(),
                ));
            }
            return Ok(roots);
        }
        if certificates.is_empty() {
            return Err(Error::Settings(
                "tls: the ca settings hold no certificate".into(),
            ));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| Error::Settings(format!("tls ca certificate: {error}")))?;
        }
        Ok(roots)
    }
}

fn certificates_of(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable("certificate file", path, &error))
}

fn certificates_in(dir: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Error> {
    let files = files_in(dir).map_err(|error| unusable("certificate directory", dir, &error))?;
    let mut certificates = Vec::new();
    for path in &files {
        certificates.extend(certificates_of(path)?);
    }
    Ok(certificates)
}

/// The files of a directory, sorted.
fn files_in(dir: &PathBuf) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn unusable(what: &str, path: &std::path::Path, error: &dyn fmt::Display) -> Error {
    Error::Settings(format!("tls {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_g06_a_file_in_the_ca_directory_that_is_written_over_is_noticed() {
        let dir = std::env::temp_dir().join(format!("consul-sync-ca-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("ca.pem");
        fs::write(&file, "one").unwrap();
        let settings = TlsSettings {
            ca_dir: Some(dir.clone()),
            ..TlsSettings::default()
        };
        let (followed, mut times) = (Followed::default(), 0);
        let mut times_read = || {
            let made = followed.get(settings.files(), || {
                times += 1;
                Ok::<_, Error>(times)
            });
            made.unwrap()
        };
        assert_eq!((times_read(), times_read()), (1, 1));
        fs::write(&file, "another").unwrap();
        assert_eq!(times_read(), 2);
        fs::write(dir.join("more.pem"), "more").unwrap();
        assert_eq!(times_read(), 3);
        fs::remove_dir_all(&dir).unwrap();
    }
}
