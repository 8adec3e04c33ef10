//! Log lines: where they go, how they look, which are shown.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::layer,
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which log lines are shown: one word for everything of ours, or directives in the form of `tracing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Level(String);

/// Changes the level of a running process.
#[derive(Clone, Debug)]
pub(crate) struct LevelControl(Handle<EnvFilter, Registry>);

/// Sends log lines to standard error, which leaves standard output to what a command prints.
pub(crate) fn start(level: &Level, format: Format) -> LevelControl {
    let (filter, handle) = reload::Layer::new(level.filter());
    let lines = layer().with_writer(io::stderr);
    let lines = match format {
        Format::Text => {
            let coloured = io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
            tracing_subscriber::Layer::boxed(lines.with_ansi(coloured).with_target(false))
        }
        Format::Json => tracing_subscriber::Layer::boxed(lines.json().flatten_event(true)),
    };
    // Fails only when a subscriber was set before, and then that one is as good.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    LevelControl(handle)
}

// === impl Level ===

impl Level {
    /// What a process that runs for long shows, and what a command shows whose output is its result.
    pub(crate) fn usual(for_a_long_run: bool) -> Self {
        Self(if for_a_long_run { "info" } else { "warn" }.to_owned())
    }

    /// Reads `trace`, `debug`, `info`, `warn`, `error` or `off`, or a list of directives.
    ///
    /// # Errors
    /// Says what would be good.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected trace, debug, info, warn, error or off, or directives such as \
             info,consul_sync_k8s=debug";
        let level = Self(text.trim().to_owned());
        if level.is_word() {
            return Ok(Self(level.0.to_lowercase()));
        }
        if !level.0.contains('=') {
            return Err(EXPECTED.to_owned());
        }
        match EnvFilter::try_new(&level.0) {
            Ok(_) => Ok(level),
            Err(error) => Err(format!("{EXPECTED}: {error}")),
        }
    }

    fn is_word(&self) -> bool {
        ["trace", "debug", "info", "warn", "error", "off"]
            .iter()
            .any(|word| self.0.eq_ignore_ascii_case(word))
    }

    fn filter(&self) -> EnvFilter {
        EnvFilter::new(self.directives())
    }

    /// A word is ours alone: at `debug` the libraries would drown what was asked for. The Kubernetes client logs
    /// whole answers, and an error with every try; what fails is in our own lines, once.
    fn directives(&self) -> String {
        match self.0.as_str() {
            "off" => "off".to_owned(),
            word if self.is_word() => {
                format!("warn,kube_client=off,consul_sync={word}")
            }
            directives => directives.to_owned(),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl LevelControl ===

impl LevelControl {
    /// Shows other lines from now on.
    pub(crate) fn set(&self, level: &Level) {
        // Fails only when the subscriber is gone, and then no line is shown anyway.
        let _ = self.0.reload(level.filter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_for_our_crates_and_silences_the_kubernetes_client() {
        let level = Level::new("DEBUG").unwrap();
        assert_eq!(level.directives(), "warn,kube_client=off,consul_sync=debug");
    }

    #[test]
    fn directives_are_taken_as_they_are() {
        assert_eq!(
            Level::new("info,kube=debug").unwrap().directives(),
            "info,kube=debug"
        );
    }

    #[test]
    fn neither_a_word_nor_directives_is_refused_with_what_would_be_good() {
        for text in ["", "loud", "info,loud", "a=b=c"] {
            let error = Level::new(text).unwrap_err();
            assert!(
                error.starts_with("expected trace, debug, info"),
                "{text}: {error}"
            );
        }
    }
}
