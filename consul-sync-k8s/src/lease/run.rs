//! Taking part in the election: standing by, taking the lead, handing it over.

use std::{future::Future, pin::pin, time::Duration};

use consul_sync_core::{ElectionState, Standby};
use futures::StreamExt;
use kube::api::WatchEvent;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::{
    Inner,
    lead::{End, LONGEST_PAUSE, lead},
    record::Record,
};
use crate::watch::{Backoff, Bounds, Problem};

/// What handing over may take.
const HAND_OVER: Duration = Duration::from_millis(900);
/// The status of a watch that has to be begun anew.
const GONE: u16 = 410;

/// One process in an election.
pub(super) struct Candidate<'a> {
    lease: &'a Inner,
    seen: Option<Seen>,
    /// A write that would make this process the holder has no answer yet.
    is_asking: bool,
    backoff: Backoff,
    standby: Standby,
}

/// The Lease as it was last seen.
#[derive(Clone, Debug)]
struct Seen {
    record: Record,
    /// When it was seen to be another one than before.
    since: Instant,
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    pub(super) fn new(lease: &'a Inner) -> Self {
        let most = lease.settings.period();
        Self {
            lease,
            seen: None,
            is_asking: false,
            backoff: Backoff::new(Bounds {
                least: Duration::from_millis(100).min(most),
                most,
            }),
            standby: Standby::default(),
        }
    }

    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let renewed = tokio::select! {
                biased;
                () = &mut shutdown => break,
                renewed = self.stand_by() => renewed,
            };
            let end = tokio::select! {
                biased;
                () = &mut shutdown => End::Shutdown,
                end = self.lead(renewed) => end,
            };
            self.lease.held.shut();
            if matches!(end, End::Shutdown) {
                break;
            }
            self.lease.state.send_replace(ElectionState::Lost);
            tracing::warn!(
                lease = self.lease.path(),
                reason = end.reason(),
                "the lead is lost; nothing is written until it is regained"
            );
            self.seen = None;
        }
        self.hand_over().await;
    }

    /// Waits until the Lease is held; answers when that was asked for.
    async fn stand_by(&mut self) -> Instant {
        loop {
            match self.attempt().await {
                Ok(asked) => {
                    self.backoff.reset();
                    self.standby.untroubled();
                    if let Some(asked) = asked {
                        return asked;
                    }
                }
                Err(problem) => {
                    self.tell_trouble(&problem);
                    let asked = problem.retry_after.unwrap_or_default();
                    sleep(self.backoff.next().max(asked.min(self.period()))).await;
                }
            }
        }
    }

    /// Looks at the Lease and takes it if it is free; otherwise waits for it to change.
    async fn attempt(&mut self) -> Result<Option<Instant>, Problem> {
        self.look().await?;
        loop {
            let Some(seen) = &self.seen else {
                return self.take(None).await;
            };
            if self.is_free(seen) {
                let record = seen.record.clone();
                return self.take(Some(record)).await;
            }
            self.tell_holder();
            if !self.wait().await? {
                return Ok(None);
            }
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        match self.lease.requests.get().await? {
            Some(record) => self.note(record),
            None => self.seen = None,
        }
        Ok(())
    }

    /// Takes note of a Lease. Only one that changed starts its time anew.
    fn note(&mut self, record: Record) {
        let is_known = self
            .seen
            .as_ref()
            .is_some_and(|seen| seen.record.version() == record.version());
        if !is_known {
            self.seen = Some(Seen {
                record,
                since: Instant::now(),
            });
        }
    }

    /// Nobody is named in it, or this process is, or it did not change for too long.
    fn is_free(&self, seen: &Seen) -> bool {
        let holder = seen.record.holder();
        holder.is_empty()
            || holder == self.lease.settings.identity()
            || self.expires(seen) <= Instant::now()
    }

    fn expires(&self, seen: &Seen) -> Instant {
        seen.since + seen.record.lasts(self.lease.settings.ttl)
    }

    /// Tries to become the holder, on condition that nothing changed since it was seen.
    async fn take(&mut self, seen: Option<Record>) -> Result<Option<Instant>, Problem> {
        let Inner {
            requests, settings, ..
        } = self.lease;
        let asked = Instant::now();
        self.is_asking = true;
        let is_new = seen.is_none();
        let record = seen.unwrap_or_else(|| Record::new(&settings.namespace, &settings.name));
        let next = record.held_by(settings, requests.now());
        let taken = if is_new {
            requests.create(&next).await?
        } else {
            requests.update(&next).await?
        };
        self.is_asking = false;
        let Some(record) = taken else {
            // Somebody else was faster, or changed something of it.
            return Ok(None);
        };
        self.note(record);
        Ok(Some(asked))
    }

    /// Waits for the Lease to change or to expire. Answers whether what is known of it is still the newest.
    async fn wait(&mut self) -> Result<bool, Problem> {
        let Some(seen) = &self.seen else {
            return Ok(false);
        };
        let expires = self.expires(seen);
        let opened = timeout_at(expires, self.lease.requests.watch()).await;
        let Ok(opened) = opened else {
            return Ok(true);
        };
        let mut events = opened?;
        let opened = Instant::now();
        loop {
            let Some(seen) = &self.seen else {
                return Ok(true);
            };
            let event = tokio::select! {
                event = events.next() => event,
                () = sleep_until(self.expires(seen)) => return Ok(true),
            };
            match event {
                Some(Ok(WatchEvent::Added(record) | WatchEvent::Modified(record))) => {
                    self.note(record);
                    if self.seen.as_ref().is_some_and(|seen| self.is_free(seen)) {
                        return Ok(true);
                    }
                    self.tell_holder();
                }
                Some(Ok(WatchEvent::Deleted(_))) => {
                    self.seen = None;
                    return Ok(true);
                }
                Some(Ok(WatchEvent::Bookmark(_))) => {}
                Some(Ok(WatchEvent::Error(status))) if status.code != GONE => {
                    return Err(self.lease.requests.watch_problem(&status));
                }
                Some(Ok(WatchEvent::Error(_)) | Err(_)) | None => {
                    // The Lease is looked at again; not in a busy loop, where something lets no watch through.
                    if opened.elapsed() < LONGEST_PAUSE {
                        sleep(LONGEST_PAUSE.min(self.period())).await;
                    }
                    return Ok(false);
                }
            }
        }
    }

    /// Leads until it is over, on what was seen last.
    async fn lead(&mut self, renewed: Instant) -> End {
        self.standby = Standby::default();
        match self.seen.take() {
            Some(seen) => lead(self.lease, seen.record, renewed).await,
            None => End::Deleted,
        }
    }

    /// Names nobody, so that the next one leads at once.
    async fn hand_over(&mut self) {
        let led = self.lease.state.borrow().is_leading();
        self.lease.held.shut();
        if led || self.is_asking {
            let release = release(self.lease);
            match timeout(HAND_OVER, release).await {
                Ok(Ok(())) => tracing::info!(lease = self.lease.path(), "the lead is handed over"),
                Ok(Err(problem)) => {
                    let error = problem.error;
                    tracing::warn!(%error, "the lead cannot be handed over; it is free when the lease expires");
                }
                Err(_) => {
                    tracing::warn!(
                        "the lead cannot be handed over in time; it is free when the lease expires"
                    );
                }
            }
        }
    }

    fn period(&self) -> Duration {
        self.lease.settings.period()
    }

    fn tell_holder(&mut self) {
        let holder = self.seen.as_ref().and_then(|seen| seen.record.person());
        if let Some(holder) = self.standby.behind(holder) {
            tracing::info!(
                lease = self.lease.path(),
                %holder,
                "standing by: another process leads, and this one writes nothing; if that is no replica of this one, \
                 give each installation a lease of its own"
            );
        }
        self.show();
    }

    fn tell_trouble(&mut self, problem: &Problem) {
        let kind = problem.error.kind();
        if self.standby.troubled(kind) {
            let cause = std::error::Error::source(&problem.error).map(|cause| format!(": {cause}"));
            tracing::warn!(
                lease = self.lease.path(),
                kind = kind.as_str(),
                error = format!("{}{}", problem.error, cause.unwrap_or_default()),
                "cannot take part in the election, and writes nothing; trying again"
            );
        }
        self.show();
    }

    fn show(&self) {
        let state = &self.lease.state;
        state.send_if_modified(|shown| self.standby.show(shown));
    }
}

impl Drop for Candidate<'_> {
    fn drop(&mut self) {
        self.lease.held.shut();
        self.lease.state.send_replace(ElectionState::Idle);
    }
}

/// Names nobody in the Lease, if it names this process.
async fn release(lease: &Inner) -> Result<(), Problem> {
    loop {
        // Read again each time: a write may have been under way.
        match lease.requests.get().await? {
            Some(record) if record.holder() == lease.settings.identity() => {
                let free = record.released(lease.requests.now());
                if lease.requests.update(&free).await?.is_some() {
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
    }
}
