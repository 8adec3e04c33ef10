//! One of the two blocking queries of a watch.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Error,
    block::{self, News, Open, Reply},
    journal::Journal,
    request::Request,
    sink::Inner,
};

/// How long the answer to a query that there is news for is on its way, at most.
const ANSWER: Duration = Duration::from_millis(500);

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
    inner: block::Query,
    open: Option<Open>,
    /// When the open one was sent, which is after its pause.
    sent: Arc<OnceLock<Instant>>,
}

// === impl Query ===

impl Query {
    pub(super) fn new(part: Part, parse: Duration) -> Self {
        Self {
            part,
            inner: block::Query::answered(parse),
            open: None,
            sent: Arc::default(),
        }
    }

    /// The next answer; `shown` slots are known. An open query stays open when the future is dropped.
    pub(super) async fn next(
        &mut self,
        sink: &Arc<Inner>,
        journal: &Arc<Journal>,
        index: u64,
        shown: usize,
    ) -> Reply {
        let open = self.open.take().unwrap_or_else(|| {
            let (client, least) = (&sink.client, sink.settings.wait);
            self.sent = Arc::default();
            let (sent, journal) = (Arc::clone(&self.sent), Arc::clone(journal));
            let pace = self.inner.pace().clone();
            let later = move || {
                // What is waited for may be known already, and make a read no larger.
                let times = (journal.len() / shown.max(1)).max(1);
                let at = pace.grown(u32::try_from(times).unwrap_or(u32::MAX));
                if at.is_none_or(|at| at <= Instant::now()) {
                    // Said once: this is when.
                    let _ = sent.set(Instant::now());
                }
                at
            };
            let request = self.request(sink);
            self.inner.send_later(client, request, index, least, later)
        });
        let reply = self.open.insert(open).await;
        self.open = None;
        reply
    }

    /// Whether it rests because we write, or did and its answer may be on the way. One that fails does not: who knows when
    /// it is answered.
    pub(super) fn rests(&self) -> bool {
        let is_overdue = self.sent.get().is_some_and(|at| at.elapsed() >= ANSWER);
        self.inner.pace().is_echo() && !self.inner.is_failing() && !is_overdue
    }

    /// For how long the next query asks to be held.
    pub(super) fn wait(&self, sink: &Inner) -> Duration {
        self.inner.wait(sink.settings.wait)
    }

    /// Gives an open query up, and looks at the index before the next one.
    pub(super) fn probe(&mut self) {
        self.open = None;
        self.inner.probe();
    }

    fn request(&self, sink: &Inner) -> Request {
        match self.part {
            Part::Services => sink.node_request(),
            Part::Checks => sink.checks_request(),
        }
    }

    /// Takes note of a good answer; see [`block::Query::succeeded`].
    pub(super) fn succeeded(
        &mut self,
        parse: Duration,
        held: Duration,
        news: News,
        is_suspect: bool,
    ) {
        self.inner.succeeded(parse, held, news, is_suspect);
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, error: &Error) {
        self.inner.failed(error);
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
