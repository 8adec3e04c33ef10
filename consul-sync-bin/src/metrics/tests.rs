//! What a scraper reads.

use std::sync::Arc;

use consul_sync_core::{BrakeStatus, Reason, SideStatus, SyncStatus};

use super::*;
use crate::stage::Engine;

fn busy() -> SyncStatus {
    SyncStatus {
        source: SideStatus {
            listed: true,
            complete: true,
            error: None,
        },
        sink: SideStatus {
            listed: true,
            complete: false,
            error: Some((ErrorKind::Timeout, "secret-looking text \"x\"".to_owned())),
        },
        services: 7,
        owned: 30,
        orphans: 2,
        foreign: 1,
        pending_slots: 4,
        in_flight: 3,
        blocked: 1,
        quarantined: 1,
        rejected: [(Reason::InvalidPort, 2)].into(),
        brake: BrakeStatus {
            engaged: true,
            held_deletes: 12,
            least: 25,
        },
        last_lag: Some(Duration::from_millis(12)),
    }
}

fn running(status: SyncStatus) -> watch::Receiver<Stage> {
    let engine = |direction, status| Engine {
        direction,
        heartbeat: crate::heartbeat::Heartbeat::new(),
        status: watch::channel(status).1,
        release: Arc::new(|_| {}),
        election: None,
    };
    let engines = vec![
        engine(Direction::ToConsul, status),
        engine(Direction::ToK8s, SyncStatus::default()),
    ];
    watch::channel(Stage::Running(engines)).1
}

/// Without what differs from run to run: the process's own numbers, the order of a counter's series, and that of the
/// directions.
fn ours(metrics: &Metrics) -> String {
    let text = metrics.text().unwrap();
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("process_"))
        .collect();
    let is_counter = |line: &&str| line.contains("_total{");
    for series in lines.chunk_by_mut(|a, b| is_counter(a) && is_counter(b)) {
        series.sort_unstable();
    }
    let direction = |line: &&str| {
        let (_, rest) = line.split_once("direction=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let is_series = |line: &&str| !line.starts_with('#');
    for series in lines.chunk_by_mut(|a, b| is_series(a) && is_series(b)) {
        // Stable: the buckets of a histogram stay in their order.
        series.sort_by_key(direction);
    }
    lines.join("\n")
}

#[test]
fn a_busy_engine() {
    let (metrics, counters) = Metrics::new("1.2.3", running(busy()), &Direction::ALL);
    counters.applied(
        Direction::ToConsul,
        &BatchReport {
            created: 3,
            updated: 2,
            adopted: 1,
            deleted: 4,
            stale: 1,
            took: Duration::from_millis(3),
            lag: Duration::from_millis(12),
            ..BatchReport::default()
        },
    );
    counters.error(
        Direction::ToConsul,
        Side::Sink,
        &AdapterError::new(ErrorKind::Timeout, "no answer"),
    );
    insta::assert_snapshot!(ours(&metrics));
}

#[test]
fn before_the_engine_runs_nothing_is_claimed_about_it() {
    let stage = Stage::Starting {
        waits_for: "cluster_identity",
        error: None,
    };
    let (metrics, _) = Metrics::new("1.2.3", watch::channel(stage).1, &[Direction::ToConsul]);
    let text = ours(&metrics);
    assert!(text.contains("consul_sync_ready 0"), "{text}");
    assert!(
        !text.contains("to_k8s")
            && !text.contains("consul_sync_services")
            && !text.contains("consul_sync_records"),
        "{text}"
    );
    assert!(
        text.contains("consul_sync_writes_total{direction=\"to_consul\",verb=\"delete\"} 0"),
        "{text}"
    );
}

#[test]
fn the_text_ends_as_open_metrics_text_must() {
    let (metrics, _) = Metrics::new("1.2.3", running(busy()), &Direction::ALL);
    assert!(metrics.text().unwrap().ends_with("# EOF\n"));
}

#[test]
fn the_number_of_series_does_not_depend_on_what_happens() {
    let (metrics, counters) = Metrics::new("1.2.3", running(busy()), &Direction::ALL);
    let before = ours(&metrics).lines().count();
    for kind in ErrorKind::ALL {
        for side in [Side::Source, Side::Sink] {
            counters.error(
                Direction::ToConsul,
                side,
                &AdapterError::new(kind, format!("{kind} of {}", side.as_str())),
            );
        }
    }
    counters.applied(
        Direction::ToConsul,
        &BatchReport {
            created: 1,
            unknown: 1,
            refused: 1,
            skipped: 1,
            ..BatchReport::default()
        },
    );
    let text = ours(&metrics);
    assert_eq!(text.lines().count(), before, "{text}");
    assert!(!text.contains("secret-looking"), "{text}");
}
