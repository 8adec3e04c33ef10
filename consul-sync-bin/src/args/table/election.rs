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
            "How one of several processes is chosen to write: none, lease or consul.\nWith lease it is the one that a Lease in \
             Kubernetes names, with consul the one that holds a lock in Consul's key/value store, which needs no cluster. The \
             others are ready to take over. In both cases every write to Consul carries the session of such a lock, so that \
             Consul refuses what a former leader sends. It needs the rights that consul-sync rbac and consul-sync rbac \
             --consul-policy print for it, and instances cannot have lists of named ports.",
        );

pub(crate) static LEASE: Setting<String> =
    Setting::one("leader-election-lease", "NAME", value::lease_name)
        .default("consul-sync")
        .help(
            Section::Safety,
            "The name of the Lease; for services that go to Kubernetes with -to-k8s after it.\nInstallations in one namespace \
             that do not stand in for each other need one each.",
        );

pub(crate) static NAMESPACE: Setting<String> = Setting::one(
    "leader-election-namespace",
    "NAMESPACE",
    value::import::kubernetes_namespace,
)
.default_note("the pod's, outside a cluster the kubeconfig's")
.help(Section::Safety, "The namespace of the Lease.");

pub(crate) static TTL: Setting<Duration> =
    Setting::one("leader-election-ttl", "DURATION", value::session_ttl)
        .default("15s")
        .help(
            Section::Safety,
            "How long the leader's lease or session may go without being renewed, from 1s to 24h.\nAfter this time another process \
             takes over from a leader that died, with consul after twice this time; one that is asked to stop hands over at \
             once. Consul takes nothing below its own session_ttl_min, which is 10s.",
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
