//! Following the changes of one kind of object in one place from one version on.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use kube::{ResourceExt, api::WatchEvent};
use tokio::time::{Instant, sleep, timeout};

use super::{
    backoff::Backoff,
    coroutine::{Emitter, coroutine},
    events::{Broken, Events, events},
    kind::{Place, number},
    problem::{Problem, Verdict},
};
use crate::{
    Verb,
    slim::{Kind, Object},
};

/// What following tells.
#[derive(Debug)]
pub(crate) enum Signal<B> {
    Upserted(Object<B>),
    Deleted(Object<B>),
    /// The server answers as it should.
    Healthy,
    /// A request failed; following goes on.
    Trouble(Problem),
    /// The thread is lost: only a listing tells what is there now. Nothing follows.
    Lost(Loss),
}

/// Why the thread was lost.
#[derive(Debug)]
pub(crate) enum Loss {
    /// What was missed cannot be had any more, which is nobody's fault.
    Forgotten,
    /// The server was away for so long that it may have come back with another past.
    Away,
    /// The server says something that cannot be, or nothing at all.
    Doubt(&'static str),
    /// A failure, which a listing will meet too, or not.
    Problem(Problem),
}

/// How long watches may fail to start before a listing is asked for: the server may come back with another past.
const RESUME: Duration = Duration::from_secs(10);
/// What the server is given beyond the time at which it should have ended the watch.
const GRACE: Duration = Duration::from_secs(5);
/// A watch that ends sooner than this, with nothing said, counts as failed.
const BRIEF: Duration = Duration::from_secs(1);
/// So many of them in a row, and watching is no way to see changes: some proxies let no stream through.
const BRIEF_ENDS: u32 = 5;

/// Every change after `version`, over any number of connections, until the thread is lost.
pub(crate) fn follow<B: Kind>(place: Place<B>, version: String) -> BoxStream<'static, Signal<B>> {
    coroutine(move |emitter| async move {
        let mut thread = Thread {
            backoff: Backoff::new(place.settings.bounds()),
            failing: None,
            brief: 0,
            place,
            version,
            emitter,
        };
        let loss = loop {
            if let Err(loss) = thread.once().await {
                break loss;
            }
        };
        thread.emitter.emit(Signal::Lost(loss)).await;
    })
    .boxed()
}

struct Thread<B> {
    place: Place<B>,
    version: String,
    emitter: Emitter<Signal<B>>,
    backoff: Backoff,
    /// Since when requests fail.
    failing: Option<Instant>,
    /// Connections in a row that ended at once and said nothing.
    brief: u32,
}

/// How a connection ended, when it did not end the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After it said something, or as the server should end it.
    Good,
    /// At once, with nothing said.
    Brief,
    /// By an error that was waited for, or by our own patience.
    Bad,
}

impl<B: Kind> Thread<B> {
    /// One connection, from its start to its end.
    async fn once(&mut self) -> Result<(), Loss> {
        let events = match self.open().await {
            Ok(events) => events,
            Err(problem) => return self.failed(problem).await,
        };
        if self.failing.is_some_and(|since| since.elapsed() >= RESUME) {
            return Err(Loss::Away);
        }
        match self.read(events).await? {
            End::Good => self.healthy().await,
            End::Bad => {}
            End::Brief => {
                self.brief += 1;
                if self.brief >= BRIEF_ENDS {
                    return Err(Loss::Doubt("it ends at once, every time"));
                }
                sleep(self.backoff.next()).await;
            }
        }
        Ok(())
    }

    async fn open(&self) -> Result<Events<Object<B>>, Problem> {
        let asked = self.place.asked(Verb::Watch);
        let limit = self.place.settings.list_timeout;
        let request = self
            .place
            .request()
            .watch(&self.place.watch_params(), &self.version)
            .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)))?;
        timeout(limit, events(&self.place.client, asked, request))
            .await
            .map_err(|_| Problem::timeout(asked, limit))?
    }

    /// Reads a connection to its end.
    async fn read(&mut self, mut events: Events<Object<B>>) -> Result<End, Loss> {
        let began = Instant::now();
        let patience = self.place.watch_timeout() + GRACE;
        let mut said = false;
        loop {
            let event = match timeout(patience, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(Broken::Garbled(error)))) => {
                    let asked = self.place.asked(Verb::Watch);
                    return Err(Loss::Problem(Problem::garbled(asked, error)));
                }
                Ok(ended @ (Some(Err(Broken::Off(_))) | None)) => {
                    if let Some(Err(Broken::Off(reason))) = ended {
                        tracing::debug!(kind = B::KIND, reason, "the watch broke off; resuming");
                    }
                    let good = said || began.elapsed() >= BRIEF;
                    return Ok(if good { End::Good } else { End::Brief });
                }
                Err(_) => {
                    tracing::debug!(
                        kind = B::KIND,
                        "the watch was silent past its time; resuming"
                    );
                    return Ok(End::Bad);
                }
            };
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.advance(object.resource_version().unwrap_or_default())?;
                    self.emitter.emit(Signal::Upserted(object)).await;
                }
                WatchEvent::Deleted(object) => {
                    self.advance(object.resource_version().unwrap_or_default())?;
                    self.emitter.emit(Signal::Deleted(object)).await;
                }
                WatchEvent::Bookmark(bookmark) => {
                    self.advance(bookmark.metadata.resource_version)?;
                }
                WatchEvent::Error(status) => {
                    let problem = Problem::status(self.place.asked(Verb::Watch), &status);
                    self.failed(problem).await?;
                    return Ok(End::Bad);
                }
            }
            if !said {
                said = true;
                self.healthy().await;
            }
        }
    }

    /// Takes a version as the one reached. It may be any text, but not none, and no number may go back: that is a
    /// server with another past.
    fn advance(&mut self, version: String) -> Result<(), Loss> {
        if version.is_empty() {
            return Err(Loss::Doubt("an event without a resourceVersion"));
        }
        if let (Some(now), Some(before)) = (number(&version), number(&self.version))
            && now < before
        {
            return Err(Loss::Doubt("a resourceVersion older than the last"));
        }
        self.version = version;
        Ok(())
    }

    async fn healthy(&mut self) {
        self.backoff.reset();
        self.failing = None;
        self.brief = 0;
        self.emitter.emit(Signal::Healthy).await;
    }

    /// Waits, or gives up the thread.
    async fn failed(&mut self, problem: Problem) -> Result<(), Loss> {
        let since = *self.failing.get_or_insert_with(Instant::now);
        match problem.verdict {
            Verdict::Gone => return Err(Loss::Forgotten),
            Verdict::Transient if since.elapsed() < RESUME => {}
            _ => return Err(Loss::Problem(problem)),
        }
        let asked_for = problem.retry_after.unwrap_or_default();
        let wait = self.backoff.next().max(asked_for);
        self.emitter.emit(Signal::Trouble(problem)).await;
        sleep(wait).await;
        Ok(())
    }
}
