//! Nothing goes in circles (design rule 9): clusters that export to Consul and import from it at once, three of them.
//!
//! Every cluster has both directions on, over catalogs and API servers in memory: the sources, sinks and drivers are
//! those of the program. Histories by chance create, scale and delete services in the clusters and in Consul; somebody
//! copies what was imported and says that it may be exported, and changes what says that it may not. Then:
//!
//! - no cluster ever registered anything but what was made in it, under whatever name;
//! - each cluster holds what the rules say, and no object more;
//! - a change causes as many writes as the rules say, each time, and then there are none;
//! - with the originals every copy goes.
//!
//! `RING_SEED` replays one seed, `RING_SEEDS` says how many are told.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own helpers fail where they are"
)]

mod member;
mod story;
#[path = "../support/until.rs"]
mod until;
mod world;

use tokio::task::{JoinSet, LocalSet};

use world::Topology;

const SEEDS: u64 = 4;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Tells histories of this topology, all at once: they wait most of the time.
async fn histories(topology: Topology) {
    let seeds = match number("RING_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("RING_SEEDS").unwrap_or(SEEDS) + 1,
    };
    let mut stories = JoinSet::new();
    let here = LocalSet::new();
    for seed in seeds {
        stories.spawn_local_on(story::tell(topology, seed), &here);
    }
    here.run_until(stories.join_all()).await;
}

#[tokio::test]
async fn fault_l02_three_clusters_that_import_from_each_other_over_one_catalog_come_to_rest() {
    histories(Topology::Mesh).await;
}

#[tokio::test]
async fn fault_l02_three_clusters_in_a_ring_over_one_catalog_come_to_rest() {
    histories(Topology::RingOfOwners).await;
}

#[tokio::test]
async fn fault_l02_three_clusters_in_a_ring_of_three_catalogs_come_to_rest() {
    histories(Topology::RingOfCatalogs).await;
}

#[tokio::test]
async fn fault_l01_a_cluster_that_would_import_its_own_exports_is_refused() {
    let catalog = consul_sync_consul::testing::FakeConsul::start()
        .await
        .unwrap();
    let error = member::source(&catalog.url(), "a", &["a", "b"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("must not come back"), "{error}");
}
