//! A source that fails.

use std::{collections::VecDeque, sync::Arc};

use consul_sync_core::{ErrorKind, Event, Key, Reason, Rejection, Service, Source, SourceError};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::watch;

use crate::world::{State, World};

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

#[derive(Debug)]
pub(crate) struct SimSource(pub(crate) World);

struct Stream {
    world: World,
    changes: watch::Receiver<u64>,
    queue: VecDeque<Item>,
    phase: Phase,
}

enum Phase {
    Start,
    Listing,
    /// Followed up to this change.
    Live(usize),
}

impl Source for SimSource {
    fn name(&self) -> &'static str {
        "simulation"
    }

    fn watch(&self) -> BoxStream<'static, Item> {
        let stream = Stream {
            world: self.0.clone(),
            changes: self.0.changes.subscribe(),
            queue: VecDeque::new(),
            phase: Phase::Start,
        };
        stream::unfold(stream, |mut stream| async move {
            let item = stream.next().await;
            Some((item, stream))
        })
        .boxed()
    }
}

impl Stream {
    async fn next(&mut self) -> Item {
        loop {
            self.world.dawdle(5, 300).await;
            if let Some(item) = self.queue.pop_front() {
                let mut state = self.world.lock();
                match &item {
                    Ok(event) => state.oracle.source_said(event, &self.world),
                    Err(error) if error.kind().weakens() => state.oracle.source.lose(),
                    Err(_) => {}
                }
                return item;
            }
            self.changes.borrow_and_update();
            let is_news = {
                let world = self.world.clone();
                let mut state = world.lock();
                self.fill(&mut state)
            };
            if !is_news {
                // The sender lives in the world, which this stream holds.
                let _ = self.changes.changed().await;
            }
        }
    }

    fn fill(&mut self, state: &mut State) -> bool {
        match self.phase {
            Phase::Start => {
                self.queue.push_back(Ok(Event::RelistStarted));
                self.phase = Phase::Listing;
                true
            }
            Phase::Listing => {
                self.list(state);
                true
            }
            Phase::Live(from) => self.follow(state, from),
        }
    }

    fn list(&mut self, state: &mut State) {
        let mut keys: Vec<Key> = state.truth.keys().cloned().collect();
        state.rng.shuffle(&mut keys);
        if state.goes_wrong(15) {
            // It breaks off, and starts again.
            let left = usize::try_from(state.rng.below(keys.len() as u64 + 1)).unwrap();
            keys.truncate(left);
            self.queue
                .extend(keys.iter().map(|key| Ok(event(state, key))));
            self.queue.push_back(Err(trouble(ErrorKind::Unavailable)));
            self.phase = Phase::Start;
            return;
        }
        self.queue
            .extend(keys.iter().map(|key| Ok(event(state, key))));
        self.queue.push_back(Ok(Event::RelistDone));
        self.phase = Phase::Live(state.changed.len());
    }

    fn follow(&mut self, state: &mut State, from: usize) -> bool {
        if state.goes_wrong(2) {
            // What happens until the next listing is never told.
            self.queue.push_back(Err(trouble(ErrorKind::Unauthorized)));
            self.phase = Phase::Start;
            return true;
        }
        if state.goes_wrong(3) {
            self.queue.push_back(Err(trouble(ErrorKind::Unavailable)));
        }
        let mut keys: Vec<Key> = state.changed.iter().skip(from).cloned().collect();
        if keys.is_empty() && self.queue.is_empty() {
            return false;
        }
        if state.goes_wrong(20) {
            keys.extend(keys.clone());
        }
        if state.goes_wrong(30) {
            state.rng.shuffle(&mut keys);
        }
        self.queue
            .extend(keys.iter().map(|key| Ok(event(state, key))));
        self.phase = Phase::Live(state.changed.len());
        true
    }
}

fn event(state: &State, key: &Key) -> Event<Key, Arc<Service>> {
    match state.truth.get(key) {
        Some(Some(service)) => Event::Upserted(key.clone(), Arc::new(service.clone())),
        Some(None) => Event::Rejected(
            key.clone(),
            Rejection::new(Reason::Undecodable, "made so by the story"),
        ),
        None => Event::Removed(key.clone()),
    }
}

fn trouble(kind: ErrorKind) -> SourceError {
    SourceError::new(kind, "made by the story")
}
