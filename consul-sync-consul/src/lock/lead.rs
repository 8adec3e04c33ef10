//! Being the leader: the session is renewed and the key is watched, until one of them says that it is over.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{Grant, Inner};
use crate::Error;

/// Pauses between tries that failed are no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A session of ours.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: Arc<str>,
    /// When it was made or last renewed, by the time at which that was sent.
    pub(super) renewed: Instant,
    /// When it was made, by Consul's clock, for people.
    pub(super) since: String,
}

/// Why the lead is over.
#[derive(Debug)]
pub(super) enum End {
    /// The process stops.
    Shutdown,
    /// Consul refused a write, because the key is not held by this session.
    Refused,
    /// The key is free or somebody else's.
    Released,
    /// The session ended.
    SessionGone,
    /// The session could not be renewed in time: Consul may end it any moment.
    NotRenewed(Option<Error>),
}

// === impl Session ===

impl Session {
    /// Until when it is alive for sure.
    pub(super) fn until(&self, lock: &Inner) -> Instant {
        self.renewed + lock.settings.validity()
    }
}

// === impl End ===

impl End {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Shutdown => "the process stops".into(),
            Self::Refused => "consul refused a write: the lock is not held any more".into(),
            Self::Released => "the lock was released by somebody else".into(),
            Self::SessionGone => "the session ended".into(),
            Self::NotRenewed(None) => "the session was not renewed in time".into(),
            Self::NotRenewed(Some(error)) => {
                format!("the session could not be renewed in time: {error}")
            }
        }
    }
}

/// Leads until it is over, with the gate open meanwhile.
pub(super) async fn lead(lock: &Inner, session: &mut Session, past: Option<u64>) -> End {
    lock.fence.open(Grant {
        session: Arc::clone(&session.id),
        until: session.until(lock),
    });
    let id = Arc::clone(&session.id);
    let end = tokio::select! {
        biased;
        () = lock.fence.until_refused() => End::Refused,
        end = renew(lock, session) => end,
        () = follow(lock, &id, past) => End::Released,
    };
    lock.fence.shut();
    end
}

/// Renews the session for as long as that works in time.
async fn renew(lock: &Inner, session: &mut Session) -> End {
    let period = lock.settings.period();
    let mut next = session.renewed + period;
    let mut trouble = None;
    loop {
        let until = session.until(lock);
        sleep_until(next.min(until)).await;
        let started = Instant::now();
        if started >= until {
            return End::NotRenewed(trouble);
        }
        match timeout_at(until.min(started + period), lock.renew(&session.id)).await {
            Ok(Ok(true)) => {
                session.renewed = started;
                lock.fence.extend(session.until(lock));
                next = started + period;
                trouble = None;
                continue;
            }
            Ok(Ok(false)) => return End::SessionGone,
            Ok(Err(error)) => trouble = Some(error),
            Err(_) => {}
        }
        next = Instant::now() + LONGEST_PAUSE.min(period / 4);
    }
}

/// Watches the key until it is not this session's.
async fn follow(lock: &Inner, session: &str, mut past: Option<u64>) {
    let mut pause = Duration::ZERO;
    loop {
        sleep(pause).await;
        let asked = past;
        let started = Instant::now();
        match lock.look(asked, lock.settings.ttl).await {
            Ok(seen) if seen.session.as_deref() != Some(session) => return,
            Ok(seen) => {
                past = seen.next(asked);
                pause = pace(asked, past, started);
            }
            Err(error) => {
                tracing::debug!(%error, "the lock cannot be watched; it is still held");
                past = None;
                pause = LONGEST_PAUSE;
            }
        }
    }
}

/// How long to wait before the next look. A server that answers at once with what is known must not be asked
/// in a busy loop.
pub(super) fn pace(asked: Option<u64>, next: Option<u64>, started: Instant) -> Duration {
    let is_known = asked.is_some() && (next == asked || next.is_none());
    if is_known && started.elapsed() < LONGEST_PAUSE {
        LONGEST_PAUSE
    } else {
        Duration::ZERO
    }
}
