//! The Services of a cluster as a [`Source`].

use std::{collections::VecDeque, sync::Arc};

use consul_sync_core::{Event, Key, Service, Source, SourceError};
use futures::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use kube::Client;

use crate::{
    Change, ExportSettings, Index, Update, WatchSettings,
    quota::Quota,
    rights::Scope,
    slim::{EndpointSliceBody, IngressBody, Kind, NamespaceBody, NodeBody, Object, ServiceBody},
    watch::watch,
};

/// The Services of a cluster, as the settings translate them.
///
/// It watches the kinds of object that the settings need, and no other; in single namespaces where that is
/// enough. Everything happens in the stream: no task is started, and a stream that is not polled asks nothing.
///
/// # Examples
/// ```
/// use consul_sync_core::{Event, Source};
/// use consul_sync_k8s::{ExportSettings, KubeSource, testing::FakeCluster};
/// use futures::StreamExt;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = FakeCluster::new();
/// let source = KubeSource::new(cluster.client(), ExportSettings::default());
/// let mut events = source.watch();
/// assert!(matches!(events.next().await, Some(Ok(Event::RelistStarted))));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KubeSource {
    client: Client,
    settings: Arc<ExportSettings>,
    watching: Arc<WatchSettings>,
}

/// The label that an EndpointSlice of a Service carries; others are of no use here.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// So many services of a listing are made and handed out before the next ones are.
const PIECE: usize = 256;

type Updates = BoxStream<'static, Result<Update, SourceError>>;

impl KubeSource {
    /// A source over a client. The client's own repetitions are best switched off (`Config::default_retry`): the
    /// source repeats what helps, and bounds what the client does.
    pub fn new(client: Client, settings: ExportSettings) -> Self {
        Self {
            client,
            settings: Arc::new(settings),
            watching: Arc::default(),
        }
    }

    /// The same with other limits for its watches.
    #[must_use]
    pub fn with_watch_settings(mut self, settings: WatchSettings) -> Self {
        self.watching = Arc::new(settings);
        self
    }

    /// The changes of every kind that is needed from the start, as they come. Nodes are not among them: they
    /// matter when the first Service comes up that follows them, and the right to watch them is often not given.
    fn updates(&self) -> SelectAll<Updates> {
        let needs = self.settings.needs();
        let scope = Scope::of(&self.settings);
        let selector = &self.settings.service_selector;
        let services: Option<Arc<str>> =
            (!selector.is_empty()).then(|| selector.to_string().into());
        let slices: Arc<str> = SERVICE_NAME.into();
        let mut updates = SelectAll::new();
        if needs.services {
            updates.push(self.of::<ServiceBody>(&scope, services.as_ref()));
        }
        if needs.slices {
            updates.push(self.of::<EndpointSliceBody>(&scope, Some(&slices)));
        }
        if needs.ingresses {
            updates.push(self.of::<IngressBody>(&scope, None));
        }
        if needs.namespaces {
            updates.push(self.of::<NamespaceBody>(&Scope::Everywhere, None));
        }
        updates
    }

    fn of<B: Kind>(&self, scope: &Scope, labels: Option<&Arc<str>>) -> Updates
    where
        Update: From<Change<Object<B>>>,
    {
        watch::<B>(&self.client, scope, labels, &self.watching)
            .map(|step| step.map(Update::from))
            .boxed()
    }
}

impl Source for KubeSource {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn watch(&self) -> BoxStream<'static, Result<Event<Key, Arc<Service>>, SourceError>> {
        let listing = Listing {
            source: self.clone(),
            watches_nodes: false,
            updates: self.updates(),
            index: Index::new(Arc::clone(&self.settings)),
            quota: self.settings.services_per_namespace.map(Quota::new),
            events: VecDeque::from([Ok(Event::RelistStarted)]),
        };
        stream::unfold(listing, |mut listing| async move {
            let event = listing.next().await?;
            Some((event, listing))
        })
        .boxed()
    }
}

impl std::fmt::Debug for KubeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeSource")
            .field("settings", &self.settings)
            .field("watching", &self.watching)
            .finish_non_exhaustive()
    }
}

/// One stream's state: what comes in, what is known, what goes out.
struct Listing {
    source: KubeSource,
    watches_nodes: bool,
    updates: SelectAll<Updates>,
    index: Index,
    quota: Option<Quota>,
    events: VecDeque<Result<Event<Key, Arc<Service>>, SourceError>>,
}

impl Listing {
    async fn next(&mut self) -> Option<Result<Event<Key, Arc<Service>>, SourceError>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let mut events = self.index.drain_some(PIECE);
            if !events.is_empty() {
                if let Some(quota) = &mut self.quota {
                    for event in std::mem::take(&mut events) {
                        quota.take(event, &mut events);
                    }
                }
                self.events.extend(events.into_iter().map(Ok));
                continue;
            }
            match self.updates.next().await? {
                Ok(update) => {
                    self.index.apply(update);
                    for problem in self.index.take_problems() {
                        tracing::warn!(reason = %problem, "an object cannot be read; what was known of it stays");
                    }
                    if !self.watches_nodes && self.index.needs().nodes {
                        self.watches_nodes = true;
                        let nodes = self.source.of::<NodeBody>(&Scope::Everywhere, None);
                        self.updates.push(nodes);
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
