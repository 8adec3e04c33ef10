//! What `/metrics` shows: the engine's status as gauges, what happened as counters, the process itself.
//!
//! What is about one direction has it as the label `direction` (`to_consul`, `to_k8s`); `ready` is about all that run.
//!
//! Every label is from a closed set. No label holds a name, an id or a text of an error, so that the number of
//! series does not depend on what users put into a cluster.

mod incumbent;
mod process;
mod snapshot;

use std::{fmt, sync::Arc, time::Duration};

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

pub(crate) use self::incumbent::{CONTENT_TYPE as INCUMBENT_CONTENT_TYPE, Incumbent};
use self::{process::Process, snapshot::Snapshot};
use crate::{direction::Direction, stage::Stage};

/// What a scraper must be told that it gets.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, &'static str); N];

type Timings = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// The label that tells the directions apart.
const DIRECTION: &str = "direction";

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

/// What the engine's reports are counted in.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    writes: Family<Labels<2>, Counter>,
    outcomes: Family<Labels<2>, Counter>,
    errors: Family<Labels<3>, Counter>,
    batches: Family<Labels<1>, Counter>,
    batch_seconds: Timings,
    lag_seconds: Timings,
    /// The same as the incumbent counts it.
    pub(crate) incumbent: Arc<Incumbent>,
}

// === impl Metrics ===

impl Metrics {
    /// Metrics of a process at this stage, with counters of these directions at zero.
    pub(crate) fn new(
        version: &'static str,
        stage: watch::Receiver<Stage>,
        directions: &[Direction],
    ) -> (Self, Counters) {
        let counters = Counters::new(directions);
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
    fn new(directions: &[Direction]) -> Self {
        let counters = Self {
            writes: Family::default(),
            outcomes: Family::default(),
            errors: Family::default(),
            batches: Family::default(),
            // 0.5 ms to 16 s.
            batch_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.0005, 2.0, 16))
            }),
            // 1 ms to 65 s: a change to its being written.
            lag_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 17))
            }),
            incumbent: Arc::default(),
        };
        for direction in directions {
            counters.begin((DIRECTION, direction.as_str()));
        }
        counters
    }

    /// A series that appears with its first event hides that event from a rate.
    fn begin(&self, direction: (&'static str, &'static str)) {
        for verb in ["create", "update", "adopt", "delete"] {
            drop(self.writes.get_or_create(&[direction, ("verb", verb)]));
        }
        for outcome in ["written", "stale", "refused", "skipped", "unknown"] {
            drop(
                self.outcomes
                    .get_or_create(&[direction, ("outcome", outcome)]),
            );
        }
        for side in [Side::Source, Side::Sink] {
            for kind in ErrorKind::ALL {
                drop(self.errors.get_or_create(&[
                    direction,
                    ("side", side.as_str()),
                    ("kind", kind.as_str()),
                ]));
            }
        }
        drop(self.batches.get_or_create(&[direction]));
        drop(self.batch_seconds.get_or_create(&[direction]));
        drop(self.lag_seconds.get_or_create(&[direction]));
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

    /// Counts an operation.
    pub(crate) fn operation(&self, direction: Direction, verb: &str, outcome: &str) {
        self.incumbent.operation(direction, verb, outcome);
    }

    /// Counts a batch.
    pub(crate) fn applied(&self, direction: Direction, report: &BatchReport) {
        let direction = (DIRECTION, direction.as_str());
        let verbs = [
            ("create", report.created),
            ("update", report.updated),
            ("adopt", report.adopted),
            ("delete", report.deleted),
        ];
        for (verb, count) in verbs {
            self.writes
                .get_or_create(&[direction, ("verb", verb)])
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
                .get_or_create(&[direction, ("outcome", outcome)])
                .inc_by(count as u64);
        }
        self.batches.get_or_create(&[direction]).inc();
        self.batch_seconds
            .get_or_create(&[direction])
            .observe(report.took.as_secs_f64());
        if report.written() > 0 && report.lag > Duration::ZERO {
            self.lag_seconds
                .get_or_create(&[direction])
                .observe(report.lag.as_secs_f64());
        }
    }

    /// Counts an error.
    pub(crate) fn error(&self, direction: Direction, side: Side, error: &AdapterError) {
        self.errors
            .get_or_create(&[
                (DIRECTION, direction.as_str()),
                ("side", side.as_str()),
                ("kind", error.kind().as_str()),
            ])
            .inc();
    }
}

#[cfg(test)]
mod tests;
