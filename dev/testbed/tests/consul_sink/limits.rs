//! Servers at their limits.

use consul_sync_core::{Layout, Service, Sink};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion};
use serde_json::{Value, json};

use super::{
    Tested,
    support::{Events, Running, creates, kinds, planned, records, service, sink, write},
};

async fn limited(
    version: ConsulVersion,
    limits: Value,
) -> Result<Consul, consul_sync_testbed::Error> {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.config = json!({ "limits": limits });
    Consul::start_with(settings).await
}

/// Fewer connections than the sink and whoever else speaks from this address would like: the server resets the rest.
pub(crate) async fn connections(version: ConsulVersion) -> Tested {
    let consul = limited(version, json!({ "http_max_conns_per_client": 4 })).await?;
    let others: Vec<_> = futures::future::join_all(
        (0..3).map(|_| tokio::net::TcpStream::connect(consul.http_addr())),
    )
    .await;
    let services: Vec<Service> = (0..30).map(|n| service(&format!("web-{n}"), 3)).collect();
    let mut running = Running::start(sink(consul.url()), &services);
    running.until(|status| status.sink.error.is_some()).await;
    drop(others);
    running.until_owned(90).await;
    let changed = services.into_iter().map(|mut service| {
        service.weight = Some(6);
        service
    });
    let changed: Vec<Service> = changed.collect();
    for service in &changed {
        running.source.put(service.clone());
    }
    // Others read, too, and are refused now and then.
    let fresh = sink(consul.url());
    let mut wanted: Vec<_> = changed
        .iter()
        .map(|service| records(&fresh, service))
        .collect();
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    loop {
        let listed = Events::of(&fresh).try_listing().await.unwrap_or_default();
        let listed: Vec<_> = listed
            .into_iter()
            .map(|(slot, held)| {
                let records = held.records.into_iter().map(|held| held.record);
                (slot, records.collect::<Vec<_>>())
            })
            .collect();
        if listed == wanted {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    running.stop().await;
    Ok(())
}

/// A server that takes smaller bodies than most: it says so, or ends the connection in the middle of one.
pub(crate) async fn bodies(version: ConsulVersion) -> Tested {
    let consul = limited(
        version,
        json!({ "txn_max_req_len": 100_000, "kv_max_value_size": 100_000 }),
    )
    .await?;
    let sink = sink(consul.url());
    let mut large = service("web", 20);
    large.tags = ["t".repeat(15_000).into()].into();
    let before = sink.limits().bytes;
    // What is left without a clear answer is looked at and decided again.
    write_in_rounds(&sink, &[large.clone()]).await?;
    assert!(sink.limits().bytes < before, "{:?}", sink.limits());
    assert!(planned(&sink, &[large]).await.is_empty());

    // One that fits no transaction is refused alone.
    let mut huge = service("huge", 1);
    huge.tags = ["t".repeat(120_000).into()].into();
    let mut ops = creates(&sink, &huge);
    ops.extend(creates(&sink, &service("small", 1)));
    assert_eq!(kinds(&sink.apply(&ops).await?), ["refused", "written"]);
    write(&sink, &[]).await;
    Ok(())
}

async fn write_in_rounds(
    sink: &consul_sync_consul::ConsulSink,
    services: &[Service],
) -> Result<(), consul_sync_core::SinkError> {
    for _ in 0..8 {
        let ops = planned(sink, services).await;
        if ops.is_empty() {
            return Ok(());
        }
        let outcomes = sink.apply(&ops).await?;
        let kinds = kinds(&outcomes);
        assert!(
            kinds
                .iter()
                .all(|kind| ["written", "unknown", "skipped"].contains(kind)),
            "{kinds:?}"
        );
    }
    panic!("the same is tried again and again");
}
