//! Metrics under the names of the incumbent, for dashboards and alerts that were made for it.
//!
//! The names are the incumbent's, and so is the form: the text format of Prometheus, version 0.0.4, in which a counter has no
//! ending of its own. Its labels are not: they hold names, addresses and texts of errors, of which there is no end. `status`
//! has had two names in the incumbent's history, and both are here.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{direction::Direction, stage::Stage};

/// What a scraper must be told that it gets.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the incumbent counts.
#[derive(Debug, Default)]
pub(crate) struct Incumbent {
    to_consul: Counts,
    to_k8s: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    register: AtomicU64,
    deregister: AtomicU64,
    register_error: AtomicU64,
    deregister_error: AtomicU64,
}

// === impl Incumbent ===

impl Incumbent {
    /// Counts an operation by what became of it. One that came too late, or was not tried, is tried again and counts then.
    pub(super) fn operation(&self, direction: Direction, verb: &str, outcome: &str) {
        let counts = self.of(direction);
        let count = match (verb == "delete", outcome) {
            (false, "written") => &counts.register,
            (true, "deleted") => &counts.deregister,
            (false, "refused" | "unknown") => &counts.register_error,
            (true, "refused" | "unknown") => &counts.deregister_error,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, direction: Direction) -> &Counts {
        match direction {
            Direction::ToConsul => &self.to_consul,
            Direction::ToK8s => &self.to_k8s,
        }
    }

    /// What a scraper reads.
    pub(crate) fn text(&self, stage: &Stage) -> String {
        let mut text = String::new();
        for direction in Direction::ALL {
            let counts = self.of(direction);
            for (name, help, count) in [
                ("register", "Records registered", &counts.register),
                ("deregister", "Records deregistered", &counts.deregister),
                (
                    "register_error",
                    "Records that could not be registered",
                    &counts.register_error,
                ),
                (
                    "deregister_error",
                    "Records that could not be deregistered",
                    &counts.deregister_error,
                ),
            ] {
                let name = format!("consul_sync_catalog_{}_{name}", direction.as_str());
                let count = count.load(Ordering::Relaxed);
                metric(&mut text, &name, help, "counter", count);
            }
        }
        let status = u64::from(is_connected(stage));
        for name in [
            "consul_sync_catalog_status",
            "consul_sync_catalog_to_consul_status",
        ] {
            let help = "Whether Consul answers: 1 connected, 0 disconnected";
            metric(&mut text, name, help, "gauge", status);
        }
        text
    }
}

fn metric(text: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
    );
}

/// Whether the last that was heard of Consul is good, in every direction that runs.
fn is_connected(stage: &Stage) -> bool {
    let engines = stage.engines();
    let is_good = |engine: &crate::stage::Engine| {
        let status = engine.status.borrow();
        let consul = match engine.direction {
            Direction::ToConsul => &status.sink,
            Direction::ToK8s => &status.source,
        };
        consul.listed && consul.error.is_none()
    };
    !engines.is_empty() && engines.iter().all(is_good)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use consul_sync_core::{ErrorKind, SideStatus, SyncStatus};
    use tokio::sync::watch;

    use super::*;
    use crate::stage::Engine;

    fn stage(consul: SideStatus) -> Stage {
        let status = SyncStatus {
            sink: consul,
            ..SyncStatus::default()
        };
        Stage::Running(vec![Engine {
            direction: Direction::ToConsul,
            status: watch::channel(status).1,
            release: Arc::new(|_| {}),
            election: None,
            heartbeat: crate::heartbeat::Heartbeat::new(),
        }])
    }

    fn value(text: &str, name: &str) -> String {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().to_owned()
    }

    #[test]
    fn every_operation_is_counted_under_the_incumbents_name_and_nothing_has_a_label() {
        let incumbent = Incumbent::default();
        for (direction, verb, outcome) in [
            (Direction::ToConsul, "create", "written"),
            (Direction::ToConsul, "update", "written"),
            (Direction::ToConsul, "adopt", "written"),
            (Direction::ToConsul, "delete", "deleted"),
            (Direction::ToConsul, "create", "refused"),
            (Direction::ToConsul, "update", "stale"),
            (Direction::ToConsul, "update", "skipped"),
            (Direction::ToK8s, "delete", "unknown"),
        ] {
            incumbent.operation(direction, verb, outcome);
        }
        let starting = Stage::Stopping;
        let text = incumbent.text(&starting);
        for (name, count) in [
            ("consul_sync_catalog_to_consul_register", "3"),
            ("consul_sync_catalog_to_consul_deregister", "1"),
            ("consul_sync_catalog_to_consul_register_error", "1"),
            ("consul_sync_catalog_to_consul_deregister_error", "0"),
            ("consul_sync_catalog_to_k8s_register", "0"),
            ("consul_sync_catalog_to_k8s_deregister", "0"),
            ("consul_sync_catalog_to_k8s_register_error", "0"),
            ("consul_sync_catalog_to_k8s_deregister_error", "1"),
            ("consul_sync_catalog_status", "0"),
        ] {
            assert_eq!(value(&text, name), count, "{name}");
            assert_eq!(
                text.matches(&format!("# TYPE {name} ")).count(),
                1,
                "{name}"
            );
        }
        assert!(!text.contains('{'), "{text}");
    }

    #[test]
    fn the_status_is_that_of_consul() {
        let listed = |error| SideStatus {
            listed: true,
            complete: true,
            error,
        };
        let trouble = Some((ErrorKind::Timeout, "x".to_owned()));
        for (consul, status) in [
            (listed(None), "1"),
            (listed(trouble), "0"),
            (SideStatus::default(), "0"),
        ] {
            let text = Incumbent::default().text(&stage(consul));
            assert_eq!(value(&text, "consul_sync_catalog_status"), status);
            assert_eq!(value(&text, "consul_sync_catalog_to_consul_status"), status);
        }
    }
}
