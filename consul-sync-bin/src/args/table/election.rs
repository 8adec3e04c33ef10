//! Which of several processes may write.

use std::time::Duration;

use crate::{
    args::{
        setting::{Section, Setting},
        value,
    },
    settings::Election,
};

pub(crate) static LEADER_ELECTION: Setting<Election> =
    Setting::one("leader-election", "KIND", value::election)
        .default("none")
        .help(
            Section::Safety,
            "How one of several processes is chosen to write: none or consul.\nWith consul it is the one that holds a lock in \
             Consul's key/value store; the others are ready to take over. Every write carries the lock's session, so that \
             Consul refuses what a former leader sends. It needs the rights that consul-sync rbac --consul-policy prints for \
             it, and instances cannot have lists of named ports.",
        );

pub(crate) static TTL: Setting<Duration> =
    Setting::one("leader-election-ttl", "DURATION", value::session_ttl)
        .default("15s")
        .help(
            Section::Safety,
            "How long the leader's session may go without being renewed, from 1s to 24h.\nAfter twice this time another process \
             takes over from a leader that died; one that is asked to stop hands over at once. Consul takes nothing below its \
             own session_ttl_min, which is 10s.",
        );

pub(crate) static LOCK_DELAY: Setting<Duration> =
    Setting::one("leader-election-lock-delay", "DURATION", value::lock_delay)
        .default("0s")
        .help(
            Section::Safety,
            "How long nobody takes over after the leader's session ended, up to 60s.\nA takeover takes so much longer, other \
             than a hand-over. It is not needed for what this program writes.",
        );

pub(crate) static PREFIX: Setting<String> =
    Setting::one("leader-election-prefix", "KEY", value::key_prefix)
        .default("consul-sync")
        .help(
            Section::Safety,
            "What the lock's key begins with; /OWNER/leader follows.",
        );
