//! A Kubernetes API server for tests and the demo, in memory.
//!
//! It exists because the adapter must be shown every answer that a real server may give, including
//! the ones that a real server gives once a year. It holds what the adapter uses: services, nodes,
//! namespaces, events, EndpointSlices, ingresses and leases, with listings in pages, watches with
//! bookmarks, streaming lists, conditional writes, merge patches and a simple server-side apply. It is
//! no API server: no admission, no controllers, no other encodings than JSON, no discovery.
//!
//! [`FakeCluster`] answers without a socket, so tests run under a paused clock; [`FakeApiServer`] puts
//! the same cluster on a loopback port.

mod access;
mod answer;
mod answering;
mod call;
mod cluster;
mod defaults;
mod fault;
mod kind;
mod local;
mod patch;
mod read;
mod rules;
mod selector;
mod server;
mod service;
mod state;
mod status;
mod store;
mod watch;
mod write;

pub use cluster::{FakeCluster, Seen};
pub use fault::{Fault, FaultId, On};
pub use server::FakeApiServer;
pub use watch::WatchFault;
