//! Watching one kind of object: a complete listing, then every change, for ever, whatever happens to the server.
//!
//! # Why not `kube::runtime::watcher`
//! It is a good loop, and these rules cannot be laid over it from outside (kube-runtime 5.0.0):
//! - A watch *start* that is answered with HTTP 410 is tried again from the same version for ever; here it leads to
//!   a listing.
//! - Its listings have no time limit of their own, and the client's repetitions may take minutes; here every page
//!   and every start has one, around the repetitions.
//! - A streaming list that the server refuses (422) is asked for again for ever, and is asked of version 0, which
//!   may be any old state; here it falls back to pages, and is asked of the newest.
//! - A page that cannot be decoded is logged whole, and an event that cannot be decoded looks like an error of the
//!   API without a code, after which the same event is asked for again.
//! - One watcher is one namespace; here one kind in several namespaces is one complete listing.
//! - A version that goes back, and a listing older than what was seen, pass unnoticed; here they lead to a listing.
//!
//! What is kept of kube: the client, the requests, the events, and the bracket of `Init` and `InitDone`.
//!
//! # What happens
//! | seen | done |
//! | --- | --- |
//! | listing fails, on any page | a new one from the start, after a wait; nothing is removed |
//! | `continue` token forgotten (410) | the next listing in one piece |
//! | listing older than what was seen | again, a few times; then it is believed, twice: a restored backup |
//! | watch ends, breaks off, or is silent past its time | resumed from the last version |
//! | watch is refused with 410, by event or by status | a listing at once |
//! | 429, 5xx, 504 "too large resource version" | a wait, as long as the server says, then resumed |
//! | connection refused, or broken for 10 s | two listings: the server may come back with another past |
//! | event that cannot be read, without a version, or of an older one | a listing |
//! | 401, 403 | [`Change::Lost`], a report that names the rule to add, and new tries |
//! | answer that is not whole | [`Change::Lost`], a report, and a listing |

mod backoff;
mod coroutine;
mod events;
mod follow;
mod kind;
mod list;
mod problem;
mod settings;

use std::{convert::Infallible, sync::Arc, time::Duration};

use consul_sync_core::{ErrorKind, SourceError};
use futures::{
    StreamExt,
    stream::{BoxStream, SelectAll},
};
use kube::Client;
use tokio::time::{Instant, sleep};

pub use self::settings::WatchSettings;
pub(crate) use self::{
    backoff::{Backoff, Bounds},
    events::{Events, events},
    kind::number,
    problem::{Asked, Problem},
};
use self::{
    coroutine::{Emitter, endless},
    follow::{Loss, Signal, follow},
    kind::Place,
    list::{Manner, list},
    problem::Verdict,
};
use crate::{
    Change,
    rights::Scope,
    slim::{Kind, Object},
};

/// A step, or a report on what hinders the next one.
pub(crate) type Step<B> = Result<Change<Object<B>>, SourceError>;

/// How often a listing older than what was seen is refused before it is believed.
const STALE: u32 = 5;
/// A listing that is needed again within this time of the last is waited for.
const CALM: Duration = Duration::from_secs(10);

/// Watches one kind of object. Dropping the stream ends every request.
pub(crate) fn watch<B: Kind>(
    client: &Client,
    scope: &Scope,
    labels: Option<&Arc<str>>,
    settings: &Arc<WatchSettings>,
) -> BoxStream<'static, Step<B>> {
    let place = |namespace| {
        Place::new(
            client.clone(),
            Arc::clone(settings),
            namespace,
            labels.cloned(),
        )
    };
    let places: Vec<_> = match scope {
        Scope::Everywhere => vec![place(None)],
        Scope::Namespaces(namespaces) => namespaces
            .iter()
            .map(|namespace| place(Some(Arc::clone(namespace))))
            .collect(),
    };
    let backoff = Backoff::new(settings.bounds());
    let streaming = settings.streaming_lists;
    endless(move |emitter| {
        let watcher = Watcher {
            highest: vec![None; places.len()],
            places,
            emitter,
            backoff,
            manner: usual(streaming),
            streaming,
            stale: 0,
            confirm: false,
            trouble: [None; 2],
        };
        watcher.run()
    })
    .boxed()
}

/// How a listing is done when nothing speaks against it.
fn usual(streaming: bool) -> Manner {
    if streaming {
        Manner::Stream
    } else {
        Manner::Pages
    }
}

/// What a watcher does.
#[derive(Clone, Copy)]
enum Activity {
    Listing,
    Following,
}

struct Watcher<B> {
    places: Vec<Place<B>>,
    emitter: Emitter<Step<B>>,
    backoff: Backoff,
    manner: Manner,
    /// Whether listings may be streams.
    streaming: bool,
    /// The highest version seen in each place.
    highest: Vec<Option<u64>>,
    /// Listings in a row that were refused for being old.
    stale: u32,
    /// Whether the next listing is to be done twice: the server may have gone back to an older state, and the index
    /// believes an older object only when two listings in a row show it.
    confirm: bool,
    /// The states of failure that were reported, of listing and of following, so that each is reported once.
    trouble: [Option<(ErrorKind, u16, bool)>; 2],
}

impl<B: Kind> Watcher<B> {
    async fn run(mut self) -> Infallible {
        loop {
            let versions = self.listing().await;
            let since = Instant::now();
            self.following(versions).await;
            if since.elapsed() < CALM {
                sleep(self.backoff.next()).await;
            } else {
                self.backoff.reset();
            }
        }
    }

    /// Lists until it succeeds. Answers the version of each place.
    async fn listing(&mut self) -> Vec<String> {
        loop {
            self.emitter.emit(Ok(Change::RelistStarted)).await;
            let mut versions = Vec::with_capacity(self.places.len());
            let mut problem = None;
            for (place, highest) in self.places.iter().zip(&self.highest) {
                let listed = list(place, self.manner, *highest, &self.emitter, |object| {
                    Ok(Change::Upserted(object))
                });
                match listed.await {
                    Ok(version) => versions.push(version),
                    Err(failed) => {
                        problem = Some(failed);
                        break;
                    }
                }
            }
            let Some(problem) = problem else {
                self.listed(&versions).await;
                if std::mem::take(&mut self.confirm) {
                    continue;
                }
                return versions;
            };
            self.not_listed(problem).await;
        }
    }

    async fn listed(&mut self, versions: &[String]) {
        for (highest, version) in self.highest.iter_mut().zip(versions) {
            *highest = number(version);
        }
        self.stale = 0;
        self.manner = usual(self.streaming);
        self.emitter.emit(Ok(Change::RelistDone)).await;
        self.recovered(Activity::Listing).await;
    }

    async fn not_listed(&mut self, problem: Problem) {
        self.weakened(&problem).await;
        match (problem.verdict, self.manner) {
            (Verdict::Gone, Manner::Pages) => {
                tracing::debug!(
                    kind = B::KIND,
                    "the listing's version was forgotten; listing in one piece"
                );
                self.manner = Manner::Whole;
                return;
            }
            (Verdict::Unsupported, Manner::Stream) => {
                tracing::info!(kind = B::KIND, reason = %problem.error, "no streaming lists; listing in pages");
                self.manner = Manner::Pages;
                self.streaming = false;
                return;
            }
            (Verdict::Stale, _) => {
                if self.stale == 0 {
                    // The server answers: what was waited for before is over.
                    self.backoff.reset();
                }
                self.stale += 1;
                if self.stale >= STALE {
                    tracing::warn!(
                        kind = B::KIND,
                        "the API server went back to an older state, and stays there"
                    );
                    self.highest.fill(None);
                    self.confirm = true;
                }
            }
            _ => {}
        }
        // A proxy may hold streams back that it lets through in pages.
        self.manner = Manner::Pages;
        let wait = self
            .backoff
            .next()
            .max(problem.retry_after.unwrap_or_default());
        self.report(Activity::Listing, problem).await;
        sleep(wait).await;
    }

    /// Follows every place until one of them loses the thread.
    async fn following(&mut self, versions: Vec<String>) {
        if self.places.is_empty() {
            return std::future::pending().await;
        }
        let mut signals: SelectAll<_> = self
            .places
            .iter()
            .zip(versions)
            .enumerate()
            .map(|(at, (place, version))| {
                follow(place.clone(), version)
                    .map(move |signal| (at, signal))
                    .boxed()
            })
            .collect();
        while let Some((at, signal)) = signals.next().await {
            match signal {
                Signal::Upserted(object) => {
                    self.saw(at, &object);
                    self.emitter.emit(Ok(Change::Upserted(object))).await;
                }
                Signal::Deleted(object) => {
                    self.saw(at, &object);
                    self.emitter.emit(Ok(Change::Deleted(object))).await;
                }
                Signal::Healthy => self.recovered(Activity::Following).await,
                Signal::Trouble(problem) => self.report(Activity::Following, problem).await,
                Signal::Lost(Loss::Forgotten) => {
                    tracing::debug!(
                        kind = B::KIND,
                        "the watch's version was forgotten; listing again"
                    );
                    return;
                }
                Signal::Lost(Loss::Away) => {
                    tracing::debug!(kind = B::KIND, "the API server was away; listing again");
                    self.confirm = true;
                    return;
                }
                Signal::Lost(Loss::Doubt(why)) => {
                    tracing::warn!(
                        kind = B::KIND,
                        why,
                        "the watch cannot be trusted; listing again"
                    );
                    return;
                }
                Signal::Lost(Loss::Problem(problem)) => {
                    self.weakened(&problem).await;
                    // It was away, and may have come back with another past.
                    self.confirm |= matches!(
                        problem.verdict,
                        Verdict::Refused | Verdict::Distrusted | Verdict::Transient
                    );
                    self.report(Activity::Following, problem).await;
                    return;
                }
            }
        }
    }

    fn saw(&mut self, at: usize, object: &Object<B>) {
        let version = object.metadata.resource_version.as_deref().and_then(number);
        if let (Some(highest), Some(version)) = (self.highest.get_mut(at), version) {
            *highest = (*highest).max(Some(version));
        }
    }

    /// Whoever reads a report that weakens needs a complete listing after it, so the kind is lost with it.
    async fn weakened(&mut self, problem: &Problem) {
        if problem.error.kind().weakens() {
            self.emitter.emit(Ok(Change::Lost)).await;
        }
    }

    /// Reports a failure, once for each state of failure.
    async fn report(&mut self, activity: Activity, problem: Problem) {
        let is_distrusted = problem.verdict == Verdict::Distrusted;
        let state = Some((problem.error.kind(), problem.code, is_distrusted));
        let told = &mut self.trouble[activity as usize];
        if *told == state {
            let failures = self.backoff.failures();
            tracing::debug!(kind = B::KIND, error = %problem.error, failures, "still failing");
            return;
        }
        *told = state;
        self.emitter.emit(Err(problem.error)).await;
    }

    async fn recovered(&mut self, activity: Activity) {
        if self.trouble[activity as usize].take().is_some() {
            tracing::info!(kind = B::KIND, "watched again");
            self.emitter.emit(Ok(Change::Recovered)).await;
        }
    }
}

#[cfg(test)]
mod tests;
