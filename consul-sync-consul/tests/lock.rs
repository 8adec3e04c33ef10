//! The lock and its fence against a Consul in memory: one writer, whatever happens to the others.
//!
//! Sessions live for a second here. Nothing depends on how long anything takes: what has to happen is waited for,
//! and what must not happen is looked for in everything that was applied.
#![allow(clippy::unwrap_used, clippy::panic)] // tests and what they share

#[path = "lock/election.rs"]
mod election;
#[path = "lock/fencing.rs"]
mod fencing;
#[path = "lock/mandate.rs"]
mod mandate;
#[path = "lock/replica.rs"]
mod replica;
#[path = "lock/story.rs"]
mod story;
