//! Taking part in the election: standing by, leading, handing over.

use std::{future::Future, pin::pin, time::Duration};

use consul_sync_core::{ElectionState, Holder, Standby};
use http::StatusCode;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Inner, Mandate,
    lead::{End, Session, lead, pace},
    requests::{Seen, Taken},
};
use crate::{Error, retry::Backoff};

/// What handing over may take.
const HAND_OVER: Duration = Duration::from_millis(900);
/// How often the key is tried while a lock delay holds it back.
const DELAYED: Duration = Duration::from_millis(250);

/// One process in an election.
pub(super) struct Candidate<'a> {
    lock: &'a Inner,
    /// By whom this process was elected, where that was elsewhere.
    mandate: Option<Mandate>,
    session: Option<Session>,
    /// The index of the key that is known.
    past: Option<u64>,
    backoff: Backoff,
    standby: Standby,
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    pub(super) fn new(lock: &'a Inner, mandate: Option<Mandate>) -> Self {
        let longest = lock.settings.period();
        Self {
            lock,
            mandate,
            session: None,
            past: None,
            backoff: Backoff::new(Duration::from_millis(100), longest),
            standby: Standby::default(),
        }
    }

    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let mut session = tokio::select! {
                biased;
                () = &mut shutdown => break,
                session = self.stand_by() => session,
            };
            self.standby = Standby::default();
            self.lock.state.send_replace(ElectionState::Leading);
            tracing::info!(lock = self.lock.fence.key(), "leading");
            let end = tokio::select! {
                biased;
                () = &mut shutdown => End::Shutdown,
                end = lead(self.lock, &mut session, self.past) => end,
            };
            self.lock.fence.shut();
            self.past = None;
            self.session = Some(session);
            if matches!(end, End::Shutdown) {
                break;
            }
            self.lost(&end).await;
        }
        self.hand_over().await;
    }

    /// The lead is over, and this process stands by again.
    async fn lost(&mut self, end: &End) {
        self.lock.state.send_replace(ElectionState::Lost);
        tracing::warn!(
            lock = self.lock.fence.key(),
            reason = end.reason(),
            "the lead is lost; nothing is written until it is regained"
        );
        match end {
            // It may be had again as it is: nobody else can have the lock before it ends.
            End::NotRenewed(_) => {}
            End::SessionGone => self.session = None,
            _ => self.drop_session().await,
        }
    }

    /// Waits until the lock is held.
    async fn stand_by(&mut self) -> Session {
        loop {
            match self.attempt().await {
                Ok(Some(session)) => {
                    self.standby.untroubled();
                    return session;
                }
                Ok(None) => {
                    self.backoff.reset();
                    self.standby.untroubled();
                }
                Err(error) => {
                    self.tell_trouble(&error);
                    self.past = None;
                    sleep(self.backoff.next(error.retry_after())).await;
                }
            }
        }
    }

    /// Looks at the key, and takes it if it is free. The session is returned when it holds the key.
    async fn attempt(&mut self) -> Result<Option<Session>, Error> {
        let (asked, started) = (self.past, Instant::now());
        let seen = self.lock.look(asked, self.lock.settings.ttl).await?;
        self.past = seen.next(asked);
        let Some(holding) = seen.session.clone() else {
            return self.take().await;
        };
        if self
            .session
            .as_ref()
            .is_some_and(|session| *session.id == *holding)
        {
            // An answer was lost, or Consul was away for a while.
            return self.confirm().await;
        }
        if self.overrules(&seen) {
            return self.overrule(&holding).await;
        }
        self.drop_session().await;
        self.tell_holder(seen.holder.unwrap_or(Holder {
            id: holding,
            ..Holder::default()
        }));
        sleep(pace(asked, self.past, started)).await;
        Ok(None)
    }

    /// Whether the key's holder leads no more, by the word of the authority that elected both; or is an earlier session of
    /// this process.
    fn overrules(&self, seen: &Seen) -> bool {
        let (Some(ours), Some(theirs)) = (&self.mandate, &seen.mandate) else {
            return false;
        };
        let is_own = ours == theirs
            && seen
                .holder
                .as_ref()
                .is_some_and(|holder| holder.id == self.lock.settings.holder.id);
        is_own || ours.overrules(theirs)
    }

    /// Takes the key from a former leader. From then on Consul refuses what he sends.
    async fn overrule(&mut self, holding: &str) -> Result<Option<Session>, Error> {
        match self.lock.release(holding).await {
            Ok(()) => {
                tracing::info!(
                    lock = self.lock.fence.key(),
                    "took the lock from a former leader"
                );
                self.take().await
            }
            // It is held by another one by now, or by nobody.
            Err(Error::Status { status, .. }) if status == StatusCode::CONFLICT => {
                self.past = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn take(&mut self) -> Result<Option<Session>, Error> {
        if self.session.is_some() && self.confirm().await?.is_none() {
            return Ok(None);
        }
        let session = if let Some(session) = &self.session {
            session.clone()
        } else {
            let renewed = Instant::now();
            let (id, since) = self.lock.create_session().await?;
            let made = Session {
                id: id.into(),
                renewed,
                since,
            };
            self.session.insert(made).clone()
        };
        match self.lock.acquire(&session, self.mandate.clone()).await? {
            Taken::Held => return Ok(self.session.clone()),
            Taken::ByAnother => {}
            Taken::NoSession => self.session = None,
            Taken::Delayed => sleep(DELAYED).await,
        }
        self.past = None;
        Ok(None)
    }

    /// Makes sure that the session is alive, by renewing it.
    async fn confirm(&mut self) -> Result<Option<Session>, Error> {
        let Some(session) = &mut self.session else {
            return Ok(None);
        };
        let renewed = Instant::now();
        if self.lock.renew(&session.id).await? {
            session.renewed = renewed;
        } else {
            self.session = None;
            self.past = None;
        }
        Ok(self.session.clone())
    }

    /// Ends a session that is of no use; one that cannot be ended now ends by itself.
    async fn drop_session(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = timeout(HAND_OVER, self.lock.destroy(&session.id)).await;
        }
    }

    /// Lets the next one lead at once.
    async fn hand_over(&mut self) {
        self.lock.fence.shut();
        if let Some(session) = self.session.take() {
            let led = self.lock.state.borrow().is_leading();
            let release = async {
                if led {
                    self.lock.release(&session.id).await?;
                }
                self.lock.destroy(&session.id).await
            };
            match timeout(HAND_OVER, release).await {
                Ok(Ok(())) if led => tracing::info!("the lead is handed over"),
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lead cannot be handed over; it is free when the session ends");
                }
                Err(_) => {
                    tracing::warn!(
                        "the lead cannot be handed over in time; it is free when the session ends"
                    );
                }
            }
        }
    }

    fn tell_holder(&mut self, holder: Holder) {
        if let Some(holder) = self.standby.behind(Some(holder)) {
            tracing::info!(
                lock = self.lock.fence.key(),
                %holder,
                "standing by: another process leads, and this one writes nothing; if that is no replica of this \
                 one, two clusters have the same owner, and one needs another"
            );
        }
        self.show();
    }

    fn tell_trouble(&mut self, error: &Error) {
        let kind = error.kind();
        if self.standby.troubled(kind) {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            tracing::warn!(
                lock = self.lock.fence.key(),
                kind = kind.as_str(),
                error = format!("{error}{}", cause.unwrap_or_default()),
                "cannot take part in the election, and writes nothing; trying again"
            );
        }
        self.show();
    }

    fn show(&self) {
        let state = &self.lock.state;
        state.send_if_modified(|shown| self.standby.show(shown));
    }
}

impl Drop for Candidate<'_> {
    fn drop(&mut self) {
        self.lock.fence.shut();
        self.lock.state.send_replace(ElectionState::Idle);
    }
}
