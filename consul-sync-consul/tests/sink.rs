//! The sink on the in-process catalog.
#![allow(clippy::unwrap_used, clippy::panic)] // tests and what they share

#[path = "sink/apply.rs"]
mod apply;
#[path = "sink/conformance.rs"]
mod conformance;
#[path = "sink/converge.rs"]
mod converge;
#[path = "sink/ports.rs"]
mod ports;
#[path = "sink/secrets.rs"]
mod secrets;
#[path = "sink/support.rs"]
mod support;
#[path = "sink/watch.rs"]
mod watch;
