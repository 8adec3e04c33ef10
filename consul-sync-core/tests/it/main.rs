//! The engine's laws and rules, and the driver's loop, over a destination in memory.

mod crash;
mod driver;
mod laws;
mod rules;
mod work;
mod world;
