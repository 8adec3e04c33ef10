//! One of the two blocking queries of a watch.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::{
    Error,
    answer::Answer,
    block::{self, News, Pace},
    request::Request,
    retry::Backoff,
    sink::Inner,
};

/// What it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The instances of the node.
    Services,
    /// The checks of the node.
    Checks,
}

/// A query that is open, or about to be.
pub(super) struct Query {
    part: Part,
    pace: Pace,
    backoff: Backoff,
    /// After a failure: how long to leave the server alone.
    penalty: Duration,
    /// The next query must not block. A server whose index went back would hold it without a word until the
    /// index has caught up, so after every sign of that the index is looked at first.
    is_probe: bool,
    open: Option<BoxFuture<'static, Reply>>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) result: Result<Answer, Error>,
    /// How long the server held it.
    pub(super) held: Duration,
}

// === impl Query ===

impl Query {
    pub(super) fn new(part: Part, parse: Duration) -> Self {
        let mut pace = Pace::new();
        pace.note(Instant::now(), parse, Duration::ZERO, News::Change);
        Self {
            part,
            pace,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(15)),
            penalty: Duration::ZERO,
            is_probe: false,
            open: None,
        }
    }

    /// The next answer. An open query stays open when the future is dropped.
    pub(super) async fn next(&mut self, sink: &Arc<Inner>, index: u64) -> Reply {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.send(sink, index),
        };
        let reply = self.open.insert(open).await;
        self.open = None;
        reply
    }

    fn send(&self, sink: &Arc<Inner>, index: u64) -> BoxFuture<'static, Reply> {
        let pause = self.pace.pause(Instant::now()).max(self.penalty);
        let request = self.request(sink, index);
        let sink = Arc::clone(sink);
        Box::pin(async move {
            sleep(pause).await;
            let start = Instant::now();
            let result = sink.client.call(&request).await;
            let held = start.elapsed();
            Reply { result, held }
        })
    }

    /// For how long the next query asks to be held.
    pub(super) fn wait(&self, sink: &Inner) -> Duration {
        block::wait(sink.settings.wait, self.pace.cost())
    }

    /// Gives an open query up, and looks at the index before the next one.
    pub(super) fn probe(&mut self) {
        self.open = None;
        self.is_probe = true;
    }

    fn request(&self, sink: &Inner, index: u64) -> Request {
        let request = match self.part {
            Part::Services => sink.node_request(),
            Part::Checks => sink.checks_request(),
        };
        if self.is_probe {
            request
        } else {
            request.blocking(index, self.wait(sink))
        }
    }

    /// Takes note of a good answer. `is_suspect`: it may hide something that a query that is not held shows.
    /// One that came early with the known index is, because so ends a query when a snapshot is restored.
    pub(super) fn succeeded(
        &mut self,
        parse: Duration,
        held: Duration,
        news: News,
        is_suspect: bool,
    ) {
        self.backoff.reset();
        self.is_probe = is_suspect && !self.is_probe;
        self.penalty = Duration::ZERO;
        self.pace.note(Instant::now(), parse, held, news);
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, error: &Error) {
        self.penalty = self.backoff.next(error.retry_after());
        self.is_probe = true;
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("part", &self.part)
            .field("is_open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}
