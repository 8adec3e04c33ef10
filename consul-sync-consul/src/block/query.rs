//! One query that is asked again and again.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep, sleep_until};

use super::{News, Pace, wait};
use crate::{Client, Error, answer::Answer, request::Request, retry::Backoff};

/// When a query may be sent again, and whether it may be held.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pace: Pace,
    backoff: Backoff,
    /// After a failure: how long to leave the server alone.
    penalty: Duration,
    /// The next query must not block. A server whose index went back would hold it without a word until the
    /// index has caught up, so after every sign of that the index is looked at first.
    is_probe: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) result: Result<Answer, Error>,
    /// How long the server held it.
    pub(crate) held: Duration,
}

/// A query that is under way.
pub(crate) type Open = BoxFuture<'static, Reply>;

// === impl Query ===

impl Query {
    /// A query that was not asked yet.
    pub(crate) fn new() -> Self {
        Self {
            pace: Pace::new(),
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(15)),
            penalty: Duration::ZERO,
            is_probe: false,
        }
    }

    /// A query whose first answer is here: it took so long to parse.
    pub(crate) fn answered(parse: Duration) -> Self {
        let mut query = Self::new();
        query
            .pace
            .note(Instant::now(), parse, Duration::ZERO, News::Change);
        query
    }

    /// Asks, once the pause is over.
    pub(crate) fn send(
        &self,
        client: &Client,
        request: Request,
        index: u64,
        least: Duration,
    ) -> Open {
        self.send_later(client, request, index, least, || None)
    }

    /// Asks, once the pause is over and the moment has come that `later` says, which is asked for it until it has.
    pub(crate) fn send_later(
        &self,
        client: &Client,
        request: Request,
        index: u64,
        least: Duration,
        later: impl Fn() -> Option<Instant> + Send + 'static,
    ) -> Open {
        let pause = self.pause();
        let request = if self.is_probe {
            request
        } else {
            request.blocking(index, self.wait(least))
        };
        let client = client.clone();
        async move {
            sleep(pause).await;
            while let Some(at) = later().filter(|at| *at > Instant::now()) {
                sleep_until(at).await;
            }
            let start = Instant::now();
            let result = client.call(&request).await;
            let held = start.elapsed();
            Reply { result, held }
        }
        .boxed()
    }

    /// How long to wait before the next query.
    pub(crate) fn pause(&self) -> Duration {
        self.pace.pause(Instant::now()).max(self.penalty)
    }

    /// Whether the last one failed.
    pub(crate) fn is_failing(&self) -> bool {
        !self.penalty.is_zero()
    }

    /// See [`Pace::grown`].
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// For how long the next query asks to be held.
    pub(crate) fn wait(&self, least: Duration) -> Duration {
        wait(least, self.pace.cost())
    }

    /// Looks at the index before the next query that blocks.
    pub(crate) fn probe(&mut self) {
        self.is_probe = true;
    }

    /// Takes note of a good answer. `is_suspect`: it may hide something that a query that is not held shows.
    /// One that came early with the known index is, because so ends a query when a snapshot is restored.
    pub(crate) fn succeeded(
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
    pub(crate) fn failed(&mut self, error: &Error) {
        self.penalty = self.backoff.next(error.retry_after());
        self.is_probe = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::ClientSettings;

    #[tokio::test(start_paused = true)]
    async fn a_query_is_sent_when_its_moment_has_come_however_often_that_moves() {
        let nobody = Client::new(ClientSettings::new("http://127.0.0.1:1")).unwrap();
        let (start, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        let later = move || {
            let mut seen = seen.lock().unwrap();
            seen.push(start.elapsed());
            let seconds = [3, 5].get(seen.len() - 1)?;
            Some(start + Duration::from_secs(*seconds))
        };
        let request = Request::get(&["catalog", "nodes"]);
        let reply = Query::new().send_later(&nobody, request, 1, Duration::from_secs(60), later);
        assert!(reply.await.result.is_err());
        let asked: Vec<u64> = asked
            .lock()
            .unwrap()
            .iter()
            .map(Duration::as_secs)
            .collect();
        assert_eq!(asked, [0, 3, 5]);
    }
}
