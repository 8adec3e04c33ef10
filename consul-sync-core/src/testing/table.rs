//! Sources without a system behind them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
    stream::{self, BoxStream},
};

use crate::{ErrorKind, Event, Key, Rejection, Service, Source, SourceError};

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// A source that is a table: what is put into it is listed and then watched. Clones share the table.
///
/// ```
/// use consul_sync_core::{Key, testing::{TableSource, service}};
/// let source = TableSource::default();
/// source.put(service("default/web", ["10.0.0.1"]));
/// source.remove(&Key::new("default", "web"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TableSource {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    services: BTreeMap<Key, Result<Arc<Service>, Rejection>>,
    watchers: Vec<UnboundedSender<Item>>,
    /// While it is out of reach: what is told instead of what is there.
    away: Option<(ErrorKind, String)>,
}

impl TableSource {
    /// Adds or replaces a service.
    pub fn put(&self, service: Service) {
        let service = Arc::new(service);
        let mut state = self.lock();
        let key = service.key.clone();
        state.services.insert(key.clone(), Ok(Arc::clone(&service)));
        state.send(&Event::Upserted(key, service));
    }

    /// Makes a service one that is there and cannot be used.
    pub fn reject(&self, key: &Key, rejection: Rejection) {
        let mut state = self.lock();
        state.services.insert(key.clone(), Err(rejection.clone()));
        state.send(&Event::Rejected(key.clone(), rejection));
    }

    /// Removes a service.
    pub fn remove(&self, key: &Key) {
        let mut state = self.lock();
        state.services.remove(key);
        state.send(&Event::Removed(key.clone()));
    }

    /// Puts the table out of reach until [`TableSource::relist`]: whoever watches, and whoever begins to, is told
    /// this error, and nothing of what changes.
    pub fn lose(&self, kind: ErrorKind, message: &str) {
        let mut state = self.lock();
        state.away = Some((kind, message.to_owned()));
        let watchers = &mut state.watchers;
        watchers.retain(|watcher| {
            let error = SourceError::new(kind, message);
            watcher.unbounded_send(Err(error)).is_ok()
        });
    }

    /// Lists everything again to whoever watches.
    pub fn relist(&self) {
        let mut state = self.lock();
        state.away = None;
        for event in state.listing() {
            state.send(&event);
        }
    }

    /// Reports an error to whoever watches.
    pub fn fail(&self, error: impl Fn() -> SourceError) {
        let mut state = self.lock();
        state
            .watchers
            .retain(|watcher| watcher.unbounded_send(Err(error())).is_ok());
    }

    /// Sends any event, true to the table or not.
    pub fn send(&self, event: &Event<Key, Arc<Service>>) {
        self.lock().send(event);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn listing(&self) -> Vec<Event<Key, Arc<Service>>> {
        let services = self.services.iter();
        let mentions = services.map(|(key, service)| match service {
            Ok(service) => Event::Upserted(key.clone(), Arc::clone(service)),
            Err(rejection) => Event::Rejected(key.clone(), rejection.clone()),
        });
        std::iter::once(Event::RelistStarted)
            .chain(mentions)
            .chain([Event::RelistDone])
            .collect()
    }

    fn send(&mut self, event: &Event<Key, Arc<Service>>) {
        if self.away.is_some() {
            return;
        }
        self.watchers
            .retain(|watcher| watcher.unbounded_send(Ok(event.clone())).is_ok());
    }
}

impl Source for TableSource {
    fn name(&self) -> &'static str {
        "table"
    }

    fn watch(&self) -> BoxStream<'static, Item> {
        let (sender, receiver) = unbounded();
        let mut state = self.lock();
        let items: Vec<Item> = match &state.away {
            None => state.listing().into_iter().map(Ok).collect(),
            Some((kind, message)) => vec![
                Ok(Event::RelistStarted),
                Err(SourceError::new(*kind, message.as_str())),
            ],
        };
        for item in items {
            // The receiver is in this function: it cannot be gone.
            let _ = sender.unbounded_send(item);
        }
        state.watchers.push(sender);
        receiver.boxed()
    }
}

/// A source that says what it is told, once, and then nothing for ever.
///
/// ```
/// use consul_sync_core::{Event, testing::ScriptedSource};
/// let silent = ScriptedSource::new([Ok(Event::RelistStarted), Ok(Event::RelistDone)]);
/// ```
#[derive(Debug)]
pub struct ScriptedSource {
    script: Mutex<Option<UnboundedReceiver<Item>>>,
}

impl ScriptedSource {
    /// A source that sends these items to its first watcher.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let (sender, receiver) = unbounded();
        for item in items {
            // The receiver is in this function: it cannot be gone.
            let _ = sender.unbounded_send(item);
        }
        Self {
            script: Mutex::new(Some(receiver)),
        }
    }
}

impl Source for ScriptedSource {
    fn name(&self) -> &'static str {
        "script"
    }

    fn watch(&self) -> BoxStream<'static, Item> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        match script.take() {
            Some(items) => items.chain(stream::pending()).boxed(),
            None => stream::pending().boxed(),
        }
    }
}
