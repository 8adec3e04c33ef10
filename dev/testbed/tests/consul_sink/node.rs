//! The node that holds the instances, and others' claims on it.

use consul_sync_consul::{NodeName, preflight};
use consul_sync_core::Sink;
use consul_sync_testbed::{Consul, ConsulVersion};

use super::{
    Tested,
    support::{Events, creates, service, settings, sink_of},
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
