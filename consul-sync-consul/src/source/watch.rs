//! The stream of what Consul knows: a listing, then every change.
//!
//! A listing is a read of the names and one of each service. From its first answer on the names are followed as they are
//! later, so a listing and the changes after it are one thing, and only its end is told.

mod follow;
mod following;
mod list;
mod node;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use consul_sync_core::{Event, Key, Service, SourceError};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, sleep};

use self::following::Following;
use super::Inner;
use crate::{
    Error,
    block::{Cursor, Step},
    retry::Backoff,
};

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// One stream.
struct Watch {
    source: Arc<Inner>,
    /// Where the list of each scope stands; kept over listings, so that a server that went backwards is noticed.
    cursors: Vec<Cursor>,
    backoff: Backoff,
    phase: Phase,
    /// What is still to be shown.
    items: VecDeque<Item>,
}

enum Phase {
    /// A listing is due, after this pause.
    Due(Duration),
    /// A listing is announced; the reads behind it start now.
    Announced,
    /// The names are known, and everything else is followed.
    Following(Box<Following>),
}

/// The stream of a source.
pub(super) fn stream(source: Arc<Inner>) -> BoxStream<'static, Item> {
    let watch = Watch {
        cursors: vec![Cursor::default(); source.settings.scopes.len()],
        source,
        backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(15)),
        phase: Phase::Due(Duration::ZERO),
        items: VecDeque::new(),
    };
    stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await;
        Some((item, watch))
    })
    .boxed()
}

// === impl Watch ===

impl Watch {
    async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.items.pop_front() {
                return item;
            }
            match &mut self.phase {
                Phase::Due(pause) => {
                    sleep(*pause).await;
                    self.phase = Phase::Announced;
                    return Ok(Event::RelistStarted);
                }
                Phase::Announced => match self.list().await {
                    Ok(following) => self.phase = Phase::Following(Box::new(following)),
                    Err(error) => self.start_over(error),
                },
                Phase::Following(following) => {
                    match following.turn(&mut self.cursors, &mut self.items).await {
                        Ok(()) if following.is_listed() => self.backoff.reset(),
                        Ok(()) => {}
                        Err(error) => self.start_over(error),
                    }
                }
            }
        }
    }

    /// Reads the names, and makes sure that they are not older than what was seen before.
    async fn list(&mut self) -> Result<Following, Error> {
        let source = &self.source;
        let mut following = Following::new(source);
        for (scope, cursor) in self.cursors.iter_mut().enumerate() {
            if let Some(names) = source.fixed_names(scope) {
                following.begin(scope, names, Duration::ZERO);
                continue;
            }
            let answer = source.client.call(&source.names_request(scope)).await?;
            let call = answer.call.clone();
            let read = source.read_names(answer, None).await?;
            if let Step::Backwards { from } = cursor.observe(read.index) {
                return Err(Error::went_backwards(call, from, read.index));
            }
            let is_open = source.trust_absence(scope).await?;
            following.trust(scope, is_open);
            following.begin(scope, read.content.unwrap_or_default(), read.parse);
        }
        following.begun(Instant::now());
        Ok(following)
    }

    /// The state is no longer known; a listing is due after a pause. What was still to be shown stands before the report.
    fn start_over(&mut self, error: Error) {
        self.phase = Phase::Due(self.backoff.next(error.retry_after()));
        self.items.push_back(Err(error.into()));
    }
}
