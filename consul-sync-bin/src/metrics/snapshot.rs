//! The engine's status as gauges, read when somebody scrapes.

use std::{fmt, time::Duration};

use consul_sync_core::{Pending, Reason, Side, SyncStatus};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use tokio::sync::watch;

use crate::stage::Stage;

/// Reads the stage at each scrape, so that nothing has to keep gauges up to date.
#[derive(Debug)]
pub(super) struct Snapshot {
    stage: watch::Receiver<Stage>,
}

struct Gauges<'a>(DescriptorEncoder<'a>);

type Label = (&'static str, &'static str);

impl Snapshot {
    pub(super) fn new(stage: watch::Receiver<Stage>) -> Self {
        Self { stage }
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let (status, leading) = {
            let stage = self.stage.borrow();
            (stage.status(), stage.is_leading())
        };
        let mut gauges = Gauges(encoder);
        let ready = status.as_ref().is_some_and(SyncStatus::is_ready);
        gauges.one(
            "ready",
            "Whether both sides were listed once",
            u64::from(ready),
        )?;
        // Without an engine nothing is known, and a zero would be a claim.
        let Some(status) = status else { return Ok(()) };
        gauges.one(
            "leading",
            "Whether this process may write: one that takes part in no election always may",
            u64::from(leading),
        )?;
        gauges.status(&status)
    }
}

impl Gauges<'_> {
    fn status(&mut self, status: &SyncStatus) -> fmt::Result {
        self.one(
            "services",
            "Services that the source wants known",
            status.services,
        )?;
        self.family(
            "records",
            "Records in the sink, by whose they are",
            "standing",
            &[
                ("owned", status.owned),
                ("orphan", status.orphans),
                ("foreign", status.foreign),
            ],
        )?;
        self.one(
            "pending_slots",
            "Names that wait for a comparison, a write, its answer or a read",
            status.pending_slots,
        )?;
        self.one(
            "in_flight_operations",
            "Operations that were handed out and not answered",
            status.in_flight,
        )?;
        self.one(
            "blocked_records",
            "Records that are wanted where somebody else's stand",
            status.blocked,
        )?;
        self.one(
            "quarantined_records",
            "Records that the sink refused and that wait to be tried again",
            status.quarantined,
        )?;
        let rejected = Reason::ALL.map(|reason| {
            (
                reason.as_str(),
                status.rejected.get(&reason).copied().unwrap_or(0),
            )
        });
        self.family(
            "rejected_services",
            "Services that cannot be used, by reason",
            "reason",
            &rejected,
        )?;
        self.one(
            "brake_engaged",
            "Whether deletes are stopped",
            u64::from(status.brake.engaged),
        )?;
        self.one(
            "brake_held_deletes",
            "Deletes that are wanted and held back",
            status.brake.held_deletes,
        )?;
        self.one(
            "brake_least_records",
            "The fewest owned records that may remain without a person's word",
            status.brake.least,
        )?;
        let sides = [(Side::Source, &status.source), (Side::Sink, &status.sink)];
        let complete = sides.map(|(side, known)| (side.as_str(), usize::from(known.complete)));
        self.family(
            "side_complete",
            "Whether what is known of a side is complete: deletes need both",
            "side",
            &complete,
        )?;
        let failing =
            sides.map(|(side, known)| (side.as_str(), usize::from(known.error.is_some())));
        self.family(
            "side_failing",
            "Whether the last thing heard of a side was an error",
            "side",
            &failing,
        )?;
        let pending = status.pending();
        let pending = [
            Pending::SourceListing,
            Pending::SinkListing,
            Pending::Slots,
            Pending::Brake,
        ]
        .map(|what| (what.as_str(), usize::from(pending.contains(&what))));
        self.family("pending", "What is not done yet, by name", "what", &pending)?;
        if let Some(lag) = status.last_lag {
            self.seconds(
                "last_lag_seconds",
                "From the last change of the source to its being written",
                lag,
            )?;
        }
        Ok(())
    }

    fn one(&mut self, name: &str, help: &str, value: impl TryInto<u64>) -> fmt::Result {
        let value = value.try_into().unwrap_or(u64::MAX);
        self.0
            .encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    fn seconds(&mut self, name: &str, help: &str, value: Duration) -> fmt::Result {
        self.0
            .encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?
            .encode_gauge(&value.as_secs_f64())
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: &[(&'static str, usize)],
    ) -> fmt::Result {
        let mut family =
            self.0
                .encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?;
        for (value, count) in values {
            let labels: [Label; 1] = [(label, value)];
            family.encode_family(&labels)?.encode_gauge(count)?;
        }
        Ok(())
    }
}

/// The registry ends its own help texts so.
fn sentence(help: &str) -> String {
    format!("{help}.")
}
