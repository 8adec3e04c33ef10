//! The node that holds the instances, and others' claims on it.

use consul_sync_consul::{NodeName, preflight};
use consul_sync_core::{Owner, Service, Sink, Standing};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion};
use serde_json::{Value, json};

use super::{
    Tested,
    support::{
        Events, NODE, Running, creates, kinds, planned, service, settings, sink, sink_of, slot,
        write,
    },
};

pub(crate) async fn agents_node(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let mut settings = settings();
    settings.node = NodeName::new(consul.node())?;
    let sink = sink_of(consul.url(), |_| (), settings);
    let error = Events::of(&sink).refused_listing().await;
    assert!(error.to_string().contains("running agent"), "{error}");
    assert!(
        sink.apply(&creates(&sink, &service("web", 1)))
            .await
            .is_err()
    );
    assert!(preflight(&sink).await.iter().any(|finding| !finding.good));
    Ok(())
}

/// The node as Consul has it, with the IDs of its instances.
async fn held(consul: &Consul) -> Result<(Value, Vec<String>), consul_sync_testbed::Error> {
    let path = format!("/v1/catalog/node-services/{NODE}?consistent");
    let body = consul.client().get(&path).await?.json()?;
    let services = body["Services"].as_array().into_iter().flatten();
    let ids = services.filter_map(|service| service["ID"].as_str().map(str::to_owned));
    Ok((body["Node"].clone(), ids.collect()))
}

/// An agent starts whose name is our node's. Its anti-entropy removes what it did not register, and we must not put it
/// back for as long as the agent is there.
pub(crate) async fn agent_takes_it(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let services: Vec<Service> = (0..10).map(|n| service(&format!("web-{n}"), 2)).collect();
    let mut running = Running::start(sink(consul.url()), &services);
    running.until_owned(20).await;

    let member = consul.client().get("/v1/agent/self").await?.json()?;
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.storage = consul_sync_testbed::Storage::Disk;
    settings.config = json!({
        "server": false, "bootstrap_expect": 0, "node_name": NODE,
        "retry_join": [format!("127.0.0.1:{}", member["Member"]["Port"])], "retry_interval": "1s",
    });
    let agent = Consul::start_with(settings).await?;
    running
        .until(|status| {
            let error = status.sink.error.as_ref();
            !status.sink.complete && error.is_some_and(|(_, text)| text.contains("running agent"))
        })
        .await;
    // The agent takes away what it did not register itself, and nothing comes back.
    let mut rounds = 0;
    while rounds < 20 {
        let (node, ids) = held(&consul).await?;
        assert!(
            node["ID"].as_str().is_some_and(|id| !id.is_empty()),
            "{node}"
        );
        rounds = if ids.is_empty() { rounds + 1 } else { 0 };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let error = sink(consul.url())
        .apply(&creates(&sink(consul.url()), &service("x", 1)))
        .await;
    assert!(error.is_err_and(|error| error.to_string().contains("running agent")));

    // It leaves, and its node with it: everything is registered again.
    let leave = agent.client().put("/v1/agent/leave", &json!({})).await;
    drop(leave);
    // The status alone does not tell: what the agent took away was never shown while it held the node.
    let begun = std::time::Instant::now();
    loop {
        let (node, ids) = held(&consul).await?;
        if (node["ID"].as_str(), ids.len()) == (Some(""), 20) {
            break;
        }
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(60),
            "{ids:?} on {node}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.until_owned(20).await;
    running.stop().await;
    Ok(())
}

/// Somebody registers the node between our look and our write: by a transaction of his own, which ours is held against.
pub(crate) async fn written_meanwhile(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    // We look: it is absent, so that the next write creates it.
    assert!(Events::of(&sink).listing().await.is_empty());
    let theirs = json!({ "Node": NODE, "Address": "192.0.2.9", "NodeMeta": { "rack": "7" } });
    let put = consul.client().put("/v1/catalog/register", &theirs).await?;
    put.success()?;
    let outcomes = sink.apply(&creates(&sink, &service("web", 2))).await?;
    assert_eq!(kinds(&outcomes), ["written"; 2]);
    let (node, ids) = held(&consul).await?;
    assert_eq!(
        (&node["Address"], &node["Meta"]),
        (&theirs["Address"], &theirs["NodeMeta"])
    );
    assert_eq!(ids.len(), 2);
    Ok(())
}

pub(crate) async fn two_owners(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let ours = sink(consul.url());
    let mut settings = settings();
    settings.owner = Owner::new("cluster-b")?;
    let theirs = sink_of(consul.url(), |_| (), settings);
    let web = service("web", 2);
    let both = [creates(&ours, &web), creates(&theirs, &web)];
    assert_eq!(kinds(&ours.apply(&both[0]).await?), ["written"; 2]);
    let outcomes = theirs.apply(&both[1]).await?;
    assert_eq!(outcomes.len(), 2);
    assert!(
        kinds(&outcomes)
            .iter()
            .all(|kind| ["stale", "skipped"].contains(kind)),
        "{outcomes:?}"
    );
    let (_, held) = theirs.read(&[slot("web")]).await?.remove(0);
    assert!(
        held.records
            .iter()
            .all(|held| held.standing == Standing::Foreign)
    );
    assert!(
        planned(&theirs, std::slice::from_ref(&web))
            .await
            .is_empty()
    );
    assert!(planned(&theirs, &[]).await.is_empty());
    write(&ours, &[]).await;
    write(&theirs, std::slice::from_ref(&web)).await;
    assert!(planned(&ours, &[web]).await.is_empty());
    Ok(())
}
