//! Commands that print what is known without any server: the settings, completions, the manual.

use clap::{Arg, builder::PossibleValuesParser, value_parser};
use clap_complete::Shell;

use super::command;

pub(super) fn config() -> clap::Command {
    clap::Command::new("config")
                    .about("Print the settings as they hold, and where each came from")
                    .long_about(
                        "Print the settings as they hold, and where each came from: a flag, an environment variable, a line of \
                         the settings file, or the default. Asks no server, and shows no secret.\n\nWhat it prints as text is a \
                         settings file again.",
                    )
                    .arg(
                        Arg::new("output")
                            .long("output")
                            .value_name("FORM")
                            .help("How it looks")
                            .default_value("text")
                            .value_parser(PossibleValuesParser::new(["text", "json"])),
                    )
                    .after_long_help(
                        "JSON: format (1), settings [{name, value (a text, true or false, a list of texts, or null where there is \
                         none or it is secret), source (flag, environment, file, default), from (the variable, or the file and \
                         its line, or null), secret}]. Later versions add fields and change none within a format.",
                    )
}

pub(super) fn completions() -> clap::Command {
    clap::Command::new("completions")
                .about("Print what makes a shell complete our commands and flags")
                .long_about(
                    "Print what makes a shell complete our commands and flags.\n\nbash: consul-sync completions bash > \
                     /etc/bash_completion.d/consul-sync\nzsh: consul-sync completions zsh > a folder of fpath/_consul-sync\nfish: \
                     consul-sync completions fish > ~/.config/fish/completions/consul-sync.fish",
                )
                .arg(
                    Arg::new("shell")
                        .required(true)
                        .value_name("SHELL")
                        .help("The shell")
                        .value_parser(value_parser!(Shell)),
                )
}

pub(super) fn man() -> clap::Command {
    clap::Command::new("man")
                .about("Print a page of the manual")
                .long_about(
                    "Print a page of the manual, of the program or of one of its commands.\n\nconsul-sync man run | man -l -",
                )
                .arg(
                    Arg::new("command")
                        .value_name("COMMAND")
                        .help("The command [default: the program as a whole]")
                        .value_parser(PossibleValuesParser::new(PAGES)),
                )
}

/// Commands that have a page of their own in the manual.
const PAGES: [&str; 8] = [
    "run",
    "plan",
    "check",
    "purge",
    "rbac",
    "release-brake",
    "config",
    "completions",
];

/// What a page of the manual is made of: the program, or one command under its whole name.
pub(in crate::args) fn page(of: Option<&str>) -> clap::Command {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    // Once built, it knows its whole name.
    let found = of.and_then(|name| program.find_subcommand(name)).cloned();
    found.unwrap_or(program)
}
