//! A restart with nothing changed, and a while in which nothing happens.

use std::time::Duration;

use consul_sync_testbed::Consul;
use tokio::time::sleep;

use crate::{
    catalog::Registered,
    error::{Error, Result},
    meter::Meter,
    report::{Figure, Goal, Report},
    stage::Bench,
};

/// Starts the program beside a catalog that is as it should be, and lets it run for so long.
pub(crate) async fn measure(
    bench: &Bench,
    consul: &Consul,
    length: Duration,
    report: &mut Report,
) -> Result<()> {
    let before = Registered::read(consul.client()).await?;
    let meter = Meter::start(consul.http_addr()).await?;
    let program = bench.run(&meter.url()).await?;
    let ready = program.started.elapsed().as_secs_f64();
    let started = program.until_quiet(Duration::from_secs(60)).await?;
    let name = |what: &str| bench.name(what);
    report.add(Figure {
        name: name("ready after a restart"),
        unit: "s",
        ours: Some(ready),
        limit: None,
        goal: None,
    });
    report.add(Figure {
        name: name("writes of a restart with nothing changed"),
        unit: "",
        ours: Some(started.writes),
        limit: Some(0.0),
        goal: Some(Goal::AtMost(0.0)),
    });

    let (requests, bytes) = meter.read();
    sleep(length).await;
    let (more_requests, more_bytes) = meter.read();
    let idle = program.read().await?;
    let minutes = length.as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let per_minute = |from: u64, to: u64| Some((to - from) as f64 / minutes);
    report.add(Figure {
        name: name("writes a minute while idle"),
        unit: "",
        ours: Some((idle.writes - started.writes) / minutes),
        limit: Some(0.0),
        goal: Some(Goal::AtMost(0.0)),
    });
    report.add(Figure {
        name: name("requests a minute while idle"),
        unit: "",
        ours: per_minute(requests, more_requests),
        limit: None,
        goal: None,
    });
    report.add(Figure {
        name: name("bytes read a minute while idle"),
        unit: "B",
        ours: per_minute(bytes, more_bytes),
        limit: None,
        goal: None,
    });
    report.add(Figure {
        name: name("processor time a minute while idle"),
        unit: "s",
        ours: Some((idle.cpu_seconds - started.cpu_seconds) / minutes),
        limit: None,
        goal: None,
    });
    report.add(Figure {
        name: name("resident memory after a restart"),
        unit: "MiB",
        ours: Some(idle.resident / (1024.0 * 1024.0)),
        limit: None,
        goal: None,
    });
    // The catalog itself says the same as the program's own count.
    let after = Registered::read(consul.client()).await?;
    if after.newest != before.newest {
        return Err(Error::wrong(format!(
            "something was written while nothing changed: the newest index went from {} to {}",
            before.newest, after.newest
        )));
    }
    program.stop().await
}
