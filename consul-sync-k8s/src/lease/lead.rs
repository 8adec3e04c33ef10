//! Leading: renewing the Lease, and what ends that.

use std::time::Duration;

use consul_sync_core::ElectionState;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Inner, record::Record};
use crate::watch::Problem;

/// Pauses between renewals that failed are no longer.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why the lead is over.
#[derive(Debug)]
pub(super) enum End {
    /// The process stops.
    Shutdown,
    /// Somebody else is named in the Lease.
    Taken(String),
    /// The Lease is gone.
    Deleted,
    /// It could not be renewed in time: somebody else may take it any moment.
    NotRenewed(Option<Problem>),
}

// === impl End ===

impl End {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Shutdown => "the process stops".to_owned(),
            Self::Taken(holder) if holder.is_empty() => {
                "the lease was taken away by somebody else".to_owned()
            }
            Self::Taken(holder) => format!("the lease was taken by {holder}"),
            Self::Deleted => "the lease was deleted".to_owned(),
            Self::NotRenewed(None) => "the lease was not renewed in time".to_owned(),
            Self::NotRenewed(Some(problem)) => {
                format!("the lease could not be renewed in time: {}", problem.error)
            }
        }
    }
}

/// Leads until it is over, with the gate open meanwhile. `renewed`: when the holding of this record was asked for.
pub(super) async fn lead(lease: &Inner, mut record: Record, mut renewed: Instant) -> End {
    let Inner {
        requests,
        settings,
        held,
        state,
    } = lease;
    held.open(record.term(), renewed + settings.validity());
    state.send_replace(ElectionState::Leading);
    tracing::info!(lease = lease.path(), "leading");
    let mut next = renewed + settings.period();
    let mut trouble = None;
    let end = loop {
        let until = renewed + settings.validity();
        sleep_until(next.min(until)).await;
        let asked = Instant::now();
        if asked >= until {
            break End::NotRenewed(trouble);
        }
        let limit = until.min(asked + settings.period());
        let renewal = record.held_by(settings, requests.now());
        match timeout_at(limit, renew(lease, &renewal)).await {
            Ok(Ok(Renewed::Held(newer))) => {
                record = newer;
                renewed = asked;
                held.extend(renewed + settings.validity());
                next = asked + settings.period();
                trouble = None;
                continue;
            }
            // Changed by somebody who left us in it: at once again, on what it is now.
            Ok(Ok(Renewed::Changed(newer))) => {
                record = newer;
                next = asked;
                continue;
            }
            Ok(Ok(Renewed::Lost(end))) => break end,
            Ok(Err(problem)) => trouble = Some(problem),
            Err(_) => {}
        }
        next = Instant::now() + LONGEST_PAUSE.min(settings.period() / 4);
    };
    held.shut();
    end
}

/// What a renewal met.
#[derive(Debug)]
enum Renewed {
    /// It is ours, as it is now.
    Held(Record),
    /// It is ours, and somebody changed something else of it.
    Changed(Record),
    /// It is not ours any more.
    Lost(End),
}

async fn renew(lease: &Inner, renewal: &Record) -> Result<Renewed, Problem> {
    if let Some(record) = lease.requests.update(renewal).await? {
        return Ok(Renewed::Held(record));
    }
    Ok(match lease.requests.get().await? {
        None => Renewed::Lost(End::Deleted),
        Some(record) if record.holder() == lease.settings.identity() => Renewed::Changed(record),
        Some(record) => Renewed::Lost(End::Taken(record.holder().to_owned())),
    })
}
