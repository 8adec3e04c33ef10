//! The metrics of the incumbent, at a port and a path of their own.

use std::{net::TcpListener, sync::Arc};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use tokio::sync::watch;

use super::serve;
use crate::{
    metrics::{INCUMBENT_CONTENT_TYPE, Incumbent},
    stage::Stage,
};

/// What is answered from.
#[derive(Debug)]
pub(crate) struct IncumbentMetrics {
    /// What is counted.
    pub(crate) counts: Arc<Incumbent>,
    /// How far the process has come.
    pub(crate) stage: watch::Receiver<Stage>,
}

impl IncumbentMetrics {
    /// Serves on a thread of its own until the process ends.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(self, listener: TcpListener, path: &str) -> std::io::Result<()> {
        let router = Router::new()
            .route(path, get(scrape))
            .with_state(Arc::new(self));
        serve::start(listener, router)
    }
}

async fn scrape(State(metrics): State<Arc<IncumbentMetrics>>) -> impl IntoResponse {
    let text = metrics.counts.text(&metrics.stage.borrow());
    ([(header::CONTENT_TYPE, INCUMBENT_CONTENT_TYPE)], text)
}
