//! Servers that are killed or put back.

use std::time::Duration;

use consul_sync_core::{ErrorKind, Event, Service};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Storage};

use super::{
    Tested,
    support::{Events, planned, service, sink, write},
};

pub(crate) async fn killed(version: ConsulVersion) -> Tested {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.storage = Storage::Disk;
    let consul = Consul::start_with(settings).await?;
    let sink = sink(consul.url());
    let services: Vec<Service> = (0..40).map(|n| service(&format!("web-{n}"), 10)).collect();
    write(&sink, &services).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 40);
    for _ in 0..3 {
        consul.kill()?;
        consul.start_again()?;
        // The server is asked while it starts, as it would be in earnest.
        let listed = loop {
            let mut fresh = Events::of(&sink);
            if let Some(listed) = fresh.try_listing().await {
                break listed;
            }
        };
        assert_eq!(listed.len(), 40);
        assert!(listed.iter().all(|(_, held)| held.records.len() == 10));
        assert!(planned(&sink, &services).await.is_empty());
        // The old watch goes on, and has nothing to take back.
        loop {
            match events.poll(Duration::from_millis(1500)).await {
                None => break,
                Some(Err(error)) => assert!(!error.kind().weakens(), "{error}"),
                Some(Ok(Event::Upserted(slot, held))) => {
                    assert_eq!(held.records.len(), 10, "{slot}");
                }
                Some(Ok(other)) => return Err(format!("{other:?} after a restart").into()),
            }
        }
    }
    Ok(())
}

pub(crate) async fn restored(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    write(&sink, &[service("web", 1)]).await;
    let saved = consul.client().get("/v1/snapshot").await?.success()?.body;
    write(&sink, &[service("web", 1), service("db", 2)]).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 2);
    // The queries are open before the snapshot is put back.
    assert!(events.is_quiet(Duration::from_millis(500)).await);
    let kind = "application/octet-stream";
    consul
        .client()
        .send(http::Method::PUT, "/v1/snapshot", kind, saved)
        .await?
        .success()?;
    let error = loop {
        match events.next().await {
            Err(error) if error.kind() == ErrorKind::Incomplete => break error,
            Err(_) => {}
            Ok(event) => return Err(format!("{event:?} before the listing").into()),
        }
    };
    assert!(error.to_string().contains("went back"), "{error}");
    let listed = loop {
        if let Some(listed) = events.try_listing().await {
            break listed;
        }
    };
    assert_eq!(listed.len(), 1);
    Ok(())
}
