//! Settings of a fake, and its start.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::acl::{Access, Acl, DefaultPolicy, Rules};
use super::fault::Faults;
use super::lock::Clocks;
use super::login::AuthMethod;
use super::model::{Check, Instance, Node};
use super::server::{Identity, Shared, State};
use super::store::Store;
use super::views::Views;
use super::{AGENT_ID, AGENT_NODE, FakeConsul, register, request};

/// Raft index at which the catalog starts, after the entries a new server writes for itself.
const FIRST_INDEX: u64 = 12;

/// Settings of a [`FakeConsul`].
#[derive(Clone, Debug)]
pub struct FakeConsulBuilder {
    version: String,
    is_enterprise: bool,
    txn_ops: usize,
    connections: usize,
    record: bool,
    session_ttl_min: Duration,
    acl: Acl,
}

impl Default for FakeConsulBuilder {
    fn default() -> Self {
        let version = "1.22.2".to_owned();
        Self {
            version,
            is_enterprise: false,
            txn_ops: 128,
            connections: usize::MAX,
            record: false,
            session_ttl_min: Duration::from_secs(10),
            acl: Acl::default(),
        }
    }
}

impl FakeConsulBuilder {
    /// Version that the server claims and, where versions differ, follows: `1.22.2` unless set.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Makes it Consul Enterprise as far as namespaces go: `/v1/namespace`, `?ns=`, and the namespace of what transactions
    /// and registrations write. No server stands behind this part: it follows Consul's documentation.
    #[must_use]
    pub fn enterprise(mut self) -> Self {
        self.is_enterprise = true;
        self
    }

    /// Most operations in a transaction: 128 unless set; Consul before 1.14 takes 64.
    #[must_use]
    pub fn txn_ops(mut self, most: usize) -> Self {
        self.txn_ops = most;
        self
    }

    /// Most open connections; further ones are reset, as with `limits.http_max_conns_per_client`.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// The shortest TTL that a session may have (`session_ttl_min` in Consul's configuration): 10 s unless set.
    #[must_use]
    pub fn session_ttl_min(mut self, least: Duration) -> Self {
        self.session_ttl_min = least;
        self
    }

    /// Keeps the operations of all applied transactions for [`FakeConsul::operations`] and [`FakeConsul::applied`].
    #[must_use]
    pub fn record_operations(mut self) -> Self {
        self.record = true;
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
        self.acl.put(secret, rules, 1);
        self
    }

    /// Adds an auth method that gives tokens with these rights to the bearer of this token; they live as long as `life` says.
    /// Unlike on Consul, that may be less than a minute.
    #[must_use]
    pub fn auth_method(
        mut self,
        name: &str,
        bearer: &str,
        rules: Rules,
        life: Option<Duration>,
    ) -> Self {
        self.acl
            .put_method(name, AuthMethod::new(bearer, rules, life));
        self
    }

    /// Starts the server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The port cannot be opened.
    pub async fn start(self) -> io::Result<FakeConsul> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let identity = Identity {
            version: self.version,
            txn_ops: self.txn_ops,
            node: AGENT_NODE.to_owned(),
            own_address: Ipv4Addr::LOCALHOST.to_string(),
            is_enterprise: self.is_enterprise,
            session_ttl_min: self.session_ttl_min,
        };
        let state = State {
            store: fresh_store(&identity),
            views: Views::default(),
            acl: self.acl,
            faults: Faults::default(),
            requests: BTreeMap::new(),
            applied: self.record.then(Vec::new),
            clocks: Clocks::default(),
            writes: 0,
            epoch: 0,
            former: None,
        };
        let shared = Arc::new(Shared::new(identity, address, self.connections, state));
        FakeConsul::serve(shared, listener)
    }
}

/// A catalog that holds what a server registers of itself: its node, the `consul` service and the serf check.
pub(super) fn fresh_store(identity: &Identity) -> Store {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let local = "127.0.0.1";
    let node = Node {
        id: AGENT_ID.to_owned(),
        node: identity.node.clone(),
        address: local.to_owned(),
        datacenter: request::DATACENTER.to_owned(),
        tagged_addresses: Some(pairs(&[
            ("lan", local),
            ("lan_ipv4", local),
            ("wan", local),
            ("wan_ipv4", local),
        ])),
        meta: Some(pairs(&[
            ("consul-network-segment", ""),
            ("consul-version", &identity.version),
        ])),
        ..Node::default()
    };
    let service = Instance {
        id: "consul".to_owned(),
        service: "consul".to_owned(),
        tags: Some(Vec::new()),
        port: 8300,
        meta: Some(pairs(&[("version", &identity.version)])),
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
    let mut store = Store::starting_at(FIRST_INDEX);
    let admitted = register::pre_check(&store, &mut own, &Access::full(), identity);
    let (written, _) = store.entry(false, |store, index| register::run(store, index, own));
    debug_assert!(
        admitted.is_ok() && written.is_ok(),
        "a server can register itself"
    );
    store
}
