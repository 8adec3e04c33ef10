//! The command line and the environment, read into [`Command`].
//!
//! `clap` knows the subcommands and the names of the flags and writes the help; what a value means is read by
//! [`Settings::read`] from the same table, whoever gave it.

mod command;
mod commands;
pub(crate) mod file;
pub(crate) mod given;
mod incumbent;
mod nearest;
#[cfg(test)]
mod reference;
mod remarks;
pub(crate) mod setting;
pub(crate) mod table;
pub(crate) mod value;

use std::{ffi::OsString, fmt, fs, io::Read, path::Path};

use clap::{ArgMatches, error::ErrorKind};

pub(crate) use self::{command::Command, remarks::remarks};
use self::{
    given::{BadValues, Given},
    incumbent::Refused,
    setting::Row,
};
use crate::{exit::Exit, settings::Settings};

/// Why there is no command to carry out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Help, or words that are no command.
    Usage(clap::Error),
    /// Values that cannot be used, of this subcommand.
    Values(String, BadValues),
    /// Flags of the incumbent that cannot be used.
    Incumbent(Refused),
}

/// What was asked for, and what to say before it is done.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    /// A line each.
    pub(crate) notes: Vec<String>,
}

/// Reads a command from the arguments and the environment, in our words or, after `sync-catalog`, in those of the incumbent.
///
/// # Errors
/// What is to be printed in place of doing anything.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Asked, Refusal> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some(flags) = incumbent::flags(&arguments).map_err(Refusal::Incumbent)? else {
        let command = parse(arguments, variable)?;
        let notes = Vec::new();
        return Ok(Asked { command, notes });
    };
    let text = |name: &str| variable(name).and_then(|text| text.into_string().ok());
    let ours = incumbent::translate(&flags, text).map_err(Refusal::Incumbent)?;
    let program = OsString::from("consul-sync");
    let arguments = ours.arguments.into_iter().map(OsString::from);
    let command = parse([program].into_iter().chain(arguments), variable)?;
    let notes = ours.notes;
    Ok(Asked { command, notes })
}

/// Reads a command from the arguments and the environment.
///
/// # Errors
/// What is to be printed in place of doing anything.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, Refusal> {
    let matches = commands::command()
        .try_get_matches_from(arguments)
        .map_err(Refusal::Usage)?;
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(Command::Version);
    };
    match name {
        "version" => return Ok(Command::Version),
        "completions" => {
            let shell = matches.get_one("shell").copied();
            return Ok(shell.map_or(Command::Version, Command::Completions));
        }
        "man" => {
            let of = matches.get_one::<String>("command").map(String::as_str);
            return Ok(Command::Man(Box::new(commands::page(of))));
        }
        _ => {}
    }
    let mut given = Given::collect(table::ALL, |row| texts(matches, row), variable);
    if let Some(path) = given.optional(&table::process::CONFIG) {
        match read_file(&path) {
            Ok(text) => given.add_file(table::ALL, &path, &text),
            Err(problem) => given.refuse(&table::process::CONFIG, problem),
        }
    }
    let settings = Settings::read(&mut given, matches!(name, "run" | "config"));
    let effective = given.effective(table::ALL);
    let timeout = given.one(&table::process::TIMEOUT);
    let (listen, direction) = (settings.listen, settings.direction);
    if name == "release-brake" && listen.is_none() {
        given.refuse(
            &table::process::LISTEN,
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
            only: matches
                .try_get_one::<String>("only")
                .ok()
                .flatten()
                .cloned(),
            yes: flag("yes"),
            timeout,
        },
        "config" => Command::Config {
            settings: effective,
            json: matches
                .get_one::<String>("output")
                .is_some_and(|form| form == "json"),
        },
        "rbac" => Command::Rbac {
            settings,
            consul_policy: flag("consul-policy"),
        },
        _ => match listen {
            Some(listen) => Command::ReleaseBrake { listen, direction },
            None => Command::Version,
        },
    })
}

/// The settings file's text.
fn read_file(path: &Path) -> Result<String, String> {
    let read = || {
        let mut text = String::new();
        fs::File::open(path)?
            .take(file::LIMIT + 1)
            .read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    match read() {
        Ok(text) if text.len() as u64 > file::LIMIT => {
            Err(format!("expected a file of at most {} bytes", file::LIMIT))
        }
        Ok(text) => Ok(text),
        Err(error) => Err(format!("expected a file that can be read: {error}")),
    }
}

/// The program's commands as `clap` has them, for what is made of their definition.
pub(crate) fn definition() -> clap::Command {
    commands::command()
}

fn texts(matches: &ArgMatches, row: &Row) -> Option<Vec<String>> {
    let values = matches.try_get_many::<String>(row.name).ok()??;
    Some(values.cloned().collect())
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
            Self::Incumbent(Refused::Help(text)) => {
                anstream::print!("{text}");
                Exit::Done
            }
            Self::Values(..) | Self::Incumbent(Refused::Bad(_)) => {
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
            Self::Incumbent(Refused::Help(text)) => f.write_str(text),
            Self::Incumbent(Refused::Bad(problem)) => write!(
                f,
                "error: {problem}\n\nSee consul-sync {} -h.",
                incumbent::COMMAND
            ),
            Self::Values(command, problems) => {
                for line in problems.to_string().lines() {
                    writeln!(f, "error: {line}")?;
                }
                write!(f, "\nSee consul-sync {command} --help.")
            }
        }
    }
}

#[cfg(test)]
mod tests;
