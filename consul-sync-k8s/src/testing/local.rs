//! A transport for the kube client that calls the fake directly, without a socket.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};

use super::{
    answer::{Body, Severed},
    cluster::FakeCluster,
};

/// The transport.
#[derive(Clone, Debug)]
pub(super) struct Local {
    cluster: FakeCluster,
}

impl Local {
    pub(super) fn new(cluster: FakeCluster) -> Self {
        Self { cluster }
    }
}

type Answer = Pin<
    Box<
        dyn Future<Output = Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>>>
            + Send,
    >,
>;

impl tower_service::Service<Request<kube::client::Body>> for Local {
    type Response = Response<Body>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let cluster = self.cluster.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            cluster
                .answer(Request::from_parts(parts, body))
                .await
                .map_err(|severed: Severed| severed.into())
        })
    }
}
