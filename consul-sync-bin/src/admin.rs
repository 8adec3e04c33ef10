//! The admin server: probes, metrics, and the few things that a person may ask of a running process.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /livez` | 200 while the synchronising thread moves; says nothing of Kubernetes or Consul, which a restart would not mend |
//! | `GET /readyz` | 200 once both sides of every direction that runs were listed, else 503 with what is waited for; `?verbose` lists everything pending |
//! | `GET /healthz` | as `/livez` |
//! | `GET /health/ready` | 204 or 500, as the incumbent says it |
//! | `GET /metrics` | `OpenMetrics` text |
//! | `POST /brake/release` | lets the held deletes of one direction go, which `?direction=to_consul` or `to_k8s` names; from loopback only |
//! | `PUT /log-level` | shows other log lines, the level in the body; from loopback only |

mod control;
mod incumbent;
mod probe;
mod serve;

use std::{net::TcpListener, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, RawQuery, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post, put},
};
use tokio::sync::watch;

pub(crate) use self::incumbent::IncumbentMetrics;
use crate::{heartbeat::Heartbeat, log::LevelControl, metrics::Metrics, stage::Stage};

/// The largest body that any request may have.
const BODY_LIMIT: usize = 1024;

/// What the admin server answers from.
#[derive(Debug)]
pub(crate) struct Admin {
    /// Whether the synchronising thread moves before there are engines, and after.
    pub(crate) heartbeat: Heartbeat,
    /// How far the process has come.
    pub(crate) stage: watch::Receiver<Stage>,
    /// What is measured.
    pub(crate) metrics: Metrics,
    /// Which log lines are shown.
    pub(crate) level: Option<LevelControl>,
}

type Shared = State<Arc<Admin>>;

// === impl Admin ===

impl Admin {
    /// Serves on a thread of its own until the process ends.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(self, listener: TcpListener) -> std::io::Result<()> {
        serve::start(listener, self.router())
    }

    fn router(self) -> Router {
        Router::new()
            .route("/livez", get(live))
            .route("/healthz", get(live))
            .route("/readyz", get(ready))
            .route("/health/ready", get(ready_for_the_incumbents_chart))
            .route("/metrics", get(metrics))
            .route("/brake/release", post(control::release_brake))
            .route("/log-level", put(control::set_log_level))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::new(self))
    }
}

async fn live(State(admin): Shared) -> impl IntoResponse {
    probe::live(&admin.stage.borrow(), &admin.heartbeat)
}

async fn ready(State(admin): Shared, RawQuery(query): RawQuery) -> impl IntoResponse {
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part.split('=').next() == Some("verbose"))
    });
    probe::ready(&admin.stage.borrow(), verbose)
}

/// The same as the incumbent answers it, and its chart asks.
async fn ready_for_the_incumbents_chart(State(admin): Shared) -> StatusCode {
    match probe::ready(&admin.stage.borrow(), false).0 {
        StatusCode::OK => StatusCode::NO_CONTENT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn metrics(State(admin): Shared) -> impl IntoResponse {
    match admin.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, crate::metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
