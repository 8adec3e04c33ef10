//! Skeleton.

mod annotations;
mod index;
mod rights;
mod selector;
mod settings;
pub mod slim;
mod strings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod translate;

pub use index::{Change, Index, Update, Work};
pub use rights::Verb;
pub use selector::{InvalidSelector, Selector};
pub use settings::{ConsulNamespaces, ExportSettings, InvalidNodePorts, Needs, NodePorts};
