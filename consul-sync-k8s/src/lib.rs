//! Skeleton.

mod annotations;
mod identity;
mod index;
mod preflight;
mod rights;
mod selector;
mod settings;
pub mod slim;
mod source;
mod strings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod translate;
mod watch;

pub use index::{Change, Index, Update, Work};
pub use identity::owner;
pub use preflight::{Finding, preflight};
pub use rights::{Right, Rights, Subject, Verb};
pub use selector::{InvalidSelector, Selector};
pub use settings::{ConsulNamespaces, ExportSettings, InvalidNodePorts, Needs, NodePorts};
pub use source::KubeSource;
pub use watch::WatchSettings;
