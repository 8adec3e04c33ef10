//! The Consul source: which services there are, and where they are served.
//!
//! # What is asked
//! Consul has no query that says which services changed. What there is, and what each of it costs:
//!
//! | query | held until | says |
//! | --- | --- | --- |
//! | `/v1/catalog/services` | an instance of any service is registered, changed or removed | names and tags |
//! | `/v1/health/service/NAME` | that service, a check of it or a node of it changes | everything about it |
//! | `/v1/health/state/critical` and `warning` | a check gets into, out of or about in that state | which ones |
//!
//! So there is one query for the list, and one for each wanted service, up to [`SourceSettings::queries`]: each is held
//! by a connection of its own, and Consul takes a limited number of a client. With more services than that, those that
//! changed last have one, and the others are followed by what else tells of them:
//!
//! | query | held until | says |
//! | --- | --- | --- |
//! | `/v1/catalog/node-services/NODE` | the node is changed, or an instance there is | every instance, with the index of its last write |
//! | `/v1/catalog/nodes` | a node is registered, changed or removed | the names |
//!
//! Where there are not more nodes than [`SourceSettings::node_queries`], each has a query. It names the services that have
//! another number of instances there than before or a newer one, and these are read. Together with the list of nodes,
//! nothing can be registered without one of these queries telling it. Where there are more nodes, the services are looked at,
//! one short request each, whenever the list's query says that something was registered. A look that shows the known index
//! transfers nothing. The two queries on checks say which services to look at after a check.
//!
//! | what happens, with `n` wanted services, `q` of them with a query, and `m` nodes | requests |
//! | --- | --- |
//! | a service with a query changes its health | 1 |
//! | another one changes its health | 3 |
//! | something is registered anew, and each node has a query | 1 for the names, 1 for the node, and 2 if the service had none |
//! | something is registered anew otherwise | 2, `n - q` looks, and one at the service whose query another one gets |
//! | nothing, in `wait` (60 s; up to 300 s where answers take long) | 1 + (`q` + `m`) / 5, and 3 + `n - q` if `n` > `q` |
//!
//! That all are looked at once in a `wait` is for what the queries of nodes may have missed: none is known. The list is
//! asked for again only when the looks it caused are over, and not before as much time has passed as they took; the queries
//! of a service or a node leave a quarter of a second between two changes. So the number of requests has a bound that does
//! not depend on how often services are registered.
//!
//! # What is believed
//! Every read is a consistent one. A blocking query on health would be answered from a view that the agent keeps, which
//! does not say what rights left out; naming a node to be near to makes Consul read its tables instead. When an answer was
//! filtered by rights, or an index went back, nothing is removed: everything is listed again. After a query failed,
//! everything that may have been missed is looked at by queries that do not block.
//!
//! # What is not done
//! HTTP/2 would carry many queries over one connection. Consul speaks it on its TLS port alone.
//! `/v1/internal/ui/services` counts the instances of all services at once: 45 ms for 10,000 instances where looking at 872
//! services takes 500, but it does not show an address that changed, and an agent that is no server first gets all of the
//! catalog for it. Filter expressions know no index, and `/v1/health/state/any` no instance without a check.

mod ask;
mod origin;
mod pattern;
mod scope;
mod settings;
mod translate;
mod watch;

use std::sync::Arc;

use consul_sync_core::{Event, Key, Service, Source, SourceError};
use futures::stream::BoxStream;

pub use self::{pattern::NamePattern, scope::Scope, settings::SourceSettings};
use crate::{Client, Error};

/// Shows the services that Consul knows and that do not come from Kubernetes. Cheap to clone.
///
/// The token needs `service_prefix "" { policy = "read" }` and `node_prefix "" { policy = "read" }`: while Consul leaves
/// something out for want of rights, nothing is removed.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSource, SourceSettings};
/// use consul_sync_consul::testing::{FakeConsul, Instance, Node};
/// use consul_sync_core::{Event, Owner, Source};
/// use futures::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// consul.put_node(Node { node: "n1".into(), address: "10.0.0.1".into(), ..Node::default() })?;
/// let web = Instance { node: "n1".into(), id: "web".into(), service: "web".into(), port: 80, ..Instance::default() };
/// consul.put_instance(web)?;
///
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let source = ConsulSource::new(client, SourceSettings::new(Owner::new("cluster-a")?))?;
/// let mut events = source.watch();
/// loop {
///     match events.next().await.expect("it never ends")? {
///         Event::Upserted(key, service) if key.name().as_ref() == "web" => {
///             assert_eq!(service.instances[0].default_port(), Some(80));
///         }
///         Event::RelistDone => break,
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConsulSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    settings: SourceSettings,
    /// The namespaces of the keys, one a scope.
    qualifiers: Vec<Arc<str>>,
}

// === impl ConsulSource ===

impl ConsulSource {
    /// A source; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] that names what cannot be used.
    pub fn new(client: Client, settings: SourceSettings) -> Result<Self, Error> {
        settings.check()?;
        let qualifiers = settings.scopes.iter();
        Ok(Self {
            inner: Arc::new(Inner {
                qualifiers: qualifiers.map(|scope| scope.qualifier().into()).collect(),
                client,
                settings,
            }),
        })
    }

    /// The client that it speaks through.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The parts of Consul that it reads.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.inner.settings.scopes
    }
}

impl Source for ConsulSource {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn watch(&self) -> BoxStream<'static, Result<Event<Key, Arc<Service>>, SourceError>> {
        watch::stream(Arc::clone(&self.inner))
    }
}
