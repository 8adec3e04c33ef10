//! One look instead of a loop: plan, purge, and carrying a plan out.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::{AdapterError, BatchReport, Cost, Engine, ErrorKind, Op, Plan, Settings, Sink, Source};

/// What a [`Driver`](crate::Driver) would do now: reads both sides completely, and writes nothing.
///
/// It waits as long as a side takes to be listed; bound it with a timeout.
///
/// # Errors
/// The first error that either side reports.
///
/// # Examples
/// ```
/// use consul_sync_core::{Settings, plan, testing::{MemorySink, TableSource, service}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), consul_sync_core::AdapterError> {
/// let source = TableSource::default();
/// source.put(service("default/web", ["10.0.0.1"]));
/// let plan = plan(&source, &MemorySink::default(), &Settings::default()).await?;
/// assert_eq!(plan.summary().to_string(), "1 to add, 0 to change, 0 to delete");
/// # Ok(())
/// # }
/// ```
pub async fn plan<S: Source, K: Sink>(
    source: &S,
    sink: &K,
    settings: &Settings,
) -> Result<Plan<K::Record>, AdapterError> {
    let mut engine = Engine::new(sink, settings.clone());
    let (mut desired, mut actual) = (source.watch(), sink.watch());
    let now = Duration::ZERO;
    loop {
        let status = engine.status();
        if status.source.complete && status.sink.complete {
            return Ok(engine.plan(now));
        }
        tokio::select! {
            event = desired.next(), if !status.source.complete => {
                engine.source_event(event.ok_or_else(ended)??, now);
            }
            event = actual.next(), if !status.sink.complete => {
                engine.sink_event(event.ok_or_else(ended)??, now);
            }
        }
    }
}

/// The deletes of everything that is ours, and of orphans too when `unowned` is set.
///
/// # Errors
/// The first error that the sink reports.
pub async fn purge_plan<K: Sink>(sink: &K, unowned: bool) -> Result<Plan<K::Record>, AdapterError> {
    let mut engine = Engine::new(sink, Settings::default());
    let mut actual = sink.watch();
    while !engine.status().sink.complete {
        let event = actual.next().await.ok_or_else(ended)??;
        engine.sink_event(event, Duration::ZERO);
    }
    Ok(engine.purge(unowned))
}

/// Carries a plan out, batch by batch in its order. What has become stale since is left alone and counted.
///
/// # Errors
/// The first error of the sink as a whole; the operations before it are done.
pub async fn carry_out<K: Sink>(
    sink: &K,
    plan: Plan<K::Record>,
) -> Result<BatchReport, AdapterError> {
    let started = Instant::now();
    let mut report = BatchReport::default();
    let mut ops = plan.ops.into_iter().peekable();
    while ops.peek().is_some() {
        let mut batch: Vec<Op<K::Record>> = Vec::new();
        let mut left = sink.limits();
        while let Some(op) = ops.next_if(|op| batch.is_empty() || fits(sink.cost(op), left)) {
            let cost = sink.cost(&op);
            left.ops = left.ops.saturating_sub(cost.ops);
            left.bytes = left.bytes.saturating_sub(cost.bytes);
            batch.push(op);
        }
        let outcomes = sink.apply(&batch).await?;
        for (op, outcome) in batch.iter().zip(&outcomes) {
            report.count(op, outcome);
        }
    }
    report.took = started.elapsed();
    Ok(report)
}

fn fits(cost: Cost, left: Cost) -> bool {
    cost.ops <= left.ops && cost.bytes <= left.bytes
}

fn ended() -> AdapterError {
    AdapterError::new(
        ErrorKind::Incomplete,
        "the watch ended before its listing was complete",
    )
}
