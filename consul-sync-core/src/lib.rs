//! Two keyed tables and a join: what services should be, what they are, and the fewest safe writes between.

#[cfg(feature = "driver")]
mod driver;
mod election;
mod engine;
mod error;
mod event;
mod finding;
mod layout;
mod meta;
mod observer;
mod op;
mod packed;
mod plan;
mod record_id;
mod rejection;
mod service;
mod settings;
mod sink;
mod source;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod text;

#[cfg(feature = "driver")]
pub use driver::{Control, Driver, carry_out, plan, purge_plan};
pub use election::{ElectionState, Holder, Standby};
pub use engine::{Batch, BatchId, Engine, Notice, Work};
pub use error::{AdapterError, ErrorKind, SinkError, SourceError};
pub use event::Event;
pub use finding::Finding;
pub use layout::{Cost, Layout, Placed, Record};
pub use meta::{Meta, MetaForm, MetaForms};
pub use observer::{BatchReport, Observer, Side, Silent};
pub use op::{Action, Deletion, Op};
pub use packed::Packed;
pub use plan::{FieldChange, Plan, Summary};
pub use record_id::RecordId;
pub use rejection::{Reason, Rejection};
pub use service::{Address, Check, Instance, Port, Service, Status};
pub use settings::{BrakeSettings, Orphans, Policy, RetrySettings, Settings};
pub use sink::{Held, HeldRecord, Outcome, Outcomes, Sink, Standing, WatchStream};
pub use source::Source;
pub use status::{BrakeStatus, Pending, SideStatus, SyncStatus};
pub use text::{InvalidText, Key, Owner, ServiceName, Slot};
