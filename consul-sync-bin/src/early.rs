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
    taken: Vec<Item>,
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

    /// Waits for something else, and lets the source, if there is one, do its first listing meanwhile.
    pub(crate) async fn meanwhile<T>(
        early: &mut Option<Self>,
        awaited: impl Future<Output = T>,
    ) -> T {
        pin!(awaited);
        let first = early.as_mut().map(|early| {
            early
                .first
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
        });
        if let Some(Some(first)) = first {
            while first.taken.len() < TAKEN {
                select! {
                    done = &mut awaited => return done,
                    Some(item) = first.rest.next() => first.taken.push(item),
                }
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
            Some(First { taken, rest }) => stream::iter(taken).chain(rest).boxed(),
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
    use consul_sync_core::testing::{TableSource, service};
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
