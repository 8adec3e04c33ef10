//! The requests that change something: taken from this machine alone.

use axum::{
    extract::{Extension, State},
    http::{HeaderMap, StatusCode, header},
};
use tracing::{info, warn};

use super::{Shared, serve::Peer};
use crate::{
    log::Level,
    stage::{Engine, Stage},
};

type Answer = (StatusCode, String);

pub(super) async fn release_brake(
    State(admin): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Answer {
    if let Err(refusal) = from_here(peer, &headers) {
        return refusal;
    }
    let engine = match &*admin.stage.borrow() {
        Stage::Running(engine) => engine.clone(),
        Stage::Starting { .. } | Stage::Stopping => {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                "the engine does not run\n".to_owned(),
            );
        }
    };
    release(&engine)
}

/// A release is for the deletes that a person has seen. Without any there is nothing it could be about, and a
/// release in advance would be a brake that is off.
fn release(engine: &Engine) -> Answer {
    let brake = engine.status.borrow().brake;
    if !brake.engaged {
        return (
            StatusCode::CONFLICT,
            "the brake is not engaged: there is nothing to release\n".to_owned(),
        );
    }
    (engine.release)(brake.held_deletes);
    warn!(held = brake.held_deletes, "brake released by request");
    (
        StatusCode::OK,
        format!("released: {} deletes go on\n", brake.held_deletes),
    )
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

    #[test]
    fn the_brake_is_released_only_while_it_is_engaged() {
        let released = Arc::new(AtomicUsize::new(0));
        let engine = |engaged| Engine {
            status: watch::channel(SyncStatus {
                brake: BrakeStatus {
                    engaged,
                    held_deletes: 7,
                    least: 0,
                },
                ..SyncStatus::default()
            })
            .1,
            release: {
                let released = Arc::clone(&released);
                Arc::new(move |seen| {
                    released.fetch_add(seen, Ordering::Relaxed);
                })
            },
            lock: None,
        };
        assert_eq!(release(&engine(false)).0, StatusCode::CONFLICT);
        assert_eq!(released.load(Ordering::Relaxed), 0);
        assert_eq!(
            release(&engine(true)),
            (StatusCode::OK, "released: 7 deletes go on\n".to_owned())
        );
        assert_eq!(
            released.load(Ordering::Relaxed),
            7,
            "no more than were told"
        );
    }
}
