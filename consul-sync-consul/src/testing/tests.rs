//! What the fake does that no real server can be made to do; what both do is compared elsewhere.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::*;

mod faults;

struct Caller {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Caller {
    fn of(consul: &FakeConsul) -> Self {
        Self {
            base: consul.url(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Response<hyper::body::Incoming>, Error> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        self.client
            .request(request.body(Full::new(Bytes::from(body))).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.send("GET", path, Value::Null).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.collect().await.unwrap().to_bytes();
        let text = || Value::from(String::from_utf8_lossy(&body).into_owned());
        (
            status,
            serde_json::from_slice(&body).unwrap_or_else(|_| text()),
        )
    }

    async fn txn(&self, ops: Value) -> u16 {
        self.send("PUT", "/v1/txn", ops)
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

fn node(name: &str) -> Node {
    Node {
        node: name.to_owned(),
        address: "127.0.0.1".to_owned(),
        ..Node::default()
    }
}

fn web(id: &str) -> Instance {
    Instance {
        node: "n".to_owned(),
        id: id.to_owned(),
        service: "web".to_owned(),
        ..Instance::default()
    }
}

fn set(id: &str) -> Value {
    json!([{ "Service": { "Verb": "set", "Node": "n", "Service": { "ID": id, "Service": "web" } } }])
}

async fn consul() -> (FakeConsul, Caller) {
    let consul = FakeConsul::builder()
        .record_operations()
        .start()
        .await
        .unwrap();
    consul.put_node(node("n")).unwrap();
    let caller = Caller::of(&consul);
    (consul, caller)
}

fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        || error.source().is_some_and(is_reset)
}

#[tokio::test]
async fn a_restart_resets_connections_and_starts_the_indexes_over() {
    let (consul, caller) = consul().await;
    for id in ["a", "b", "c"] {
        consul.put_instance(web(id)).unwrap();
    }
    let before = consul.raft_index();
    let path = format!("/v1/catalog/node-services/n?index={before}");
    let blocked = caller.send("GET", &path, Value::Null);
    let restart = async {
        consul.until(|consul| consul.blocked() == 1).await;
        consul.restart();
    };
    let (answer, ()) = tokio::join!(blocked, restart);
    assert!(is_reset(&answer.unwrap_err()));
    assert!(consul.raft_index() < before);
    assert!(consul.node("n").is_none());
    assert_eq!(
        caller.get("/v1/catalog/services").await.1,
        json!({ "consul": [] })
    );
}

#[tokio::test]
async fn a_restored_snapshot_takes_data_and_indexes_back() {
    let (consul, caller) = consul().await;
    consul.put_instance(web("a")).unwrap();
    let snapshot = consul.snapshot();
    consul.put_instance(web("b")).unwrap();
    let index = async || {
        let answer = caller
            .send("GET", "/v1/catalog/node-services/n", Value::Null)
            .await
            .unwrap();
        answer.headers()["x-consul-index"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let newer = index().await;
    let path = format!("/v1/catalog/node-services/n?index={newer}");
    let restore = async {
        consul.until(|consul| consul.blocked() == 1).await;
        consul.restore(&snapshot);
    };
    let ((_, body), ()) = tokio::join!(caller.get(&path), restore);
    assert_eq!(body["Services"].as_array().unwrap().len(), 2);
    let (_, body) = caller.get("/v1/catalog/node-services/n").await;
    assert_eq!(body["Services"].as_array().unwrap().len(), 1);
    assert!(index().await < newer);
}

#[tokio::test]
async fn servers_of_one_cluster_share_the_catalog_and_go_one_by_one() {
    let (consul, caller) = consul().await;
    let other = consul.another().await.unwrap();
    let behind = Caller::of(&other);
    assert_eq!(behind.txn(set("a")).await, 200);
    assert_eq!(
        caller.get("/v1/catalog/node-services/n").await.1["Services"][0]["ID"],
        "a"
    );
    drop(other);
    consul.until(|consul| consul.connections() == 1).await;
    assert!(
        behind
            .send("GET", "/v1/catalog/nodes", Value::Null)
            .await
            .is_err()
    );
    assert_eq!(caller.get("/v1/catalog/nodes").await.0, 200);
}

#[tokio::test]
async fn connections_above_the_limit_are_reset() {
    let consul = FakeConsul::builder().connections(1).start().await.unwrap();
    let (first, second) = (Caller::of(&consul), Caller::of(&consul));
    assert_eq!(first.get("/v1/status/leader").await.0, 200);
    let error = second
        .send("GET", "/v1/status/leader", Value::Null)
        .await
        .unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    consul.disconnect();
    consul.until(|consul| consul.connections() == 0).await;
    assert_eq!(second.get("/v1/status/leader").await.0, 200);
}

#[tokio::test]
async fn a_revoked_token_is_noticed_when_the_catalog_next_moves() {
    let acl = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token("secret", Rules::sync("n"));
    let consul = acl.start().await.unwrap();
    consul.put_node(node("n")).unwrap();
    let caller = Caller::of(&consul);
    let path = format!(
        "/v1/catalog/node-services/n?token=secret&index={}",
        consul.raft_index()
    );
    let revoke = async {
        consul.until(|consul| consul.blocked() == 1).await;
        consul.revoke_token("secret");
        consul.put_instance(web("a")).unwrap();
    };
    let (answer, ()) = tokio::join!(caller.get(&path), revoke);
    assert_eq!(answer, (403, "ACL not found".into()));
}

#[tokio::test]
async fn a_blocked_query_is_answered_by_the_write_that_moves_its_index_and_by_no_other() {
    let (consul, caller) = consul().await;
    consul.put_node(node("other")).unwrap();
    let path = format!(
        "/v1/catalog/node-services/n?index={}&wait=10m",
        consul.raft_index()
    );
    let write = async {
        consul.until(|consul| consul.blocked() == 1).await;
        consul
            .put_instance(Instance {
                node: "other".to_owned(),
                ..web("a")
            })
            .unwrap();
        assert_eq!(consul.blocked(), 1);
        consul.put_instance(web("b")).unwrap();
    };
    let ((_, body), ()) = tokio::join!(caller.get(&path), write);
    assert_eq!(body["Services"][0]["ID"], "b");
    assert_eq!(consul.blocked(), 0);
}

#[tokio::test]
async fn a_write_of_equal_content_moves_no_index_but_raft() {
    let (consul, caller) = consul().await;
    assert_eq!(caller.txn(set("a")).await, 200);
    let (instance, raft) = (consul.instance("n", "A").unwrap(), consul.raft_index());
    assert_eq!(caller.txn(set("a")).await, 200);
    assert_eq!(consul.instance("n", "a").unwrap(), instance);
    assert_eq!((consul.raft_index(), consul.writes()), (raft + 1, 2));
}
