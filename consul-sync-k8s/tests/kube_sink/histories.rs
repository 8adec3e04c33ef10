//! Histories made by chance: services that come, change and go, people who write to the same cluster, and servers, watches
//! and answers that fail meanwhile. `KUBE_SINK_SEED` replays one, `KUBE_SINK_SEEDS` says how many
//! are told.

use std::{collections::BTreeMap, time::Duration};

use consul_sync_core::{Key, Service, testing::service};
use consul_sync_k8s::{
    Mode, Verb,
    testing::{FakeCluster, Fault, On, WatchFault},
};
use serde_json::{Value, json};

use super::round::{Round, critical, instances};

const SEEDS: u64 = 12;
const STEPS: u32 = 60;
/// Names in Consul; some are one name in Kubernetes.
const NAMES: [&str; 5] = ["web", "db", "a-b", "a_b", "A.b"];
/// Their names in Kubernetes.
const SERVICES: [&str; 3] = ["web", "db", "a-b"];
const OWNER: &str = "consul-sync.io/owner";

/// Numbers by chance, the same for a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).unwrap_or(0) % bound
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// A cluster that others write to, an engine, and what the source says.
struct Story {
    chance: Chance,
    cluster: FakeCluster,
    round: Round,
    wanted: BTreeMap<Key, Service>,
}

impl Story {
    async fn new(seed: u64) -> Self {
        let cluster = FakeCluster::new();
        let mut round = Round::new(&cluster, Mode::Endpoints).await;
        round.list([]);
        Self {
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            cluster,
            round,
            wanted: BTreeMap::new(),
        }
    }

    fn change_source(&mut self) {
        let mut service = service(&format!("/{}", self.chance.of(&NAMES)), []);
        if self.chance.below(4) == 0 {
            self.wanted.remove(&service.key);
            self.round.remove(&service.key);
            return;
        }
        let mode = self.chance.of(&["endpoints", "headless", "external-name"]);
        // A name with another character than letters, digits and '-' has no name in DNS.
        let is_plain = !service.name.as_str().contains(['_', '.']);
        let mode = if is_plain { mode } else { "endpoints" };
        service.meta = [("kubernetes-mode", mode)].into_iter().collect();
        service.created = i64::try_from(self.chance.below(3)).unwrap_or(0);
        let count = self.chance.of(&[1, 2, 5, 130]);
        service.instances = instances(count);
        if self.chance.below(2) == 0
            && let Some(last) = service.instances.pop()
        {
            service.instances.push(critical(last));
        }
        self.round.upsert(&service);
        self.wanted.insert(service.key.clone(), service);
    }

    /// Somebody else writes.
    fn change_cluster(&mut self) {
        let name = self.chance.of(&SERVICES);
        let slices = self.cluster.list("endpointslices");
        let slice = (!slices.is_empty()).then(|| {
            let slice = self.chance.of(&slices);
            slice["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        let change = self.chance.of(&[
            json!({"spec": {"selector": {"app": "theirs"}}}),
            json!({"spec": {"externalIPs": ["192.0.2.1"]}}),
            json!({"metadata": {"labels": {"consul": "no"}}}),
            json!({"metadata": {"labels": {OWNER: "them"}}}),
            json!({"metadata": {"labels": {OWNER: null}}}),
            json!({"metadata": {"annotations": {"consul-sync.io/object": null}}}),
            json!({"metadata": {"annotations": {"consul-sync.io/object": "default/other"}}}),
            json!({"metadata": {"labels": {"theirs": "1"}}}),
        ]);
        match (self.chance.below(6), slice) {
            (0, _) => drop(
                self.cluster
                    .put(json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"namespace": "default", "name": name},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}})),
            ),
            (1, _) => drop(self.cluster.delete("services", "default", name)),
            (2, Some(slice)) => drop(self.cluster.delete("endpointslices", "default", &slice)),
            (3, Some(slice)) => {
                let change = self.chance.of(&[
                    json!({"endpoints": []}),
                    json!({"metadata": {"labels": {"kubernetes.io/service-name": "db"}}}),
                    json!({"metadata": {"labels": {OWNER: "them"}}}),
                ]);
                drop(
                    self.cluster
                        .merge("endpointslices", "default", &slice, &change),
                );
            }
            _ => drop(self.cluster.merge("services", "default", name, &change)),
        }
    }

    /// Something fails.
    fn disturb(&mut self) {
        let verb = self.chance.of(&[
            Verb::Create,
            Verb::Patch,
            Verb::Delete,
            Verb::Get,
            Verb::List,
        ]);
        let on = On::default().verb(verb).times(1);
        match self.chance.below(8) {
            0 => drop(self.cluster.inject(on, Fault::status(500))),
            1 => drop(self.cluster.inject(on, Fault::too_many_requests(Some(1)))),
            2 => drop(self.cluster.inject(on, Fault::Cut { after: 0 })),
            3 => drop(self.cluster.inject(on, Fault::Disconnect)),
            4 => drop(self.cluster.inject(on, Fault::status(422))),
            5 => self.cluster.disturb(None, WatchFault::Silence),
            6 => self.cluster.disturb(None, WatchFault::Sever),
            _ => {
                self.cluster.compact();
                self.cluster.disturb(None, WatchFault::Close);
            }
        }
    }

    /// Objects that are not ours, as they are.
    fn theirs(&self) -> Vec<Value> {
        let is_theirs = |object: &Value| {
            let labels = &object["metadata"]["labels"];
            let metadata = &object["metadata"];
            let itself = format!(
                "{}/{}",
                metadata["namespace"].as_str().unwrap_or_default(),
                metadata["name"].as_str().unwrap_or_default()
            );
            let written = metadata["annotations"]["consul-sync.io/object"].as_str();
            let is_copy = written.is_some_and(|written| written != itself);
            is_copy
                || (labels[OWNER] != "us"
                    && (!labels[OWNER].is_null() || labels["consul"] != "true"))
        };
        let objects = ["services", "endpointslices"].map(|resource| self.cluster.list(resource));
        objects.into_iter().flatten().filter(is_theirs).collect()
    }

    async fn turn(&mut self) {
        self.round.now += Duration::from_secs(1);
        self.round.hear().await;
        let before = self.theirs();
        self.round.turn().await;
        assert_eq!(self.theirs(), before, "what is theirs is not touched");
    }

    /// Everything works again, and nobody interferes: in the end all is as it should be.
    async fn end(mut self) {
        self.cluster.lift_all();
        // Silence lasts as long as a watch.
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.round.pump().await;
        }
        // What lost its owner's label and stands in the way is somebody's, and they take it away.
        for object in self.theirs() {
            let resource = if object["kind"] == "Service" {
                "services"
            } else {
                "endpointslices"
            };
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            if resource == "services" {
                let below = |slice: &Value| {
                    slice["metadata"]["labels"]["kubernetes.io/service-name"] == name
                        && slice["metadata"]["labels"][OWNER] == "us"
                };
                let slices = self.cluster.list("endpointslices");
                assert!(!slices.iter().any(below), "nothing of ours is below {name}");
            }
            self.cluster.delete(resource, "default", name);
        }
        for _ in 0..4 {
            self.round.pump().await;
        }
        assert_eq!(self.round.pump().await, 0, "it comes to an end");
        let mut fresh = Round::new(&self.cluster, Mode::Endpoints).await;
        fresh.list(self.wanted.into_values());
        let plan = fresh.engine.plan(fresh.now);
        assert!(plan.ops.is_empty(), "{plan:?}");
        assert_eq!(fresh.engine.status().blocked, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_theirs_is_not_touched_and_in_the_end_all_is_as_it_should_be() {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let seeds = match number("KUBE_SINK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KUBE_SINK_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        println!("seed {seed}");
        let mut story = Story::new(seed).await;
        for _ in 0..STEPS {
            match story.chance.below(10) {
                0..=2 => story.change_source(),
                3..=4 => story.change_cluster(),
                5 => story.disturb(),
                _ => story.turn().await,
            }
        }
        story.end().await;
    }
}
