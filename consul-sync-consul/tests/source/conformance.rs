//! The core's suite for sources.

use async_trait::async_trait;
use bytes::Bytes;
use consul_sync_consul::{
    Secret, TokenSource,
    testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Right, Rules},
};
use consul_sync_core::testing::conformance::{self, Disturbance};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

use super::{
    support::source_with,
    world::{Behind, Server},
};

const WRITER: &str = "5e7c9a40-0000-4000-8000-000000000002";
const READER: &str = "5e7c9a40-0000-4000-8000-000000000003";

fn reader() -> Rules {
    Rules::new()
        .service_prefix("", Right::Read)
        .node_prefix("", Right::Read)
}

#[async_trait]
impl Server for FakeConsul {
    async fn txn(&self, operations: &Value) {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        let request = http::Request::put(format!("{}/v1/txn", self.url()))
            .header("x-consul-token", WRITER)
            .body(Full::new(Bytes::from(operations.to_string())))
            .unwrap();
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{status}: {body:?}");
    }

    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        match disturbance {
            Disturbance::Break => self.disconnect(),
            // Held queries end without a word of what changed, as when a snapshot is put back.
            Disturbance::Forget => self.restore(&self.snapshot()),
            Disturbance::Denied => {
                self.put_token(READER, Rules::new().node_prefix("", Right::Read));
                // What is held ends.
                self.restore(&self.snapshot());
            }
            Disturbance::Outage => {
                let reads = Fault::new().error_before(500, "No cluster leader");
                let endpoints = [
                    Endpoint::Services,
                    Endpoint::ServiceHealth,
                    Endpoint::ChecksInState,
                    Endpoint::Nodes,
                    Endpoint::NodeServices,
                ];
                self.inject(endpoints.into_iter().fold(reads, Fault::on));
                self.disconnect();
            }
            _ => return false,
        }
        true
    }

    async fn end(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Denied => self.put_token(READER, reader()),
            _ => self.clear_faults(),
        }
    }

    fn open(&self) -> Option<usize> {
        Some(self.blocked())
    }
}

/// How many servers share the cases: most of the time is spent on waiting.
const SERVERS: usize = 6;

async fn it_does_what_every_source_must(queries: usize, node_queries: usize) {
    let mut worlds = Vec::new();
    for _ in 0..SERVERS {
        let consul = FakeConsul::builder()
            .acl(DefaultPolicy::Deny)
            .token(WRITER, Rules::management())
            .token(READER, reader())
            .start()
            .await
            .unwrap();
        let token = TokenSource::Value(Secret::new(READER));
        let source = source_with(
            &consul.url(),
            |c| c.token = token,
            |s| (s.queries, s.node_queries) = (queries, node_queries),
        );
        worlds.push(Behind::new(consul, source).await);
    }
    conformance::source_over(&mut worlds, 0..3).await;
}

#[tokio::test]
async fn it_does_what_every_source_must_with_a_query_for_every_service() {
    it_does_what_every_source_must(128, 64).await;
}

#[tokio::test]
async fn it_does_what_every_source_must_with_fewer_queries_than_services() {
    it_does_what_every_source_must(2, 0).await;
}

#[tokio::test]
async fn it_does_what_every_source_must_without_a_query_for_any_service() {
    it_does_what_every_source_must(0, 0).await;
}

#[tokio::test]
async fn it_does_what_every_source_must_with_a_query_for_every_node() {
    // The suite's node, and the server's own.
    it_does_what_every_source_must(2, 2).await;
}
