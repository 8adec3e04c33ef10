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

// ---- faults -----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_error_before_changes_nothing_and_an_error_after_has_changed_everything() {
    let (consul, caller) = consul().await;
    consul.inject(
        Fault::new()
            .error_before(500, "No cluster leader")
            .on(Endpoint::Txn)
            .times(1),
    );
    assert_eq!(caller.txn(set("a")).await, 500);
    assert_eq!(consul.instances("n").len(), 0);
    consul.inject(
        Fault::new()
            .error_after(500, "rpc error making call: EOF")
            .on(Endpoint::Txn)
            .times(1),
    );
    assert_eq!(caller.txn(set("a")).await, 500);
    assert_eq!(consul.instances("n").len(), 1);
    assert_eq!(caller.txn(set("b")).await, 200);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_an_orderly_end() {
    let (consul, caller) = consul().await;
    for (fault, applied) in [
        (Fault::new().reset_before(), 0),
        (Fault::new().reset_after(), 1),
    ] {
        consul.inject(fault.on(Endpoint::Txn).times(1));
        let error = caller.send("PUT", "/v1/txn", set("a")).await.unwrap_err();
        assert!(is_reset(&error), "{error:?}");
        assert_eq!(consul.instances("n").len(), applied);
    }
}

fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        || error.source().is_some_and(is_reset)
}

#[tokio::test]
async fn a_cut_answer_has_a_whole_head_and_a_part_of_its_body() {
    let (consul, caller) = consul().await;
    for cut in [0, 5] {
        consul.inject(Fault::new().cut(cut).times(1));
        let answer = caller
            .send("GET", "/v1/catalog/nodes", Value::Null)
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        let mut read = 0;
        let end = loop {
            match body.frame().await {
                Some(Ok(frame)) => read += frame.into_data().unwrap().len(),
                end => break end,
            }
        };
        assert_eq!(read, cut);
        assert!(matches!(end, Some(Err(_))), "{end:?}");
    }
}

#[tokio::test]
async fn a_held_request_is_handled_when_the_faults_are_cleared() {
    let (consul, caller) = consul().await;
    consul.inject(Fault::new().pause().on(Endpoint::Txn));
    let request = caller.txn(set("a"));
    let release = async {
        consul
            .until(|consul| consul.requests(Endpoint::Txn) == 1)
            .await;
        assert_eq!(consul.instances("n").len(), 0);
        consul.clear_faults();
    };
    let (status, ()) = tokio::join!(request, release);
    assert_eq!((status, consul.instances("n").len()), (200, 1));
}

#[tokio::test]
async fn a_late_answer_was_applied_in_time() {
    let (consul, caller) = consul().await;
    consul.inject(
        Fault::new()
            .late(Duration::from_secs(3600))
            .on(Endpoint::Txn),
    );
    let applied = consul.until(|consul| consul.instances("n").len() == 1);
    tokio::select! {
        status = caller.txn(set("a")) => panic!("answered {status}"),
        () = applied => {}
    }
}

#[tokio::test]
async fn a_partial_listing_looks_healthy_and_consistent_reads_can_be_spared() {
    let (consul, caller) = consul().await;
    for id in ["a", "b", "c"] {
        consul.put_instance(web(id)).unwrap();
    }
    consul.inject(Fault::new().partial(1).unless_consistent());
    let (status, body) = caller.get("/v1/catalog/node-services/n").await;
    assert_eq!(
        (status, body["Services"].as_array().unwrap().len()),
        (200, 1)
    );
    let (_, body) = caller.get("/v1/health/service/web").await;
    assert_eq!(body.as_array().unwrap().len(), 1);
    let (_, body) = caller.get("/v1/catalog/services").await;
    assert_eq!(body.as_object().unwrap().len(), 1);
    let (_, body) = caller.get("/v1/catalog/node-services/n?consistent").await;
    assert_eq!(body["Services"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn headers_can_lie_and_be_missing() {
    let (consul, caller) = consul().await;
    consul.inject(
        Fault::new()
            .header("x-consul-index", "3")
            .without_header("x-consul-knownleader"),
    );
    let answer = caller
        .send("GET", "/v1/catalog/nodes", Value::Null)
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-consul-index"], "3");
    assert!(!answer.headers().contains_key("x-consul-knownleader"));
}

#[tokio::test]
async fn refused_operations_take_their_transaction_with_them() {
    let (consul, caller) = consul().await;
    let poison = |operation: &Operation| (operation.id == "bad").then(|| "no".to_owned());
    consul.inject(Fault::new().refuse(poison).on(Endpoint::Txn));
    let both: Value = [set("good"), set("bad")]
        .iter()
        .map(|ops| ops[0].clone())
        .collect();
    let answer = caller.send("PUT", "/v1/txn", both).await.unwrap();
    assert_eq!(answer.status(), 409);
    let body: Value = serde_json::from_slice(&answer.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["Errors"], json!([{ "OpIndex": 1, "What": "no" }]));
    assert_eq!(caller.txn(set("good")).await, 200);
    let operations: Vec<_> = consul
        .operations()
        .into_iter()
        .map(|operation| operation.id)
        .collect();
    assert_eq!(operations, ["good"]);
}

#[tokio::test]
async fn a_request_meets_the_first_fault_that_fits_and_each_as_often_as_it_says() {
    let (consul, caller) = consul().await;
    consul.inject(
        Fault::new()
            .error_before(429, "a")
            .on(Endpoint::Nodes)
            .skip(1)
            .times(2),
    );
    consul.inject(Fault::new().error_before(503, "b").times(1));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(caller.get("/v1/catalog/nodes").await.0);
    }
    assert_eq!(statuses, [200, 429, 429, 503, 200]);
}

// ---- the server as a whole --------------------------------------------------------------------------------------------

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
