//! The program itself between a Kubernetes API server and Consul: embedded ones always, real ones where they are.
//!
//! Nothing here sleeps for a time and hopes: every wait is for something to be seen, with a deadline that only a
//! failure reaches.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own helpers fail where they are"
)]

mod both;
mod catalog;
mod chart;
mod commands;
mod crash;
mod election;
mod faults;
mod image;
mod import;
mod incumbent;
mod installed;
mod lead;
mod lease;
mod life;
mod login;
mod monitoring;
mod namespaces;
mod narrowed;
#[path = "../support/objects.rs"]
mod objects;
mod outage;
mod panicked;
#[path = "../support/program.rs"]
mod program;
mod registered;
mod rights;
mod secrets;
mod servers;
mod takeover;
mod tenants;
mod tls;
#[path = "../support/until.rs"]
mod until;
mod world;
