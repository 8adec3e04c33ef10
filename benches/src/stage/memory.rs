//! Resident memory with many endpoints, after a while of changes.
//!
//! The destination is the Consul of the tests, in this process: the real one needs half an hour to take in
//! 100,000 instances with checks on one node, and the program holds the same of both.

use std::time::Duration;

use consul_sync_consul::testing::FakeConsul;
use tokio::time::{Instant, sleep};

use crate::{
    error::{Error, Result},
    report::{Figure, Goal, Report},
    stage::Bench,
};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Lets it fill Consul, then changes endpoints for so long.
pub(crate) async fn measure(bench: &Bench, churn: Duration, report: &mut Report) -> Result<()> {
    let consul = FakeConsul::start().await;
    let consul = consul.map_err(Error::io("starting a Consul in memory"))?;
    let program = bench.run(&consul.url()).await?;
    let fleet = bench.cluster.fleet;
    let written = program
        .until_written(fleet.instances(), Duration::from_secs(600))
        .await?;
    let full = program.until_at_rest(Duration::from_secs(60)).await?;
    let begun = Instant::now();
    let mut made = 0;
    while begun.elapsed() < churn {
        let number = made % fleet.services;
        let (changes, _) = bench.cluster.next_change(number);
        bench.cluster.change(number, changes).await?;
        made += 1;
        sleep(Duration::from_millis(10)).await;
    }
    let after = program.until_at_rest(Duration::from_secs(60)).await?;
    let place = if bench.cluster.is_fake() {
        ", the API server of the tests"
    } else {
        ""
    };
    let name = |what: &str| {
        let instances = fleet.instances();
        format!("resident memory at {instances} endpoints{place}, {what}")
    };
    report.add(Figure {
        name: name("filled"),
        unit: "MiB",
        ours: Some(full.resident / MEBIBYTE),
        limit: None,
        goal: None,
    });
    report.add(Figure {
        name: name(&format!(
            "after {made} changes in {:.0} s",
            churn.as_secs_f64()
        )),
        unit: "MiB",
        ours: Some(after.resident / MEBIBYTE),
        limit: None,
        goal: Some(Goal::AtMost(64.0)),
    });
    report.add(Figure {
        name: name("at most at any time"),
        unit: "MiB",
        ours: program.most_resident().map(|bytes| bytes / MEBIBYTE),
        limit: None,
        goal: None,
    });
    report.add(Figure {
        name: format!(
            "processor time until {} endpoints are written",
            fleet.instances()
        ),
        unit: "s",
        ours: Some(written.cpu_seconds),
        limit: None,
        goal: None,
    });
    program.stop().await
}
