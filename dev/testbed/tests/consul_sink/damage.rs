//! What others do to our instances.

use consul_sync_core::{Driver, Record, Sink, testing::TableSource};
use consul_sync_testbed::{Consul, ConsulVersion};
use serde_json::json;

use super::{
    Tested,
    support::{Events, NODE, ids, service, sink, slot, write},
};

pub(crate) async fn damage(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    write(&sink, &[service("web", 2)]).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 1);
    let (_, held) = sink.read(&[slot("web")]).await?.remove(0);
    let held = ids(&held);

    let changed = json!({"Node": NODE, "SkipNodeUpdate": true, "Service":
        {"ID": held[0], "Service": "web", "Address": "10.9.9.9", "Port": 9}});
    consul
        .client()
        .put("/v1/catalog/register", &changed)
        .await?
        .success()?;
    events
        .until(|_, held| held.records[0].record.port() == 9)
        .await;

    let down = json!({"Node": NODE, "SkipNodeUpdate": true, "Check": {"CheckID": format!("ns/{}", held[1]),
        "Name": "x", "ServiceID": held[1], "Status": "critical"}});
    consul
        .client()
        .put("/v1/catalog/register", &down)
        .await?
        .success()?;
    events
        .until(|_, held| !held.records[1].record.is_live())
        .await;

    let check = json!({"Node": NODE, "CheckID": format!("ns/{}", held[1])});
    consul
        .client()
        .put("/v1/catalog/deregister", &check)
        .await?
        .success()?;
    events
        .until(|_, held| held.records[1].record.check().is_none())
        .await;

    for id in &held {
        let gone = json!({"Node": NODE, "ServiceID": id});
        consul
            .client()
            .put("/v1/catalog/deregister", &gone)
            .await?
            .success()?;
        events.until(|_, left| !ids(left).contains(id)).await;
    }
    Ok(())
}

pub(crate) async fn repair(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    let source = TableSource::default();
    for n in 0..20 {
        source.put(service(&format!("web-{n}"), 3));
    }
    let driver = Driver::new(source, sink.clone());
    let mut status = driver.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(driver.run(async move {
        let _ = stopped.await;
    }));
    status
        .wait_for(|status| status.is_ready() && status.owned == 60)
        .await?;

    let mut events = Events::of(&sink);
    events.listing().await;
    let gone = json!({ "Node": NODE });
    consul
        .client()
        .put("/v1/catalog/deregister", &gone)
        .await?
        .success()?;
    let mut whole = std::collections::BTreeSet::new();
    while whole.len() < 20 {
        let (name, held) = events.change().await;
        if held.records.len() == 3 {
            whole.insert(name);
        } else {
            whole.remove(&name);
        }
    }
    let _ = stop.send(());
    running.await?;
    Ok(())
}
