//! Cold start: everything is in Kubernetes, nothing in Consul.

use std::time::Duration;

use consul_sync_testbed::Consul;

use crate::{
    catalog::{LogWatch, Registered},
    error::{Error, Result},
    loader,
    report::{Figure, Goal, Report},
    stage::Bench,
    stats::median,
};

/// How long the program may take; Consul's own work grows with the square of the instances on a node.
pub(crate) const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// Measures it this often, in turn with the loader, so that both meet the same machine. Where that is once, the Consul
/// that the program filled is left.
pub(crate) async fn measure(
    bench: &Bench,
    rounds: usize,
    report: &mut Report,
) -> Result<Option<Consul>> {
    let mut full = None;
    let (mut ours, mut theirs, mut ratios, mut cpu) = (vec![], vec![], vec![], vec![]);
    for round in 1..=rounds {
        let filled = bench.consul().await?;
        let (seconds, cpu_seconds, registered) = program(bench, &filled).await?;
        // Beside seconds of loading another server would be felt.
        full = (rounds == 1).then_some(filled);
        let consul = bench.consul().await?;
        // Consul is asked as often during both, how far it is.
        let watch = LogWatch::start(consul.client());
        let loaded = loader::load(consul.client(), &registered.writes).await?;
        watch.end();
        let loaded = loaded.as_secs_f64();
        eprintln!("  cold start {round}: {seconds:.2} s, the loader {loaded:.2} s");
        ours.push(seconds);
        theirs.push(loaded);
        ratios.push(loaded / seconds);
        cpu.push(cpu_seconds);
    }
    let name = |what: &str| bench.name(what);
    report.add(Figure {
        name: name("cold start"),
        unit: "s",
        ours: median(&ours),
        limit: median(&theirs),
        goal: None,
    });
    report.add(Figure {
        name: name("share of the bare loader's rate"),
        unit: "%",
        ours: median(&ratios).map(|ratio| ratio * 100.0),
        limit: Some(100.0),
        goal: Some(Goal::AtLeast(80.0)),
    });
    report.add(Figure {
        name: name("processor time of a cold start"),
        unit: "s",
        ours: median(&cpu),
        limit: None,
        goal: None,
    });
    Ok(full)
}

/// From the start of the process to the last registration in Consul's log.
async fn program(bench: &Bench, consul: &Consul) -> Result<(f64, f64, Registered)> {
    let watch = LogWatch::start(consul.client());
    let program = bench.run(consul.url()).await?;
    let wanted = bench.cluster.fleet.instances();
    let reading = program.until_written(wanted, LIMIT).await?;
    let registered = Registered::read(consul.client()).await?;
    let found = registered.writes.len();
    if found != wanted {
        return Err(Error::wrong(format!(
            "{found} instances are registered of {wanted}"
        )));
    }
    let passed = watch.passed(registered.newest).await?;
    let seconds = passed.duration_since(program.started).as_secs_f64();
    program.stop().await?;
    Ok((seconds, reading.cpu_seconds, registered))
}
