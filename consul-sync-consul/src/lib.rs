//! Consul as a destination and as a source of `consul-sync`.
//!
//! [`ConsulSink`] implements [`consul_sync_core::Sink`] over a [`Client`] of Consul's HTTP API and registers services in its
//! catalog; [`ConsulSource`] implements [`consul_sync_core::Source`] and shows the services that others registered there. Reads that may
//! decide over a write are consistent ones; writes are conditional transactions; a blocking query is never
//! trusted to be new, whole or right. It knows nothing of Kubernetes beyond three meta keys that users of the
//! catalog rely on.
//!
//! ```no_run
//! use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings};
//! use consul_sync_core::Owner;
//!
//! let client = Client::new(ClientSettings::new("http://127.0.0.1:8500"))?;
//! let sink = ConsulSink::new(client, SinkSettings::new(Owner::new("cluster-a")?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::{Duration, Instant};

mod address;
mod answer;
mod block;
mod client;
mod connection;
mod discovery;
mod error;
mod followed;
mod journal;
mod leftovers;
mod lock;
mod login;
mod place;
mod pool;
mod preflight;
mod registration;
mod request;
mod retry;
mod rights;
mod selection;
mod sink;
mod source;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod token;
mod txn;
mod watch;
mod wire;

pub use address::ServerAddress;
pub use client::{Client, ClientSettings};
pub use error::{Call, Error};
pub use followed::Followed;
pub use leftovers::{Leftovers, leftovers};
pub use lock::{Fence, Lock, LockSettings, Mandate};
pub use login::{Login, LoginSettings};
pub use preflight::{preflight, preflight_lock, preflight_source};
pub use registration::{
    Checks, KUBERNETES, OWNER_META, Ports, RegisteredCheck, Registration, SOURCE_META, Version,
};
pub use selection::selected;
pub use sink::{ConsulSink, NodeName, SinkSettings};
pub use source::{ConsulSource, NamePattern, Scope, SourceSettings};
pub use tls::TlsSettings;
pub use token::{Secret, TokenSource};

/// An answer of this length on the wire takes so long to parse that it would hold up other tasks.
const LONG: usize = 16 * 1024;

/// Runs the parsing of an answer, at once where it is short, else on a thread for such work, and says how long
/// it took.
async fn offload<T: Send + 'static>(
    length: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> (T, Duration) {
    let timed = move || {
        let start = Instant::now();
        let result = work();
        (result, start.elapsed())
    };
    if length < LONG {
        return timed();
    }
    match tokio::task::spawn_blocking(timed).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
