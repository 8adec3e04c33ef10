//! The sink on the in-process catalog.
#![allow(clippy::unwrap_used, clippy::panic)] // tests and what they share

#[path = "sink/catalog.rs"]
mod catalog;
#[path = "sink/conformance.rs"]
mod conformance;
#[path = "sink/converge.rs"]
mod converge;
#[path = "sink/index.rs"]
mod index;
#[path = "sink/limit.rs"]
mod limit;
#[path = "sink/listing.rs"]
mod listing;
#[path = "sink/marks.rs"]
mod marks;
#[path = "sink/namespace_rights.rs"]
mod namespace_rights;
#[path = "sink/namespaces.rs"]
mod namespaces;
#[path = "sink/node.rs"]
mod node;
#[path = "sink/outcome.rs"]
mod outcome;
#[path = "sink/owners.rs"]
mod owners;
#[path = "sink/ports.rs"]
mod ports;
#[path = "sink/registration.rs"]
mod registration;
#[path = "sink/rights.rs"]
mod rights;
#[path = "sink/round_trip.rs"]
mod round_trip;
#[path = "sink/secrets.rs"]
mod secrets;
#[path = "sink/support.rs"]
mod support;
#[path = "sink/trouble.rs"]
mod trouble;
#[path = "sink/watch.rs"]
mod watch;
