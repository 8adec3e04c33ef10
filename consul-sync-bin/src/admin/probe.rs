//! What the probes answer, from what is known: no I/O.

use std::{borrow::Cow, fmt::Write, time::Duration};

use axum::http::StatusCode;
use consul_sync_core::{Pending, Side, SideStatus};

use crate::{
    direction::Direction,
    heartbeat::Heartbeat,
    stage::{Engine, Stage},
};

/// Whether the process is alive: each of its engines, or what waits for them.
pub(super) fn live(stage: &Stage, process: &Heartbeat) -> (StatusCode, String) {
    let engines = stage.engines();
    let mut loops: Vec<(&str, Duration)> = engines
        .iter()
        .map(|engine| (engine.direction.as_str(), engine.heartbeat.age()))
        .collect();
    if loops.is_empty() {
        loops.push(("the process", process.age()));
    }
    loops.retain(|(_, age)| *age > Heartbeat::LIMIT);
    if loops.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let mut text = String::new();
    for (whose, age) in loops {
        let _ = writeln!(
            text,
            "the loop of {whose} has not moved for {} s",
            age.as_secs()
        );
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

/// Whether the process does its work, and what it waits for if not.
///
/// Once ready it stays so while Kubernetes or Consul are away: the registrations stay, and no other replica would do
/// better. Metrics and log lines tell of such times.
pub(super) fn ready(stage: &Stage, verbose: bool) -> (StatusCode, String) {
    let checks = checks(stage);
    let missing: Vec<&str> = checks
        .iter()
        .filter(|check| check.needed && !check.good)
        .map(|check| &*check.name)
        .collect();
    let code = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut text = String::new();
    if verbose {
        for check in &checks {
            let (mark, word) = if check.good {
                ('+', "ok")
            } else {
                ('-', "pending")
            };
            let _ = write!(text, "[{mark}]{} {word}", check.name);
            if let Some(why) = &check.why {
                let _ = write!(text, ": {why}");
            }
            text.push('\n');
        }
    }
    if missing.is_empty() {
        text.push_str(if verbose { "ready\n" } else { "ok\n" });
    } else {
        let _ = writeln!(text, "not ready: {}", missing.join(", "));
    }
    (code, text)
}

struct Check {
    /// What is about services that go to Kubernetes begins with that; the names of the other direction are those of
    /// a process that runs it alone.
    name: Cow<'static, str>,
    good: bool,
    /// Whether the process is not ready without it.
    needed: bool,
    why: Option<String>,
}

fn checks(stage: &Stage) -> Vec<Check> {
    match stage {
        Stage::Starting { waits_for, error } => vec![Check {
            name: (*waits_for).into(),
            good: false,
            needed: true,
            why: error.map(|kind| kind.to_string()),
        }],
        Stage::Running(engines) => engines.iter().flat_map(engine_checks).collect(),
        Stage::Stopping => vec![Check {
            name: "stopping".into(),
            good: false,
            needed: true,
            why: None,
        }],
    }
}

fn engine_checks(engine: &Engine) -> Vec<Check> {
    let status = &*engine.status.borrow();
    let pending = status.pending();
    let named = |name: &'static str| match engine.direction {
        Direction::ToConsul => Cow::Borrowed(name),
        Direction::ToK8s => format!("{}_{name}", engine.direction.as_str()).into(),
    };
    let check = |what: Pending, needed, why| Check {
        name: named(what.as_str()),
        good: !pending.contains(&what),
        needed,
        why,
    };
    let listing = |what: Pending, side: Side, known: &SideStatus| Check {
        // Listed once is enough to be ready; complete is what the verbose form shows.
        needed: !known.listed,
        ..check(
            what,
            true,
            known
                .error
                .as_ref()
                .map(|(kind, _)| format!("{} {kind}", side.as_str())),
        )
    };
    let slots = (status.pending_slots > 0).then(|| format!("{} names", status.pending_slots));
    let held = status
        .brake
        .engaged
        .then(|| format!("{} deletes held", status.brake.held_deletes));
    let mut checks = vec![
        listing(Pending::SourceListing, Side::Source, &status.source),
        listing(Pending::SinkListing, Side::Sink, &status.sink),
        check(Pending::Slots, false, slots),
        check(Pending::Brake, false, held),
    ];
    checks.extend(engine.election.as_ref().map(|state| {
        let election = state();
        Check {
            name: named("leading"),
            good: election.is_leading(),
            // A standby is ready to take over, which is its work.
            needed: false,
            why: (!election.is_leading()).then(|| election.to_string()),
        }
    }));
    checks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use consul_sync_core::{BrakeStatus, ErrorKind, SyncStatus};
    use tokio::sync::watch;

    use super::*;

    fn engine(direction: Direction, status: SyncStatus) -> Engine {
        Engine {
            direction,
            heartbeat: Heartbeat::new(),
            status: watch::channel(status).1,
            release: Arc::new(|_| {}),
            election: None,
        }
    }

    fn running(status: SyncStatus) -> Stage {
        Stage::Running(vec![engine(Direction::ToConsul, status)])
    }

    fn listed() -> SideStatus {
        SideStatus {
            listed: true,
            complete: true,
            error: None,
        }
    }

    #[test]
    fn alive_until_the_loop_stands_still_for_longer_than_the_limit() {
        let starting = Stage::Starting {
            waits_for: "cluster_identity",
            error: None,
        };
        let late = Heartbeat::of_age(Heartbeat::LIMIT + Duration::from_secs(5));
        for stage in [&starting, &Stage::Stopping] {
            let slow = Heartbeat::of_age(Heartbeat::LIMIT / 2);
            assert_eq!(live(stage, &slow), (StatusCode::OK, "ok\n".to_owned()));
            let (code, text) = live(stage, &late);
            assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(text, "the loop of the process has not moved for 35 s\n");
        }
    }

    #[test]
    fn each_direction_is_seen_alive_by_itself() {
        let late = || Heartbeat::of_age(Heartbeat::LIMIT + Duration::from_secs(5));
        let both = |to_consul: Heartbeat, to_k8s: Heartbeat| {
            let beats = [(Direction::ToConsul, to_consul), (Direction::ToK8s, to_k8s)];
            let engines = beats.map(|(direction, heartbeat)| Engine {
                heartbeat,
                ..engine(direction, SyncStatus::default())
            });
            Stage::Running(engines.into())
        };
        // While engines run nobody beats for the process.
        let good = both(Heartbeat::new(), Heartbeat::new());
        assert_eq!(live(&good, &late()).0, StatusCode::OK);
        let (code, text) = live(&both(Heartbeat::new(), late()), &Heartbeat::new());
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "the loop of to_k8s has not moved for 35 s\n");
        let (_, text) = live(&both(late(), late()), &Heartbeat::new());
        assert_eq!(
            text,
            "the loop of to_consul has not moved for 35 s\nthe loop of to_k8s has not moved for 35 s\n"
        );
    }

    #[test]
    fn before_the_engine_starts_what_is_waited_for_is_named() {
        let stage = Stage::Starting {
            waits_for: "cluster_identity",
            error: Some(ErrorKind::Unavailable),
        };
        let (code, text) = ready(&stage, true);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            text,
            "[-]cluster_identity pending: unavailable\nnot ready: cluster_identity\n"
        );
    }

    #[test]
    fn not_ready_until_both_sides_were_listed() {
        let stage = running(SyncStatus {
            source: listed(),
            ..SyncStatus::default()
        });
        let (code, text) = ready(&stage, false);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "not ready: sink_listing\n");
    }

    #[test]
    fn not_ready_until_both_sides_of_both_directions_were_listed() {
        let both = || SyncStatus {
            source: listed(),
            sink: listed(),
            ..SyncStatus::default()
        };
        let other = SyncStatus {
            sink: listed(),
            ..SyncStatus::default()
        };
        let stage = |status| {
            Stage::Running(vec![
                engine(Direction::ToConsul, both()),
                engine(Direction::ToK8s, status),
            ])
        };
        let (code, text) = ready(&stage(other), false);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "not ready: to_k8s_source_listing\n");
        assert_eq!(ready(&stage(both()), false).0, StatusCode::OK);
    }

    #[test]
    fn a_side_that_goes_away_later_does_not_make_it_unready_and_is_listed() {
        let stage = running(SyncStatus {
            source: listed(),
            sink: SideStatus {
                listed: true,
                complete: false,
                error: Some((ErrorKind::Timeout, "no answer".to_owned())),
            },
            pending_slots: 2,
            ..SyncStatus::default()
        });
        let (code, text) = ready(&stage, true);
        assert_eq!(code, StatusCode::OK);
        assert_eq!(
            text,
            "[+]source_listing ok\n[-]sink_listing pending: sink timeout\n[-]slots pending: 2 names\n[+]brake ok\nready\n"
        );
        assert_eq!(ready(&stage, false).1, "ok\n");
    }

    #[test]
    fn a_standby_is_ready_and_tells_who_leads() {
        use consul_sync_core::{ElectionState, Holder};
        let mut stage = running(SyncStatus {
            source: listed(),
            sink: listed(),
            ..SyncStatus::default()
        });
        let (election, seen) = watch::channel(ElectionState::Leading);
        if let Stage::Running(engines) = &mut stage {
            engines[0].election = Some(Arc::new(move || seen.borrow().clone()));
        }
        assert!(ready(&stage, true).1.contains("[+]leading ok\n"));
        let holder = Holder {
            id: "1f".to_owned(),
            host: "pod-1".to_owned(),
            since: String::new(),
        };
        election.send_replace(ElectionState::StandingBy {
            holder: Some(holder),
            trouble: None,
        });
        let (code, text) = ready(&stage, true);
        assert_eq!(code, StatusCode::OK);
        assert!(
            text.contains("[-]leading pending: standing by, process 1f on pod-1 leads\n"),
            "{text}"
        );
    }

    #[test]
    fn an_engaged_brake_is_listed_with_what_it_holds() {
        let stage = running(SyncStatus {
            source: listed(),
            sink: listed(),
            brake: BrakeStatus {
                engaged: true,
                held_deletes: 40,
                least: 90,
            },
            ..SyncStatus::default()
        });
        let (code, text) = ready(&stage, true);
        assert_eq!(code, StatusCode::OK);
        assert!(
            text.contains("[-]brake pending: 40 deletes held\n"),
            "{text}"
        );
    }
}
