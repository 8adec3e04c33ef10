//! A server's folder, and its files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;

use crate::{Error, Program, Result};

/// Set to anything, it keeps the folders with data and logs after the servers ended.
pub(crate) const KEEP_VARIABLE: &str = "CONSUL_SYNC_KEEP";

/// A temporary folder, removed on drop unless [`KEEP_VARIABLE`] is set.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    kept: bool,
}

impl Folder {
    pub(crate) fn create(program: Program) -> Result<Self> {
        let kept = std::env::var_os(KEEP_VARIABLE).is_some();
        let folder = tempfile::Builder::new()
            .prefix(&format!("consul-sync-{}-", program.server()))
            .disable_cleanup(kept)
            .tempdir()
            .map_err(|source| Error::file("create", std::env::temp_dir(), source))?;
        Ok(Self { folder, kept })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// The folder, for whoever removes it when this process ends without dropping this.
    pub(crate) fn to_remove(&self) -> Option<PathBuf> {
        (!self.kept).then(|| self.path().to_owned())
    }

    /// Deletes a folder in it; one that is not there is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::file("delete", path, error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        match fs::write(&path, contents) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::file("write", path, source)),
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::file("read", path, source))
}

/// A path as an argument; temporary folders have UTF-8 names.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
