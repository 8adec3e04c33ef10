//! What the program can be asked for, with what each needs.

use std::{net::SocketAddr, time::Duration};

use clap_complete::Shell;

use super::given::Effective;
use crate::{
    direction::Direction,
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
        /// Only what this filter of Consul's selects.
        only: Option<String>,
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
        /// In which direction, where one is named.
        direction: Option<Direction>,
    },
    /// Print the settings as they hold.
    Config {
        /// Them, with where each came from.
        settings: Vec<Effective>,
        /// As JSON.
        json: bool,
    },
    /// Print what completes a command line.
    Completions(Shell),
    /// Print a page of the manual.
    Man(Box<clap::Command>),
    /// Print the version.
    Version,
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
            Self::ReleaseBrake { .. }
            | Self::Config { .. }
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Version => LogSettings::default(),
        }
    }

    /// The settings of a command that talks to servers.
    pub(crate) fn settings(&self) -> Option<&Settings> {
        match self {
            Self::Run(settings)
            | Self::Plan { settings, .. }
            | Self::Check { settings, .. }
            | Self::Purge { settings, .. } => Some(settings),
            _ => None,
        }
    }

    /// Whether it talks to servers.
    pub(crate) fn asks_servers(&self) -> bool {
        self.settings().is_some()
    }
}
