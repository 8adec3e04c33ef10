//! Loopback ports that stay a server's own while it is down.
//!
//! A server that is killed and started again must come back on its port. Two things could take
//! it meanwhile: an outgoing connection of any process, so ports come from below the range the
//! system gives to those; and another test process, so each port is leased by a locked file.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use crate::{Error, Result};

const FIRST: u16 = 18_000;
const COUNT: u16 = 12_000;

/// A loopback port that no other testbed on this machine uses until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // The lock ends with the file, also when the process is killed.
    _lease: File,
}

impl Port {
    /// Leases a port on which nothing listens, by TCP or UDP.
    pub(crate) fn lease() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = lease_folder()?;
        // Processes start apart, so that few tries are refused.
        let count = u32::from(COUNT);
        let start = process::id().wrapping_mul(31) % count;
        for _ in 0..COUNT {
            let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % count;
            let number = FIRST + u16::try_from(offset).expect("less than COUNT");
            let path = folder.join(number.to_string());
            let file = File::create(&path).map_err(|source| Error::file("create", path, source))?;
            if file.try_lock().is_ok() && is_free(number) {
                return Ok(Self {
                    number,
                    _lease: file,
                });
            }
        }
        Err(Error::NoPort { tried: COUNT })
    }

    pub(crate) const fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
        && UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
}

fn lease_folder() -> Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = env::temp_dir().join(format!("consul-sync-testbed-ports-{user}"));
    fs::create_dir_all(&folder).map_err(|source| Error::file("create", folder.clone(), source))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn two_leases_never_share_a_port() {
        let ports: Vec<Port> = (0..50).map(|_| Port::lease().unwrap()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn a_leased_port_is_locked_until_it_is_dropped() {
        let port = Port::lease().unwrap();
        let file = File::create(lease_folder().unwrap().join(port.number().to_string())).unwrap();
        assert!(file.try_lock().is_err());
        drop(port);
        assert!(file.try_lock().is_ok());
    }

    #[test]
    fn a_port_that_something_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
