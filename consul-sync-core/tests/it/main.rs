//! The engine's laws and rules, and the driver's loop, over a destination in memory.

// Helpers of tests are not `#[test]` functions, but a failure in one is a failed test all the same.
#![allow(clippy::unwrap_used, clippy::panic)]

mod brake;
mod crash;
mod damage;
mod driver;
mod fairness;
mod faults;
mod faulty_sink;
mod in_flight;
mod laws;
mod listing;
mod names;
mod order;
mod rules;
mod source;
mod told;
mod work;
mod world;
