//! What the operator decided, typed and checked; where it came from is forgotten.

mod consul;
mod election;
mod import;
mod place;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use consul_sync_consul::ClientSettings;
use consul_sync_core::{BrakeSettings, Owner, RetrySettings, Settings as SyncSettings};
use consul_sync_k8s::{ConsulNamespaces, ExportSettings, Subject};

use crate::{
    args::{
        given::Given,
        table::{consul as rows, direction, export, kubernetes, process, safety},
    },
    direction::Direction,
    log::{Format, Level},
};

pub(crate) use self::{
    election::{Election, LeaseSettings, LockSettings},
    import::{ImportSettings, nobody},
    place::PlaceSettings,
};

/// Settings of the program.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Whether Services are registered in Consul.
    pub(crate) to_consul: bool,
    /// Whether services of Consul are written to Kubernetes.
    pub(crate) to_k8s: bool,
    /// The direction whose brake is to be released, where one is named.
    pub(crate) direction: Option<Direction>,
    /// How the API server is reached.
    pub(crate) cluster: ClusterSettings,
    /// Whether its objects are listed as streams.
    pub(crate) streaming_lists: bool,
    /// Which Services are registered, and as what.
    pub(crate) export: ExportSettings,
    /// Which services of Consul are written to Kubernetes, and as what.
    pub(crate) import: ImportSettings,
    /// How Consul is reached.
    pub(crate) consul: ClientSettings,
    /// Where in Consul's catalog instances are registered.
    pub(crate) place: PlaceSettings,
    /// The mark of what is ours; `None` for the cluster's own identity.
    pub(crate) owner: Option<Owner>,
    /// How the two tables are joined.
    pub(crate) sync: SyncSettings,
    /// The lock that Consul refuses the writes of a former leader by; `None` without an election.
    pub(crate) lock: Option<LockSettings>,
    /// The Lease by which a leader is elected; `None` where that is none or the lock.
    pub(crate) lease: Option<LeaseSettings>,
    /// Where the admin server listens; `None` when it is off.
    pub(crate) listen: Option<SocketAddr>,
    /// Where and at which path metrics are served under the incumbent's names; `None` when they are not.
    pub(crate) incumbent_metrics: Option<(SocketAddr, String)>,
    /// Log lines.
    pub(crate) log: LogSettings,
    /// Who is given the rights that `rbac` prints.
    pub(crate) subject: Subject,
}

/// How the API server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterSettings {
    /// The file; `None` for the usual search.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context; `None` for the file's current one.
    pub(crate) context: Option<String>,
}

/// Log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// Which are shown.
    pub(crate) level: Level,
    /// How they look.
    pub(crate) format: Format,
}

// === impl Settings ===

impl Settings {
    /// The directions that are on.
    pub(crate) fn directions(&self) -> Vec<Direction> {
        let on = |direction: &Direction| match direction {
            Direction::ToConsul => self.to_consul,
            Direction::ToK8s => self.to_k8s,
        };
        Direction::ALL.into_iter().filter(on).collect()
    }

    /// The lock in Consul that a direction needs: Kubernetes checks none, so that with a Lease there is none for what goes
    /// there.
    pub(crate) fn lock_of(&self, direction: Direction) -> Option<&LockSettings> {
        let is_checked = direction == Direction::ToConsul || self.lease.is_none();
        self.lock.as_ref().filter(|_| is_checked)
    }

    /// Reads every setting. Bad values are noted in `given`, and then the result must not be used.
    pub(crate) fn read(given: &mut Given, for_a_long_run: bool) -> Self {
        let export = export_settings(given);
        let (to_consul, to_k8s) = directions(given);
        let (lock, lease) = election::settings(given);
        Self {
            to_consul,
            to_k8s,
            direction: given.optional(&direction::DIRECTION),
            import: ImportSettings::read(given, &export.tag),
            streaming_lists: given.one(&kubernetes::STREAMING_LISTS),
            cluster: ClusterSettings {
                kubeconfig: given.optional(&kubernetes::KUBECONFIG),
                context: given.optional(&kubernetes::CONTEXT),
            },
            export,
            consul: consul::settings(given),
            place: PlaceSettings::read(given),
            owner: given.optional(&safety::OWNER),
            sync: SyncSettings {
                policy: given.one(&safety::POLICY),
                orphans: given.one(&safety::ORPHANS),
                brake: BrakeSettings {
                    share: given.one(&safety::BRAKE_SHARE),
                    floor: given.one(&safety::BRAKE_FLOOR),
                    window: given.one(&safety::BRAKE_WINDOW),
                },
                retry: RetrySettings {
                    max: given.one(&safety::RETRY_MAX),
                    ..RetrySettings::default()
                },
                exclusive: given.one(&safety::EXCLUSIVE_NAMES),
            },
            lock,
            lease,
            listen: given.one(&process::LISTEN).0,
            incumbent_metrics: incumbent_metrics(given),
            log: LogSettings {
                level: given
                    .optional(&process::LOG_LEVEL)
                    .unwrap_or_else(|| Level::usual(for_a_long_run)),
                format: given.one(&process::LOG_FORMAT),
            },
            subject: given
                .optional(&kubernetes::SERVICE_ACCOUNT)
                .unwrap_or_default(),
        }
    }
}

fn incumbent_metrics(given: &mut Given) -> Option<(SocketAddr, String)> {
    let path = given.one(&process::INCUMBENT_METRICS_PATH);
    Some((given.one(&process::INCUMBENT_METRICS).0?, path))
}

fn directions(given: &mut Given) -> (bool, bool) {
    let (to_consul, to_k8s) = (
        given.one(&direction::TO_CONSUL),
        given.one(&direction::TO_K8S),
    );
    if !to_consul && !to_k8s {
        given.refuse(
            &direction::TO_CONSUL,
            "expected --to-consul or --to-k8s to be true: with both off there is nothing to do",
        );
    }
    (to_consul, to_k8s)
}

fn export_settings(given: &mut Given) -> ExportSettings {
    ExportSettings {
        default_sync: given.one(&export::DEFAULT_SYNC),
        source_namespace: None,
        allow_namespaces: given.many(&export::ALLOW_NAMESPACE).into_iter().collect(),
        deny_namespaces: given.many(&export::DENY_NAMESPACE).into_iter().collect(),
        namespace_selector: given.one(&export::NAMESPACE_SELECTOR),
        service_selector: given.one(&export::SERVICE_SELECTOR),
        prefix: given.one(&export::NAME_PREFIX),
        namespace_suffix: given.one(&export::NAMESPACE_SUFFIX),
        name_rules: given.many(&export::ALLOW_NAMES).into_iter().collect(),
        services_per_namespace: NonZeroUsize::new(given.one(&export::MAX_SERVICES_PER_NAMESPACE)),
        tag: given.one(&export::TAG),
        cluster_ip: given.one(&export::CLUSTER_IP),
        load_balancer_endpoints: given.one(&export::LOAD_BALANCER_ENDPOINTS),
        node_ports: given.one(&export::NODE_PORTS),
        ingress: given.one(&export::INGRESS),
        ingress_load_balancer_ips: given.one(&export::INGRESS_LOAD_BALANCER_IPS),
        serve_terminating: given.one(&export::SERVE_TERMINATING),
        consul_namespaces: mirroring(given),
    }
}

fn mirroring(given: &mut Given) -> ConsulNamespaces {
    let prefix = given.one(&rows::MIRROR_PREFIX);
    if given.one(&rows::MIRROR_NAMESPACES) {
        ConsulNamespaces::Mirrored { prefix }
    } else {
        ConsulNamespaces::Off
    }
}

// === impl LogSettings ===

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: Level::usual(false),
            format: Format::default(),
        }
    }
}

#[cfg(test)]
mod tests;
