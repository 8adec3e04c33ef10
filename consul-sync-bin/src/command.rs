//! The commands, and what they share.

mod check;
mod config;
mod plan;
mod purge;
mod rbac;
mod run;

use std::{fmt::Display, io::Write, time::Duration};

use consul_sync_consul::Client as ConsulClient;
use consul_sync_core::AdapterError;
use tracing::{info, warn};

use crate::{
    args::{self, Asked, Command},
    chain::Chain,
    exit::Exit,
    log, release, wire,
};

/// What a logout may take: with the batch under way before, a stop stays within 5 s.
const LOGOUT: Duration = Duration::from_secs(1);

/// Carries a command out.
pub(crate) fn carry_out(asked: Asked) -> Exit {
    let Asked { command, notes } = asked;
    let wanted = command.log();
    let level = log::start(&wanted.level, wanted.format);
    if command.asks_servers() {
        for note in notes {
            info!("{note}");
        }
        for remark in args::remarks(std::env::vars_os()) {
            warn!("{remark}");
        }
    }
    let login = command.settings().and_then(wire::login);
    let done = match command {
        Command::Version => {
            print(concat!("consul-sync ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(Exit::Done)
        }
        Command::Config { settings, json } => config::render(&settings, json).map(|text| {
            print(&text);
            Exit::Done
        }),
        Command::Completions(shell) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut args::definition(), "consul-sync", &mut text);
            print(&String::from_utf8_lossy(&text));
            Ok(Exit::Done)
        }
        Command::Man(page) => manual(*page).map(|text| {
            print(&text);
            Exit::Done
        }),
        Command::Rbac {
            settings,
            consul_policy,
        } => {
            print(&rbac::render(&settings, consul_policy));
            Ok(Exit::Done)
        }
        Command::ReleaseBrake { listen, direction } => release::release_brake(listen, direction)
            .map(|answer| {
                print(&format!("{answer}\n"));
                Exit::Done
            }),
        Command::Run(settings) => wait_for(run::run(*settings, level), login),
        Command::Plan {
            settings,
            json,
            timeout,
        } => wait_for(plan::plan(*settings, json, timeout), login),
        Command::Check {
            settings,
            json,
            timeout,
        } => wait_for(check::check(*settings, json, timeout), login),
        Command::Purge {
            settings,
            unowned,
            only,
            yes,
            timeout,
        } => {
            let options = purge::Options {
                unowned,
                only,
                yes,
                timeout,
            };
            wait_for(purge::purge(*settings, options), login)
        }
    };
    done.unwrap_or_else(|message| {
        complain(&message);
        Exit::Failed
    })
}

/// One thread: the engine is one task and waits on the network most of the time; a second thread would only move
/// its work from one core's cache to another's. The admin server has a thread of its own, see there.
///
/// What was logged in is logged out after the work, whatever became of it.
fn wait_for(
    work: impl Future<Output = Result<Exit, String>>,
    login: Option<ConsulClient>,
) -> Result<Exit, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the system gives no event queue: {error}"))?;
    let done = runtime.block_on(async {
        let done = work.await;
        if let Some(login) = login {
            login.log_out(LOGOUT).await;
        }
        done
    });
    // A name lookup that hangs on another thread is not waited for.
    runtime.shutdown_background();
    done
}

fn manual(page: clap::Command) -> Result<String, String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .source(concat!("consul-sync ", env!("CARGO_PKG_VERSION")))
        .manual("consul-sync")
        .render(&mut text)
        .map_err(|error| format!("the page cannot be written: {error}"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Puts text on standard output, without colours where nobody sees them. A closed pipe is the reader's choice.
fn print(text: &str) {
    let _ = write!(anstream::stdout(), "{text}");
}

fn complain(message: impl Display) {
    let _ = writeln!(anstream::stderr(), "error: {message}");
}

/// Bounds the reading of both sides.
async fn within<T>(
    timeout: Duration,
    reading: impl Future<Output = Result<T, AdapterError>>,
) -> Result<T, String> {
    match tokio::time::timeout(timeout, reading).await {
        Ok(read) => read.map_err(|error| Chain(&error).to_string()),
        Err(_) => Err(format!(
            "no complete listing within {}; consul-sync check tells which side is at fault, and --timeout gives more time",
            humantime::format_duration(timeout)
        )),
    }
}
