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
use tracing::{debug, info, warn};

use crate::{chain::Chain, metrics::Counters, narrate::Narrator};

/// Feeds log lines and counters. Trouble of a side as a whole is told by the [`Narrator`], once.
#[derive(Debug)]
pub(crate) struct Reporter {
    counters: Counters,
    narrator: Arc<Narrator>,
    /// What was told of the brake last: a release is reported by the person's hand and by the engine.
    brake_engaged: AtomicBool,
    /// Namespaces of which it was told that they have more services than they may: one line each, not one for each
    /// of 100,000 services.
    over_quota: Mutex<BTreeSet<Arc<str>>>,
}

impl Reporter {
    pub(crate) fn new(counters: Counters, narrator: Arc<Narrator>) -> Self {
        Self {
            counters,
            narrator,
            brake_engaged: AtomicBool::new(false),
            over_quota: Mutex::default(),
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
        self.counters.error(side, error);
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
                "service cannot be used; its last good registration stays"
            );
        } else if reason != Reason::OverQuota || self.is_news(key.namespace()) {
            warn!(
                service = %key,
                reason = reason.as_str(),
                detail = %rejection,
                "service must not be registered"
            );
        } else {
            debug!(service = %key, reason = reason.as_str(), "service must not be registered");
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
            "registration was refused; it is tried again later, the others go on"
        );
    }

    fn operation(&self, slot: &Slot, id: &RecordId, verb: &'static str, outcome: &'static str) {
        debug!(service = %slot, id = %id, verb, outcome, "operation");
    }

    fn applied(&self, report: &BatchReport) {
        self.counters.applied(report);
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
                "brake engaged: too many registrations would vanish at once, so deletes stop and everything else goes \
                 on; if they are meant, run consul-sync release-brake"
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
