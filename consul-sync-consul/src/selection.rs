//! A part of what is registered, chosen by a filter of Consul's own.

use std::collections::BTreeSet;

use consul_sync_core::{AdapterError, Slot};

use crate::{
    ConsulSink, Error,
    table::slot_key,
    wire::{NodeListing, ServiceStamp},
};

/// The instances on the sink's node that a filter expression selects, as slot and ID. The expression is one for the services of
/// a node, as in `Service == "web" and "k8s" in Tags`. Nothing is changed.
///
/// # Errors
/// When Consul cannot be asked, or does not understand the expression.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings, selected};
/// use consul_sync_consul::testing::FakeConsul;
/// use consul_sync_core::Owner;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let sink = ConsulSink::new(client, SinkSettings::new(Owner::new("cluster-a")?));
/// assert!(selected(&sink, "Service == web").await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub async fn selected(
    sink: &ConsulSink,
    expression: &str,
) -> Result<BTreeSet<(Slot, String)>, AdapterError> {
    Ok(look(sink, expression).await?)
}

async fn look(sink: &ConsulSink, expression: &str) -> Result<BTreeSet<(Slot, String)>, Error> {
    let inner = &sink.inner;
    let has_namespaces = inner.settings.namespace.is_some();
    let request = inner.node_request().with("filter", expression);
    let answer = inner.client.call(&request).await?;
    answer.require_consistent()?;
    let mut found = BTreeSet::new();
    answer.parse(|reader| {
        NodeListing::read(reader, |stamp: ServiceStamp| {
            let key = slot_key(has_namespaces, &stamp.namespace, &stamp.name);
            // What has no name stands in no slot.
            if let Ok(slot) = Slot::new(key) {
                found.insert((slot, stamp.id));
            }
        })
    })?;
    Ok(found)
}
