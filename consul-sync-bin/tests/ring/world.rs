//! Three clusters and the catalogs between them, and what the rules say that each of them holds.

use std::collections::{BTreeMap, BTreeSet};

use consul_sync_consul::testing::{FakeConsul, Instance, Node};

use super::{
    member::{Import, Member, SHOP, Shape, node},
    until::until,
};

/// The clusters, by the owners under which they write.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];
/// The node of services that come from no cluster.
const MACHINE: &str = "vm";

/// Who imports from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// Over one catalog, each cluster from both others.
    Mesh,
    /// Over one catalog, each cluster from the one before it.
    RingOfOwners,
    /// Each cluster from the catalog that the one before it exports to, whichever of the others made what is there.
    RingOfCatalogs,
}

/// Services and the addresses at which they are reached.
pub(crate) type Services = BTreeMap<String, BTreeSet<String>>;

/// Services in Kubernetes, one map a cluster.
type Imports = Vec<BTreeMap<String, Import>>;

pub(crate) struct World {
    topology: Topology,
    shape: Shape,
    catalogs: Vec<FakeConsul>,
    pub(crate) members: Vec<Member>,
    /// What was made in each cluster, and is there.
    pub(crate) made: [Services; 3],
    /// What was registered in each catalog by nobody's sync, and is there.
    pub(crate) registered: Vec<Services>,
    /// Names that each cluster may register at all.
    allowed: [BTreeSet<String>; 3],
}

/// Writes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writes {
    /// One number a cluster.
    pub(crate) kubernetes: Vec<u64>,
    /// One number a catalog.
    pub(crate) consul: Vec<u64>,
}

impl Topology {
    fn catalogs(self) -> usize {
        match self {
            Self::Mesh | Self::RingOfOwners => 1,
            Self::RingOfCatalogs => NAMES.len(),
        }
    }

    fn exports_to(self, member: usize) -> usize {
        member % self.catalogs()
    }

    fn imports_from(self, member: usize) -> usize {
        before(member) % self.catalogs()
    }

    /// The other clusters whose services are imported where they are met.
    fn others(self, member: usize) -> Vec<usize> {
        match self {
            Self::RingOfOwners => vec![before(member)],
            Self::Mesh | Self::RingOfCatalogs => vec![before(member), (member + 1) % NAMES.len()],
        }
    }
}

fn before(member: usize) -> usize {
    (member + NAMES.len() - 1) % NAMES.len()
}

impl World {
    pub(crate) async fn start(topology: Topology, shape: Shape) -> Self {
        let mut catalogs = Vec::new();
        for _ in 0..topology.catalogs() {
            let catalog = FakeConsul::builder()
                .record_operations()
                .start()
                .await
                .unwrap();
            for (node, address) in [(MACHINE, "10.8.0.1"), ("incumbent", "127.0.0.1")] {
                let node = Node {
                    node: node.into(),
                    address: address.into(),
                    ..Node::default()
                };
                catalog.put_node(node).unwrap();
            }
            incumbent(&catalog);
            catalogs.push(catalog);
        }
        let start = |at: usize| {
            let others: Vec<&str> = topology
                .others(at)
                .into_iter()
                .map(|at| NAMES[at])
                .collect();
            let from = catalogs[topology.imports_from(at)].url();
            let to = catalogs[topology.exports_to(at)].url();
            Member::start(NAMES[at], shape, &to, (&from, &others))
        };
        Self {
            topology,
            shape,
            members: (0..NAMES.len()).map(start).collect(),
            made: Default::default(),
            registered: vec![Services::new(); catalogs.len()],
            allowed: Default::default(),
            catalogs,
        }
    }

    /// Makes a service in a cluster, or scales it.
    pub(crate) fn make(&mut self, member: usize, name: &str, addresses: BTreeSet<String>) {
        self.members[member].put(name, &addresses);
        self.allowed[member].insert(self.shape.exported(NAMES[member], name));
        self.made[member].insert(name.to_owned(), addresses);
    }

    /// Deletes it again.
    pub(crate) fn unmake(&mut self, member: usize, name: &str) {
        self.members[member].cluster.delete("services", SHOP, name);
        self.made[member].remove(name);
    }

    /// Registers a service in a catalog by hand, or scales it.
    pub(crate) fn register(&mut self, catalog: usize, name: &str, addresses: BTreeSet<String>) {
        let before = self.registered[catalog].remove(name).unwrap_or_default();
        for gone in before.difference(&addresses) {
            self.catalogs[catalog].remove_instance(MACHINE, &format!("{name}-{gone}"));
        }
        for address in &addresses {
            let id = format!("{name}-{address}");
            self.catalogs[catalog]
                .put_instance(instance(MACHINE, &id, name, address))
                .unwrap();
        }
        self.registered[catalog].insert(name.to_owned(), addresses);
    }

    /// Deregisters it again.
    pub(crate) fn deregister(&mut self, catalog: usize, name: &str) {
        self.register(catalog, name, BTreeSet::new());
        self.registered[catalog].remove(name);
    }

    /// What each cluster holds by the rules: services of nobody's and of the clusters it imports from, under one name what
    /// has one name, and never what a cluster only imported.
    fn expected_imports(&self) -> Imports {
        let imports = |at: usize| {
            let catalog = self.topology.imports_from(at);
            let mut services = self.registered[catalog].clone();
            for other in self.topology.others(at) {
                if self.topology.exports_to(other) != catalog {
                    continue;
                }
                for (name, addresses) in &self.made[other] {
                    let name = self.shape.exported(NAMES[other], name);
                    services
                        .entry(name)
                        .or_default()
                        .extend(addresses.iter().cloned());
                }
            }
            let import = |(name, addresses): (String, BTreeSet<String>)| {
                (
                    self.shape.imported(&name),
                    Import {
                        addresses,
                        is_marked: true,
                    },
                )
            };
            services.into_iter().map(import).collect()
        };
        (0..NAMES.len()).map(imports).collect()
    }

    /// What each cluster has registered by the rules: what was made in it.
    fn expected_exports(&self) -> Vec<Services> {
        let exports = |at: usize| {
            let made = self.made[at].iter();
            made.map(|(name, addresses)| (self.shape.exported(NAMES[at], name), addresses.clone()))
                .collect()
        };
        (0..NAMES.len()).map(exports).collect()
    }

    /// What each cluster has registered, in whichever catalog.
    fn exports(&self) -> Vec<Services> {
        let exports = |at: usize| {
            let mut services = Services::new();
            for instance in self
                .catalogs
                .iter()
                .flat_map(|catalog| catalog.instances(&node(NAMES[at])))
            {
                services
                    .entry(instance.service)
                    .or_default()
                    .insert(instance.address);
            }
            services
        };
        (0..NAMES.len()).map(exports).collect()
    }

    /// Waits until everything is as the rules say and no driver has anything to do.
    pub(crate) async fn settle(&self, story: &str) {
        let expected = (self.expected_exports(), self.expected_imports());
        let look = async || {
            let trouble: Vec<_> = self.members.iter().map(Member::trouble).collect();
            if !self.members.iter().all(Member::is_still) {
                return (None, trouble);
            }
            self.check(story);
            let imports: Imports = self.members.iter().map(Member::imports).collect();
            (Some((self.exports(), imports)), trouble)
        };
        let what = format!("{story}: the clusters at rest with {expected:?}");
        until(&what, look, |(seen, _)| seen.as_ref() == Some(&expected)).await;
    }

    /// Nothing was ever registered for a cluster but what was made in it.
    fn check(&self, story: &str) {
        for catalog in &self.catalogs {
            for operation in catalog.operations() {
                let member = NAMES.iter().position(|name| node(name) == operation.node);
                let (Some(at), "service") = (member, operation.kind) else {
                    continue;
                };
                assert!(
                    operation.service.is_empty() || self.allowed[at].contains(&operation.service),
                    "{story}: cluster {} registered {:?}, which was never made in it",
                    NAMES[at],
                    operation.service
                );
            }
        }
    }

    pub(crate) fn writes(&self) -> Writes {
        Writes {
            kubernetes: self.members.iter().map(Member::writes).collect(),
            consul: self.catalogs.iter().map(FakeConsul::writes).collect(),
        }
    }

    /// What it costs by the rules to make one service in each cluster, register one in each catalog, and remove them:
    /// one transaction an export, a Service and a slice an import, both ways.
    pub(crate) fn cost(&self) -> Writes {
        let is_met = |at: usize, other: &usize| {
            self.topology.exports_to(*other) == self.topology.imports_from(at)
        };
        let imports = |at: usize| {
            let others = self.topology.others(at);
            let met = others.iter().filter(|other| is_met(at, other)).count();
            4 * (1 + met as u64)
        };
        let exports = |catalog: usize| {
            let members = (0..NAMES.len()).filter(|at| self.topology.exports_to(*at) == catalog);
            2 * members.count() as u64
        };
        Writes {
            kubernetes: (0..NAMES.len()).map(imports).collect(),
            consul: (0..self.catalogs.len()).map(exports).collect(),
        }
    }
}

/// What another program exported from Kubernetes: nobody imports it, whichever of its marks it has.
fn incumbent(catalog: &FakeConsul) {
    let mut by_meta = instance("incumbent", "old-meta", "old-meta", "10.7.0.1");
    by_meta.meta = Some([("external-source".to_owned(), "kubernetes".to_owned())].into());
    let mut by_tag = instance("incumbent", "old-tag", "old-tag", "10.7.0.2");
    by_tag.tags = Some(vec!["k8s".to_owned()]);
    for instance in [by_meta, by_tag] {
        catalog.put_instance(instance).unwrap();
    }
}

fn instance(node: &str, id: &str, service: &str, address: &str) -> Instance {
    Instance {
        node: node.into(),
        id: id.into(),
        service: service.into(),
        address: address.into(),
        port: 80,
        ..Instance::default()
    }
}

impl Writes {
    /// What was written since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let less = |now: &[u64], before: &[u64]| {
            now.iter()
                .zip(before)
                .map(|(now, before)| now - before)
                .collect()
        };
        Self {
            kubernetes: less(&self.kubernetes, &before.kubernetes),
            consul: less(&self.consul, &before.consul),
        }
    }
}
