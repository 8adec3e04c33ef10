//! For tests of engines, sources and sinks: builders, a destination in memory, a source from a table.
//!
//! Everything here is deterministic and free of sockets. Sinks that are to be trusted pass [`conformance`].

mod arbitrary;
mod build;
pub mod conformance;
mod json;
mod layout;
mod sink;
mod table;

pub use arbitrary::{any_history, any_service};
pub use build::{check, instance, service};
pub use json::any_damage;
pub use layout::{MemoryLayout, MemoryRecord};
pub use sink::{Fault, MemorySink};
pub use table::{ScriptedSource, TableSource};
