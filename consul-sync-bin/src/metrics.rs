//! What `/metrics` shows: the engine's status as gauges, what happened as counters, the process itself.
//!
//! Every label is from a closed set. No label holds a name, an id or a text of an error, so that the number of
//! series does not depend on what users put into a cluster.

mod process;
mod snapshot;

use std::{fmt, time::Duration};

use consul_sync_core::{AdapterError, BatchReport, ErrorKind, Side};
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use self::{process::Process, snapshot::Snapshot};
use crate::stage::Stage;

/// What a scraper must be told that it gets.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

/// What the engine's reports are counted in.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    writes: Family<Labels<1>, Counter>,
    outcomes: Family<Labels<1>, Counter>,
    errors: Family<Labels<2>, Counter>,
    batches: Counter,
    batch_seconds: Histogram,
    lag_seconds: Histogram,
}

// === impl Metrics ===

impl Metrics {
    /// Metrics of a process at this stage, with counters at zero.
    pub(crate) fn new(version: &'static str, stage: watch::Receiver<Stage>) -> (Self, Counters) {
        let counters = Counters::new();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let ours = registry.sub_registry_with_prefix("consul_sync");
        ours.register(
            "build",
            "The program's version",
            Info::new([("version", version)]),
        );
        counters.register(ours);
        ours.register_collector(Box::new(Snapshot::new(stage)));
        (Self { registry }, counters)
    }

    /// The text that a scraper reads.
    ///
    /// # Errors
    /// When a metric cannot be written, which no value of ours causes.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

// === impl Counters ===

impl Counters {
    fn new() -> Self {
        let counters = Self {
            writes: Family::default(),
            outcomes: Family::default(),
            errors: Family::default(),
            batches: Counter::default(),
            // 0.5 ms to 16 s.
            batch_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            // 1 ms to 65 s: a change to its being written.
            lag_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 17)),
        };
        // A series that appears with its first event hides that event from a rate.
        for verb in ["create", "update", "adopt", "delete"] {
            drop(counters.writes.get_or_create(&[("verb", verb)]));
        }
        for outcome in ["written", "stale", "refused", "skipped", "unknown"] {
            drop(counters.outcomes.get_or_create(&[("outcome", outcome)]));
        }
        for side in [Side::Source, Side::Sink] {
            for kind in ErrorKind::ALL {
                drop(
                    counters
                        .errors
                        .get_or_create(&[("side", side.as_str()), ("kind", kind.as_str())]),
                );
            }
        }
        counters
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "writes",
            "Records written, by what was done",
            self.writes.clone(),
        );
        registry.register(
            "outcomes",
            "Operations answered, by answer",
            self.outcomes.clone(),
        );
        registry.register(
            "errors",
            "Errors of a side as a whole, by kind",
            self.errors.clone(),
        );
        registry.register("batches", "Batches answered", self.batches.clone());
        registry.register_with_unit(
            "batch",
            "From handing a batch out to its answer",
            Unit::Seconds,
            self.batch_seconds.clone(),
        );
        registry.register_with_unit(
            "lag",
            "From the oldest change in a batch to its being written",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
    }

    /// Counts a batch.
    pub(crate) fn applied(&self, report: &BatchReport) {
        let verbs = [
            ("create", report.created),
            ("update", report.updated),
            ("adopt", report.adopted),
            ("delete", report.deleted),
        ];
        for (verb, count) in verbs {
            self.writes
                .get_or_create(&[("verb", verb)])
                .inc_by(count as u64);
        }
        let outcomes = [
            ("written", report.written()),
            ("stale", report.stale),
            ("refused", report.refused),
            ("skipped", report.skipped),
            ("unknown", report.unknown),
        ];
        for (outcome, count) in outcomes {
            self.outcomes
                .get_or_create(&[("outcome", outcome)])
                .inc_by(count as u64);
        }
        self.batches.inc();
        self.batch_seconds.observe(report.took.as_secs_f64());
        if report.written() > 0 && report.lag > Duration::ZERO {
            self.lag_seconds.observe(report.lag.as_secs_f64());
        }
    }

    /// Counts an error.
    pub(crate) fn error(&self, side: Side, error: &AdapterError) {
        self.errors
            .get_or_create(&[("side", side.as_str()), ("kind", error.kind().as_str())])
            .inc();
    }
}

#[cfg(test)]
mod tests;
