//! Changes as others make them.

use std::time::Duration;

use consul_sync_core::Status;
use consul_sync_testbed::{Client, Consul, ConsulVersion};
use serde_json::{Value, json};

use super::{
    Tested,
    support::{Told, source},
};

/// Registers an instance, with a check of that status.
pub(crate) async fn register(client: &Client, service: &str, number: u8, status: &str) -> Tested {
    let id = format!("{service}-{number}");
    let body = json!({
        "Node": "n1", "Address": "10.9.0.1",
        "Service": {"ID": id, "Service": service, "Address": format!("10.0.0.{number}"), "Port": 80},
        "Check": {"CheckID": format!("check-{id}"), "ServiceID": id, "Name": "a check", "Status": status},
    });
    put(client, "/v1/catalog/register", &body).await
}

pub(crate) async fn put(client: &Client, path: &str, body: &Value) -> Tested {
    client.put(path, body).await?.success()?;
    Ok(())
}

/// With a query for every service, for some, and for none.
pub(crate) async fn changes(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let client = consul.client();
    for queries in [128, 1, 0] {
        for service in ["a", "b", "web"] {
            register(client, service, 1, "passing").await?;
        }
        let source = source(consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        assert_eq!(told.names(), ["a", "b", "web"]);
        // More, and their health.
        register(client, "web", 2, "critical").await?;
        told.until(|told| told.status("web") == [Status::Passing, Status::Critical])
            .await;
        register(client, "web", 2, "warning").await?;
        told.until(|told| told.status("web") == [Status::Passing, Status::Warning])
            .await;
        register(client, "web", 2, "passing").await?;
        told.until(|told| told.status("web") == [Status::Passing; 2])
            .await;
        // The health of the node is everybody's.
        let check =
            json!({"Node": "n1", "CheckID": "node", "Name": "of the node", "Status": "critical"});
        let with_check = json!({"Node": "n1", "Address": "10.9.0.1", "Check": check});
        put(client, "/v1/catalog/register", &with_check).await?;
        told.until(|told| {
            ["a", "b"]
                .iter()
                .all(|name| told.status(name) == [Status::Critical])
        })
        .await;
        let without = json!({"Node": "n1", "CheckID": "node"});
        put(client, "/v1/catalog/deregister", &without).await?;
        told.until(|told| {
            ["a", "b"]
                .iter()
                .all(|name| told.status(name) == [Status::Passing])
        })
        .await;
        // Fewer, new ones, and everything at once.
        let gone = json!({"Node": "n1", "ServiceID": "web-1"});
        put(client, "/v1/catalog/deregister", &gone).await?;
        told.until(|told| told.count("web") == Some(1)).await;
        register(client, "new", 1, "passing").await?;
        told.until(|told| told.count("new") == Some(1)).await;
        put(client, "/v1/catalog/deregister", &json!({"Node": "n1"})).await?;
        told.until(|told| told.services.is_empty()).await;
        assert_eq!((told.errors, told.listings), (vec![], 1));
    }
    Ok(())
}

/// With a query for each node, which tells what changed of services without one.
pub(crate) async fn nodes(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let client = consul.client();
    for service in ["a", "b", "c", "d", "e", "f"] {
        register(client, service, 1, "passing").await?;
    }
    let source = source(consul.url(), |s| {
        (s.queries, s.node_queries) = (4, 4);
        s.wait = Duration::from_secs(600);
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(1)).await;
    let addresses = |told: &Told| -> Vec<String> {
        let instances = told.services["b"].instances.iter();
        instances.map(|i| i.address.to_string()).collect()
    };
    // One more, in place, and fewer.
    register(client, "b", 2, "passing").await?;
    told.until(|told| told.count("b") == Some(2)).await;
    let instance = |node: &str, address: &str| {
        json!({"Node": node, "SkipNodeUpdate": true,
            "Service": {"ID": "b-2", "Service": "b", "Address": address, "Port": 80}})
    };
    put(client, "/v1/catalog/register", &instance("n1", "10.0.0.9")).await?;
    told.until(|told| addresses(told) == ["10.0.0.1", "10.0.0.9"])
        .await;
    for id in ["b-1", "b-2"] {
        let gone = json!({"Node": "n1", "ServiceID": id});
        put(client, "/v1/catalog/deregister", &gone).await?;
        let left = usize::from(id == "b-1");
        told.until(|told| told.count("b").unwrap_or(0) == left)
            .await;
    }
    // A node that is new, has another address, and goes.
    let node = |address: &str| json!({"Node": "n2", "Address": address});
    put(client, "/v1/catalog/register", &node("10.9.0.2")).await?;
    put(client, "/v1/catalog/register", &instance("n2", "")).await?;
    told.until(|told| told.count("b") == Some(1)).await;
    put(client, "/v1/catalog/register", &node("10.9.0.3")).await?;
    told.until(|told| addresses(told) == ["10.9.0.3"]).await;
    register(client, "b", 1, "passing").await?;
    told.until(|told| told.count("b") == Some(2)).await;
    put(client, "/v1/catalog/deregister", &json!({"Node": "n2"})).await?;
    told.until(|told| addresses(told) == ["10.0.0.1"]).await;
    assert_eq!((told.errors, told.listings), (vec![], 1));
    Ok(())
}

pub(crate) async fn odd_names(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    for service in ["web", "../web", "a//b"] {
        register(consul.client(), service, 1, "passing").await?;
    }
    let odd = ["a b", "ü", "a/b"];
    for service in odd {
        register(consul.client(), service, 1, "passing").await?;
    }
    let mut told = Told::by(&source(consul.url(), |_| ()));
    told.until(|told| told.listings == 1).await;
    let mut names = odd.to_vec();
    names.push("web");
    names.sort_unstable();
    assert_eq!(told.names(), names);
    assert_eq!(told.rejected.iter().collect::<Vec<_>>(), ["../web", "a//b"]);
    Ok(())
}
