//! The engine's reports, once: as log lines and as counts.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use consul_sync_core::{
    AdapterError, BatchReport, BrakeStatus, Key, Observer, Reason, RecordId, Rejection, Side, Slot,
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, info, warn};

use crate::{chain::Chain, direction::Direction, metrics::Counters, narrate::Narrator};

/// Feeds log lines and counters. Trouble of a side as a whole is told by the [`Narrator`], once.
#[derive(Debug)]
pub(crate) struct Reporter {
    direction: Direction,
    counters: Counters,
    narrator: Arc<Narrator>,
    /// What was told of the brake last: a release is reported by the person's hand and by the engine.
    brake_engaged: AtomicBool,
    /// Namespaces of which it was told that they have more services than they may: one line each, not one for each
    /// of 100,000 services.
    over_quota: Mutex<BTreeSet<Arc<str>>>,
    /// Where it goes that somebody else's record is in the way, where anybody tells its owner. What waits there is bounded
    /// by the number of slots, as each is told once.
    in_the_way: Option<UnboundedSender<Slot>>,
}

impl Reporter {
    pub(crate) fn new(
        direction: Direction,
        counters: Counters,
        narrator: Arc<Narrator>,
        in_the_way: Option<UnboundedSender<Slot>>,
    ) -> Self {
        Self {
            direction,
            in_the_way,
            counters,
            narrator,
            brake_engaged: AtomicBool::new(false),
            over_quota: Mutex::default(),
        }
    }

    fn must_not(&self) -> &'static str {
        match self.direction {
            Direction::ToConsul => "service must not be registered",
            Direction::ToK8s => "service must not be written",
        }
    }

    /// Whether this is the first that is told of the namespace.
    fn is_news(&self, namespace: &Arc<str>) -> bool {
        let mut told = self
            .over_quota
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        told.insert(Arc::clone(namespace))
    }
}

impl Observer for Reporter {
    fn error(&self, side: Side, error: &AdapterError) {
        self.counters.error(self.direction, side, error);
        self.narrator.error(side, error);
        debug!(side = side.as_str(), kind = error.kind().as_str(), error = %Chain(error), "error");
    }

    fn rejected(&self, key: &Key, rejection: &Rejection) {
        let reason = rejection.reason();
        if !reason.withdraws() {
            warn!(
                service = %key,
                reason = reason.as_str(),
                detail = %rejection,
                "service cannot be used; its last good {} stays",
                self.direction.record()
            );
        } else if reason != Reason::OverQuota || self.is_news(key.namespace()) {
            warn!(
                service = %key,
                reason = reason.as_str(),
                detail = %rejection,
                "{}",
                self.must_not()
            );
        } else {
            debug!(service = %key, reason = reason.as_str(), "{}", self.must_not());
        }
    }

    fn accepted(&self, key: &Key) {
        info!(service = %key, "service is usable again, or gone");
    }

    fn quarantined(&self, slot: &Slot, id: &RecordId, rejection: &Rejection) {
        warn!(
            service = %slot,
            id = %id,
            reason = rejection.reason().as_str(),
            detail = %rejection,
            "{} was refused; it is tried again later, the others go on",
            self.direction.record()
        );
    }

    fn blocked(&self, slot: &Slot, id: &RecordId) {
        debug!(service = %slot, id = %id, "somebody else's stands in its place, and is left alone");
        if let Some(in_the_way) = &self.in_the_way {
            // Fails only when the process ends.
            let _ = in_the_way.send(slot.clone());
        }
    }

    fn operation(&self, slot: &Slot, id: &RecordId, verb: &'static str, outcome: &'static str) {
        self.counters.operation(self.direction, verb, outcome);
        debug!(service = %slot, id = %id, verb, outcome, "operation");
    }

    fn applied(&self, report: &BatchReport) {
        self.counters.applied(self.direction, report);
        if report.written() == 0 {
            debug!(
                stale = report.stale,
                refused = report.refused,
                skipped = report.skipped,
                unknown = report.unknown,
                "batch wrote nothing"
            );
            return;
        }
        let not_written = report.stale + report.refused + report.skipped + report.unknown;
        info!(
            created = report.created,
            updated = report.updated,
            adopted = report.adopted,
            deleted = report.deleted,
            // Left out when it is none: a line is read by people.
            not_written = (not_written > 0).then_some(not_written),
            took_ms = millis(report.took),
            lag_ms = millis(report.lag),
            "written"
        );
    }

    fn brake(&self, status: &BrakeStatus) {
        if self.brake_engaged.swap(status.engaged, Ordering::Relaxed) == status.engaged {
            return;
        }
        if status.engaged {
            warn!(
                held = status.held_deletes,
                least = status.least,
                "brake engaged: too many {}s would vanish at once, so deletes stop and everything else goes on; if they \
                 are meant, run consul-sync release-brake",
                self.direction.record()
            );
        } else {
            info!("brake released");
        }
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    // Three places, as a number that JSON readers can sum up.
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
