//! What may be written.

use std::time::Duration;

use consul_sync_core::{Orphans, Owner, Policy};

use crate::args::{
    setting::{Section, Setting},
    value,
};

pub(crate) static OWNER: Setting<Owner> = Setting::one("owner", "NAME", value::owner)
    .default_note("the UID of namespace kube-system")
    .help(
        Section::Safety,
        "Mark on every registration of this cluster.\nOnly what carries it is ever changed or deleted. Two clusters must not \
         share one. With another mark than before, what the old one registered is somebody else's.",
    );

pub(crate) static EXCLUSIVE_NAMES: Setting<bool> = Setting::switch("exclusive-names", false).help(
    Section::Safety,
    "Whether a name in Consul is held by the Services of one Kubernetes namespace alone.\nThe namespace whose instances are \
     registered under it keeps it until none of its Services claims it. A free name goes to the oldest Service. Others \
     are rejected. Otherwise all Services that claim a name share it.",
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

pub(crate) static RETRY_MAX: Setting<Duration> = Setting::one("retry-max", "DURATION", value::duration)
    .default("5m")
    .help(
        Section::Safety,
        "Longest pause before a registration that Consul refused is tried again.\nThe first pause is 1s, then twice as long \
         each time.",
    );
