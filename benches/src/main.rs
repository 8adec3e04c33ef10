//! Measures consul-sync on real servers: `make bench`.
//!
//! Real programs against real servers, ours and the least that any program would need in the same run. Figures are
//! medians; machines are shared, so a ratio says more than a time. Timing belongs here and not in tests, which count
//! work instead; `cargo bench -p consul-sync-benches` times the engine alone.

mod args;
mod catalog;
mod cluster;
mod error;
mod fleet;
mod loader;
mod meter;
mod processor;
mod program;
mod registry;
mod report;
mod shown;
mod stage;
mod stats;

use std::{fs, future::pending, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use consul_sync_testbed::{Consul, ConsulVersion, Program as Server, Programs};
use tokio::{
    select,
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
};

use crate::{
    args::{Args, Size, Stage},
    cluster::Cluster,
    error::{Error, Result},
    fleet::Fleet,
    meter::Meter,
    report::Report,
    stage::{Bench, Checks, Place},
};

/// Changes a second, and for how long.
const CHANGES: (u32, Duration) = (50, Duration::from_secs(20));
/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let measured = select! {
        measured = run(&args) => measured,
        // What was started ends with what holds it.
        () = interrupted() => Err(Error::wrong("interrupted")),
    };
    match measured {
        Ok(report) => {
            println!("{report}");
            if report.is_met() {
                return ExitCode::SUCCESS;
            }
            eprintln!("some goals are not met");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A signal that asks to end.
async fn interrupted() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            select! {
                _ = terminate.recv() => (),
                _ = ctrl_c() => (),
            }
        }
        Err(_) => pending().await,
    }
}

async fn run(args: &Args) -> Result<Report> {
    let mut needed = vec![Server::Etcd, Server::KubeApiserver];
    needed.extend(ConsulVersion::ALL.map(Server::Consul));
    for server in needed {
        Programs::locate().path(server)?;
    }
    let program = program::locate(args.program.clone())?;
    let mut report = Report::new(machine());
    let mut fleet = args.size.fleet();
    let is_needed = [Stage::Cold, Stage::Changes, Stage::Rest]
        .into_iter()
        .any(|stage| args.measures(stage));
    let mut cluster = if is_needed {
        Some(Cluster::start(fleet).await?)
    } else {
        None
    };
    for (version, checks) in catalogs(args.size) {
        let Some(filled) = cluster.take() else { break };
        let bench = Arc::new(Bench {
            place: Place::new(program.clone(), version)?,
            cluster: filled,
            checks,
        });
        eprintln!("Consul {version}, {checks}");
        let mut full = None;
        if args.measures(Stage::Cold) {
            let rounds = rounds(args.size, checks);
            full = stage::cold::measure(&bench, rounds, &mut report).await?;
        }
        if args.measures(Stage::Changes) || args.measures(Stage::Rest) {
            running(args, &bench, full, &mut report).await?;
        }
        cluster = Some(again(bench)?.cluster);
    }
    if args.measures(Stage::Import) {
        let place = Place::new(program.clone(), ConsulVersion::default())?;
        stage::import::measure(&place, args.size.fleet(), &mut report).await?;
    }
    if args.measures(Stage::Memory) {
        if args.size != Size::Small {
            fleet = Size::Large.fleet();
        }
        memory(args, program, cluster, fleet, &mut report).await?;
    }
    if let Some(path) = &args.json {
        let text = format!("{:#}\n", report.json());
        fs::write(path, text).map_err(Error::io(format!("writing {}", path.display())))?;
    }
    Ok(report)
}

/// What is measured: the newest Consul first. 100,000 checks on one node are hours of Consul's own work.
fn catalogs(size: Size) -> impl Iterator<Item = (ConsulVersion, Checks)> {
    const ALL: &[Checks] = &[Checks::Failing, Checks::Always];
    let layouts = if size == Size::Large { &ALL[..1] } else { ALL };
    let versions = ConsulVersion::ALL.into_iter().rev();
    versions.flat_map(move |version| layouts.iter().map(move |checks| (version, *checks)))
}

/// How often what takes seconds is repeated, and what takes a minute is not.
fn rounds(size: Size, checks: Checks) -> usize {
    let is_long = size == Size::Large || (size == Size::Normal && checks == Checks::Always);
    if is_long { 1 } else { 3 }
}

/// What needs a catalog that is already as it should be, as one may be.
async fn running(
    args: &Args,
    bench: &Arc<Bench>,
    full: Option<Consul>,
    report: &mut Report,
) -> Result<()> {
    let is_full = full.is_some();
    let consul = match full {
        Some(consul) => consul,
        None => bench.consul().await?,
    };
    let meter = Meter::start(consul.http_addr()).await?;
    let program = bench.run(&meter.url()).await?;
    if is_full {
        program.until_quiet(Duration::from_secs(60)).await?;
    } else {
        let instances = bench.cluster.fleet.instances();
        program.until_written(instances, stage::cold::LIMIT).await?;
    }
    if args.measures(Stage::Changes) {
        let parts = (&consul, &program, &meter);
        stage::changes::measure(Arc::clone(bench), parts, CHANGES, report).await?;
        program.until_quiet(Duration::from_secs(60)).await?;
    }
    program.stop().await?;
    if args.measures(Stage::Rest) {
        stage::rest::measure(bench, &consul, IDLE, report).await?;
    }
    Ok(())
}

async fn memory(
    args: &Args,
    program: std::path::PathBuf,
    cluster: Option<Cluster>,
    fleet: Fleet,
    report: &mut Report,
) -> Result<()> {
    let cluster = match cluster {
        Some(cluster) if cluster.fleet == fleet => cluster,
        _ if args.fake_cluster || args.size != Size::Large => Cluster::start_fake(fleet).await?,
        _ => Cluster::start(fleet).await?,
    };
    let bench = Bench {
        place: Place::new(program, ConsulVersion::default())?,
        cluster,
        checks: Checks::Always,
    };
    let minutes = if args.size == Size::Large { 10 } else { 1 };
    stage::memory::measure(&bench, Duration::from_secs(60 * minutes), report).await
}

/// The bench alone, once nothing else uses it.
fn again(bench: Arc<Bench>) -> Result<Bench> {
    Arc::try_unwrap(bench).map_err(|_| Error::wrong("a measurement has not ended"))
}

/// What the figures were measured on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores of {model}, Linux {}", release.trim())
}
