//! How the watches are run: limits of time and size.

use std::time::Duration;

use super::backoff::Bounds;

/// How the watches are run. The defaults are right for a cluster of any size.
///
/// ```
/// use std::time::Duration;
/// use consul_sync_k8s::WatchSettings;
/// let settings = WatchSettings::default();
/// assert!(settings.list_timeout <= Duration::from_secs(30));
/// assert!(!settings.streaming_lists);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// The time that one page of a listing, or the start of a watch, may take, with every repetition that
    /// the client makes by itself. Default: 30 s.
    pub list_timeout: Duration,
    /// How long the server keeps a watch open. A watch that is silent for 5 s longer is taken for dead, so this
    /// bounds how long a half-open connection goes unnoticed. Default: 50 s.
    pub watch_timeout: Duration,
    /// Objects in one page of a listing. Default: 500.
    pub page_size: u32,
    /// EndpointSlices in one page of a listing: one of them may be hundred times the size of another object.
    /// Default: 100.
    pub slice_page_size: u32,
    /// Whether listings are asked for as a stream, where the server can. It saves the server memory, and is as
    /// consistent as a listing in pages. Default: no.
    pub streaming_lists: bool,
    /// The wait after a first failure; it doubles with each. Default: 250 ms.
    pub backoff_least: Duration,
    /// The longest wait. Default: 30 s.
    pub backoff_most: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            list_timeout: Duration::from_secs(30),
            watch_timeout: Duration::from_secs(50),
            page_size: 500,
            slice_page_size: 100,
            streaming_lists: false,
            backoff_least: Duration::from_millis(250),
            backoff_most: Duration::from_secs(30),
        }
    }
}

impl WatchSettings {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            least: self.backoff_least,
            most: self.backoff_most.max(self.backoff_least),
        }
    }
}
