//! Following the changes of one kind of object in one place from one version on.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use kube::{ResourceExt, api::WatchEvent};
use tokio::time::{Instant, sleep, timeout};

use super::{
    backoff::Backoff,
    coroutine::{Emitter, coroutine},
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
    /// The stream says something that cannot be.
    Doubt(&'static str),
    /// A failure, which a listing will meet too, or not.
    Problem(Problem),
}

/// How long a watch may stay broken before a listing is asked for: the server may have come back with another past.
const RESUME: Duration = Duration::from_secs(10);
/// What the server is given beyond the time at which it should have ended the watch.
const GRACE: Duration = Duration::from_secs(5);
/// A watch that ends sooner than this, with nothing said, counts as failed.
const BRIEF: Duration = Duration::from_secs(1);

type Events<B> = BoxStream<'static, kube::Result<WatchEvent<Object<B>>>>;

/// Every change after `version`, over any number of connections, and the version that was reached at the end.
pub(crate) fn follow<B: Kind>(place: Place<B>, version: String) -> BoxStream<'static, Signal<B>> {
    coroutine(move |emitter| async move {
        let mut thread = Thread {
            backoff: Backoff::new(place.settings.bounds()),
            good: Instant::now(),
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
    /// When the server was last known to answer.
    good: Instant,
}

impl<B: Kind> Thread<B> {
    /// One connection, from its start to its end.
    async fn once(&mut self) -> Result<(), Loss> {
        let events = match self.open().await {
            Ok(events) => events,
            Err(problem) => return self.failed(problem).await,
        };
        let began = Instant::now();
        let said = self.read(events).await?;
        if said || began.elapsed() >= BRIEF {
            self.healthy().await;
        } else {
            // A server that closes at once would be asked in a circle.
            sleep(self.backoff.next()).await;
        }
        Ok(())
    }

    async fn open(&self) -> Result<Events<B>, Problem> {
        let asked = self.place.asked(Verb::Watch);
        let limit = self.place.settings.list_timeout;
        let request = self
            .place
            .request()
            .watch(&self.place.watch_params(), &self.version)
            .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)))?;
        let events = timeout(
            limit,
            self.place.client.request_events::<Object<B>>(request),
        )
        .await
        .map_err(|_| Problem::timeout(asked, limit))?
        .map_err(|error| Problem::of(asked, error))?;
        Ok(events.boxed())
    }

    /// Reads a connection to its end. Answers whether it said anything.
    async fn read(&mut self, mut events: Events<B>) -> Result<bool, Loss> {
        let asked_for = self
            .place
            .settings
            .watch_timeout
            .max(Duration::from_secs(1));
        let mut said = false;
        loop {
            let event = match timeout(asked_for + GRACE, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(kube::Error::SerdeError(error)))) => {
                    let asked = self.place.asked(Verb::Watch);
                    return Err(Loss::Problem(Problem::garbled(asked, error)));
                }
                Ok(Some(Err(error))) => {
                    tracing::debug!(kind = B::KIND, %error, "watch broke off; resuming");
                    return Ok(said);
                }
                Ok(None) => return Ok(said),
                Err(_) => {
                    tracing::debug!(kind = B::KIND, "watch was silent past its time; resuming");
                    return Ok(said);
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
                    // Whether it said something before does not count any more; the wait is done.
                    return Ok(true);
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
        self.good = Instant::now();
        self.emitter.emit(Signal::Healthy).await;
    }

    /// Waits, or gives up the thread.
    async fn failed(&mut self, problem: Problem) -> Result<(), Loss> {
        match problem.verdict {
            Verdict::Gone => return Err(Loss::Forgotten),
            Verdict::Denied
            | Verdict::Unsupported
            | Verdict::Refused
            | Verdict::Garbled
            | Verdict::Stale => {
                return Err(Loss::Problem(problem));
            }
            Verdict::Transient => {}
        }
        if self.good.elapsed() >= RESUME {
            return Err(Loss::Problem(problem));
        }
        let wait = self
            .backoff
            .next()
            .max(problem.retry_after.unwrap_or_default());
        self.emitter.emit(Signal::Trouble(problem)).await;
        sleep(wait).await;
        Ok(())
    }
}
