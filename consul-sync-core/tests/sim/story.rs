//! What happens, from a seed.

use std::{sync::Arc, time::Duration};

use consul_sync_core::{
    Check, Control, Driver, Key, Record, Service, Standing, Status, SyncStatus,
    testing::{MemoryRecord, instance, service},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    sink::SimSink,
    source::SimSource,
    world::{State, World},
};

/// How a story went.
pub(crate) struct Told {
    pub(crate) log: Vec<String>,
    pub(crate) violations: Vec<String>,
}

/// One process.
struct Process {
    task: JoinHandle<()>,
    status: watch::Receiver<SyncStatus>,
    control: Control,
}

struct Story {
    world: World,
    log: Vec<String>,
}

/// Longer than any pause of the engine and the driver.
const PATIENCE: Duration = Duration::from_secs(1500);
/// How long nothing may be written at the end: longer than the longest pause of a refused record.
const REST: Duration = Duration::from_secs(400);

/// Runs the story of a seed.
pub(crate) fn run(seed: u64) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut story = Story {
            world: World::new(seed),
            log: Vec::new(),
        };
        story.tell(seed).await;
        let violations = std::mem::take(&mut story.world.lock().oracle.violations);
        Told {
            log: story.log,
            violations,
        }
    })
}

impl Story {
    async fn tell(&mut self, seed: u64) {
        self.before();
        let mut process = self.start(seed);
        let steps = 4 + self.world.lock().rng.below(24);
        for step in 0..steps {
            let what = self.world.lock().rng.below(100);
            let said = match what {
                0..50 => self.change(),
                50..62 => self.vandalise(),
                62..72 => {
                    process.task.abort();
                    let _ = process.task.await;
                    process = self.start(seed + step + 1);
                    "the process dies and starts again".to_owned()
                }
                72..80 => self.poison(),
                _ => "time passes".to_owned(),
            };
            self.log.push(said);
            self.world.changed();
            let pause = {
                let mut state = self.world.lock();
                let most = *state.rng.pick(&[1, 50, 2_000, 40_000]).unwrap();
                Duration::from_millis(state.rng.below(most))
            };
            sleep(pause).await;
        }
        self.end(process, seed).await;
    }

    fn start(&self, seed: u64) -> Process {
        self.world.lock().oracle.restart();
        let driver =
            Driver::new(SimSource(self.world.clone()), SimSink(self.world.clone())).seed(seed);
        let (status, control) = (driver.status(), driver.control());
        Process {
            task: tokio::spawn(driver.run(std::future::pending())),
            status,
            control,
        }
    }

    /// What an earlier process, another program and somebody else left behind.
    fn before(&mut self) {
        let mut state = self.world.lock();
        for _ in 0..state.rng.below(8) {
            let planted = any_service(&mut state);
            let standing = *state
                .rng
                .pick(&[
                    Standing::Ours,
                    Standing::Ours,
                    Standing::Orphan,
                    Standing::Foreign,
                ])
                .unwrap();
            plant(&mut state, &self.world, &planted, standing);
        }
        for _ in 0..state.rng.below(10) {
            let new = any_service(&mut state);
            state.truth.insert(new.key.clone(), Some(new));
        }
    }

    fn change(&mut self) -> String {
        let mut state = self.world.lock();
        let keys: Vec<Key> = state.truth.keys().cloned().collect();
        let old = state.rng.pick(&keys).cloned();
        let (key, said) = match (state.rng.below(10), old) {
            (0..2, Some(key)) => {
                state.truth.remove(&key);
                (key, "is deleted")
            }
            (2, Some(key)) => {
                state.truth.insert(key.clone(), None);
                (key, "cannot be used any more")
            }
            (3..6, Some(key)) => {
                let mut other = any_service(&mut state);
                other.key = key.clone();
                state.truth.insert(key.clone(), Some(other));
                (key, "is another one")
            }
            _ => {
                let new = any_service(&mut state);
                let key = new.key.clone();
                state.truth.insert(key.clone(), Some(new));
                (key, "is put")
            }
        };
        state.changed.push(key.clone());
        format!("{key} {said}")
    }

    fn vandalise(&mut self) -> String {
        let mut state = self.world.lock();
        let ours: Vec<_> = state.catalog.ours().into_keys().collect();
        let victim = state.rng.pick(&ours).cloned();
        match (state.rng.below(4), victim) {
            (0..2, Some((slot, id))) => {
                state.catalog.remove(&slot, &id);
                format!("somebody removes {slot}/{id}")
            }
            (2, Some((slot, id))) => {
                let mut other = service(&format!("elsewhere/{slot}"), [id.as_str()]);
                other.tags = vec![Arc::from("vandal")].into();
                plant(&mut state, &self.world, &other, Standing::Ours);
                format!("somebody changes {slot}/{id}")
            }
            _ => {
                let theirs = any_service(&mut state);
                plant(&mut state, &self.world, &theirs, Standing::Foreign);
                format!("somebody else writes {}", theirs.name)
            }
        }
    }

    fn poison(&mut self) -> String {
        let mut state = self.world.lock();
        let id = format!("10.0.0.{}", state.rng.below(8));
        state.poison = consul_sync_core::RecordId::new(id.as_str()).ok();
        format!("{id} is refused from now on")
    }

    /// The faults stop; the catalog must become what is wanted, and rest.
    async fn end(&mut self, process: Process, seed: u64) {
        let bad: Vec<Key> = {
            let mut state = self.world.lock();
            state.faults = false;
            let bad: Vec<Key> = state
                .truth
                .iter()
                .filter(|(_, s)| s.is_none())
                .map(|(k, _)| k.clone())
                .collect();
            for key in &bad {
                state.truth.remove(key);
                state.changed.push(key.clone());
            }
            bad
        };
        self.log
            .push(format!("all is well again; gone for good: {bad:?}"));
        self.world.changed();
        let is_done = timeout(PATIENCE, async {
            loop {
                sleep(Duration::from_secs(10)).await;
                let status = process.status.borrow().clone();
                if status.brake.engaged {
                    process.control.release_brake();
                } else if status.pending().is_empty()
                    && status.in_flight == 0
                    && self.difference().is_none()
                {
                    return;
                }
            }
        });
        if is_done.await.is_err() {
            let status = process.status.borrow().clone();
            let difference = self.difference();
            self.world.lock().oracle.broke(
                "I-L1: no convergence",
                format!("{difference:?}; {status:?}"),
            );
            return;
        }
        let writes = self.world.lock().catalog.writes;
        sleep(REST).await;
        if let Some(difference) = self.difference() {
            self.world
                .lock()
                .oracle
                .broke("I-L1: it did not stay", difference);
        }
        let more = self.world.lock().catalog.writes - writes;
        if more > 0 {
            self.world.lock().oracle.broke("I-L6: writes at rest", more);
        }
        process.task.abort();
        // A new process finds nothing to do (rule 8).
        let _ = process.task.await;
        let again = self.start(seed);
        sleep(REST).await;
        again.task.abort();
        let more = self.world.lock().catalog.writes - writes - more;
        if more > 0 {
            self.world
                .lock()
                .oracle
                .broke("rule 8: a restart with nothing changed writes", more);
        }
    }

    /// How ours differ from what is wanted, without what somebody else blocks.
    fn difference(&self) -> Option<String> {
        let state = self.world.lock();
        let truth: Vec<Service> = state.truth.values().flatten().cloned().collect();
        let mut wanted = self.world.records(&truth);
        wanted.retain(|(slot, id), _| !state.is_blocked(slot, id));
        let ours = state.catalog.ours();
        if ours == wanted {
            return None;
        }
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(key, record)| ours.get(key) != Some(record))
            .map(|(key, _)| key)
            .collect();
        let surplus: Vec<_> = ours
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .collect();
        Some(format!("missing or other {missing:?}, surplus {surplus:?}"))
    }
}

/// A service out of few names and addresses, so that they collide.
fn any_service(state: &mut State) -> Service {
    let (namespace, name) = (state.rng.below(2), state.rng.below(4));
    let mut new = service(&format!("ns{namespace}/web{name}"), []);
    let object = state.rng.below(3);
    new.key = Key::new(format!("ns{namespace}"), format!("web{name}-{object}"));
    new.created = i64::try_from(state.rng.below(3)).unwrap();
    new.tags = vec![Arc::from(format!("tag{}", state.rng.below(3)))].into();
    for _ in 0..state.rng.below(6) {
        let mut one = instance(&format!("10.0.0.{}", state.rng.below(12)));
        let is_ready = state.rng.chance(70);
        one.check = Some(Check {
            scope: Arc::from("ns"),
            name: Arc::from("readiness"),
            kind: Arc::from("readiness"),
            status: if is_ready {
                Status::Passing
            } else {
                Status::Critical
            },
            output: Arc::from(""),
        });
        if !new
            .instances
            .iter()
            .any(|other| other.address == one.address)
        {
            new.instances.push(one);
        }
    }
    new
}

fn plant(state: &mut State, world: &World, planted: &Service, standing: Standing) {
    let slot = consul_sync_core::Layout::place(&world.layout, planted).unwrap();
    for one in &planted.instances {
        let record = Arc::new(MemoryRecord::new(planted, one));
        let holder = state
            .catalog
            .get(&slot, record.id())
            .map(|held| held.standing);
        // Nobody writes over what is not ours: then it would not be somebody else's any more.
        if standing == Standing::Foreign || holder.is_none_or(|holder| holder == Standing::Ours) {
            state.catalog.set(&slot, record, standing);
        }
    }
}
