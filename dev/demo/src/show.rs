//! The order of the whole: servers, program, what Consul holds, the steps, the end.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use serde_json::Value;

use crate::{
    addresses,
    args::{Args, Choice},
    error::{Error, Result, ensure},
    holdings,
    program::{Binary, Direction, Program},
    report::{Millis, Report, Shown},
    servers::{self, Servers},
    signal::Signals,
    stage::Stage,
    steps,
    world::NAMESPACE,
};

/// Shows everything. Whatever was started has ended when this returns.
pub(crate) async fn run(args: Args) -> ExitCode {
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            anstream::eprintln!("demo: signals cannot be caught: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::to_stdout();
    let stage = tokio::select! {
        shown = show(&args, &mut report) => shown,
        signal = signals.next() => {
            anstream::eprintln!("\ndemo: stopped; nothing is left running");
            return ExitCode::from(128 + signal);
        }
    };
    let stage = match stage {
        Ok(stage) => stage,
        Err(error) => {
            anstream::eprintln!("demo: {}", error.in_full());
            return ExitCode::FAILURE;
        }
    };
    if args.keep {
        addresses::print(&stage, &mut report);
        signals.next().await;
        drop(stage);
        anstream::eprintln!("\ndemo: stopped; nothing is left running");
    }
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn show(args: &Args, report: &mut Report) -> Result<Stage> {
    let begun = Instant::now();
    let binary = Binary::locate(args.program.clone())?;
    let folder = folder()?;

    report.heading("consul-sync demo");
    let servers = Servers::start(args.servers, &folder).await?;
    report.fact(
        "Servers",
        format_args!(
            "{}, started in {:.1} s",
            servers.description,
            begun.elapsed().as_secs_f64()
        ),
    );
    if args.servers == Choice::Auto
        && let Some(missing) = servers::missing()
    {
        report.fact(
            "",
            format_args!("(of the real ones, {missing} cannot be found here;"),
        );
        report.fact(
            "",
            "make demo SERVERS=real builds them, once, and shows the same on them)",
        );
    }
    let services = Stage::set(&servers).await?;
    report.fact(
        "Cluster",
        format_args!(
            "2 nodes, {} Services of every type in namespace {NAMESPACE}",
            services.len()
        ),
    );

    // One account for both directions.
    let rbac = binary.print(&["rbac", "--to-k8s"]).await?;
    let policy = binary
        .print(&["rbac", "--to-k8s", "--consul-policy"])
        .await?;
    let access = servers.admit(&rbac, &policy).await?;
    if servers.are_real() {
        report.fact(
            "Rights",
            "on both sides only those that consul-sync rbac prints",
        );
    }
    let programs = [Direction::ToConsul, Direction::ToKubernetes].map(|direction| {
        let (binary, access) = (binary.clone(), access.clone());
        Program::new(binary, access, &servers.consul_url(), direction, &folder)
    });
    let [program, importer] = programs;
    let programs = [program?, importer?];
    report.fact("Log", shown(programs[0].log()).display());
    let mut stage = Stage::new(programs, servers, services);

    report.heading("consul-sync is started");
    report.command(stage.program.command_line());
    let started = start(&mut stage).await;
    if report.step("ready, and everything is registered", started) {
        let listed = first_listing(&mut stage, report).await;
        report.step(
            "as it should be, and consul-sync plan finds nothing to do",
            listed,
        );
        steps::run(&mut stage, report).await;
        for program in [&mut stage.program, &mut stage.importer] {
            if let Some(status) = program.ended() {
                let ended = Err(Error::wrong(format!("it ended: {status}")));
                report.step("consul-sync keeps running", ended);
            }
        }
    }
    report.summary(begun.elapsed());
    if !report.is_good() {
        for program in [&stage.program, &stage.importer] {
            let log = shown(program.log());
            report.heading(&format!("The end of {}", log.display()));
            report.block(program.log_tail().join("\n"));
        }
    }
    Ok(stage)
}

async fn start(stage: &mut Stage) -> Result<Shown> {
    let ready = stage.program.start().await?;
    stage.program.until_all_is_written().await?;
    let count = stage.catalog().all().await?.len();
    Ok(Shown::done().note(format!(
        "{count} instances; ready {} after its start",
        Millis(ready)
    )))
}

/// Shows what Consul holds at first and what it does not, with the reasons.
async fn first_listing(stage: &mut Stage, report: &mut Report) -> Result<Shown> {
    let instances = stage.catalog().all().await?;
    let (plan, code) = stage.program.plan(&["--json"]).await?;
    let plan: Value = serde_json::from_str(&plan)
        .map_err(|error| Error::wrong(format!("plan --json is no JSON: {error}")))?;

    report.heading("What Consul holds now");
    report.block(holdings::held(&instances, stage.services()));
    report.heading("What it does not hold, and why");
    report.block(holdings::absent(&plan, stage.services()));
    report.gap();

    holdings::as_expected(&instances, stage.services())?;
    ensure(code == Some(0), || {
        format!(
            "plan finds more to do and ends with {code:?}: {}",
            plan["summary"]
        )
    })?;
    let rejected = plan["rejected"].as_array().map_or(0, Vec::len);
    ensure(rejected == 1, || {
        format!("one Service should be rejected, not {}", plan["rejected"])
    })?;
    Ok(Shown::done())
}

/// Where the demo's files are: beside the folder of programs, as part of what a build leaves.
fn folder() -> Result<PathBuf> {
    let own = env::current_exe()
        .map_err(|source| Error::io("finding this program's own file", source))?;
    let folder = own.with_file_name("demo");
    fs::create_dir_all(&folder)
        .map_err(|source| Error::io(format!("creating {}", folder.display()), source))?;
    Ok(folder)
}

/// A path as short as it can be from here.
fn shown(path: &Path) -> &Path {
    let here = env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok())
        .unwrap_or(path)
}
