//! An in-process Consul catalog on loopback, for tests and demonstrations.
//!
//! [`FakeConsul`] answers the endpoints that the sink and the source use, over real sockets, with the same bodies, headers,
//! statuses and indexes as Consul. It exists because a fault that takes a real server hours to show (a partial listing
//! after a restart, an answer lost after the write, rights revoked while a query blocks) must be one line in a test.
//!
//! It is a witness and not an opinion: the test suite runs the same random operations against it and against real servers
//! and compares the answers.
//!
//! It does not keep anything on disk, elect leaders, run checks, or know service mesh, sessions, namespaces and peers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod acl;
mod answer;
mod decode;
mod filter;
mod model;
mod read;
mod register;
mod request;
mod server;
mod store;
mod txn;
mod view;

pub use acl::{DefaultPolicy, Right, Rules};
pub use model::{Check, Instance, NamedPort, Node, Pairs, TaggedAddress, Weights};
pub use request::Consistency;

use acl::{Access, Acl};
use server::{Identity, Shared, State};
use store::Store;

/// Node ID of the fake's own agent.
const AGENT_ID: &str = "9f0e8d7c-6b5a-4938-8271-605f4e3d2c1b";
/// Name of the fake's own node.
const AGENT_NODE: &str = "fake-consul";
/// Raft index at which the catalog starts, after the entries a new server writes for itself.
const FIRST_INDEX: u64 = 12;

/// A Consul catalog that serves HTTP on loopback until it is dropped.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use consul_sync_consul::testing::FakeConsul;
///
/// let consul = FakeConsul::start().await?;
/// assert!(consul.url().starts_with("http://127.0.0.1:"));
/// assert!(consul.instances("k8s-sync").is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FakeConsul {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for FakeConsul {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeConsul {
    /// Starts a server with the defaults of [`FakeConsul::builder`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Settings of a server to start.
    pub fn builder() -> FakeConsulBuilder {
        FakeConsulBuilder {
            version: "1.22.2".to_owned(),
            txn_ops: 128,
            acl: Acl::default(),
        }
    }

    /// Base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The node `name`, if it is registered.
    pub fn node(&self, name: &str) -> Option<Node> {
        self.shared
            .state()
            .store
            .node(name)
            .map(|node| (**node).clone())
    }

    /// Instances on the node `node`, in the order of their IDs.
    pub fn instances(&self, node: &str) -> Vec<Instance> {
        self.shared
            .state()
            .store
            .instances_of_node(node)
            .map(|instance| (**instance).clone())
            .collect()
    }

    /// The instance `id` on the node `node`.
    pub fn instance(&self, node: &str, id: &str) -> Option<Instance> {
        self.shared
            .state()
            .store
            .instance(node, id)
            .map(|instance| (**instance).clone())
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

    /// Index of the last raft entry. It grows with every write that reached raft, whether or not it changed anything.
    pub fn raft_index(&self) -> u64 {
        self.shared.state().store.raft
    }
}

/// Settings of a [`FakeConsul`].
#[derive(Clone, Debug)]
pub struct FakeConsulBuilder {
    version: String,
    txn_ops: usize,
    acl: Acl,
}

impl FakeConsulBuilder {
    /// Version that the server claims and, where versions differ, follows: `1.22.2` unless set.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Most operations in a transaction: 128 unless set; Consul before 1.14 takes 64.
    #[must_use]
    pub fn txn_ops(mut self, most: usize) -> Self {
        self.txn_ops = most;
        self
    }

    /// Turns ACLs on, with what happens where no rule applies.
    #[must_use]
    pub fn acl(mut self, default: DefaultPolicy) -> Self {
        self.acl.enabled = true;
        self.acl.default = default;
        self
    }

    /// Adds a token; without [`acl`](Self::acl) tokens are ignored, as on Consul.
    #[must_use]
    pub fn token(mut self, secret: &str, rules: Rules) -> Self {
        self.acl.put(secret, rules);
        self
    }

    /// Starts the server on a free port of 127.0.0.1.
    pub async fn start(self) -> io::Result<FakeConsul> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let identity = Identity {
            version: self.version,
            txn_ops: self.txn_ops,
            node: AGENT_NODE.to_owned(),
        };
        let store = fresh_store(FIRST_INDEX, &identity);
        let shared = Arc::new(Shared::new(
            identity,
            address,
            State {
                store,
                acl: self.acl,
            },
        ));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(FakeConsul { shared, server })
    }
}

/// A catalog that holds what a server registers of itself: its node, the `consul` service and the serf check.
fn fresh_store(raft: u64, identity: &Identity) -> Store {
    let mut store = Store::default();
    store.reset(raft);
    let node = Node {
        id: AGENT_ID.to_owned(),
        node: identity.node.clone(),
        address: Ipv4Addr::LOCALHOST.to_string(),
        datacenter: request::DATACENTER.to_owned(),
        tagged_addresses: Some(
            ["lan", "lan_ipv4", "wan", "wan_ipv4"]
                .map(|key| (key.to_owned(), "127.0.0.1".to_owned()))
                .into(),
        ),
        meta: Some(
            [
                ("consul-network-segment", ""),
                ("consul-version", identity.version.as_str()),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ),
        ..Node::default()
    };
    let service = Instance {
        id: "consul".to_owned(),
        service: "consul".to_owned(),
        tags: Some(Vec::new()),
        port: 8300,
        ..Instance::default()
    };
    let check = Check {
        node: identity.node.clone(),
        check_id: "serfHealth".to_owned(),
        name: "Serf Health Status".to_owned(),
        status: "passing".to_owned(),
        output: "Agent alive and reachable".to_owned(),
        ..Check::default()
    };
    let mut own = register::Registration {
        node,
        service: Some(service),
        checks: vec![check],
        skip_node_update: false,
    };
    let checked = register::pre_check(&store, &mut own, &Access::full());
    let (written, _) = store.entry(|store, index| register::run(store, index, own));
    debug_assert!(
        checked.is_ok() && written.is_ok(),
        "a server can register itself"
    );
    store
}
