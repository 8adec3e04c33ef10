//! What happens, step by step.

use std::{collections::BTreeMap, future::Future, pin::pin, sync::Arc, time::Duration};

use consul_sync_core::{
    Control, Driver, Key, Layout, Record, RecordId, Service, Standing, Status, SyncStatus,
    testing::{MemoryRecord, check, instance, service},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    oracle::Place,
    rng::Rng,
    script::{Script, Step, What},
    sink::SimSink,
    source::SimSource,
    world::{State, Tally, World},
};

/// How a story went.
pub(crate) struct Outcome {
    pub(crate) log: Vec<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) violations: Vec<String>,
    pub(crate) deletes: BTreeMap<Place, usize>,
    pub(crate) tally: Tally,
}

/// One process.
pub(crate) struct Process {
    task: JoinHandle<()>,
    pub(crate) status: watch::Receiver<SyncStatus>,
    pub(crate) control: Control,
    /// It stands still until then.
    frozen: watch::Sender<Instant>,
    /// How long after the last trouble everything is done, as the program itself says.
    pub(crate) bound: Duration,
}

pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) script: Script,
    pub(crate) log: Vec<String>,
    pub(crate) process: Option<Process>,
}

/// Runs a story on a paused clock.
pub(crate) fn on_paused_clock<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(story)
}

/// Tells a story from its beginning to its end.
pub(crate) fn tell(script: &Script) -> Outcome {
    tell_and_trace(script, false)
}

/// The same, with a trace of everything where it is asked for.
pub(crate) fn tell_and_trace(script: &Script, is_traced: bool) -> Outcome {
    on_paused_clock(async {
        let mut story = Story::new(script, None);
        story.world.lock().trace = is_traced.then(Vec::new);
        for step in &script.steps {
            story.step(step).await;
            sleep(step.pause).await;
        }
        story.end().await;
        story.outcome()
    })
}

impl Process {
    /// It goes on, if it stood still.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(Instant::now());
    }

    /// Whether it has engaged the brake, and says so.
    pub(crate) fn is_braking(&self) -> bool {
        self.status.borrow().brake.engaged && *self.frozen.borrow() <= Instant::now()
    }
}

impl Story {
    pub(crate) fn new(script: &Script, points: Option<watch::Sender<u64>>) -> Self {
        Self {
            world: World::new(script, points),
            script: script.clone(),
            log: Vec::new(),
            process: None,
        }
    }

    pub(crate) fn outcome(self) -> Outcome {
        let mut state = self.world.lock();
        let deletes = state.catalog.deletes.clone();
        Outcome {
            log: self.log,
            trace: state.trace.take().unwrap_or_default(),
            violations: std::mem::take(&mut state.oracle.violations),
            tally: Tally {
                stories: 1,
                writes: state.catalog.writes,
                deletes: deletes.values().sum::<usize>() as u64,
                ..state.tally
            },
            deletes,
        }
    }

    /// A process starts; it knows nothing.
    pub(crate) fn start(&mut self, seed: u64) {
        {
            let mut state = self.world.lock();
            state.tick();
            state.oracle.restart();
        }
        let driver = Driver::new(SimSource(self.world.clone()), SimSink(self.world.clone()))
            .settings(self.script.settings.clone())
            .concurrency(self.script.concurrency)
            .seed(seed);
        let (status, control, bound) = (driver.status(), driver.control(), driver.bound());
        let (frozen, until) = watch::channel(Instant::now());
        let task = tokio::spawn(freezable(driver.run(std::future::pending()), until));
        self.process = Some(Process {
            task,
            status,
            control,
            frozen,
            bound,
        });
    }

    /// The process dies.
    pub(crate) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.task.abort();
            let _ = process.task.await;
        }
    }

    pub(crate) async fn step(&mut self, step: &Step) {
        let mut rng = Rng::new(step.seed);
        let said = match step.what {
            What::Crash => {
                self.world.lock().tally.crashes += 1;
                self.kill().await;
                // Nobody tells the next process what happens while none is there.
                self.start(step.seed);
                "a process starts; the one before it is dead".to_owned()
            }
            What::Freeze => {
                let seconds = rng.below(400);
                self.world.lock().tally.freezes += 1;
                if let Some(process) = &self.process {
                    let until = Instant::now() + Duration::from_secs(seconds);
                    process.frozen.send_replace(until);
                    self.world.lock().oracle.frozen = Some(until);
                }
                format!("the process stands still for {seconds} s")
            }
            What::Confirm => match &self.process {
                Some(process) if process.is_braking() => {
                    let seen = process.status.borrow().brake.held_deletes;
                    let mut state = self.world.lock();
                    state.tick();
                    state.confirmed(seen);
                    process.control.release_brake(seen);
                    "a person confirms what the brake holds back".to_owned()
                }
                _ => "a person finds nothing to confirm".to_owned(),
            },
            _ => {
                let mut state = self.world.lock();
                state.tick();
                let said = state.change(step.what, &self.world, &self.script, &mut rng);
                state.check_step();
                said
            }
        };
        if let Some(process) = &self.process {
            let mut state = self.world.lock();
            state.tally.engaged += u64::from(process.is_braking());
        }
        let now = self.log.len();
        self.log
            .push(format!("{now:3} {said}; then {:?}", step.pause));
        self.world.lock().note(|| said);
        self.world.changed();
    }
}

/// Runs a process, but not while it is frozen.
async fn freezable(process: impl Future<Output = ()>, mut frozen: watch::Receiver<Instant>) {
    let mut process = pin!(process);
    loop {
        let until = *frozen.borrow_and_update();
        if Instant::now() < until {
            tokio::select! {
                () = sleep_until(until) => {}
                _ = frozen.changed() => {}
            }
            continue;
        }
        tokio::select! {
            biased;
            _ = frozen.changed() => {}
            () = &mut process => return,
        }
    }
}

impl State {
    /// A person confirms what the brake holds back.
    pub(crate) fn confirmed(&mut self, seen: usize) {
        self.tally.confirmed += 1;
        self.oracle.confirmed(&self.catalog, seen);
    }

    fn change(&mut self, what: What, world: &World, script: &Script, rng: &mut Rng) -> String {
        let keys: Vec<Key> = self.truth.services.keys().cloned().collect();
        let key = rng.pick(&keys).cloned();
        let of = |standing: Standing| -> Vec<_> {
            let all = self.catalog.all();
            let all = all.filter(|(_, held)| held.standing == standing);
            all.map(|(slot, held)| (slot.clone(), Arc::clone(&held.record)))
                .collect()
        };
        let (from, to) = match what {
            What::TakeOver => (Standing::Ours, Standing::Foreign),
            What::Unmark => (Standing::Ours, Standing::Orphan),
            What::PassOn if rng.chance(50) => (Standing::Foreign, Standing::Orphan),
            What::PassOn => (Standing::Orphan, Standing::Foreign),
            What::Free => (Standing::Foreign, Standing::Foreign),
            _ => (Standing::Ours, Standing::Ours),
        };
        let records = of(from);
        let victim = rng.pick(&records).cloned();
        match (what, key, victim) {
            (What::Put, ..) => {
                let new = any_service(script, rng);
                let said = format!("{} is put: {}", new.key, say(&new));
                self.truth.set(&new.key.clone(), Some(Some(Arc::new(new))));
                said
            }
            (What::Replace, Some(key), _) => {
                let mut other = any_service(script, rng);
                other.key = key.clone();
                let said = format!("{key} is another one: {}", say(&other));
                self.truth.set(&key, Some(Some(Arc::new(other))));
                said
            }
            (What::Remove, Some(key), _) => {
                self.truth.set(&key, None);
                format!("{key} is deleted")
            }
            (What::Spoil, Some(key), _) => {
                self.truth.set(&key, Some(None));
                format!("{key} cannot be used any more")
            }
            (What::Collapse, ..) => {
                let gone: Vec<Key> = keys.into_iter().filter(|_| rng.chance(70)).collect();
                for key in &gone {
                    self.truth.set(key, None);
                }
                format!("{} services are deleted", gone.len())
            }
            (What::Ours | What::Orphan | What::Foreign, ..) => {
                let standing = match what {
                    What::Ours => Standing::Ours,
                    What::Orphan => Standing::Orphan,
                    _ => Standing::Foreign,
                };
                let planted = any_service(script, rng);
                self.plant(world, &planted, standing);
                format!("somebody writes {standing:?} {}", say(&planted))
            }
            (What::Lose | What::Free, _, Some((slot, record))) => {
                self.catalog.lose(&slot, &record.id());
                format!("somebody removes {from:?} {slot}/{}", record.id())
            }
            (What::Change, _, Some((slot, record))) => {
                let id = record.id().to_string();
                let mut other = service(&format!("elsewhere/{slot}"), [id.as_str()]);
                other.tags = vec![Arc::from("vandal")].into();
                self.plant(world, &other, Standing::Ours);
                format!("somebody changes {slot}/{id}")
            }
            (What::TakeOver | What::Unmark | What::PassOn, _, Some((slot, record))) => {
                let said = format!("{slot}/{} becomes {to:?}", record.id());
                self.catalog.plant(&slot, record, to);
                said
            }
            (What::Poison, ..) => {
                let id = format!("10.0.0.{}", rng.below(script.addresses));
                self.poison.insert(RecordId::new(id.as_str()).unwrap());
                format!("{id} is refused from now on")
            }
            _ => "time passes".to_owned(),
        }
    }

    /// Somebody writes a service's records. Nobody writes over what is somebody else's.
    fn plant(&mut self, world: &World, planted: &Service, standing: Standing) {
        let slot = world.layout.place(planted).unwrap();
        for one in &planted.instances {
            let record = Arc::new(MemoryRecord::new(planted, one));
            let holder = self.catalog.get(&slot, &record.id());
            let holder = holder.map(|held| held.standing);
            if standing == Standing::Foreign || holder.is_none_or(|held| held == Standing::Ours) {
                self.catalog.plant(&slot, record, standing);
            }
        }
    }
}

/// A service out of few names and addresses, so that they collide.
fn any_service(script: &Script, rng: &mut Rng) -> Service {
    let (namespace, name) = (rng.below(2), rng.below(4));
    let mut new = service(&format!("ns{namespace}/web{name}"), []);
    let object = rng.below(3);
    new.key = Key::new(format!("ns{namespace}"), format!("web{name}-{object}"));
    new.created = i64::try_from(rng.below(3)).unwrap();
    new.tags = vec![Arc::from(format!("tag{}", rng.below(3)))].into();
    for _ in 0..rng.below(script.instances) {
        let mut one = instance(&format!("10.0.0.{}", rng.below(script.addresses)));
        let is_ready = rng.chance(70);
        let status = if is_ready {
            Status::Passing
        } else {
            Status::Critical
        };
        one.check = Some(check(status).into());
        let mut others = new.instances.iter();
        if !others.any(|other| other.address == one.address) {
            new.instances.push(one);
        }
    }
    new
}

fn say(service: &Service) -> String {
    let instances = service.instances.iter();
    let instances = instances.map(|one| {
        let mark = if one.is_live() { "" } else { " (down)" };
        format!("{}{mark}", one.address)
    });
    let instances: Vec<String> = instances.collect();
    format!("{} at {}", service.name, instances.join(", "))
}
