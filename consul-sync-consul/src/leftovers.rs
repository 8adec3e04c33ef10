//! Registrations that this installation does not look after, and that an earlier one may have left (fault G02).

use std::collections::BTreeMap;

use consul_sync_core::AdapterError;

use crate::{
    ConsulSink, Error,
    registration::{KUBERNETES, OWNER_META, SOURCE_META},
    request::Request,
    wire::{Node, NodeListing, Service, each_element},
};

/// Marked instances that a sink never touches: those of another owner on its node, and those of its own owner on
/// another node. Either belongs to somebody else, or the owner or the node had another name before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// The node that holds them.
    pub node: String,
    /// The owner whose mark they carry.
    pub owner: String,
    /// How many there are.
    pub count: usize,
}

/// Looks for such instances, by node and owner. Only nodes that a synchroniser made are looked at. Nothing is changed.
///
/// # Errors
/// When Consul cannot be asked.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings, leftovers};
/// use consul_sync_consul::testing::FakeConsul;
/// use consul_sync_core::Owner;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let sink = ConsulSink::new(client, SinkSettings::new(Owner::new("cluster-a")?));
/// assert!(leftovers(&sink).await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub async fn leftovers(sink: &ConsulSink) -> Result<Vec<Leftovers>, AdapterError> {
    Ok(look(sink).await?)
}

async fn look(sink: &ConsulSink) -> Result<Vec<Leftovers>, Error> {
    let client = sink.client();
    let own = sink.node().as_str();
    let request = Request::get(&["catalog", "nodes"])
        .consistent()
        .with("node-meta", &format!("{SOURCE_META}:{KUBERNETES}"));
    let answer = client.call(&client.scoped(request)).await?;
    answer.require_consistent()?;
    let mut nodes: Vec<String> = Vec::new();
    answer.parse(|reader| each_element(reader, |node: Node| nodes.push(node.name)))?;
    // Our own may have been somebody else's before, without the mark of a synchroniser.
    if !nodes.iter().any(|node| node.eq_ignore_ascii_case(own)) {
        nodes.push(own.to_owned());
    }
    let mut found = Vec::new();
    for node in nodes {
        for (owner, count) in marked(sink, &node, node.eq_ignore_ascii_case(own)).await? {
            let node = node.clone();
            found.push(Leftovers { node, owner, count });
        }
    }
    Ok(found)
}

/// The instances of a node that another owner has marked, or this one; counted by owner.
async fn marked(
    sink: &ConsulSink,
    node: &str,
    by_others: bool,
) -> Result<BTreeMap<String, usize>, Error> {
    let inner = &sink.inner;
    let owner = inner.settings.owner.as_str();
    let operator = if by_others { "!=" } else { "==" };
    let quoted = owner.replace('\\', "\\\\").replace('"', "\\\"");
    let request = inner.node_request_of(node).with(
        "filter",
        &format!("Meta[\"{OWNER_META}\"] {operator} \"{quoted}\""),
    );
    let answer = inner.client.call(&request).await?;
    answer.require_consistent()?;
    let mut counts = BTreeMap::new();
    answer.parse(|reader| {
        NodeListing::read(reader, |service: Service| {
            if let Some(mark) = service.meta.get(OWNER_META)
                && (mark != owner) == by_others
            {
                *counts.entry(mark.clone()).or_default() += 1;
            }
        })
    })?;
    Ok(counts)
}
