//! Skeleton.

mod annotations;
mod index;
mod rights;
mod settings;
pub mod slim;
#[cfg(feature = "testing")]
pub mod testing;

pub use index::{Change, Index, Update};
pub use rights::Verb;
pub use settings::{ExportSettings, Needs};
