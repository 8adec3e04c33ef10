//! Connections that wait for their next request.
//!
//! Consul resets connections above its limit per client (fault C13), so the pool is small and its bound is
//! the number of requests that may be under way, plus the blocking queries.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::connection::Connection;

/// An idle connection older than this is not used again: a middle box may have forgotten it, and a write on
/// it would end without a clear answer.
const IDLE: Duration = Duration::from_secs(30);

/// The idle connections of each server.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Vec<Connection>>>,
    most: usize,
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(servers: usize, most: usize) -> Self {
        Self {
            idle: Mutex::new((0..servers).map(|_| Vec::new()).collect()),
            most,
        }
    }

    /// The most recently used connection to a server, where one is still good.
    pub(crate) fn take(&self, server: usize) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = idle.get_mut(server)?;
        let now = Instant::now();
        connections.retain(|connection| {
            !connection.sender.is_closed() && now.duration_since(connection.idle_since) < IDLE
        });
        connections.pop()
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(&self, server: usize, mut connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = idle.get_mut(server)
            && connections.len() < self.most
        {
            connections.push(connection);
        }
    }

    /// Drops a server's idle connections, because one of them failed.
    pub(crate) fn forget(&self, server: usize) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = idle.get_mut(server) {
            connections.clear();
        }
    }
}
