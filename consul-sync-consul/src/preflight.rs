//! Looking before leaping: can Consul be reached, is the node one we may write, and is every right there?

use consul_sync_core::{Finding, Standing};

use crate::{
    Client, ConsulSink, ConsulSource, Error, Lock, Scope,
    request::Request,
    rights::{self, Rights},
    sink::NodeState,
    wire::{Access, AgentSelf},
};

/// The first version that is tested against.
const OLDEST: (u32, u32) = (1, 14);
/// What can be done without the rights that making namespaces takes.
const NAMESPACES: &str =
    "; or make the namespaces beforehand, and turn off that they are made on demand";
/// Names that stand for all nodes and services when a right on every one of them is asked for.
const ANY: &str = "consul-sync-any";

/// Looks at Consul: whether it answers and has a leader, its version, each right that is needed, and the node
/// that holds the instances. Nothing is changed.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings, preflight};
/// use consul_sync_consul::testing::FakeConsul;
/// use consul_sync_core::Owner;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let sink = ConsulSink::new(client, SinkSettings::new(Owner::new("cluster-a")?));
/// let findings = preflight(&sink).await;
/// assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
/// # Ok(())
/// # }
/// ```
pub async fn preflight(sink: &ConsulSink) -> Vec<Finding> {
    let mut findings = reach(sink.client()).await;
    if findings.iter().any(|finding| !finding.good) {
        return findings;
    }
    findings.extend(allowed(sink).await);
    // Without the rights the node would look absent; the reason is already there.
    if findings.iter().all(|finding| finding.good) {
        findings.push(node(sink).await);
    }
    findings
}

/// Looks at Consul for a source: whether it answers and has a leader, its version, and in each part of Consul that is read
/// the right to read all of it. Rights on some names are not enough: Consul then shows a part of the catalog that cannot
/// be told from the whole, and nothing is believed of it (fault C09).
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, ConsulSource, SourceSettings, preflight_source};
/// use consul_sync_consul::testing::FakeConsul;
/// use consul_sync_core::Owner;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let source = ConsulSource::new(client, SourceSettings::new(Owner::new("cluster-a")?))?;
/// let findings = preflight_source(&source).await;
/// assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
/// # Ok(())
/// # }
/// ```
pub async fn preflight_source(source: &ConsulSource) -> Vec<Finding> {
    let client = source.client();
    let mut findings = reach(client).await;
    if findings.iter().any(|finding| !finding.good) {
        return findings;
    }
    for scope in source.scopes() {
        findings.extend(readable(client, scope).await);
    }
    findings
}

/// Looks at the rights that holding a lock needs.
///
/// # Examples
/// ```
/// use consul_sync_consul::{Client, ClientSettings, Lock, LockSettings, preflight_lock};
/// use consul_sync_consul::testing::FakeConsul;
/// use consul_sync_core::Owner;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let consul = FakeConsul::start().await?;
/// let client = Client::new(ClientSettings::new(consul.url()))?;
/// let lock = Lock::new(client, LockSettings::new(&Owner::new("cluster-a")?));
/// assert!(preflight_lock(&lock).await.iter().all(|finding| finding.good));
/// # Ok(())
/// # }
/// ```
pub async fn preflight_lock(lock: &Lock) -> Vec<Finding> {
    let node = lock.node().as_str();
    let needed = [
        // Where the node is missing the lock registers it.
        Needed::exact("node", node, "write"),
        Needed::exact("key", lock.key(), "write"),
        Needed::exact("session", node, "write"),
    ];
    ask(lock.client(), None, None, &needed).await
}

/// Whether Consul answers, has a leader, and which version it is. What comes after the first is left out without it.
async fn reach(client: &Client) -> Vec<Finding> {
    let reached = leader(client).await;
    if !reached.good {
        return vec![reached];
    }
    vec![reached, version(client).await]
}

/// A failed call: what has to be done depends on why it failed.
fn failed(what: &str, error: &Error) -> Finding {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let message = format!("{what}: {error}{}", cause.unwrap_or_default());
    let remedy = match error {
        Error::Connect { .. } => "see whether the address is right and consul is running there",
        Error::Timeout { .. } => "see whether the servers are overloaded or have no leader",
        Error::Denied { rule, .. } => return Finding::bad(message, add_rule(rule)),
        Error::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
            "give a token that this cluster knows"
        }
        _ => "see the message; `consul monitor` on the server shows its side",
    };
    Finding::bad(message, remedy)
}

async fn leader(client: &Client) -> Finding {
    let request = client.scoped(Request::get(&["status", "leader"]));
    let leader = match client.call(&request).await {
        Ok(answer) => answer.json::<String>(),
        Err(error) => Err(error),
    };
    let servers = client.servers();
    match leader {
        Ok(leader) if leader.is_empty() => Finding::bad(
            format!("consul at {servers} answers and has no leader"),
            "see `consul operator raft list-peers`; without a leader nothing can be read or written",
        ),
        Ok(leader) => Finding::good(format!(
            "consul at {servers} answers; its leader is {leader}"
        )),
        Err(error) => failed("consul cannot be reached", &error),
    }
}

async fn version(client: &Client) -> Finding {
    let agent = match client.call(&Request::get(&["agent", "self"])).await {
        Ok(answer) => answer.json::<AgentSelf>(),
        Err(error) => Err(error),
    };
    match agent {
        Ok(AgentSelf { config }) => {
            let found = format!(
                "consul {} in datacenter {}",
                config.version, config.datacenter
            );
            match config.version() {
                Some(version) if version < OLDEST => Finding::good(format!(
                    "{found}; it is older than {}.{}, with which it is tested, and may work all the same",
                    OLDEST.0, OLDEST.1
                )),
                _ => Finding::good(found),
            }
        }
        // The right to read the agent is not among those that are needed.
        Err(Error::Status { status, .. }) if matches!(status.as_u16(), 401 | 403) => {
            Finding::good("consul does not show its version to this token, which is not needed")
        }
        Err(error) => failed("the version of consul cannot be read", &error),
    }
}

/// One right that is needed.
struct Needed<'a> {
    access: Access<'a>,
    rule: String,
    /// What there is to know of it, where it is missing.
    note: &'static str,
}

impl<'a> Needed<'a> {
    /// On one thing.
    fn exact(resource: &'a str, name: &'a str, verb: &'a str) -> Self {
        Self {
            access: Access {
                resource,
                segment: name,
                verb,
            },
            rule: format!("{resource} \"{name}\" {{ policy = \"{verb}\" }}"),
            note: "",
        }
    }

    /// To write what has no names.
    fn whole(resource: &'a str, note: &'static str) -> Self {
        Self {
            access: Access {
                resource,
                segment: "",
                verb: "write",
            },
            rule: format!("{resource} = \"write\""),
            note,
        }
    }

    /// On everything of a kind.
    fn all(resource: &'a str, verb: &'a str) -> Self {
        Self {
            access: Access {
                resource,
                segment: ANY,
                verb,
            },
            rule: format!("{resource}_prefix \"\" {{ policy = \"{verb}\" }}"),
            note: "",
        }
    }
}

/// Whether a namespace may have to be made: a single one that is there already will not.
async fn makes_namespaces(sink: &ConsulSink) -> bool {
    let settings = &sink.inner.settings;
    if !settings.makes_namespaces() {
        return false;
    }
    match &settings.namespace {
        Some(name) if !settings.all_namespaces => {
            !matches!(sink.inner.find_namespace(name).await, Ok(Some(_)))
        }
        _ => true,
    }
}

async fn allowed(sink: &ConsulSink) -> Vec<Finding> {
    let node = sink.node().as_str();
    let mut needed = vec![
        Needed::exact("node", node, "write"),
        Needed::all("node", "read"),
        Needed::all("service", "write"),
    ];
    if let Some(fence) = &sink.inner.settings.fence {
        needed.push(Needed::exact("key", fence.key(), "write"));
        needed.push(Needed::exact("session", node, "write"));
    }
    // Of a partition there are no operators to be asked about.
    if makes_namespaces(sink).await && sink.client().partition().is_none() {
        needed.push(Needed::whole("operator", NAMESPACES));
        if sink.inner.settings.namespace_policy.is_some() {
            needed.push(Needed::whole("acl", NAMESPACES));
        }
    }
    ask(sink.client(), None, None, &needed).await
}

/// The rights to read all of one part of Consul.
async fn readable(client: &Client, scope: &Scope) -> Vec<Finding> {
    const WHOLE: &str = "; rights on some names are not enough, because Consul then shows a part of the catalog that cannot \
                         be told from the whole, and nothing is taken from it: choose what is read by names or filters \
                         in the settings, and let the token read everything";
    let (datacenter, partition) = (scope.datacenter.as_deref(), scope.partition.as_deref());
    let mut needed = [Needed::all("service", "read"), Needed::all("node", "read")];
    for needed in &mut needed {
        needed.note = WHOLE;
    }
    let mut findings = ask(client, datacenter, partition, &needed).await;
    if *scope != Scope::default() {
        for finding in &mut findings {
            finding.message = format!("{}: {}", scope.qualifier(), finding.message);
        }
    }
    findings
}

/// Asks for rights, in another datacenter or partition where one is named.
async fn ask(
    client: &Client,
    datacenter: Option<&str>,
    partition: Option<&str>,
    needed: &[Needed<'_>],
) -> Vec<Finding> {
    let questions: Vec<Access<'_>> = needed.iter().map(|needed| needed.access).collect();
    match rights::ask_there(client, datacenter, partition, &questions).await {
        Ok(Rights::Off) => vec![Finding::good(
            "consul has no access control; every right is there",
        )],
        Ok(Rights::Unknown) => vec![Finding::good(
            "this version of consul cannot be asked about rights; a missing one shows when it is needed",
        )],
        Ok(Rights::Known(allowed)) => needed
            .iter()
            .zip(allowed)
            .map(|(Needed { rule, note, .. }, allowed)| {
                if allowed {
                    Finding::good(format!("the token has {rule}"))
                } else if client.is_anonymous() {
                    let remedy = format!("set a token whose policy holds: {rule}{note}");
                    Finding::bad(
                        format!("no token is set, and the anonymous one lacks {rule}"),
                        remedy,
                    )
                } else {
                    let remedy = format!("{}{note}", add_rule(rule));
                    Finding::bad(format!("the token lacks {rule}"), remedy)
                }
            })
            .collect(),
        Err(error) => vec![failed("the token's rights cannot be read", &error)],
    }
}

fn add_rule(rule: &str) -> String {
    format!("add to the token's policy: {rule}")
}

async fn node(sink: &ConsulSink) -> Finding {
    let name = sink.node();
    let listed = match sink.inner.list().await {
        Ok(listed) => listed,
        Err(error @ Error::Settings(_)) => {
            return Finding::bad(error.to_string(), "set another name for the node");
        }
        Err(error) => return failed("the node's instances cannot be listed", &error),
    };
    if matches!(sink.inner.node_state().await, Ok(NodeState::Due(0))) {
        return Finding::good(format!(
            "the node {name} is not registered yet; the first write does it"
        ));
    }
    let (mut ours, mut orphans, mut foreign) = (0_usize, 0_usize, 0_usize);
    for standing in listed.table.standings(&sink.inner.settings.owner) {
        match standing {
            Standing::Ours => ours += 1,
            Standing::Orphan => orphans += 1,
            Standing::Foreign => foreign += 1,
        }
    }
    Finding::good(format!(
        "the node {name} holds {ours} instances of ours, {orphans} that nobody owns and {foreign} of others"
    ))
}
