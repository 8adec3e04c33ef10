//! The process itself.

use std::{path::PathBuf, time::Duration};

use crate::{
    args::{
        setting::{Section, Setting},
        value::{self, Listen},
    },
    log::{Format, Level},
};

pub(crate) static CONFIG: Setting<PathBuf> = Setting::one("config", "PATH", value::path)
    .default_note("none")
    .help(
        Section::Process,
        "Settings file: YAML, one key for each setting, named as its flag without the dashes.\nA flag beats a variable, a \
         variable beats the file, and the file beats the default. A list is what the flag given several times is. It is read \
         once, at the start.",
    );

pub(crate) static LISTEN: Setting<Listen> = Setting::one("listen", "ADDRESS", value::listen).default(":8080").help(
    Section::Process,
    "Address of the admin server: HOST:PORT, :PORT for every interface, or off.\nIt serves /livez, /readyz?verbose and \
     /metrics to everybody, and POST /brake/release and PUT /log-level to loopback.",
);

pub(crate) static INCUMBENT_METRICS: Setting<Listen> =
    Setting::one("incumbent-metrics", "ADDRESS", value::listen)
        .default("off")
        .help(
            Section::Process,
            "Address at which metrics are served under the incumbent's names: HOST:PORT, :PORT, or off.\nFor dashboards and alerts \
             that were made for it; they have no labels. Our own are at /metrics of --listen.",
        );

pub(crate) static INCUMBENT_METRICS_PATH: Setting<String> =
    Setting::one("incumbent-metrics-path", "PATH", value::url_path)
        .default("/metrics")
        .help(Section::Process, "Path of those metrics.");

pub(crate) static LOG_LEVEL: Setting<Level> = Setting::one("log-level", "LEVEL", Level::new)
    .default_note("info for run, warn for the other commands")
    .help(
        Section::Process,
        "Log lines to show: trace, debug, info, warn, error or off.\ninfo is one line a batch, debug one an operation. \
         Directives such as info,consul_sync_k8s=debug are taken too. They go to standard error.",
    );

pub(crate) static LOG_FORMAT: Setting<Format> = Setting::one("log-format", "FORMAT", log_format)
    .default("text")
    .help(Section::Process, "How log lines look: text or json.");

pub(crate) static TIMEOUT: Setting<Duration> = Setting::one("timeout", "DURATION", value::duration)
    .default("30s")
    .help(
        Section::Process,
        "How long a command other than run may wait for the servers.",
    );

fn log_format(text: &str) -> Result<Format, String> {
    value::choice(text, &[("text", Format::Text), ("json", Format::Json)])
}
