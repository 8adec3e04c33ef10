//! One of the two blocking queries of a watch.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    Error,
    block::{self, News, Open, Reply},
    request::Request,
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
    inner: block::Query,
    open: Option<Open>,
}

// === impl Query ===

impl Query {
    pub(super) fn new(part: Part, parse: Duration) -> Self {
        Self {
            part,
            inner: block::Query::answered(parse),
            open: None,
        }
    }

    /// The next answer. An open query stays open when the future is dropped.
    pub(super) async fn next(&mut self, sink: &Arc<Inner>, index: u64) -> Reply {
        let open = self.open.take().unwrap_or_else(|| {
            let (client, least) = (&sink.client, sink.settings.wait);
            self.inner.send(client, self.request(sink), index, least)
        });
        let reply = self.open.insert(open).await;
        self.open = None;
        reply
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
