//! The command line and the environment, read into [`Command`].
//!
//! `clap` knows the subcommands and the names of the flags and writes the help; what a value means is read by
//! [`Settings::read`] from the same table, whoever gave it.

pub(crate) mod given;
pub(crate) mod setting;
pub(crate) mod table;
pub(crate) mod value;

use std::{ffi::OsString, fmt, net::SocketAddr, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, error::ErrorKind};

use self::{
    given::{BadValues, Given},
    setting::{PREFIX, Row, Section, Shape},
};
use crate::{
    exit::Exit,
    settings::{LogSettings, Settings},
};

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Keep Consul as the cluster wants it.
    Run(Box<Settings>),
    /// Show what `run` would do.
    Plan {
        /// What to plan for.
        settings: Box<Settings>,
        /// As JSON.
        json: bool,
        /// How long both sides may take to be read.
        timeout: Duration,
    },
    /// Find out whether `run` could work.
    Check {
        /// What to check for.
        settings: Box<Settings>,
        /// As JSON.
        json: bool,
        /// How long it may take.
        timeout: Duration,
    },
    /// Delete what is ours.
    Purge {
        /// Where.
        settings: Box<Settings>,
        /// What is nobody's as well.
        unowned: bool,
        /// Without asking.
        yes: bool,
        /// How long reading may take.
        timeout: Duration,
    },
    /// Print the rights that `run` needs.
    Rbac {
        /// With which settings.
        settings: Box<Settings>,
        /// Consul's, in place of Kubernetes'.
        consul_policy: bool,
    },
    /// Let the deletes go that a running process holds.
    ReleaseBrake {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// Print the version.
    Version,
}

/// Why there is no command to carry out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Help, or words that are no command.
    Usage(clap::Error),
    /// Values that cannot be used, of this subcommand.
    Values(String, BadValues),
}

/// Reads a command from the arguments and the environment.
///
/// # Errors
/// What is to be printed in place of doing anything.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, Refusal> {
    let matches = command()
        .try_get_matches_from(arguments)
        .map_err(Refusal::Usage)?;
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(Command::Version);
    };
    if name == "version" {
        return Ok(Command::Version);
    }
    let mut given = Given::collect(table::ALL, |row| texts(matches, row), variable);
    let settings = Settings::read(&mut given, name == "run");
    let timeout = given.one(&table::TIMEOUT);
    let listen = settings.listen;
    if name == "release-brake" && listen.is_none() {
        given.refuse(
            &table::LISTEN,
            "expected the address of a running process, such as 127.0.0.1:8080",
        );
    }
    let settings = given
        .finish(settings)
        .map_err(|problems| Refusal::Values(name.to_owned(), problems))?;
    let settings = Box::new(settings);
    let flag = |name: &str| {
        matches
            .try_get_one::<bool>(name)
            .ok()
            .flatten()
            .copied()
            .unwrap_or(false)
    };
    Ok(match name {
        "run" => Command::Run(settings),
        "plan" => Command::Plan {
            settings,
            json: flag("json"),
            timeout,
        },
        "check" => Command::Check {
            settings,
            json: flag("json"),
            timeout,
        },
        "purge" => Command::Purge {
            settings,
            unowned: flag("unowned"),
            yes: flag("yes"),
            timeout,
        },
        "rbac" => Command::Rbac {
            settings,
            consul_policy: flag("consul-policy"),
        },
        _ => match listen {
            Some(listen) => Command::ReleaseBrake { listen },
            None => Command::Version,
        },
    })
}

/// Variables that look like ours and are none: mistyped ones, most likely.
///
/// Kubernetes sets such variables for a Service named `consul-sync`, and those are left out.
pub(crate) fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let ours: Vec<String> = table::ALL.iter().map(|row| row.variable()).collect();
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !ours.contains(name) && !is_injected(name))
        .collect();
    unknown.sort();
    unknown
}

fn is_injected(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest == "PORT"
        || ["PORT_", "SERVICE_HOST", "SERVICE_PORT"]
            .iter()
            .any(|start| rest.starts_with(start))
}

fn texts(matches: &ArgMatches, row: &Row) -> Option<Vec<String>> {
    let values = matches.try_get_many::<String>(row.name).ok()??;
    Some(values.cloned().collect())
}

// === impl Command ===

impl Command {
    /// How log lines look and which are shown.
    pub(crate) fn log(&self) -> LogSettings {
        match self {
            Self::Run(settings)
            | Self::Plan { settings, .. }
            | Self::Check { settings, .. }
            | Self::Purge { settings, .. }
            | Self::Rbac { settings, .. } => settings.log.clone(),
            Self::ReleaseBrake { .. } | Self::Version => LogSettings::default(),
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// Prints it, help to standard output and errors to standard error.
    pub(crate) fn report(&self) -> Exit {
        match self {
            Self::Usage(error) => {
                // A closed pipe is nothing that could be told to anybody.
                let _ = error.print();
                match error.kind() {
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                    _ => Exit::Failed,
                }
            }
            Self::Values(..) => {
                anstream::eprintln!("{self}");
                Exit::Failed
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write!(f, "{error}"),
            Self::Values(command, problems) => {
                for line in problems.to_string().lines() {
                    writeln!(f, "error: {line}")?;
                }
                write!(f, "\nSee consul-sync {command} --help.")
            }
        }
    }
}

// === clap ===

fn command() -> clap::Command {
    clap::Command::new("consul-sync")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps the services of a Kubernetes cluster registered in Consul, at once and safely")
        .after_help(
            "Every flag has a variable (see --help of a command); a flag beats a variable, and an empty variable counts \
             as unset.\nExit codes: 0 done or nothing to do, 1 failed or misused, 2 plan found changes.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(110)
        .subcommands([
            with_settings(
                clap::Command::new("run")
                    .about("Keep Consul as the cluster wants it, until SIGTERM")
                    .long_about(
                        "Keep Consul as the cluster wants it.\n\nIt starts while Kubernetes or Consul is away and waits for \
                         them, live and not ready. SIGTERM or SIGINT ends it within 5 s, after the batch under way, and \
                         deregisters nothing; a second signal ends it at once.",
                    ),
                &[Section::Kubernetes, Section::Export, Section::Consul, Section::Safety, Section::Process],
                false,
            ),
            with_settings(
                clap::Command::new("plan")
                    .about("Show what run would do, and write nothing")
                    .long_about(
                        "Show what run would do, and write nothing.\n\nExit code 0: nothing to do; 2: there are changes; 1: it \
                         failed.",
                    )
                    .arg(switch("json", "Print one JSON object"))
                    .after_long_help(
                        "JSON: format (1), owner, node, summary {create, update, adopt, delete}, unchanged, services [{name, \
                         operations [{verb, id, changes [{field, before, after}]}]}], rejected [{service, reason, detail}], \
                         blocked and orphans [{service, id}], brake (whether run would hold the deletes). Later versions add \
                         fields and change none within a format.",
                    ),
                &[Section::Kubernetes, Section::Export, Section::Consul, Section::Safety],
                true,
            ),
            with_settings(
                clap::Command::new("check")
                    .about("Find out whether run could work: reach, rights, and what is missing")
                    .long_about(
                        "Find out whether run could work: can both sides be reached, is every right there that these settings \
                         need, and what to do about what is missing. Writes nothing.\n\nExit code 0: all is well; 1: something is \
                         missing.",
                    )
                    .arg(switch("json", "Print one JSON object"))
                    .after_long_help(
                        "JSON: format (1), ok, checks [{side, name, state (ok, warning, failed, unknown), detail, fix}].",
                    ),
                &[Section::Kubernetes, Section::Export, Section::Consul],
                true,
            ),
            with_settings(
                clap::Command::new("purge")
                    .about("Delete every registration that is ours, after asking")
                    .long_about(
                        "Delete every registration that carries this owner's mark on the node; nothing else. It lists them and \
                         asks. Stop run before, or it registers them again.",
                    )
                    .arg(switch("unowned", "Also delete registrations that a synchroniser made and that carry nobody's mark"))
                    .arg(switch("yes", "Do not ask; needed where standard input is no terminal")),
                &[Section::Kubernetes, Section::Consul],
                true,
            ),
            with_settings(
                clap::Command::new("rbac")
                    .about("Print the least rights that run needs with these settings")
                    .long_about(
                        "Print the least rights that run needs with these settings, ready for kubectl apply -f -, or with \
                         --consul-policy for consul acl policy create -rules -. Asks no server.",
                    )
                    .arg(switch("consul-policy", "Print the rules of a Consul ACL policy in place of Kubernetes manifests")),
                &[Section::Export, Section::Consul],
                false,
            ),
            with_settings(
                clap::Command::new("release-brake")
                    .about("Confirm the deletes that a running process holds")
                    .long_about(
                        "Confirm the deletes that a running process holds because they were too many at once. Run it on the \
                         machine, or in the pod, of that process; it is POST /brake/release on its admin address, which answers \
                         to loopback alone.",
                    ),
                &[],
                false,
            )
            .mut_arg("listen", |arg| arg.hide(false)),
            clap::Command::new("version").about("Print the version"),
        ])
}

/// Every settings flag on every command, so that a command line or a pod's environment that works for one works
/// for all of them; the help shows those that matter to the command.
fn with_settings(command: clap::Command, sections: &[Section], has_timeout: bool) -> clap::Command {
    table::ALL.iter().fold(command, |command, row| {
        let is_shown = match row.name {
            "timeout" => has_timeout,
            // Logs matter to every command that talks to a server.
            "log-level" | "log-format" => !sections.is_empty(),
            _ => sections.contains(&row.section),
        };
        command.arg(argument(row).hide(!is_shown))
    })
}

fn argument(row: &Row) -> Arg {
    let arg = Arg::new(row.name)
        .long(row.name)
        .value_name(row.placeholder)
        .help(row.headline())
        .long_help(row.text())
        .help_heading(row.section.heading());
    match row.shape {
        Shape::One => arg.action(ArgAction::Set),
        Shape::Many => arg.action(ArgAction::Append),
        Shape::Switch => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

#[cfg(test)]
mod tests;
