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
    /// Objects in the first page of a listing. Default: 500.
    pub page_size: u32,
    /// EndpointSlices in the first page of a listing: one of them may be hundred times the size of another object.
    /// Default: 100.
    pub slice_page_size: u32,
    /// Bytes that a later page should have: it is asked for as many objects as fit by the size of those of the page
    /// before, at most four times as many as the first. 0: as many as the first. Default: 2 MiB.
    pub page_bytes: usize,
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
            page_bytes: 2 * 1024 * 1024,
            streaming_lists: false,
            backoff_least: Duration::from_millis(250),
            backoff_most: Duration::from_secs(30),
        }
    }
}

/// Times the objects of the first page that a later one may have: the objects to come may be larger than those seen.
const GROWTH: u32 = 4;

impl WatchSettings {
    /// How many objects to ask for after a page of so many in so many bytes; 0, everything, stays so.
    pub(crate) fn next_page(&self, first: u32, objects: usize, bytes: usize) -> u32 {
        if self.page_bytes == 0 || objects == 0 || first == 0 {
            return first;
        }
        let fit = self.page_bytes.saturating_mul(objects) / bytes.max(1);
        let most = first.saturating_mul(GROWTH);
        u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, most)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            least: self.backoff_least,
            most: self.backoff_most.max(self.backoff_least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_objects_as_fit_by_the_size_of_those_before() {
        for (page_bytes, first, objects, bytes, want, why) in [
            (1_000, 100, 100, 500, 200, "as many as fit"),
            (1_000, 100, 100, 100, 400, "not without a bound"),
            (1_000, 100, 100, 20_000, 5, "large ones come few at a time"),
            (1_000, 100, 1, 5_000, 1, "one is the least"),
            (1_000, 100, 0, 50, 100, "an empty page says nothing"),
            (1_000, 0, 100, 500, 0, "everything is in one piece"),
            (0, 100, 100, 500, 100, "as many as the first"),
        ] {
            let settings = WatchSettings {
                page_bytes,
                ..WatchSettings::default()
            };
            assert_eq!(settings.next_page(first, objects, bytes), want, "{why}");
        }
    }
}
