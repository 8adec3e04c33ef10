//! What the operator decided, typed and checked; where it came from is forgotten.

use std::{net::SocketAddr, path::PathBuf};

use consul_sync_core::{BrakeSettings, Owner, Settings as SyncSettings};

use crate::{
    args::{given::Given, table},
    log::{Format, Level},
};

/// Settings of the program.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How the API server is reached.
    pub(crate) cluster: ClusterSettings,
    /// The mark of what is ours; `None` for the cluster's own identity.
    pub(crate) owner: Option<Owner>,
    /// How the two tables are joined.
    pub(crate) sync: SyncSettings,
    /// Where the admin server listens; `None` when it is off.
    pub(crate) listen: Option<SocketAddr>,
    /// Log lines.
    pub(crate) log: LogSettings,
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
    /// Reads every setting. Bad values are noted in `given`, and then the result must not be used.
    pub(crate) fn read(given: &mut Given, for_a_long_run: bool) -> Self {
        Self {
            cluster: ClusterSettings {
                kubeconfig: given.optional(&table::KUBECONFIG),
                context: given.optional(&table::CONTEXT),
            },
            owner: given.optional(&table::OWNER),
            sync: SyncSettings {
                policy: given.one(&table::POLICY),
                orphans: given.one(&table::ORPHANS),
                brake: BrakeSettings {
                    share: given.one(&table::BRAKE_SHARE),
                    floor: given.one(&table::BRAKE_FLOOR),
                    window: given.one(&table::BRAKE_WINDOW),
                },
                ..SyncSettings::default()
            },
            listen: given.one(&table::LISTEN).0,
            log: LogSettings {
                level: given
                    .optional(&table::LOG_LEVEL)
                    .unwrap_or_else(|| Level::usual(for_a_long_run)),
                format: given.one(&table::LOG_FORMAT),
            },
        }
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
