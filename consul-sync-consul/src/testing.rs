//! An in-process Consul catalog on loopback, for tests and demonstrations.
//!
//! [`FakeConsul`] answers the endpoints that the sink and the source use, over real sockets, with the same bodies, headers,
//! statuses and indexes as Consul. It exists because a fault that takes a real server hours to show (a partial listing
//! after a restart, an answer lost after the write, rights revoked while a query blocks) must be one line in a test.
//!
//! It is a witness and not an opinion: the test suite runs the same random operations against it and against real servers
//! and compares the answers.
//!
//! It does not keep anything on disk, elect leaders, run checks, or know service mesh, partitions and peers. Namespaces it
//! knows as [`enterprise`](FakeConsulBuilder::enterprise); nothing of that part was compared, as every Consul of Enterprise
//! needs a license. Of the
//! key/value store it has what a lock needs: keys are read one by one and written by transactions, and sessions end by
//! their TTL or with their node, not by a failing check.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod acl;
mod agent;
mod answer;
mod block;
mod builder;
mod decode;
mod endpoint;
mod fault;
mod filter;
mod hand;
mod lock;
mod login;
mod model;
mod namespace;
mod object;
mod read;
mod register;
mod request;
mod route;
mod server;
mod session;
mod store;
mod tenancy;
mod txn;
mod vet;
mod view;
mod views;

pub use acl::{DefaultPolicy, Right, Rules};
pub use builder::FakeConsulBuilder;
pub use endpoint::Endpoint;
pub use fault::{Applied, Fault, Operation};
pub use hand::Snapshot;
pub use lock::{KeyValue, Session};
pub use model::{Check, Instance, NamedPort, Node, Pairs, TaggedAddress, Weights};
pub use namespace::Namespace;

use server::Shared;

/// Node ID of the fake's own agent.
const AGENT_ID: &str = "9f0e8d7c-6b5a-4938-8271-605f4e3d2c1b";
/// Name of the fake's own node.
const AGENT_NODE: &str = "fake-consul";

/// A Consul catalog that serves HTTP on loopback until it is dropped.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use consul_sync_consul::testing::{FakeConsul, Instance, Node};
///
/// let consul = FakeConsul::start().await?;
/// assert!(consul.url().starts_with("http://127.0.0.1:"));
///
/// consul.put_node(Node { node: "k8s-sync".into(), address: "127.0.0.1".into(), ..Node::default() })?;
/// let web = Instance { node: "k8s-sync".into(), id: "web-1".into(), service: "web".into(), ..Instance::default() };
/// consul.put_instance(web)?;
/// consul.until(|consul| consul.instances("k8s-sync").len() == 1).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FakeConsul {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for FakeConsul {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeConsul {
    /// Starts a server with the defaults of [`FakeConsul::builder`].
    ///
    /// # Errors
    ///
    /// A port cannot be opened.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Settings of a server to start.
    pub fn builder() -> FakeConsulBuilder {
        FakeConsulBuilder::default()
    }

    /// Another server of the same cluster: the same catalog, tokens, faults and counters behind an address of its own,
    /// which is gone when the value is dropped.
    ///
    /// # Errors
    ///
    /// A port cannot be opened.
    pub async fn another(&self) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Self::serve(Arc::clone(&self.shared), listener)
    }

    fn serve(shared: Arc<Shared>, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            server,
        })
    }

    /// Base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

// ---- looking at the catalog -------------------------------------------------------------------------------------------

impl FakeConsul {
    /// The node `name`, if it is registered.
    pub fn node(&self, name: &str) -> Option<Node> {
        self.shared
            .state()
            .store
            .node(name)
            .map(|node| (**node).clone())
    }

    /// Instances on the node `node`, in the order of their IDs; of Consul Enterprise those of the namespace `default`.
    pub fn instances(&self, node: &str) -> Vec<Instance> {
        self.instances_in(tenancy::DEFAULT, node)
    }

    /// Instances on the node `node` in a namespace of Consul Enterprise, in the order of their IDs.
    pub fn instances_in(&self, namespace: &str, node: &str) -> Vec<Instance> {
        let state = self.shared.state();
        let all = state.store.instances_of_node(node);
        all.filter(|instance| tenancy::namespace(&instance.id) == namespace)
            .map(|instance| Instance {
                id: tenancy::plain(&instance.id).to_owned(),
                service: tenancy::plain(&instance.service).to_owned(),
                ..(**instance).clone()
            })
            .collect()
    }

    /// The namespace `name` of Consul Enterprise, if it is there.
    pub fn namespace(&self, name: &str) -> Option<Namespace> {
        self.shared.state().store.namespaces.get(name).cloned()
    }

    /// The instance `id` on the node `node`.
    pub fn instance(&self, node: &str, id: &str) -> Option<Instance> {
        self.shared
            .state()
            .store
            .instance(node, id)
            .map(|instance| (**instance).clone())
    }

    /// Instances of the service `name` on every node.
    pub fn instances_of_service(&self, name: &str) -> Vec<Instance> {
        self.shared
            .state()
            .store
            .instances_of_service(name)
            .map(|instance| (**instance).clone())
            .collect()
    }

    /// Checks on the node `node`, in the order of their IDs.
    pub fn checks(&self, node: &str) -> Vec<Check> {
        self.shared
            .state()
            .store
            .checks_of_node(node)
            .map(|check| (**check).clone())
            .collect()
    }

    /// The key `key`, if it is there.
    pub fn key(&self, key: &str) -> Option<KeyValue> {
        let state = self.shared.state();
        state.store.key(key).map(|entry| (**entry).clone())
    }

    /// Sessions that have not ended.
    pub fn sessions(&self) -> Vec<Session> {
        let state = self.shared.state();
        let sessions = state.store.sessions();
        sessions.map(|session| (**session).clone()).collect()
    }

    /// Index of the last raft entry. It grows with every write that reached raft, whether or not it changed anything.
    pub fn raft_index(&self) -> u64 {
        self.shared.state().store.raft
    }
}

// ---- looking at the traffic -------------------------------------------------------------------------------------------

impl FakeConsul {
    /// Requests to `endpoint` so far, with those that met a fault.
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        self.shared
            .state()
            .requests
            .get(&endpoint)
            .copied()
            .unwrap_or(0)
    }

    /// Raft entries that requests made so far: transactions with a write, registrations and deregistrations that Consul did
    /// not refuse beforehand.
    pub fn writes(&self) -> u64 {
        self.shared.state().writes
    }

    /// Operations of the transactions that were applied, in order, if they are recorded
    /// ([`record_operations`](FakeConsulBuilder::record_operations)).
    pub fn operations(&self) -> Vec<Operation> {
        let applied = self.applied().into_iter();
        applied.flat_map(|applied| applied.operations).collect()
    }

    /// Transactions that were applied, in order, with who sent them and who held which lock, if they are recorded
    /// ([`record_operations`](FakeConsulBuilder::record_operations)).
    pub fn applied(&self) -> Vec<Applied> {
        self.shared.state().applied.clone().unwrap_or_default()
    }

    /// Queries that block right now.
    pub fn blocked(&self) -> usize {
        self.shared.blocked.load(Ordering::Relaxed)
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Waits until `condition` holds. It is asked again after every change of the catalog and every request.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost; put a timeout around it where a test must end.
    pub async fn until(&self, mut condition: impl FnMut(&Self) -> bool) {
        let mut activity = self.shared.activity();
        while !condition(self) {
            // The sender lives in `self`: this ends only by a change.
            let _ = activity.changed().await;
        }
    }
}

#[cfg(test)]
mod tests;
