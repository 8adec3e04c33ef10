//! Starts real etcd, Kubernetes API servers, Consul servers and `CoreDNS` for tests and the demo.
//!
//! A fake says what its author believed. Every rule that this product rests on is therefore also
//! tried on the servers themselves, and this crate makes that as easy as a fake: one call starts
//! a server on free loopback ports with its data in a temporary folder and waits until it is
//! ready; it can then be killed, paused and restarted, and it is gone when the test is, however
//! the test ends.
//!
//! The programs come from `dev/servers/build`, from files named in the environment, or from
//! `PATH` ([`Programs`]). Where they are missing, a test skips itself visibly
//! ([`Programs::all_or_skip`]), and the [`ledger`] has it.
//!
//! This crate does not depend on the product's crates and makes no assertion about them.
//!
//! # Examples
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> consul_sync_testbed::Result<()> {
//! use consul_sync_testbed::{Consul, ConsulVersion, Program, Programs};
//! use serde_json::json;
//!
//! let version = ConsulVersion::V1_22;
//! if !Programs::locate().all_or_skip(&[Program::Consul(version)]) {
//!     return Ok(());
//! }
//! let consul = Consul::start(version).await?;
//! consul.client().put("/v1/kv/greeting", &json!("hello")).await?.success()?;
//! assert_eq!(consul.client().get("/v1/kv/greeting?raw").await?.body, "\"hello\"");
//! # Ok(())
//! # }
//! ```

pub mod dns;
pub mod ledger;

mod api_server;
mod client;
mod consul;
mod coredns;
mod error;
mod etcd;
mod folder;
mod lifecycle;
mod port;
mod process;
mod program;
mod programs;
mod proxy;
mod ready;
mod rng;

pub use api_server::{ApiServer, ApiServerSettings, ServiceAccount, User};
pub use client::{Answer, Client, Watch};
pub use consul::{Consul, ConsulSettings, Storage};
pub use coredns::CoreDns;
pub use error::{Error, Result};
pub use etcd::Etcd;
pub use program::{ConsulVersion, Program};
pub use programs::Programs;
pub use proxy::{Fault, Proxy, Trouble};
pub use rng::Rng;
