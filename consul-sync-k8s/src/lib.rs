//! Skeleton.

mod annotations;
mod index;
mod settings;
pub mod slim;

pub use index::{Change, Index, Update};
pub use settings::{ExportSettings, Needs};
