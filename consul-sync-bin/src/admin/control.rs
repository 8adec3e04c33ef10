//! The requests that change something: taken from this machine alone.

use axum::{
    extract::{Extension, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
};
use tracing::{info, warn};

use super::{Shared, serve::Peer};
use crate::{direction::Direction, log::Level, stage::Engine};

type Answer = (StatusCode, String);

pub(super) async fn release_brake(
    State(admin): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    if let Err(refusal) = from_here(peer, &headers) {
        return refusal;
    }
    let direction = match named(query.as_deref()) {
        Ok(direction) => direction,
        Err(expected) => return (StatusCode::BAD_REQUEST, format!("direction: {expected}\n")),
    };
    let engines = admin.stage.borrow().engines().to_vec();
    if engines.is_empty() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the engine does not run\n".to_owned(),
        );
    }
    release(&engines, direction)
}

/// The direction that a query names.
fn named(query: Option<&str>) -> Result<Option<Direction>, String> {
    let mut parts = query.unwrap_or_default().split('&');
    let direction = parts.find_map(|part| part.strip_prefix("direction="));
    direction.map(Direction::named).transpose()
}

/// A release is for the deletes that a person has seen: those of one direction. Without any there is nothing it could be
/// about, and a release in advance would be a brake that is off.
fn release(engines: &[Engine], direction: Option<Direction>) -> Answer {
    let asked: Vec<&Engine> = engines
        .iter()
        .filter(|engine| direction.is_none_or(|direction| engine.direction == direction))
        .collect();
    let held = |engine: &Engine| {
        let brake = engine.status.borrow().brake;
        brake.engaged.then_some(brake.held_deletes)
    };
    let engaged: Vec<(&Engine, usize)> = asked
        .iter()
        .filter_map(|engine| Some((*engine, held(engine)?)))
        .collect();
    match engaged[..] {
        [] => {
            let text = match direction {
                Some(direction) if asked.is_empty() => {
                    format!("this process does not run {}\n", direction.as_str())
                }
                _ => "the brake is not engaged: there is nothing to release\n".to_owned(),
            };
            (StatusCode::CONFLICT, text)
        }
        [(engine, held)] => {
            (engine.release)(held);
            let direction = engine.direction.as_str();
            warn!(direction, held, "brake released by request");
            (StatusCode::OK, format!("released: {held} deletes go on\n"))
        }
        _ => (
            StatusCode::CONFLICT,
            "the brakes of both directions are engaged: name one with --direction\n".to_owned(),
        ),
    }
}

pub(super) async fn set_log_level(
    State(admin): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: String,
) -> Answer {
    if let Err(refusal) = from_here(peer, &headers) {
        return refusal;
    }
    let Some(control) = &admin.level else {
        return (
            StatusCode::NOT_FOUND,
            "the level cannot be changed\n".to_owned(),
        );
    };
    match Level::new(&body) {
        Ok(level) => {
            control.set(&level);
            info!(%level, "log level changed by request");
            (StatusCode::OK, format!("{level}\n"))
        }
        Err(expected) => (
            StatusCode::BAD_REQUEST,
            format!("level {:?}: {expected}\n", body.trim()),
        ),
    }
}

/// Refuses other machines, and web pages that a browser on this machine shows: a browser names the page's origin
/// with every such request, and nobody else does.
fn from_here(peer: Peer, headers: &HeaderMap) -> Result<(), Answer> {
    if !peer.0.ip().to_canonical().is_loopback() {
        let text = "only from the machine itself: run consul-sync release-brake there, or forward a port\n";
        return Err((StatusCode::FORBIDDEN, text.to_owned()));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err((StatusCode::FORBIDDEN, "not from a web page\n".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::http::HeaderValue;
    use consul_sync_core::{BrakeStatus, SyncStatus};
    use tokio::sync::watch;

    use super::*;

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    #[test]
    fn only_loopback_peers_are_heard() {
        for text in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(from_here(peer(text), &HeaderMap::new()).is_ok(), "{text}");
        }
        for text in [
            "10.0.0.1:1",
            "[::ffff:10.0.0.1]:1",
            "[fe80::1]:1",
            "0.0.0.0:1",
        ] {
            let (code, _) = from_here(peer(text), &HeaderMap::new()).unwrap_err();
            assert_eq!(code, StatusCode::FORBIDDEN, "{text}");
        }
    }

    #[test]
    fn a_web_page_is_not_heard() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ORIGIN,
            HeaderValue::from_static("http://evil.example"),
        );
        assert_eq!(
            from_here(peer("127.0.0.1:1"), &headers).unwrap_err().0,
            StatusCode::FORBIDDEN
        );
    }

    fn engine(direction: Direction, engaged: bool, released: &Arc<AtomicUsize>) -> Engine {
        let released = Arc::clone(released);
        let status = SyncStatus {
            brake: BrakeStatus {
                engaged,
                held_deletes: 7,
                least: 0,
            },
            ..SyncStatus::default()
        };
        Engine {
            direction,
            heartbeat: crate::heartbeat::Heartbeat::new(),
            status: watch::channel(status).1,
            release: Arc::new(move |seen| {
                released.fetch_add(seen, Ordering::Relaxed);
            }),
            election: None,
        }
    }

    #[test]
    fn the_brake_is_released_only_while_it_is_engaged() {
        let released = Arc::default();
        let engine = |engaged| [engine(Direction::ToConsul, engaged, &released)];
        assert_eq!(release(&engine(false), None).0, StatusCode::CONFLICT);
        assert_eq!(released.load(Ordering::Relaxed), 0);
        assert_eq!(
            release(&engine(true), None),
            (StatusCode::OK, "released: 7 deletes go on\n".to_owned())
        );
        assert_eq!(
            released.load(Ordering::Relaxed),
            7,
            "no more than were told"
        );
    }

    #[test]
    fn each_direction_has_a_brake_of_its_own() {
        let (consul, k8s) = (Arc::default(), Arc::default());
        let engines = |consul_engaged, k8s_engaged| {
            [
                engine(Direction::ToConsul, consul_engaged, &consul),
                engine(Direction::ToK8s, k8s_engaged, &k8s),
            ]
        };
        let released = || (consul.load(Ordering::Relaxed), k8s.load(Ordering::Relaxed));
        let (code, text) = release(&engines(true, true), None);
        assert!(
            code == StatusCode::CONFLICT && text.contains("--direction"),
            "{text}"
        );
        let other = Some(Direction::ToConsul);
        assert_eq!(
            release(&engines(false, true), other).0,
            StatusCode::CONFLICT
        );
        assert_eq!(released(), (0, 0));
        assert_eq!(release(&engines(false, true), None).0, StatusCode::OK);
        assert_eq!(released(), (0, 7));
        assert_eq!(release(&engines(true, true), other).0, StatusCode::OK);
        assert_eq!(released(), (7, 7));
        let (code, text) = release(&engines(true, true)[..1], Some(Direction::ToK8s));
        assert!(
            code == StatusCode::CONFLICT && text.contains("to_k8s"),
            "{text}"
        );
        assert_eq!(
            named(Some("x=1&direction=to-k8s")),
            Ok(Some(Direction::ToK8s))
        );
        assert_eq!(named(None), Ok(None));
        assert!(named(Some("direction=up")).is_err());
    }
}
