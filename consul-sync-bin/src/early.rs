//! A source that is followed before there is anybody to follow it.
//!
//! The engine cannot start before the owner is known, and that is one more question to the API server. Listing
//! the cluster takes longer, and needs no owner: so both go on at the same time, and the first write is earlier.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use consul_sync_core::{Event, Key, Service, Source, SourceError};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{pin, select};

/// So many events are taken beforehand. A source says at once that its listing begins, and the next thing when it has
/// listed everything; the rest waits where it is.
const TAKEN: usize = 2;

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// A source whose first stream has begun.
pub(crate) struct Early<S> {
    source: S,
    /// Until somebody asks for it.
    first: Mutex<Option<First>>,
}

struct First {
    taken: Vec<Event<Key, Arc<Service>>>,
    rest: BoxStream<'static, Item>,
}

// === impl Early ===

impl<S: Source> Early<S> {
    pub(crate) fn new(source: S) -> Self {
        let first = First {
            taken: Vec::with_capacity(TAKEN),
            rest: source.watch(),
        };
        Self {
            source,
            first: Mutex::new(Some(first)),
        }
    }

    /// Waits for something else, and lets the source, if there is one, do its first listing meanwhile. A stream that
    /// failed by then is forgotten: who follows the source begins another, and hears of no trouble that may be over.
    pub(crate) async fn meanwhile<T>(
        early: &mut Option<Self>,
        awaited: impl Future<Output = T>,
    ) -> T {
        pin!(awaited);
        let Some(early) = early else {
            return awaited.await;
        };
        let slot = early
            .first
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = slot
            && first.taken.len() < TAKEN
        {
            let next = select! {
                done = &mut awaited => return done,
                next = first.rest.next() => next,
            };
            match next {
                Some(Ok(event)) => first.taken.push(event),
                Some(Err(_)) | None => *slot = None,
            }
        }
        awaited.await
    }
}

impl<S: Source> Source for Early<S> {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn watch(&self) -> BoxStream<'static, Item> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match first.take() {
            Some(First { taken, rest }) => stream::iter(taken).map(Ok).chain(rest).boxed(),
            None => self.source.watch(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Early<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Early")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use consul_sync_core::{
        ErrorKind,
        testing::{TableSource, service},
    };
    use consul_sync_k8s::{ExportSettings, KubeSource, Verb, testing::FakeCluster};
    use tokio::sync::oneshot;

    use super::*;

    fn source() -> TableSource {
        let source = TableSource::default();
        for name in ["default/a", "default/b", "default/c"] {
            source.put(service(name, ["10.0.0.1"]));
        }
        source
    }

    async fn listing(source: &impl Source) -> Vec<Event<Key, Arc<Service>>> {
        let mut events = Vec::new();
        let mut stream = source.watch();
        while events.last() != Some(&Event::RelistDone) {
            events.push(stream.next().await.unwrap().unwrap());
        }
        events
    }

    #[tokio::test]
    async fn the_first_stream_is_whole_however_much_of_it_was_taken_before() {
        let expected = listing(&source()).await;
        let never_waited = Early::new(source());
        assert_eq!(listing(&never_waited).await, expected);
        let mut waited = Some(Early::new(source()));
        let (go, gone) = oneshot::channel::<()>();
        let waiting = Early::meanwhile(&mut waited, gone);
        let going = async {
            tokio::task::yield_now().await;
            go.send(()).unwrap();
        };
        tokio::join!(waiting, going).0.unwrap();
        let waited = waited.unwrap();
        assert_eq!(listing(&waited).await, expected);
        assert_eq!(
            listing(&waited).await,
            expected,
            "the next stream is the source's own"
        );
    }

    /// Its first stream fails.
    #[derive(Debug, Default)]
    struct FailsOnce(AtomicBool, TableSource);

    impl Source for FailsOnce {
        fn name(&self) -> &'static str {
            self.1.name()
        }

        fn watch(&self) -> BoxStream<'static, Item> {
            if self.0.swap(true, Ordering::Relaxed) {
                return self.1.watch();
            }
            let error = SourceError::new(ErrorKind::Unavailable, "away");
            stream::iter([Ok(Event::RelistStarted), Err(error)]).boxed()
        }
    }

    #[tokio::test]
    async fn a_stream_that_failed_before_anybody_followed_it_is_begun_anew() {
        let failing = FailsOnce(AtomicBool::new(false), source());
        let mut early = Some(Early::new(failing));
        // Takes longer than the stream takes to fail.
        let slow = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        };
        Early::meanwhile(&mut early, slow).await;
        let early = early.unwrap();
        assert_eq!(listing(&early).await, listing(&source()).await);
    }

    #[tokio::test]
    async fn the_cluster_is_listed_while_the_owner_is_not_known() {
        let cluster = FakeCluster::new();
        let source = KubeSource::new(cluster.client(), ExportSettings::default());
        let mut early = Some(Early::new(source));
        let listed = async {
            for _ in 0..10_000 {
                if cluster.count(Verb::List, "endpointslices") > 0 {
                    return true;
                }
                tokio::task::yield_now().await;
            }
            false
        };
        // Nobody has asked the source for its stream.
        assert!(Early::meanwhile(&mut early, listed).await);
    }
}
