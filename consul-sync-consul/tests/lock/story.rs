//! Invariant I-S8 over seeded stories: several processes, stopped and killed at random, with transactions that
//! arrive late.
//!
//! `LOCK_SEED=n` plays one story, `LOCK_SEEDS=n` so many. A story takes some seconds because sessions have to end.

use std::time::Duration;

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault};
use consul_sync_core::testing::service;
use tokio::time::sleep;

use crate::replica::{Replica, consul, eventually, one_writer};

/// Stories without `LOCK_SEEDS`.
const STORIES: u64 = 6;
const STEPS: usize = 24;
/// They are tokens, too, and a token is masked wherever it stands in an answer.
const NAMES: [&str; 3] = ["replica-a", "replica-b", "replica-c"];

/// Numbers that follow from a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn replica(consul: &FakeConsul, name: &str) -> Replica {
    let replica = Replica::with(&consul.url(), name, true, |settings| {
        settings.ttl = Duration::from_millis(300);
    });
    replica.source.put(service("ns/common", ["10.0.0.1"]));
    replica
}

/// Each process wants something of its own, so that what arrives late from another one would still fit.
fn change(replica: &Replica, step: usize) {
    let name = format!("ns/of-{}-{step}", replica.name);
    replica.source.put(service(&name, ["10.1.0.1", "10.1.0.2"]));
}

async fn story(seed: u64) {
    let consul = consul().await;
    let mut dice = Dice(seed);
    let mut replicas: Vec<Replica> = NAMES.iter().map(|name| replica(&consul, name)).collect();
    for step in 0..STEPS {
        for replica in &replicas {
            change(replica, step);
        }
        let at = usize::try_from(dice.roll(3)).unwrap();
        match dice.roll(8) {
            0 | 1 => replicas[at].stop(),
            2 | 3 => replicas.iter().for_each(Replica::go_on),
            // Transactions are on their way for as long as it takes.
            4 | 5 => consul.inject(Fault::new().pause().on(Endpoint::Txn).times(2)),
            6 => consul.clear_faults(),
            _ => {
                if let Some(session) = consul.sessions().first() {
                    consul.destroy_session(&session.id);
                }
            }
        }
        if dice.roll(12) == 0 {
            replicas[at] = replica(&consul, NAMES[at]);
        }
        sleep(Duration::from_millis(20 + dice.roll(200))).await;
        one_writer(&consul.applied());
    }
    consul.clear_faults();
    replicas.iter().for_each(Replica::go_on);
    // When it is quiet, one leads and has what it wants.
    for replica in &replicas {
        change(replica, STEPS);
    }
    eventually(&consul, "what the last leader wants", |consul| {
        replicas.iter().any(|replica| {
            replica.holds(consul)
                && !consul
                    .instances_of_service(&format!("of-{}-{STEPS}", replica.name))
                    .is_empty()
        })
    })
    .await;
    one_writer(&consul.applied());
}

#[tokio::test]
async fn no_write_is_applied_of_anybody_but_the_holder_of_the_lock() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("LOCK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LOCK_SEEDS").unwrap_or(STORIES),
    };
    let stories = seeds.map(|seed| {
        tokio::spawn(async move {
            println!("LOCK_SEED={seed}");
            story(seed).await;
        })
    });
    for story in stories.collect::<Vec<_>>() {
        story.await.unwrap();
    }
}
