//! A program that is killed at any moment, in the middle of both directions: what it leaves is what the next one goes on
//! from.
//!
//! `SEED` chooses another story and `KILLS` its length.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use consul_sync_testbed::{ConsulVersion, Rng};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    both::BOTH,
    catalog::Catalog,
    objects::services,
    program::Program,
    registered::{Cluster, NAMESPACE, Registered},
    servers::Servers,
    world::World,
};

/// The longest pause between two changes, in milliseconds.
const PAUSE: u64 = 300;

/// What there is on one side: addresses by name.
type Side = BTreeMap<String, BTreeSet<String>>;

/// A story of changes on both sides.
struct Story<'a> {
    servers: &'a Servers,
    rng: Rng,
    /// Services of Kubernetes.
    own: Side,
    /// Services of Consul.
    theirs: Side,
}

#[tokio::test]
async fn fault_p01_nothing_is_lost_touched_or_doubled_by_kills_embedded() {
    let servers = Servers::embedded().await;
    Story::begin(&servers).await.tell(6).await;
}

#[tokio::test]
async fn fault_p01_nothing_is_lost_touched_or_doubled_by_kills_consul_1_21() {
    if let Some(servers) = Servers::real(ConsulVersion::V1_21).await {
        Story::begin(&servers).await.tell(6).await;
    }
}

#[tokio::test]
async fn fault_p01_nothing_is_lost_touched_or_doubled_by_kills_consul_1_22() {
    if let Some(servers) = Servers::real(ConsulVersion::V1_22).await {
        Story::begin(&servers).await.tell(20).await;
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn texts(addresses: &BTreeSet<String>) -> Vec<&str> {
    addresses.iter().map(String::as_str).collect()
}

impl<'a> Story<'a> {
    /// Six services on each side. The first of each never changes.
    async fn begin(servers: &'a Servers) -> Self {
        let seed = variable("SEED").unwrap_or(1);
        println!("SEED={seed}");
        let (mut own, mut theirs) = (Side::new(), Side::new());
        for at in 0..6 {
            let addresses = |net: u8| {
                let each = (1..=3).map(|host| format!("10.{net}.{at}.{host}"));
                each.collect::<BTreeSet<String>>()
            };
            own.insert(format!("own-{at}"), addresses(1));
            theirs.insert(format!("theirs-{at}"), addresses(2));
        }
        for (name, addresses) in &own {
            World(&servers.kubernetes)
                .web(name, &texts(addresses))
                .await;
        }
        for (name, addresses) in &theirs {
            Registered(&servers.consul)
                .put(name, &texts(addresses))
                .await;
        }
        Self {
            servers,
            rng: Rng::new(seed),
            own,
            theirs,
        }
    }

    async fn tell(mut self, kills: u64) {
        let kills = variable("KILLS").unwrap_or(kills);
        let (catalog, cluster) = (
            Catalog(&self.servers.consul),
            Cluster(&self.servers.kubernetes),
        );
        {
            let _program = Program::ready(self.servers, &BOTH).await;
            self.until_settled().await;
        }
        let foreign = self.foreign().await;
        let kept = self.kept().await;
        let mut writing = 0;
        for kill in 0..kills {
            let mut program = Program::start(self.servers, &BOTH);
            // Some are killed while they start, the others when they have begun to write.
            if self.rng.percent(60) {
                self.grow(kill).await;
                program.until_logged("written ").await;
                writing += 1;
            }
            for _ in 0..=self.rng.below(3) {
                self.change().await;
                sleep(Duration::from_millis(self.rng.below(PAUSE))).await;
            }
            program.kill();
            assert_eq!(self.kept().await, kept, "kill {kill}");
        }
        println!("{kills} programs killed, {writing} of them while they wrote");
        assert!(writing > 0, "a story without a program at work");
        let program = Program::ready(self.servers, &BOTH).await;
        self.until_settled().await;
        assert_eq!(self.foreign_now().await, foreign);
        assert_eq!(self.kept().await, kept);
        let wanted: Vec<String> = self.theirs.keys().cloned().collect();
        assert_eq!(cluster.names().await, wanted);
        let instances = catalog.instances().await;
        let count: usize = self.own.values().map(BTreeSet::len).sum();
        assert_eq!(instances.len(), count + 1, "{instances:#?}");
        assert!(
            !program.log().contains("brake engaged"),
            "{}",
            program.log()
        );
    }

    /// Adds an address that nothing takes away again, so that there is something to write for certain.
    async fn grow(&mut self, kill: u64) {
        let is_own = self.rng.percent(50);
        let (side, name, net) = self.side(is_own, 1);
        let address = format!("10.{net}.200.{}", kill + 1);
        side.entry(name.clone())
            .or_default()
            .insert(address.clone());
        self.tell_world(is_own, &name, &address, true).await;
    }

    /// Adds an address or takes one away, on either side; one always stays.
    async fn change(&mut self) {
        let (is_own, at) = (self.rng.percent(50), 1 + self.rng.below(5));
        let mut host = 1 + self.rng.below(5);
        let (side, name, net) = self.side(is_own, at);
        let addresses = side.entry(name.clone()).or_default();
        let address_of = |host| format!("10.{net}.{at}.{host}");
        if addresses.len() == 1 && addresses.contains(&address_of(host)) {
            host = 1 + host % 5;
        }
        let address = address_of(host);
        let is_new = !addresses.remove(&address);
        if is_new {
            addresses.insert(address.clone());
        }
        self.tell_world(is_own, &name, &address, is_new).await;
    }

    /// A side, with the name and the network of one of its services.
    fn side(&mut self, is_own: bool, at: u64) -> (&mut Side, String, u8) {
        if is_own {
            (&mut self.own, format!("own-{at}"), 1)
        } else {
            (&mut self.theirs, format!("theirs-{at}"), 2)
        }
    }

    async fn tell_world(&self, is_own: bool, name: &str, address: &str, is_new: bool) {
        let registered = Registered(&self.servers.consul);
        if is_own {
            let addresses = texts(&self.own[name]);
            World(&self.servers.kubernetes)
                .scale(name, &addresses)
                .await;
        } else if is_new {
            registered.put(name, &[address]).await;
        } else {
            registered.remove(name, address).await;
        }
    }

    /// Every service with exactly its addresses, on the other side.
    async fn until_settled(&self) {
        for (name, addresses) in &self.own {
            let catalog = Catalog(&self.servers.consul);
            catalog.until_addresses(name, &texts(addresses)).await;
        }
        for (name, addresses) in &self.theirs {
            let ready: Vec<(&str, bool)> = texts(addresses)
                .into_iter()
                .map(|address| (address, true))
                .collect();
            let cluster = Cluster(&self.servers.kubernetes);
            cluster.until_endpoints(name, &ready).await;
        }
    }

    /// Puts something of somebody else's in each place, and gives it as it is from then on.
    async fn foreign(&self) -> [Value; 2] {
        let object = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "foreign" },
            "spec": { "clusterIP": "None", "ports": [{ "name": "http", "port": 80 }] },
        });
        let path = services(NAMESPACE);
        let made = self.servers.kubernetes.post(&path, &object).await.unwrap();
        made.success().unwrap();
        Catalog(&self.servers.consul)
            .register_on_our_node("foreign", &json!({}))
            .await;
        self.foreign_now().await
    }

    async fn foreign_now(&self) -> [Value; 2] {
        let cluster = Cluster(&self.servers.kubernetes);
        let instances = Catalog(&self.servers.consul).instances().await;
        [
            cluster.service("foreign").await.unwrap(),
            instances["foreign"].clone(),
        ]
    }

    /// What was written of the services that never change, with its versions.
    async fn kept(&self) -> (BTreeMap<String, String>, Vec<Value>) {
        let mut objects = Cluster(&self.servers.kubernetes).ours().await;
        objects.retain(|name, _| name.contains(" theirs-0"));
        let instances = Catalog(&self.servers.consul)
            .instances()
            .await
            .into_values();
        let instances = instances.filter(|instance| instance["Service"] == "own-0");
        (objects, instances.collect())
    }
}
