//! Two keyed tables and a join: what services should be, what they are, and the fewest safe writes between.

mod error;
mod event;
mod layout;
mod meta;
mod op;
mod rejection;
mod service;
mod sink;
mod source;
mod text;

pub use error::{AdapterError, ErrorKind, SinkError, SourceError};
pub use event::Event;
pub use layout::{Cost, Layout, Placed, Record};
pub use meta::Meta;
pub use op::{Action, Deletion, Op};
pub use rejection::{Reason, Rejection};
pub use service::{Address, Check, Instance, Port, Service, Status};
pub use sink::{Held, HeldRecord, Outcome, Outcomes, Sink, Standing, WatchStream};
pub use source::Source;
pub use text::{InvalidText, Key, Owner, RecordId, ServiceName, Slot};
