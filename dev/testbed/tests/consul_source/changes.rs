//! Changes as others make them.

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
