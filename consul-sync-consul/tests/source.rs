//! The source on the in-process catalog.
#![allow(clippy::unwrap_used, clippy::panic)] // tests and what they share

#[path = "source/catalog.rs"]
mod catalog;
#[path = "source/changes.rs"]
mod changes;
#[path = "source/conformance.rs"]
mod conformance;
#[path = "source/faults.rs"]
mod faults;
#[path = "source/rights.rs"]
mod rights;
#[path = "source/support.rs"]
mod support;
#[path = "source/work.rs"]
mod work;
#[path = "source/world.rs"]
mod world;
