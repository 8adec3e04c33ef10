//! The engines' status as gauges, read when somebody scrapes.

use std::fmt;

use consul_sync_core::{Pending, Reason, Side, SyncStatus};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use tokio::sync::watch;

use super::DIRECTION;
use crate::stage::Stage;

/// Reads the stage at each scrape, so that nothing has to keep gauges up to date.
#[derive(Debug)]
pub(super) struct Snapshot {
    stage: watch::Receiver<Stage>,
}

/// One engine at one moment.
struct Seen {
    direction: &'static str,
    is_leading: bool,
    status: SyncStatus,
}

struct Gauges<'a> {
    encoder: DescriptorEncoder<'a>,
    engines: Vec<Seen>,
}

type Label = (&'static str, &'static str);

impl Snapshot {
    pub(super) fn new(stage: watch::Receiver<Stage>) -> Self {
        Self { stage }
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let seen = |engine: &crate::stage::Engine| Seen {
            direction: engine.direction.as_str(),
            is_leading: engine.is_leading(),
            status: engine.status.borrow().clone(),
        };
        let engines = self.stage.borrow().engines().iter().map(seen).collect();
        Gauges { encoder, engines }.write()
    }
}

impl Gauges<'_> {
    fn write(mut self) -> fmt::Result {
        let ready = self.engines.iter().all(|seen| seen.status.is_ready());
        let ready = u64::from(ready && !self.engines.is_empty());
        self.encoder
            .encode_descriptor(
                "ready",
                &sentence("Whether both sides of every direction that runs were listed once"),
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&ready)?;
        // Without an engine nothing is known, and a zero would be a claim.
        if self.engines.is_empty() {
            return Ok(());
        }
        self.one(
            "leading",
            "Whether this process may write: one that takes part in no election always may",
            |seen| usize::from(seen.is_leading),
        )?;
        self.work()?;
        self.brake()?;
        self.sides()?;
        self.lag()
    }

    fn work(&mut self) -> fmt::Result {
        self.status(
            "services",
            "Services that the source wants known",
            |status| status.services,
        )?;
        self.family(
            "records",
            "Records in the sink, by whose they are",
            "standing",
            |status| {
                vec![
                    ("owned", status.owned),
                    ("orphan", status.orphans),
                    ("foreign", status.foreign),
                ]
            },
        )?;
        self.status(
            "pending_slots",
            "Names that wait for a comparison, a write, its answer or a read",
            |status| status.pending_slots,
        )?;
        self.status(
            "in_flight_operations",
            "Operations that were handed out and not answered",
            |status| status.in_flight,
        )?;
        self.status(
            "blocked_records",
            "Records that are wanted where somebody else's stand",
            |status| status.blocked,
        )?;
        self.status(
            "quarantined_records",
            "Records that the sink refused and that wait to be tried again",
            |status| status.quarantined,
        )?;
        self.family(
            "rejected_services",
            "Services that cannot be used, by reason",
            "reason",
            |status| {
                let count = |reason| status.rejected.get(&reason).copied().unwrap_or(0);
                Reason::ALL
                    .map(|reason| (reason.as_str(), count(reason)))
                    .to_vec()
            },
        )
    }

    fn brake(&mut self) -> fmt::Result {
        self.status("brake_engaged", "Whether deletes are stopped", |status| {
            usize::from(status.brake.engaged)
        })?;
        self.status(
            "brake_held_deletes",
            "Deletes that are wanted and held back",
            |status| status.brake.held_deletes,
        )?;
        self.status(
            "brake_least_records",
            "The fewest owned records that may remain without a person's word",
            |status| status.brake.least,
        )
    }

    fn sides(&mut self) -> fmt::Result {
        let sides = |status: &SyncStatus| {
            [
                (Side::Source.as_str(), status.source.clone()),
                (Side::Sink.as_str(), status.sink.clone()),
            ]
        };
        self.family(
            "side_complete",
            "Whether what is known of a side is complete: deletes need both",
            "side",
            |status| {
                sides(status)
                    .map(|(side, known)| (side, usize::from(known.complete)))
                    .to_vec()
            },
        )?;
        self.family(
            "side_failing",
            "Whether the last thing heard of a side was an error",
            "side",
            |status| {
                sides(status)
                    .map(|(side, known)| (side, usize::from(known.error.is_some())))
                    .to_vec()
            },
        )?;
        self.family(
            "pending",
            "What is not done yet, by name",
            "what",
            |status| {
                let pending = status.pending();
                [
                    Pending::SourceListing,
                    Pending::SinkListing,
                    Pending::Slots,
                    Pending::Brake,
                ]
                .map(|what| (what.as_str(), usize::from(pending.contains(&what))))
                .to_vec()
            },
        )
    }

    fn lag(&mut self) -> fmt::Result {
        let known = self.engines.iter().filter_map(|seen| {
            let lag = seen.status.last_lag?;
            Some((seen.direction, lag))
        });
        let known: Vec<_> = known.collect();
        if known.is_empty() {
            return Ok(());
        }
        let mut family = self.encoder.encode_descriptor(
            "last_lag_seconds",
            &sentence("From the last change of the source to its being written"),
            None,
            MetricType::Gauge,
        )?;
        for (direction, lag) in known {
            let labels: [Label; 1] = [(DIRECTION, direction)];
            family
                .encode_family(&labels)?
                .encode_gauge(&lag.as_secs_f64())?;
        }
        Ok(())
    }

    /// One number of each engine's status.
    fn status(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&SyncStatus) -> usize,
    ) -> fmt::Result {
        self.one(name, help, |seen| value(&seen.status))
    }

    fn one(&mut self, name: &str, help: &str, value: impl Fn(&Seen) -> usize) -> fmt::Result {
        let mut family =
            self.encoder
                .encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?;
        for seen in &self.engines {
            let labels: [Label; 1] = [(DIRECTION, seen.direction)];
            family.encode_family(&labels)?.encode_gauge(&value(seen))?;
        }
        Ok(())
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Fn(&SyncStatus) -> Vec<(&'static str, usize)>,
    ) -> fmt::Result {
        let mut family =
            self.encoder
                .encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?;
        for seen in &self.engines {
            for (value, count) in values(&seen.status) {
                let labels: [Label; 2] = [(DIRECTION, seen.direction), (label, value)];
                family.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        Ok(())
    }
}

/// The registry ends its own help texts so.
fn sentence(help: &str) -> String {
    format!("{help}.")
}
