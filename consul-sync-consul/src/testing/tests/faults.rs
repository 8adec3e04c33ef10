//! Each fault does what it says.

use super::*;

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
