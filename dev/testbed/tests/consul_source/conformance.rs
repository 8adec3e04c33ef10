//! The core's suite for sources.

use async_trait::async_trait;
use consul_sync_core::testing::conformance::{self, Disturbance};
use consul_sync_testbed::{Answer, Consul, ConsulVersion};
use serde_json::Value;

use super::{
    Tested,
    support::source,
    world::{Behind, Server},
};

/// How many servers share the cases: most of the time is spent on waiting.
const SERVERS: usize = 3;

#[async_trait]
impl Server for Consul {
    async fn txn(&self, operations: &Value) {
        let answer = self.client().put("/v1/txn", operations).await;
        let answer = answer.and_then(Answer::success);
        assert!(answer.is_ok(), "{answer:?}");
    }

    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        match disturbance {
            // The queries that are held end with what they showed before, as nothing else makes them.
            Disturbance::Forget => {
                let client = self.client();
                let saved = client.get("/v1/snapshot").await.and_then(Answer::success);
                let kind = "application/octet-stream";
                let body = saved.map(|answer| answer.body).unwrap_or_default();
                let put = client
                    .send(http::Method::PUT, "/v1/snapshot", kind, body)
                    .await;
                put.is_ok_and(|answer| answer.status == 200)
            }
            _ => false,
        }
    }

    async fn end(&mut self, _: Disturbance) {}

    fn open(&self) -> Option<usize> {
        None
    }
}

pub(crate) async fn suite(version: ConsulVersion) -> Tested {
    for (queries, node_queries) in [(128, 64), (2, 0), (2, 2)] {
        let mut worlds = Vec::new();
        for _ in 0..SERVERS {
            let consul = Consul::start(version).await?;
            let source = source(consul.url(), |s| {
                (s.queries, s.node_queries) = (queries, node_queries);
            });
            worlds.push(Behind::new(consul, source).await);
        }
        conformance::source_over(&mut worlds, 0..2).await;
    }
    Ok(())
}
