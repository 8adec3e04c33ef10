//! Every setting, once.

use std::{path::PathBuf, time::Duration};

use consul_sync_core::{Orphans, Owner, Policy};

use super::{
    setting::{Row, Section, Setting},
    value::{self, Listen},
};
use crate::log::{Format, Level};

// === Kubernetes ===

pub(crate) static KUBECONFIG: Setting<PathBuf> = Setting::one("kubeconfig", "PATH", value::path)
    .default_note("KUBECONFIG, else ~/.kube/config, else the service account of the pod")
    .help(
        Section::Kubernetes,
        "File that says how the API server is reached.",
    );

pub(crate) static CONTEXT: Setting<String> = Setting::one("kube-context", "NAME", value::text)
    .default_note("the file's current one")
    .help(Section::Kubernetes, "Context of the kubeconfig to use.");

// === Safety ===

pub(crate) static OWNER: Setting<Owner> = Setting::one("owner", "NAME", value::owner)
    .default_note("the UID of namespace kube-system")
    .help(
        Section::Safety,
        "Mark on every registration of this cluster.\nOnly what carries it is ever changed or deleted. Two clusters must not \
         share one. With another mark than before, what the old one registered is somebody else's.",
    );

pub(crate) static POLICY: Setting<Policy> = Setting::one("policy", "POLICY", value::policy).default("sync").help(
    Section::Safety,
    "What may be written: sync, upsert-only or create-only.\nsync creates, updates and deletes; upsert-only never deletes; \
     create-only leaves what exists as it is.",
);

pub(crate) static ORPHANS: Setting<Orphans> = Setting::one("orphans", "WHAT", value::orphans).default("report").help(
    Section::Safety,
    "What becomes of orphans: report or delete.\nAn orphan is a registration on our node that a synchroniser made, that \
     carries nobody's mark and that no service wants. Wanted ones are taken over in place.",
);

pub(crate) static BRAKE_SHARE: Setting<u8> = Setting::one("brake-share", "PERCENT", value::percent).default("15").help(
    Section::Safety,
    "Share of what is owned, in percent, that may vanish within the window.\nMore than this and more than the floor stops \
     deletes, while creates and updates go on, until the registrations are wanted again or consul-sync release-brake \
     confirms the deletes. Replacing instances one for one never counts. 100 switches the brake off.",
);

pub(crate) static BRAKE_FLOOR: Setting<usize> = Setting::one("brake-floor", "COUNT", value::count)
    .default("10")
    .help(
        Section::Safety,
        "Number of registrations that may always vanish.",
    );

pub(crate) static BRAKE_WINDOW: Setting<Duration> =
    Setting::one("brake-window", "DURATION", value::duration)
        .default("5m")
        .help(
            Section::Safety,
            "How far back the brake looks for the highest number of registrations.",
        );

// === Process ===

pub(crate) static LISTEN: Setting<Listen> = Setting::one("listen", "ADDRESS", value::listen).default(":8080").help(
    Section::Process,
    "Address of the admin server: HOST:PORT, :PORT for every interface, or off.\nIt serves /livez, /readyz?verbose and \
     /metrics to everybody, and POST /brake/release and PUT /log-level to loopback.",
);

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

/// Every row, in the order of the help.
pub(crate) static ALL: &[&Row] = &[
    &KUBECONFIG.row,
    &CONTEXT.row,
    &OWNER.row,
    &POLICY.row,
    &ORPHANS.row,
    &BRAKE_SHARE.row,
    &BRAKE_FLOOR.row,
    &BRAKE_WINDOW.row,
    &LISTEN.row,
    &LOG_LEVEL.row,
    &LOG_FORMAT.row,
    &TIMEOUT.row,
];
