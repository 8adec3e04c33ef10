//! A history by chance, and what must hold after it.

use std::collections::BTreeSet;

use consul_sync_k8s::Mode;
use consul_sync_testbed::Rng;

use super::{
    member::{IMPORTS, SHOP, Shape},
    world::{NAMES, Topology, World},
};

const STEPS: u64 = 30;
/// Names that are made in clusters; some are registered by hand, too.
const MADE: [&str; 4] = ["web", "api", "db", "shared"];
const REGISTERED: [&str; 3] = ["legacy", "queue", "shared"];
/// Services that only show that everything comes to rest.
const MARKER: &str = "marker";
const ROUNDS: usize = 3;

/// Tells one history, and holds the world to the rules.
pub(crate) async fn tell(topology: Topology, seed: u64) {
    let mut chance = Rng::new(seed);
    let shape = Shape {
        mode: *chance.pick(&[Mode::Endpoints, Mode::Headless]).unwrap(),
        prefixes: chance.percent(50),
    };
    let story = format!("RING_SEED={seed} {topology:?} {shape:?}");
    let mut world = World::start(topology, shape).await;
    for number in 0..STEPS {
        step(&mut world, &mut chance, number);
        if chance.percent(25) {
            world.settle(&story).await;
        }
    }
    world.settle(&story).await;

    // A marker goes every way, behind all that was still on it. From then on a change costs what it costs.
    marker(&mut world, &story).await;
    for round in 0..ROUNDS {
        let before = world.writes();
        marker(&mut world, &story).await;
        let written = world.writes().since(&before);
        assert_eq!(written, world.cost(), "{story}: in round {round}");
    }

    for member in 0..NAMES.len() {
        for name in MADE {
            world.unmake(member, name);
        }
    }
    for catalog in 0..world.registered.len() {
        for name in REGISTERED {
            world.deregister(catalog, name);
        }
    }
    world.settle(&story).await;
    for member in &world.members {
        assert!(
            member.imports().is_empty(),
            "{story}: {:?}",
            member.imports()
        );
    }
}

/// Makes a service everywhere and removes it again.
async fn marker(world: &mut World, story: &str) {
    let catalogs = world.registered.len();
    for member in 0..NAMES.len() {
        // Names of their own: what two clusters export under one name is one import.
        world.make(
            member,
            &format!("{MARKER}-{member}"),
            ["10.9.0.1".to_owned()].into(),
        );
    }
    for catalog in 0..catalogs {
        world.register(catalog, MARKER, ["10.9.0.2".to_owned()].into());
    }
    world.settle(story).await;
    for member in 0..NAMES.len() {
        world.unmake(member, &format!("{MARKER}-{member}"));
    }
    for catalog in 0..catalogs {
        world.deregister(catalog, MARKER);
    }
    world.settle(story).await;
}

fn step(world: &mut World, chance: &mut Rng, number: u64) {
    let member = below(chance, NAMES.len());
    let catalog = below(chance, world.registered.len());
    match chance.below(10) {
        0..4 => {
            let name = chance.pick(&MADE).unwrap();
            let addresses = addresses(chance, &format!("10.{}", member + 1));
            world.make(member, name, addresses);
        }
        4 => world.unmake(member, chance.pick(&MADE).unwrap()),
        5..7 => {
            let name = chance.pick(&REGISTERED).unwrap();
            let addresses = addresses(chance, "10.8");
            world.register(catalog, name, addresses);
        }
        7 => world.deregister(catalog, chance.pick(&REGISTERED).unwrap()),
        other => {
            let member = &world.members[member];
            let imports: Vec<String> = member.imports().into_keys().collect();
            let Some(imported) = chance.pick(&imports) else {
                return;
            };
            if other == 8 {
                let namespace = chance.pick(&[SHOP, IMPORTS]).unwrap();
                member.copy(imported, namespace, &format!("copy-{number}"));
            } else {
                member.unmark(imported);
            }
        }
    }
}

fn below(chance: &mut Rng, limit: usize) -> usize {
    usize::try_from(chance.below(limit as u64)).unwrap()
}

/// One to four addresses of a network.
fn addresses(chance: &mut Rng, network: &str) -> BTreeSet<String> {
    let count = 1 + chance.below(4);
    let each = (0..count).map(|_| format!("{network}.0.{}", 1 + chance.below(8)));
    each.collect()
}
