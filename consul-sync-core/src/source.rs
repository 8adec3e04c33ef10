//! What should be.

use std::{fmt, sync::Arc};

use futures::stream::BoxStream;

use crate::{Event, Key, Service, SourceError};

/// A system that says which services should be known: the desired side.
///
/// # Contract
/// - Each call of [`Source::watch`] is a stream of its own that starts with [`Event::RelistStarted`].
/// - [`Event::RelistDone`] follows only when *every* kind of object that the source watches was listed
///   completely. A service that is listed before its endpoints are known is not upserted yet.
/// - Errors are reports: the stream goes on after one, with a backoff of its own. It ends never. After one that
///   [weakens](crate::ErrorKind::weakens) what is known, everything is listed again.
/// - A key that exists and cannot be translated is [`Event::Rejected`], never left out.
///
/// # Cancellation
/// Dropping the stream ends everything behind it.
///
/// # Examples
/// A source in full is a name and a stream; see [`testing::ScriptedSource`](crate::testing::ScriptedSource)
/// for one to use in tests (feature `testing`). [`testing::conformance::source`](crate::testing::conformance::source)
/// checks all of the above on a source of one's own.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// A short name for logs and metrics, from a closed set.
    fn name(&self) -> &'static str;

    /// Every service, then every change.
    fn watch(&self) -> BoxStream<'static, Result<Event<Key, Arc<Service>>, SourceError>>;
}
