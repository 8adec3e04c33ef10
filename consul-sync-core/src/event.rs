//! The keyed event protocol both tables are filled by.

use crate::Rejection;

/// One change of a keyed table, or a mark of a complete listing.
///
/// # Contract
/// - A key's value is always whole; the latest one holds. Events may be repeated.
/// - The read behind a sink's listing starts after [`Event::RelistStarted`] was taken from the stream. A source's may
///   be older: what changed since follows it.
/// - [`Event::RelistDone`] is sent only when the listing was complete and authoritative. A stream that
///   lost track sends [`Event::RelistStarted`] again, without a `RelistDone` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<K, T> {
    /// A complete listing begins; nothing is removed yet.
    RelistStarted,
    /// The key now holds exactly this value.
    Upserted(K, T),
    /// The key is gone.
    Removed(K),
    /// The key exists and cannot be used: its last good value stays, unless the reason
    /// [withdraws](crate::Reason::withdraws) it.
    Rejected(K, Rejection),
    /// Keys neither upserted nor rejected since [`Event::RelistStarted`] are gone.
    RelistDone,
}
